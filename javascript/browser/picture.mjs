// Pictures as the browser reads them, and their pixels.

/** An upright picture of an image file. Throws where the browser cannot read it. */
export async function openPicture(file) {
  try {
    // Values as the file has them, as in Python: no conversion from the file's colour profile.
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("it is no image of a kind that this browser reads");
  }
}

/** RGB pixels {width, height, data} of a picture or a video, over a `background` colour. */
export function rgbPixels(source, background) {
  const width = source.videoWidth ?? source.width;
  const height = source.videoHeight ?? source.height;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.fillStyle = `rgb(${background.join(" ")})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}
