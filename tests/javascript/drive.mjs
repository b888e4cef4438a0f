// Calls methods of one Chromium page, for `tests/javascript/chromium.py`.
//
//   node drive.mjs CHROMIUM [FLAG ...]     in a folder whose node_modules has playwright-core
//
// A line of input is {"method": ..., "arguments": [...]}, a line of output {"value": ...}, which
// `evaluate` alone has, or {"error": ...}. The end of the input ends the browser.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(`${process.cwd()}/`)("playwright-core");
const [executablePath, ...args] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage({ permissions: ["camera"] });
const trouble = [];
page.on("pageerror", (error) => trouble.push(error.message));
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) trouble.push(message.text());
});
for await (const line of createInterface({ input: process.stdin })) {
  const { method, arguments: given } = JSON.parse(line);
  let answer;
  try {
    const value = method === "trouble" ? trouble.splice(0) : await page[method](...given);
    answer = { value: ["evaluate", "trouble"].includes(method) ? (value ?? null) : null };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
