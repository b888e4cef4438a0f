// Logits of a patch in ONNX Runtime for Node, as JSON: [[...], ...], one row an image.
//
//   node javascript/logits.mjs backbone.onnx digits.safetensors images.f32
//
// The graph is of `launch/export --to=onnx`, the inputs of `launch/export --to=inputs`. Images are
// raw float32, [N, size, size, 3], normalised as the inputs' `preprocessing` says. For a graph of one
// task (`launch/export --patch=FILE --to=onnx`), give `-` instead of inputs.
import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { parsePatchInputs } from "./browser/patch_inputs.mjs";

const [graph, patch, images] = process.argv.slice(2);
if (images === undefined) {
  console.error("usage: node logits.mjs GRAPH.onnx INPUTS.safetensors|- IMAGES.f32");
  process.exit(2);
}
const session = await InferenceSession.create(graph);
const taken = session.inputMetadata.find(({ name }) => name === "images");
if (taken === undefined) throw new Error(`${graph} takes no images: launch/export writes graphs`);
const size = taken.shape[1];
const bytes = new Uint8Array(readFileSync(images));
const count = bytes.byteLength / (4 * size * size * 3);
if (!Number.isInteger(count) || count === 0) {
  throw new Error(`${images} holds ${bytes.byteLength} bytes, no images of ${size} pixels`);
}
const pixels = new Float32Array(bytes.buffer);
const feeds = { images: new Tensor("float32", pixels, [count, size, size, 3]) };
const { inputs } = patch === "-" ? { inputs: [] } : parsePatchInputs(readFileSync(patch));
for (const { name, shape, values } of inputs) feeds[name] = new Tensor("float32", values, shape);
const { logits } = await session.run(feeds, ["logits"]);
const width = logits.dims[1];
const rows = Array.from({ length: count }, (_, row) =>
  Array.from(logits.data.subarray(row * width, (row + 1) * width)),
);
console.log(JSON.stringify(rows));
