// What is done to a patch file of the page's, by chance, and what the page's reader makes of it.
import { PatchFileError, parsePatchInputs } from "../../javascript/browser/patch_inputs.mjs";

let state = 1;

/** A whole number below `limit`, the same ones in every run (xorshift). */
export function random(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

export const pick = (values) => values[random(values.length)];
const VALUES = [null, -1, 0, 0.5, 2 ** 53, 1e308, "", "F32", "F64", [], {}, [1e9, 1e9], [-4, 0], true];

/** Another value in place of one somewhere inside; what is left out as often. */
export function altered(value) {
  if (typeof value !== "object" || value === null || random(4) === 0) return pick(VALUES);
  const keys = Object.keys(value);
  if (keys.length === 0) return pick(VALUES);
  const key = pick(keys);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  if (random(4) === 0) delete copy[key];
  else if (key === "modelpatch") copy[key] = JSON.stringify(altered(parsedOr(value[key])));
  else copy[key] = altered(value[key]);
  return copy;
}

function parsedOr(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A file of this header, a text, and what follows it. */
export function file(header, body) {
  const encoded = new TextEncoder().encode(header);
  const whole = new Uint8Array(8 + encoded.length + body.length);
  new DataView(whole.buffer).setBigUint64(0, BigInt(encoded.length), true);
  whole.set(encoded, 8);
  whole.set(body, 8 + encoded.length);
  return whole;
}

/** Header, a text, and body of a file; undefined where there is none. */
export function apart(bytes) {
  if (bytes.length < 8) return undefined;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) return undefined;
  return [new TextDecoder().decode(bytes.subarray(8, 8 + length)), bytes.subarray(8 + length)];
}

/** The file with some bytes changed, cut, doubled, or taken from another. */
export function changedBytes(bytes, corpus) {
  const start = random(bytes.length + 1);
  const end = Math.min(bytes.length, start + random(16));
  const other = pick(corpus);
  const from = random(other.length + 1);
  const put = pick([
    [],
    [random(256)],
    Uint8Array.from({ length: random(9) }, () => pick([0, 255, random(256)])),
    other.subarray(from, from + random(64)),
  ]);
  return Uint8Array.from([...bytes.subarray(0, start), ...put, ...bytes.subarray(end)]);
}

/** The file with another header. */
export function changedHeader(bytes) {
  const parts = apart(bytes);
  if (parts === undefined) return bytes;
  try {
    return file(JSON.stringify(altered(JSON.parse(parts[0]))), parts[1]);
  } catch {
    return bytes;
  }
}

/** `parsed`, `refused`, or what must not happen. */
export function outcome(bytes) {
  try {
    const { inputs, parity } = parsePatchInputs(bytes);
    const size = inputs.reduce((sum, { values }) => sum + values.byteLength, 0);
    const fits = inputs.every(({ shape, values }) => shape.reduce((a, b) => a * b, 1) === values.length);
    return fits && size <= bytes.length && parity.shape.length === 3 ? "parsed" : "not as said";
  } catch (error) {
    return error instanceof PatchFileError ? "refused" : String(error);
  }
}
