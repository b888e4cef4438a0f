// Colours of labels, by their numbers; after the last come the first again. As
// `adapters/indexed_png.py` has them.

const COLOURS = [
  [230, 60, 60],
  [30, 110, 230],
  [20, 160, 80],
  [240, 160, 0],
  [150, 60, 200],
  [0, 170, 190],
  [230, 70, 170],
  [120, 120, 0],
];

/** [red, green, blue] of a label's number. */
export const colourOf = (number) => COLOURS[number % COLOURS.length];
