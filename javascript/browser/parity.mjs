// The image that a patch states its logits for, as `adapters/store/parity.py` makes it.

const BLOCK = 32; // bytes of a sha256
const TOLERANCE = 2e-3; // as `adapters/store/parity.py` has it

/** The noise image of a seed, Float32Array of so many values, as a network's input. */
export async function seededImage(seed, length) {
  const encoder = new TextEncoder();
  const blocks = await Promise.all(
    Array.from({ length: Math.ceil(length / BLOCK) }, (_, index) =>
      crypto.subtle.digest("SHA-256", encoder.encode(`modelpatch parity ${seed} ${index}`)),
    ),
  );
  const image = new Float32Array(blocks.length * BLOCK);
  blocks.forEach((block, index) => {
    const values = Float32Array.from(new Uint8Array(block), (byte) => (byte - 127.5) / 128);
    image.set(values, index * BLOCK);
  });
  return image.subarray(0, length);
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
