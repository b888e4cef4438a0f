// From a segmenter's predictions to labels of pixels, as `adapters/heads/segmentation.py` makes them.
import { centres } from "./view.mjs";

/**
 * `shares`, how much of the network's image each label covers; and `mask`, Int32Array [height * width]
 * of a picture that `view` is of: the number of the label of each of its pixels, -1 where the network
 * saw nothing.
 */
export function regions({ shape: [high, wide, labels], values }, view) {
  const counts = new Array(labels).fill(0);
  for (let start = 0; start < values.length; start += labels) {
    counts[largest(values.subarray(start, start + labels))]++;
  }
  const shares = counts.map((count) => count / (high * wide));
  const columns = centres(view.width, view.left, view.right);
  const rows = centres(view.height, view.top, view.bottom);
  const across = Array.from({ length: high }, (_, row) => {
    return line(values.subarray(row * wide * labels, (row + 1) * wide * labels), wide, labels, columns);
  });
  const mask = new Int32Array(view.width * view.height);
  const mixed = new Float32Array(labels);
  rows.forEach((place, y) => {
    const { before, after, share } = between(place, high);
    for (let x = 0; x < view.width; x++) {
      for (let label = 0; label < labels; label++) {
        const index = x * labels + label;
        mixed[label] = (1 - share) * across[before][index] + share * across[after][index];
      }
      const seen = isInside(place) && isInside(columns[x]);
      mask[y * view.width + x] = seen ? largest(mixed) : -1;
    }
  });
  return { shares, mask };
}

/** A row of cells at other places, [places * labels]. */
function line(values, cells, labels, places) {
  const found = new Float32Array(places.length * labels);
  places.forEach((place, index) => {
    const { before, after, share } = between(place, cells);
    for (let label = 0; label < labels; label++) {
      const [one, other] = [values[before * labels + label], values[after * labels + label]];
      found[index * labels + label] = (1 - share) * one + share * other;
    }
  });
  return found;
}

/** The cells whose centres a place lies between, in parts of a line, and how near to the second. */
function between(place, cells) {
  const centre = Math.min(Math.max(place * cells - 0.5, 0), cells - 1);
  const before = Math.floor(centre);
  return { before, after: Math.min(before + 1, cells - 1), share: centre - before };
}

function largest(values) {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index] > values[best]) best = index;
  return best;
}

const isInside = (place) => place >= 0 && place <= 1;
