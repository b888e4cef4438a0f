// From a detector's predictions to boxes, as `adapters/heads/detection` makes them.
import { within } from "./view.mjs";

const LEAST_SCORE = 1e-3;
const MOST_OVERLAP = 0.55;
const MOST = 300; // boxes that are looked at of each class, and that are kept of an image
const UNKNOWN = 0.5; // how sure a box has to be, where nothing was chosen
const WEIGHTS = [10, 10, 5, 5];
const MOST_GROWTH = Math.log(1000 / 16);

/**
 * The objects in one image as sure as `threshold`, the surest first: [{number, score, box}], `number`
 * a label's, `box` left, top, right and bottom in pixels of the picture.
 *
 * `predictions` are `logits` [A, n], `offsets` [A, 4] and `anchors` [A, 4]. With `background` the
 * first of the logits is of no object and all are one softmax; else each is a sigmoid of its own.
 */
export function objects({ logits, offsets, anchors }, view, background, threshold = UNKNOWN) {
  const scores = background ? softmax(logits) : sigmoid(logits);
  const boxes = decoded(offsets.values, anchors.values);
  const found = scores.flatMap((column, number) => {
    const likely = [...column.keys()].filter((anchor) => column[anchor] > LEAST_SCORE);
    const order = likely.sort((one, other) => column[other] - column[one]).slice(0, MOST);
    return kept(order, boxes).map((anchor) => ({ number, score: column[anchor], box: boxes[anchor] }));
  });
  return found
    .sort((one, other) => other.score - one.score)
    .slice(0, MOST)
    .filter(({ score }) => score >= threshold)
    .map((one) => ({ ...one, box: within(one.box, view) }))
    .filter(({ box: [left, top, right, bottom] }) => right > left && bottom > top);
}

/** Of anchors, the surest first, those whose box no surer one overlaps too much. */
function kept(order, boxes) {
  const stay = [];
  for (const anchor of order) {
    if (stay.every((surer) => overlap(boxes[surer], boxes[anchor]) <= MOST_OVERLAP)) {
      stay.push(anchor);
    }
  }
  return stay;
}

/** Boxes in parts of the image's sides, of offsets (x, y, width, height) from anchors. */
function decoded(offsets, anchors) {
  return Array.from({ length: anchors.length / 4 }, (_, number) => {
    const [x, y, wide, high] = WEIGHTS.map((weight, axis) => offsets[4 * number + axis] / weight);
    const [left, top, right, bottom] = anchors.subarray(4 * number, 4 * number + 4);
    const sides = [right - left, bottom - top];
    const centre = [(left + right) / 2 + x * sides[0], (top + bottom) / 2 + y * sides[1]];
    const half = [wide, high].map((growth, axis) => {
      return (sides[axis] * Math.exp(Math.min(growth, MOST_GROWTH))) / 2;
    });
    const corners = [...centre.map((c, axis) => c - half[axis]), ...centre.map((c, axis) => c + half[axis])];
    return corners.map((place) => Math.min(Math.max(place, 0), 1));
  });
}

/** Intersection over union; 0 where both are of no area. */
function overlap(one, other) {
  const wide = Math.max(Math.min(one[2], other[2]) - Math.max(one[0], other[0]), 0);
  const high = Math.max(Math.min(one[3], other[3]) - Math.max(one[1], other[1]), 0);
  const union = area(one) + area(other) - wide * high;
  return union > 0 ? (wide * high) / union : 0;
}

const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);

/** Of each class after the first, which is nothing, its probability at each anchor. */
function softmax({ shape, values }) {
  const width = shape.at(-1);
  const columns = Array.from({ length: width - 1 }, () => new Float64Array(values.length / width));
  for (let anchor = 0; anchor < values.length / width; anchor++) {
    const own = values.subarray(anchor * width, (anchor + 1) * width);
    const largest = Math.max(...own);
    const powers = Array.from(own, (logit) => Math.exp(logit - largest));
    const whole = powers.reduce((sum, power) => sum + power);
    columns.forEach((column, number) => (column[anchor] = powers[number + 1] / whole));
  }
  return columns;
}

function sigmoid({ shape, values }) {
  const width = shape.at(-1);
  return Array.from({ length: width }, (_, number) =>
    Float64Array.from({ length: values.length / width }, (_, anchor) => {
      return 1 / (1 + Math.exp(-values[anchor * width + number]));
    }),
  );
}
