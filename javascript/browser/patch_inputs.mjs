// A patch as `launch/export --to=inputs` writes it: a safetensors file of a graph's inputs.
// Needs no package, in Node and in browsers alike.

const KEY = "modelpatch";
const LENGTH = 8; // bytes, of the header's length

/**
 * What a patch file's inputs are: `inputs`, [{name, shape, values}], values Float32Array, and what
 * the metadata says: `task`, `labels`, `preprocessing`, `backbone`, `fingerprint`, `parity`; and,
 * where the head is no classifier's, `head`, {kind, settings}.
 */
export function parsePatchInputs(bytes) {
  const cut = new Error("no safetensors file: its header is cut off");
  if (bytes.byteLength < LENGTH) throw cut;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > bytes.byteLength - LENGTH) throw cut;
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH, LENGTH + length)));
  const about = header.__metadata__?.[KEY];
  if (about === undefined) throw new Error("not written by launch/export --to=inputs");
  delete header.__metadata__;
  const body = bytes.subarray(LENGTH + length);
  const inputs = Object.entries(header).map(([name, { dtype, shape, data_offsets }]) => {
    if (dtype !== "F32") throw new Error(`${name} is ${dtype}, not F32`);
    const [start, end] = data_offsets;
    if (end > body.byteLength) throw new Error(`${name} is cut off`);
    // A copy, since a view on float32 has to begin at a multiple of four.
    const copy = new Uint8Array(body.subarray(start, end));
    return { name, shape, values: new Float32Array(copy.buffer) };
  });
  return { inputs, ...JSON.parse(about) };
}
