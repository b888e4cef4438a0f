// Files that are what the page's manifest says.

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

/** The page's manifest, always a fresh one. */
export async function fetchManifest(folder) {
  const response = await fetch(new URL("manifest.json", folder), { cache: "no-cache" });
  if (!response.ok) throw new Error(`manifest.json cannot be fetched: ${response.status}`);
  return response.json();
}

async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
