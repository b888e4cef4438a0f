// A patch as `launch/export --to=inputs` writes it: a safetensors file of a graph's inputs.
import { Tensor } from "onnxruntime-node";

const KEY = "modelpatch";

/** What a patch file's inputs are: `feeds` by input name, `labels` and `preprocessing` to show. */
export function parsePatchInputs(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > bytes.byteLength - 8) throw new Error("no safetensors file: its header is cut off");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const about = header.__metadata__?.[KEY];
  if (about === undefined) throw new Error("not written by launch/export --to=inputs");
  delete header.__metadata__;
  const body = bytes.subarray(8 + length);
  const feeds = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    if (dtype !== "F32") throw new Error(`${name} is ${dtype}, not F32`);
    if (end > body.byteLength) throw new Error(`${name} is cut off`);
    const values = new Float32Array(Uint8Array.from(body.subarray(start, end)).buffer); // aligned
    feeds[name] = new Tensor("float32", values, shape);
  }
  return { feeds, ...JSON.parse(about) };
}
