// Names that others chose, as the page shows them: every character that is there.

// Directions, zero width, tags; and joiners beside ASCII. The same as `adapters/names.py`.
const UNSEEN = new RegExp(
  "[\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb" +
    "\\u{e0000}-\\u{e007f}]|(?<![^\\0-\\x7f])[\\u200c\\u200d]|[\\u200c\\u200d](?![^\\0-\\x7f])",
  "gu",
);

/** `text` with characters that nobody sees, and those that move others about, spelled out. */
export function plain(text) {
  return text.replace(UNSEEN, (one) => {
    const number = one.codePointAt(0).toString(16);
    return number.length > 4 ? `\\U${number.padStart(8, "0")}` : `\\u${number.padStart(4, "0")}`;
  });
}
