// Who vouches for a file of the page's folder, as `adapters/store/signed_folder.py` has it.

const LINE = /^ed25519 ([0-9a-f]{64}) ([0-9a-f]{128}) (\{[ -~]*\})\n$/;
const KIND = "modelpatch folder\n";

/**
 * Whether one of the `trusted` keys, in hexadecimal, vouches for the file `name` with these `bytes`,
 * by `line`, the text of folder.sig. Throws where none does; false where this browser knows no
 * Ed25519 and cannot tell.
 */
export async function isVouchedFor(line, trusted, name, bytes) {
  const [, key, signed, statement] = LINE.exec(line) ?? [];
  if (statement === undefined) throw new Error("folder.sig is no signature of a folder");
  if (!trusted.includes(key)) throw new Error(`folder.sig is signed with the unknown key ${key}`);
  const message = new TextEncoder().encode(KIND + statement);
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", bytesOf(key), "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") return false;
    throw error;
  }
  if (!(await crypto.subtle.verify("Ed25519", imported, bytesOf(signed), message))) {
    throw new Error("folder.sig does not belong to its list of files");
  }
  const { files } = JSON.parse(statement);
  if (!Object.hasOwn(files, name) || files[name] !== (await digest(bytes))) {
    throw new Error(`${name} is not the file that was signed`);
  }
  return true;
}

/** The sha256 of bytes, in hexadecimal. */
export async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const bytesOf = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
