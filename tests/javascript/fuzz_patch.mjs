// Coverage-guided fuzzing of the page's patch reader, for as long as you like; not part of the tests.
//
//   node fuzz_patch.mjs PATCH.safetensors SECONDS
//
// A file that reaches a new part of the reader, as V8 counts them, is kept and changed further.
// Prints as JSON how many were `parsed` and `refused`, how many `kept` and `parts` reached, and
// `wrong`, what must not happen, with the files in base64.
import { readFileSync } from "node:fs";
import { Session } from "node:inspector";
import { changedBytes, changedHeader, outcome, pick } from "./changes.mjs";

const session = new Session();
session.connect();
const ask = (method, parameters) => {
  let found;
  session.post(method, parameters, (error, result) => {
    if (error) throw new Error(error.message);
    found = result;
  });
  return found;
};
ask("Profiler.enable");
ask("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** The parts of the reader that ran since the last look, with how often, in powers of two. */
function reached() {
  const scripts = ask("Profiler.takePreciseCoverage").result;
  const own = scripts.filter(({ url }) => url.endsWith("patch_inputs.mjs"));
  return own.flatMap(({ functions }) =>
    functions.flatMap(({ ranges }) =>
      ranges.map(({ startOffset, endOffset, count }) => {
        const often = count === 0 ? -1 : Math.floor(Math.log2(count));
        return `${startOffset}-${endOffset}:${often}`;
      }),
    ),
  );
}

const corpus = [new Uint8Array(readFileSync(process.argv[2]))];
const end = Date.now() + 1000 * Number(process.argv[3]);
const seen = new Set();
const found = { runs: 0, parsed: 0, refused: 0, wrong: [] };
outcome(corpus[0]);
reached();
while (Date.now() < end) {
  let bytes = pick([corpus[0], pick(corpus)]);
  for (let left = pick([1, 1, 1, 2, 4]); left > 0; left -= 1) {
    bytes = pick([changedBytes, changedHeader])(bytes, corpus);
  }
  const what = outcome(bytes);
  found.runs += 1;
  if (what === "parsed" || what === "refused") found[what] += 1;
  else found.wrong.push([what, Buffer.from(bytes).toString("base64")]);
  const fresh = reached().filter((part) => !seen.has(part));
  if (fresh.length && bytes.length < 2 ** 16) corpus.push(bytes);
  fresh.forEach((part) => seen.add(part));
}
console.log(JSON.stringify({ ...found, kept: corpus.length, parts: seen.size }));
