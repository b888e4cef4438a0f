// Pillow's bilinear resampling, to the bit. A canvas resamples otherwise: where an image becomes much
// smaller it looks at few pixels, Pillow at all of them.

const BITS = 22; // of the fraction in fixed-point weights
const HALF = 1 << (BITS - 1);

/**
 * RGB pixels {width, height, data} of the part `box` = [left, top, right, bottom] of RGB pixels, at
 * another size. Data is Uint8Array [height * width * 3]; a box may have fractions.
 */
export function resize(picture, width, height, box) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const columns = weights(picture.width, left, right, width);
  const rows = weights(picture.height, top, bottom, height);
  // The order shows, since bytes are rounded between the passes. Pillow before 13 knew one only.
  const lost = picture.height - height;
  return lost > 0 && lost > 2 * (picture.width - width)
    ? across(down(picture, rows), columns)
    : down(across(picture, columns), rows);
}

function across({ width, height, data }, columns) {
  const resized = new Uint8Array(height * columns.length * 3);
  columns.forEach(({ start, values }, x) => {
    for (let y = 0; y < height; y++) {
      const to = (y * columns.length + x) * 3;
      blend(data, (y * width + start) * 3, 3, values, resized, to);
    }
  });
  return { width: columns.length, height, data: resized };
}

function down({ width, data }, rows) {
  const resized = new Uint8Array(rows.length * width * 3);
  rows.forEach(({ start, values }, y) => {
    for (let x = 0; x < width; x++) {
      blend(data, (start * width + x) * 3, width * 3, values, resized, (y * width + x) * 3);
    }
  });
  return { width, height: rows.length, data: resized };
}

/** Writes the weighted sum of pixels that lie `step` bytes apart. */
function blend(source, from, step, values, target, to) {
  let red = HALF;
  let green = HALF;
  let blue = HALF;
  for (let index = 0, at = from; index < values.length; index++, at += step) {
    const value = values[index];
    red += source[at] * value;
    green += source[at + 1] * value;
    blue += source[at + 2] * value;
  }
  target[to] = red >> BITS;
  target[to + 1] = green >> BITS;
  target[to + 2] = blue >> BITS;
}

/** For each output pixel the first input pixel that it looks at, and the fixed-point weights. */
function weights(length, from, to, outputs) {
  const scale = Math.fround(to - from) / outputs;
  const support = Math.max(scale, 1); // of a triangle, in input pixels to either side
  return Array.from({ length: outputs }, (_, output) => {
    const center = from + (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(length, Math.trunc(center + support + 0.5));
    const shares = Array.from({ length: end - start }, (_, index) =>
      Math.max(0, 1 - Math.abs((index + start - center + 0.5) * (1 / support))),
    );
    const whole = shares.reduce((sum, share) => sum + share, 0);
    const values = shares.map((share) => Math.trunc((share / whole) * (1 << BITS) + 0.5));
    return { start, values: Int32Array.from(values) };
  });
}
