// One backbone in ONNX Runtime Web, and the patches that it runs.
import * as ort from "./onnxruntime-web/ort.wasm.bundle.min.mjs";
import { fetchChecked, fetchManifest } from "./fetching.mjs";
import { checkLogits, seededImage, statedValues } from "./parity.mjs";
import { parsePatchInputs } from "./patch_inputs.mjs";

ort.env.wasm.wasmPaths = {
  wasm: new URL("./onnxruntime-web/ort-wasm-simd-threaded.wasm", import.meta.url).href,
};
// More threads need two headers of the server (COOP, COEP), which a plain one does not send.
ort.env.wasm.numThreads = 1;

const IMAGES = "images";
const LOGITS = "logits";

export class Network {
  #folder;
  #session;
  #installed = new Map();
  #turn = Promise.resolve();

  /**
   * Fetches and opens the backbone of the page in `folder`, a URL; this happens once. One of the
   * `trusted` keys, in hexadecimal, must vouch for the folder, unless there are none.
   */
  static async open(folder, trusted = []) {
    const manifest = await fetchManifest(folder, trusted);
    const { bytes, milliseconds } = await fetchChecked(folder, manifest.backbone);
    const start = performance.now();
    const session = await ort.InferenceSession.create(bytes);
    const opened = performance.now() - start;
    return new Network(folder, manifest, session, {
      bytes: bytes.byteLength,
      fetched: milliseconds,
      opened,
    });
  }

  constructor(folder, { backbone, patches, runtime, vouched }, session, cost) {
    this.#folder = folder;
    this.#session = session;
    /** The manifest's: `name`, `fingerprint`, `size`, `head` and, if that reads maps, `outputs`. */
    this.backbone = backbone;
    /** The manifest's, each with `task`, `metric`, `scores` by split, and `bytes`. */
    this.patches = patches;
    this.runtimeBytes = runtime.bytes;
    /** Whether the folder's signature was checked; undefined where no key is trusted. */
    this.vouched = vouched;
    /** Of the backbone: `bytes`, and the milliseconds in which it was `fetched` and `opened`. */
    this.cost = cost;
  }

  /**
   * Fetches a task's patch, once, and checks it: that it is the manifest's file, that it is for this
   * backbone, and that it gives here the logits that it states. Returns its `labels`, `head`,
   * `preprocessing`, `bytes`, the milliseconds `fetched` and `checked`, and the `difference` of a
   * logit. Throws, and installs nothing, where a check fails.
   */
  install(task) {
    if (!this.#installed.has(task)) {
      const installing = this.#fetched(task);
      this.#installed.set(task, installing);
      installing.catch(() => this.#installed.delete(task));
    }
    return this.#installed.get(task);
  }

  /**
   * The `predictions` of an installed task, {name: {shape, values}} of each image, and the milliseconds
   * of the run. `images` is Float32Array [N * size * size * 3], as `networkInput` makes it.
   */
  async run(task, images) {
    const { feeds, labels } = await this.install(task);
    return this.#inTurn(feeds, labels.length, images);
  }

  async #fetched(task) {
    const entry = this.patches.find((patch) => patch.task === task);
    if (entry === undefined) throw new Error(`this page has no patch for ${task}`);
    const { bytes, milliseconds } = await fetchChecked(this.#folder, entry);
    const start = performance.now();
    const patch = parsePatchInputs(bytes);
    this.#checkFits(entry, patch);
    const feeds = {};
    for (const { name, shape, values } of patch.inputs) {
      feeds[name] = new ort.Tensor("float32", values, shape);
    }
    const { seed, shape, logits, tolerance } = patch.parity;
    const image = await seededImage(seed, shape.reduce((product, side) => product * side));
    const [got] = (await this.#inTurn(feeds, patch.labels.length, image)).predictions;
    const difference = checkLogits(logits, await statedValues(got, seed), tolerance);
    const checked = performance.now() - start;
    const { labels, head, preprocessing } = patch;
    const cost = { bytes: bytes.byteLength, fetched: milliseconds, checked, difference };
    return { feeds, labels, head, preprocessing, ...cost };
  }

  #checkFits(entry, { task, labels, head, inputs, fingerprint, preprocessing, parity }) {
    const { name, size, outputs = labels.length } = this.backbone;
    if (task !== entry.task) throw new Error(`the patch is of ${task}, not of ${entry.task}`);
    if (fingerprint !== this.backbone.fingerprint) {
      throw new Error(`the patch is for other weights than this page's ${name}`);
    }
    if (preprocessing.size !== size) {
      throw new Error(`the patch is for images of ${preprocessing.size} pixels, not ${size}`);
    }
    if (parity.shape.join() !== `${size},${size},3`) {
      throw new Error(`the patch's parity image is not of ${size} pixels`);
    }
    if (head.kind !== this.backbone.head) {
      throw new Error(`the patch predicts ${head.kind}, this page's network ${this.backbone.head}`);
    }
    if (labels.length > outputs) {
      throw new Error(`the patch has ${labels.length} labels, this page's network ${outputs}`);
    }
    const given = new Set(inputs.map((input) => input.name));
    const missing = this.#session.inputNames.filter((name) => name !== IMAGES && !given.has(name));
    if (missing.length) throw new Error(`the patch lacks ${missing.join(", ")}`);
  }

  /** Runs a session for one caller after the other: it serves one at a time. */
  #inTurn(feeds, labels, images) {
    const turn = this.#turn.then(async () => {
      const { size, outputs = labels } = this.backbone;
      const count = images.length / (size * size * 3);
      const tensor = new ort.Tensor("float32", images, [count, size, size, 3]);
      const start = performance.now();
      const found = await this.#session.run({ ...feeds, [IMAGES]: tensor });
      const milliseconds = performance.now() - start;
      const predictions = Array.from({ length: count }, (_, row) => {
        const own = Object.entries(found).map(([name, given]) => {
          const one = ofImage(given, row);
          return [name, name === LOGITS ? withoutLast(one, outputs - labels) : one];
        });
        return Object.fromEntries(own);
      });
      return { predictions, milliseconds };
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** One image's part of a tensor. */
function ofImage({ dims: [count, ...shape], data }, row) {
  const size = data.length / count;
  return { shape, values: data.slice(row * size, (row + 1) * size) };
}

/** Without the last `surplus` columns: of outputs that the network has room for, and no label. */
function withoutLast({ shape, values }, surplus) {
  if (!surplus) return { shape, values };
  const width = shape.at(-1);
  const kept = values.filter((_, index) => index % width < width - surplus);
  return { shape: [...shape.slice(0, -1), width - surplus], values: kept };
}
