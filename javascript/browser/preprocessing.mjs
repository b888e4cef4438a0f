// From RGB pixels to a network's input, as `adapters/preprocessing.py` does it.
import { resize } from "./resize.mjs";

/**
 * A network's input, Float32Array [size * size * 3], of RGB pixels {width, height, data}, as a
 * patch's `preprocessing` says.
 */
export function networkInput(picture, preprocessing) {
  return normalise(prepare(picture, preprocessing), preprocessing);
}

/** Uint8Array [size * size * 3] of RGB pixels. */
export function prepare(picture, preprocessing) {
  const { size, background } = preprocessing;
  const { region, target, margins } = placed(picture.width, picture.height, preprocessing);
  const resized = resize(picture, ...target, region);
  return target[0] === size && target[1] === size
    ? resized.data
    : padded(resized, size, background, margins);
}

/**
 * Which `region` of a picture is seen, [left, top, right, bottom] in pixels; the `target` size that it
 * gets, [width, height], and the `margins` that are left free before it, [left, top].
 */
export function placed(pictureWidth, pictureHeight, { size, fit }) {
  let [width, height] = [pictureWidth, pictureHeight];
  let [left, top] = [0, 0];
  let target = [size, size];
  if (fit === "crop") {
    const side = Math.min(width, height);
    [left, top] = [(width - side) / 2, (height - side) / 2];
    [width, height] = [side, side];
  } else if (fit === "pad") {
    const scale = size / Math.max(width, height);
    target = [width, height].map((side) => Math.max(1, roundToEven(side * scale)));
  }
  const margins = target.map((side) => Math.floor((size - side) / 2));
  return { region: [left, top, left + width, top + height], target, margins };
}

/** `(pixel - mean) / std` in float32. */
export function normalise(pixels, { mean, std }) {
  const [means, stds] = [Float32Array.from(mean), Float32Array.from(std)];
  return Float32Array.from(pixels, (pixel, index) => {
    return Math.fround(pixel - means[index % 3]) / stds[index % 3];
  });
}

function padded({ width, height, data }, size, background, [left, top]) {
  const square = Uint8Array.from({ length: size * size * 3 }, (_, index) => background[index % 3]);
  for (let y = 0; y < height; y++) {
    square.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * size + left) * 3);
  }
  return square;
}

/** As Python's `round`: a half goes to the even neighbour. */
function roundToEven(number) {
  const below = Math.floor(number);
  if (number - below === 0.5) return below + (below % 2);
  return Math.round(number);
}
