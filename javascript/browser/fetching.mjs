// Files that are what the page's manifest says.
import { digest, isVouchedFor } from "./signature.mjs";

/**
 * The bytes of a file, Uint8Array, and the milliseconds that fetching it took. Throws where it cannot
 * be fetched, or is not the one with this `sha256`.
 */
export async function fetchChecked(folder, { file, sha256 }) {
  const start = performance.now();
  const response = await fetch(new URL(file, folder));
  if (!response.ok) throw new Error(`${file} cannot be fetched: ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const milliseconds = performance.now() - start;
  if ((await digest(bytes)) !== sha256) {
    throw new Error(
      `${file} is not the file that this page was made with: reload without the browser's cache, ` +
        "or make the page again with launch/page",
    );
  }
  return { bytes, milliseconds };
}

/**
 * The page's manifest, always a fresh one, and whether a signature `vouched` for it: one by one of the
 * `trusted` keys, in hexadecimal, must, unless there are none; undefined then, and false where this
 * browser cannot tell.
 */
export async function fetchManifest(folder, trusted) {
  const bytes = await fetchFresh(folder, "manifest.json");
  let vouched;
  if (trusted.length) {
    const line = new TextDecoder().decode(await fetchFresh(folder, "folder.sig"));
    vouched = await isVouchedFor(line, trusted, "manifest.json", bytes);
  }
  return { ...JSON.parse(new TextDecoder().decode(bytes)), vouched };
}

async function fetchFresh(folder, name) {
  const response = await fetch(new URL(name, folder), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name} cannot be fetched: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
