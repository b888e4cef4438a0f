// Gives the page's patch reader a patch with anything done to it; prints what became of that.
//
//   node any_patch.mjs PATCH.safetensors COUNT
//
// As JSON: how many were `parsed`, how many `refused`, and `wrong`, what must not happen.
import { readFileSync } from "node:fs";
import { altered, apart, file, outcome, pick, random } from "./changes.mjs";

const good = new Uint8Array(readFileSync(process.argv[2]));
const [text, body] = apart(good);

const changes = [
  () => good.subarray(0, random(good.length)),
  () => good.with(random(good.length), random(256)),
  () => good.with(random(good.length - body.length), random(256)),
  () => file(JSON.stringify(altered(JSON.parse(text))), body),
  () => file("[".repeat(random(20000)), body),
  () => Uint8Array.from({ length: random(64) }, () => random(256)),
];

const found = { parsed: 0, refused: 0, wrong: [] };
for (let count = Number(process.argv[3]); count > 0; count -= 1) {
  const changed = pick(changes)();
  // As Node reads files, and as browsers.
  const what = outcome(count % 2 ? Buffer.from(changed) : changed);
  if (what === "parsed" || what === "refused") found[what] += 1;
  else found.wrong.push(what);
}
console.log(JSON.stringify(found));
