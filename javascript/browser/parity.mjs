// The image that a patch states its logits for, as `adapters/store/parity.py` makes it.

const BLOCK = 32; // bytes of a sha256
const MOST_VALUES = 1024; // that are stated of maps
const TOLERANCE = 2e-3; // as `adapters/store/parity.py` has it

/** The noise image of a seed, Float32Array of so many values, as a network's input. */
export async function seededImage(seed, length) {
  const bytes = await stream(`${seed}`, length);
  return Float32Array.from(bytes.subarray(0, length), (byte) => (byte - 127.5) / 128);
}

/**
 * What a patch states of the predictions {name: {shape, values}} of that image: all values, by the
 * predictions' names; of maps with many, those at `positions`.
 */
export async function statedValues(predictions, seed) {
  const names = Object.keys(predictions).sort();
  const flat = names.flatMap((name) => [...predictions[name].values]);
  const vectors = names.every((name) => predictions[name].shape.length === 1);
  if (vectors || flat.length <= MOST_VALUES) return flat;
  return (await positions(seed, flat.length)).map((place) => flat[place]);
}

/** Places in `size` values: each eight bytes, the highest first, modulo `size`. */
async function positions(seed, size) {
  const bytes = await stream(`${seed} positions`, 8 * MOST_VALUES);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: MOST_VALUES }, (_, index) => {
    return Number(view.getBigUint64(8 * index) % BigInt(size));
  });
}

/** At least so many bytes: a sha256 of the text and a number after the other. */
async function stream(text, length) {
  const encoder = new TextEncoder();
  const blocks = await Promise.all(
    Array.from({ length: Math.ceil(length / BLOCK) }, (_, index) =>
      crypto.subtle.digest("SHA-256", encoder.encode(`modelpatch parity ${text} ${index}`)),
    ),
  );
  const bytes = new Uint8Array(blocks.length * BLOCK);
  blocks.forEach((block, index) => bytes.set(new Uint8Array(block), index * BLOCK));
  return bytes;
}

/**
 * The largest difference of two answers; throws where it is above `tolerance`, and where that is
 * larger than what a patch may state for these values: no file says itself how well it is checked.
 */
export function checkLogits(expected, got, tolerance) {
  const most = expected.reduce((most, logit) => Math.max(most, TOLERANCE * Math.abs(logit)), TOLERANCE);
  if (!(tolerance <= most)) {
    throw new Error(`the patch allows its logits to differ by ${tolerance}; ${most} is the most`);
  }
  if (expected.length !== got.length) {
    throw new Error(`${expected.length} logits are expected, ${got.length} were computed`);
  }
  const difference = expected.reduce(
    (worst, logit, index) => Math.max(worst, Math.abs(logit - got[index])),
    0,
  );
  // NaN is no difference that a comparison would catch: ask for what is right.
  if (!(difference <= tolerance)) {
    throw new Error(`logits differ by up to ${difference}, ${tolerance} is allowed`);
  }
  return difference;
}
