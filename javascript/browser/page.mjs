// What the page shows, and what its controls do.
import { answered } from "./answers.mjs";
import { drawBoxes, drawMask } from "./drawing.mjs";
import { Network } from "./network.mjs";
import { openPicture, rgbPixels } from "./picture.mjs";
import { plain } from "./plain.mjs";
import { networkInput } from "./preprocessing.mjs";
import { viewOf } from "./view.mjs";

const element = (id) => document.getElementById(id);
const bytes = (count) =>
  count < 1e5 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
const milliseconds = (count) =>
  count < 0.1 ? "less than 0.1 ms" : `${count.toFixed(count < 10 ? 1 : 0)} ms`;

let network;
let wanted; // the task that was chosen last
let task; // the one that answers
let source; // what is looked at: a picture, or the camera's video; undefined at first
const costs = new Map(); // by task, of installed patches

try {
  if (!isSecureContext) {
    throw new Error("open this page by https, or from this computer as localhost");
  }
  const { content } = document.querySelector('meta[name="trusted"]');
  network = await Network.open(new URL("./", import.meta.url), content.split(" ").filter(Boolean));
  showBackbone();
  showTasks();
  element("file").disabled = element("camera").disabled = false;
  await choose(network.patches[0].task);
} catch (error) {
  refuse(error);
}

element("file").addEventListener("change", ({ target }) => {
  look(target.files[0]);
  target.value = ""; // So that the same file can be chosen again.
});
element("top").addEventListener("change", () => {
  if (source) attempt(answer);
});
element("camera").addEventListener("click", () => attempt(toggleCamera));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  look(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => look(event.clipboardData.files[0]));

function showBackbone() {
  const { cost, backbone } = network;
  element("backbone").textContent =
    `${backbone.name}: ${bytes(cost.bytes)}, fetched once in ${milliseconds(cost.fetched)}, ` +
    `ready after ${milliseconds(cost.opened)} more`;
  const said = {
    true: " Its files are those that were signed.",
    false: " This browser cannot check who signed its files.",
  };
  element("runtime").textContent =
    `It runs in ONNX Runtime Web: ${bytes(network.runtimeBytes)}.${said[network.vouched] ?? ""}`;
}

function showTasks() {
  for (const patch of network.patches) {
    const row = element("task").content.cloneNode(true);
    const input = row.querySelector("input");
    input.value = patch.task;
    input.addEventListener("change", () => attempt(() => choose(patch.task)));
    row.querySelector(".name").textContent = plain(patch.task);
    row.querySelector(".score").textContent = scored(patch);
    row.querySelector(".cost").textContent = bytes(patch.bytes);
    row.querySelector("label").dataset.task = patch.task;
    element("tasks").append(row);
  }
}

/** How good a patch says it is: on the split that was kept for saying so, if there is one. */
function scored({ metric, scores }) {
  const split = ["test", "validation"].find((name) => name in scores) ?? Object.keys(scores)[0];
  return plain(`${(100 * scores[split]).toFixed(1)} % ${metric} on ${split}`);
}

/** Makes a task the one that answers, its patch being fetched if it is not here yet. */
async function choose(name) {
  wanted = name;
  const row = element("tasks").querySelector(`[data-task="${CSS.escape(name)}"]`);
  const start = performance.now();
  const patch = await network.install(name);
  if (name !== wanted) return;
  const switched = performance.now() - start;
  const isNew = !costs.has(name);
  costs.set(name, patch);
  task = name;
  row.querySelector("input").checked = true;
  row.querySelector(".cost").textContent =
    `${bytes(patch.bytes)}\nfetched in ${milliseconds(patch.fetched)}, ` +
    `checked in ${milliseconds(patch.checked)}`;
  say(isNew ? `${name} is installed.` : `Switched to ${name} in ${milliseconds(switched)}.`);
  if (source) await answer();
}

/** Looks at an image file in place of what was looked at. */
function look(file) {
  if (file === undefined) return;
  attempt(async () => {
    const picture = await openPicture(file).catch((error) => {
      throw new Error(`${file.name}: ${error.message}`);
    });
    stopCamera();
    source = picture;
    await answer();
  });
}

async function toggleCamera() {
  if (source instanceof HTMLVideoElement) {
    stopCamera();
    return;
  }
  const video = await openCamera();
  source = video;
  element("camera").textContent = "Stop the camera";
  try {
    while (source === video) {
      await answer();
      await new Promise(requestAnimationFrame);
    }
  } finally {
    if (source === video) stopCamera();
  }
}

async function openCamera() {
  element("camera").disabled = true; // While the user is asked.
  try {
    const video = document.createElement("video");
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await video.play();
    return video;
  } finally {
    element("camera").disabled = false;
  }
}

function stopCamera() {
  if (!(source instanceof HTMLVideoElement)) return;
  for (const track of source.srcObject.getTracks()) track.stop();
  source = undefined;
  element("camera").textContent = "Use the camera";
}

async function answer() {
  if (task === undefined) throw new Error("choose a task first");
  const { labels, head, preprocessing } = costs.get(task);
  const looked = source;
  const start = performance.now();
  const picture = rgbPixels(looked, preprocessing.background);
  const input = networkInput(picture, preprocessing);
  const prepared = performance.now() - start;
  const asked = task;
  const { predictions, milliseconds: ran } = await network.run(asked, input);
  if (asked !== task || looked !== source) return; // Something else was chosen meanwhile.
  const found = answered(head, labels, predictions[0], viewOf(picture, preprocessing));
  showPicture(looked, picture, found);
  const rows = found.rows.slice(0, wantedLabels()).map(({ label, share }) => {
    const row = element("answer").content.cloneNode(true);
    row.querySelector(".label").textContent = plain(label);
    row.querySelector("meter").value = share;
    row.querySelector(".probability").textContent = `${(100 * share).toFixed(1)} %`;
    return row;
  });
  element("answers").replaceChildren(...rows);
  element("nothing").hidden = found.rows.length > 0;
  element("time").textContent =
    `${plain(asked)}: picture prepared in ${milliseconds(prepared)}, answered in ${milliseconds(ran)}`;
}

/** How many labels to show: what was typed there, where it is a number. */
function wantedLabels() {
  const { valueAsNumber, defaultValue } = element("top");
  return valueAsNumber >= 1 ? Math.floor(valueAsNumber) : Number(defaultValue);
}

/** Shows what was looked at, with what was found in it, if that has places. */
function showPicture(drawn, { width, height }, { boxes, mask }) {
  const canvas = element("picture");
  canvas.hidden = false;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(drawn, 0, 0);
  if (mask) drawMask(context, mask);
  if (boxes) drawBoxes(context, boxes.map((one) => ({ ...one, said: plain(one.said) })));
}

/** Does something for the user, and says so where it fails. */
async function attempt(action) {
  element("refused").textContent = "";
  try {
    await action();
  } catch (error) {
    refuse(error);
  }
}

function refuse(error) {
  element("refused").textContent = plain(`${error.message}.`);
  const chosen = element("tasks").querySelector(`[value="${CSS.escape(task ?? "")}"]`);
  if (chosen) chosen.checked = true; // What was chosen before still answers.
}

function say(text) {
  element("said").textContent = plain(text);
}

export { network };
