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
export function prepare(picture, { size, fit, background }) {
  let { width, height } = picture;
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
  const resized = resize(picture, ...target, [left, top, left + width, top + height]);
  return target[0] === size && target[1] === size
    ? resized.data
    : padded(resized, size, background);
}

/** `(pixel - mean) / std` in float32. */
export function normalise(pixels, { mean, std }) {
  const [means, stds] = [Float32Array.from(mean), Float32Array.from(std)];
  return Float32Array.from(pixels, (pixel, index) => {
    return Math.fround(pixel - means[index % 3]) / stds[index % 3];
  });
}

function padded({ width, height, data }, size, background) {
  const square = Uint8Array.from({ length: size * size * 3 }, (_, index) => background[index % 3]);
  const left = Math.floor((size - width) / 2);
  const top = Math.floor((size - height) / 2);
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
