// Where a network's image lies in the picture that it was made of, as `adapters/view.py` has it.
import { placed } from "./preprocessing.mjs";

/**
 * A picture's `width` and `height`, and the edges of the network's image, `left`, `top`, `right` and
 * `bottom`, in parts of the picture's sides; below 0 and above 1 where there is padding.
 */
export function viewOf({ width, height }, preprocessing) {
  const { region, target, margins } = placed(width, height, preprocessing);
  const { size } = preprocessing;
  const [left, right] = edges(width, region[0], region[2], target[0], margins[0], size);
  const [top, bottom] = edges(height, region[1], region[3], target[1], margins[1], size);
  return { width, height, left, top, right, bottom };
}

/** A box in parts of the network's image as one in pixels of the picture, and inside it. */
export function within([left, top, right, bottom], view) {
  const across = (place) => part(view.left + place * (view.right - view.left)) * view.width;
  const down = (place) => part(view.top + place * (view.bottom - view.top)) * view.height;
  return [across(left), down(top), across(right), down(bottom)];
}

/** Where the centre of each of `count` pixels lies between two edges, in parts of their distance. */
export function centres(count, first, last) {
  return Float64Array.from({ length: count }, (_, index) => {
    return ((index + 0.5) / count - first) / (last - first);
  });
}

function edges(side, from, to, target, margin, size) {
  const scale = ((side / (to - from)) * target) / size;
  const first = from / side - margin / size / scale;
  return [first, first + 1 / scale];
}

const part = (place) => Math.min(Math.max(place, 0), 1);
