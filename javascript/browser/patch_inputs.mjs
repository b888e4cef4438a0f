// A patch as `launch/export --to=inputs` writes it: a safetensors file of a graph's inputs.
// Needs no package, in Node and in browsers alike.

const KEY = "modelpatch";
const LENGTH = 8; // bytes, of the header's length
const WIDTH = 4; // bytes, of a float32
const MOST_SIDES = 8;

/** Why a file is no patch, in words. */
export class PatchFileError extends Error {}

/**
 * What a patch file's inputs are: `inputs`, [{name, shape, values}], values Float32Array, and what
 * the metadata says: `task`, `labels`, `preprocessing`, `backbone`, `fingerprint`, `parity`, and
 * `head`, {kind, settings}.
 *
 * Throws PatchFileError for anything else, whatever the bytes are, and allocates no more than they
 * take themselves.
 */
export function parsePatchInputs(bytes) {
  check(bytes.byteLength >= LENGTH, "no safetensors file: its header is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  check(length <= bytes.byteLength - LENGTH, "no safetensors file: its header is cut off");
  const header = parsed(bytes.subarray(LENGTH, LENGTH + length), "its header");
  check(isObject(header), "its header is no object");
  const { __metadata__: metadata, ...tensors } = header;
  const about = isObject(metadata) ? metadata[KEY] : undefined;
  check(typeof about === "string", "not written by launch/export --to=inputs");
  const body = bytes.subarray(LENGTH + length);
  const inputs = tensorsOf(tensors, body);
  return { ...checkedAbout(parsed(new TextEncoder().encode(about), "its metadata")), inputs };
}

/** The tensors, which lie one after the other and fill the body. */
function tensorsOf(tensors, body) {
  const found = Object.entries(tensors).map(([name, entry]) => {
    check(isObject(entry) && entry.dtype === "F32", `${name} is not F32`);
    const { shape, data_offsets: offsets } = entry;
    check(isCounts(shape) && shape.length <= MOST_SIDES, `${name} has no shape`);
    check(isCounts(offsets) && offsets.length === 2, `${name} has no place`);
    const size = shape.reduce((product, side) => product * side, WIDTH);
    check(offsets[1] - offsets[0] === size, `${name} has another size than its shape`);
    return { name, shape, offsets };
  });
  found.sort((one, other) => one.offsets[0] - other.offsets[0] || one.offsets[1] - other.offsets[1]);
  let end = 0;
  for (const { name, offsets } of found) {
    check(offsets[0] === end, `${name} does not follow the tensor before it`);
    end = offsets[1];
  }
  check(end === body.byteLength, "its tensors do not fill the file");
  return found.map(({ name, shape, offsets }) => {
    // A copy, since a view on float32 has to begin at a multiple of four; not by `slice`, which is a
    // view of Node's buffers.
    const copy = new Uint8Array(body.subarray(...offsets));
    const values = new Float32Array(copy.buffer);
    check(values.every(Number.isFinite), `${name} holds what is no finite number`);
    return { name, shape, values };
  });
}

function checkedAbout(about) {
  check(isObject(about), "its metadata are no object");
  const { task, labels, preprocessing, backbone, fingerprint, parity } = about;
  for (const text of [task, backbone, fingerprint]) {
    check(typeof text === "string", "its metadata lack a text");
  }
  check(
    Array.isArray(labels) && labels.length && labels.every((label) => typeof label === "string"),
    "its labels are no list of texts",
  );
  check(isObject(preprocessing), "it does not say how images are prepared");
  check(isObject(parity), "it does not say what it must answer");
  const { seed, shape, logits, tolerance } = parity;
  check(Number.isSafeInteger(seed), "its parity image has no seed");
  check(isCounts(shape) && shape.length === 3, "its parity image has no shape");
  check(
    Array.isArray(logits) && logits.length && logits.every(Number.isFinite),
    "its parity logits are no list of numbers",
  );
  check(Number.isFinite(tolerance), "its parity has no tolerance");
  const { head = { kind: "classification", settings: {} } } = about;
  check(
    isObject(head) && typeof head.kind === "string" && isObject(head.settings),
    "it does not say what its head predicts",
  );
  return { ...about, head };
}

function parsed(bytes, what) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new PatchFileError(`${what} is no JSON`);
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isCounts = (value) =>
  Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);

function check(holds, said) {
  if (!holds) throw new PatchFileError(said);
}
