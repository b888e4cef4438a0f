// Gives the page's patch reader a patch with anything done to it; prints what became of that.
//
//   node any_patch.mjs PATCH.safetensors COUNT
//
// As JSON: how many were `parsed`, how many `refused`, and `wrong`, what must not happen.
import { readFileSync } from "node:fs";
import { PatchFileError, parsePatchInputs } from "../../javascript/browser/patch_inputs.mjs";

const good = new Uint8Array(readFileSync(process.argv[2]));
const length = Number(new DataView(good.buffer).getBigUint64(0, true));
const text = new TextDecoder().decode(good.subarray(8, 8 + length));
let state = 1;

/** A whole number below `limit`, the same ones in every run (xorshift). */
function random(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

const pick = (values) => values[random(values.length)];
const VALUES = [null, -1, 0, 0.5, 2 ** 53, 1e308, "", "F32", "F64", [], {}, [1e9, 1e9], [-4, 0], true];

/** Another value in place of one somewhere inside; what is left out as often. */
function altered(value) {
  if (typeof value !== "object" || value === null || random(4) === 0) return pick(VALUES);
  const keys = Object.keys(value);
  if (keys.length === 0) return pick(VALUES);
  const key = pick(keys);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  if (random(4) === 0) delete copy[key];
  else if (key === "modelpatch") copy[key] = JSON.stringify(altered(JSON.parse(value[key])));
  else copy[key] = altered(value[key]);
  return copy;
}

function file(header, body) {
  const encoded = new TextEncoder().encode(header);
  const whole = new Uint8Array(8 + encoded.length + body.length);
  new DataView(whole.buffer).setBigUint64(0, BigInt(encoded.length), true);
  whole.set(encoded, 8);
  whole.set(body, 8 + encoded.length);
  return whole;
}

const changes = [
  () => good.subarray(0, random(good.length)),
  () => good.with(random(good.length), random(256)),
  () => good.with(random(8 + length), random(256)),
  () => file(JSON.stringify(altered(JSON.parse(text))), good.subarray(8 + length)),
  () => file("[".repeat(random(20000)), good.subarray(8 + length)),
  () => Uint8Array.from({ length: random(64) }, () => random(256)),
];

const found = { parsed: 0, refused: 0, wrong: [] };
for (let count = Number(process.argv[3]); count > 0; count -= 1) {
  const changed = pick(changes)();
  const bytes = count % 2 ? Buffer.from(changed) : changed; // as Node reads files, and as browsers
  try {
    const { inputs, parity } = parsePatchInputs(bytes);
    const size = inputs.reduce((sum, { values }) => sum + values.byteLength, 0);
    const fits = inputs.every(({ shape, values }) => shape.reduce((a, b) => a * b, 1) === values.length);
    if (!fits || size > bytes.length || !(parity.shape.length === 3)) found.wrong.push("not as said");
    found.parsed += 1;
  } catch (error) {
    if (error instanceof PatchFileError) found.refused += 1;
    else found.wrong.push(String(error));
  }
}
console.log(JSON.stringify(found));
