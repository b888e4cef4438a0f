// What was found in a picture, drawn over it.
import { colourOf } from "./colours.mjs";

const LINE = 300; // pixels of a picture for one of a frame's width

/** Draws `boxes`, [{number, said, box}], each in its label's colour, the surest last. */
export function drawBoxes(context, boxes) {
  const { width, height } = context.canvas;
  const line = Math.max(1, Math.round(Math.max(width, height) / LINE));
  const letters = Math.max(10, 5 * line + 5);
  context.font = `${letters}px system-ui, sans-serif`;
  context.textBaseline = "top";
  context.lineWidth = line;
  for (const { number, said, box } of boxes.toReversed()) {
    const [left, top, right, bottom] = box;
    context.fillStyle = context.strokeStyle = `rgb(${colourOf(number).join(" ")})`;
    context.strokeRect(left + line / 2, top + line / 2, right - left - line, bottom - top - line);
    const wide = context.measureText(said).width;
    const x = Math.max(Math.min(left + line, width - wide), 0);
    const y = Math.max(top - letters - 2, 0);
    context.fillRect(x, y, wide, letters);
    context.fillStyle = "white";
    context.fillText(said, x, y);
  }
}

/** Mixes half of each label's colour into its pixels; where `mask` is -1 they stay as they are. */
export function drawMask(context, mask) {
  const { width, height } = context.canvas;
  const image = context.getImageData(0, 0, width, height);
  mask.forEach((label, pixel) => {
    if (label < 0) return;
    colourOf(label).forEach((value, channel) => {
      const place = 4 * pixel + channel;
      image.data[place] = Math.floor((image.data[place] + value) / 2);
    });
  });
  context.putImageData(image, 0, 0);
}
