"use strict";
// From a picture file to grey values, as the browser decodes it: upright, on white paper, as pictures/decode.py has it.
self.HWR = self.HWR || {};
(function (H) {
  const MAX_BYTES = 64 * 2 ** 20;
  const MAX_PIXELS = 64_000_000;
  const MIN_SIDE_PX = 4;
  const MAX_ASPECT_RATIO = 40;
  const STRIP_PX = 1_000_000; // converted at a time: a browser's canvas is smaller than a large photograph

  /** {grey, bitmap} of a file. Throws an Error whose message is for the user. */
  async function opened(file) {
    const name = file.name || "the picture";
    if (!file.size) throw new Error(`${name}: the file is empty.`);
    if (file.size > MAX_BYTES) throw new Error(`${name}: the file is larger than the 64 MiB allowed.`);
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    } catch {
      throw new Error(`${name}: this browser cannot read it as a picture. Save it as PNG or JPEG.`);
    }
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS) throw new Error(`${name}: ${width}x${height} pixels are more than the 64 million allowed.`);
    if (Math.min(width, height) < MIN_SIDE_PX) throw new Error(`${name}: ${width}x${height} pixels; each side needs at least 4.`);
    if (Math.max(width, height) > MAX_ASPECT_RATIO * Math.min(width, height)) {
      throw new Error(`${name}: ${width}x${height} pixels; one side may be at most 40 times the other.`);
    }
    const white = greyOf(bitmap, "#fff");
    const isBlank = white.a.every((v) => v === white.a[0]);
    return { grey: isBlank ? greyOf(bitmap, "#000") : white, bitmap }; // a white drawing on nothing shows on black
  }

  /** The luma (ITU-R 601, rounded as Pillow does) of a bitmap or canvas on paper of a colour. */
  function greyOf(source, paper) {
    const { width, height } = source;
    const a = new Uint8Array(width * height);
    const rows = Math.max(1, Math.min(height, Math.floor(STRIP_PX / width)));
    const strip = document.createElement("canvas");
    [strip.width, strip.height] = [width, rows];
    const pen = strip.getContext("2d", { willReadFrequently: true });
    for (let top = 0; top < height; top += rows) {
      const n = Math.min(rows, height - top);
      pen.fillStyle = paper;
      pen.fillRect(0, 0, width, n);
      pen.drawImage(source, 0, top, width, n, 0, 0, width, n);
      const { data } = pen.getImageData(0, 0, width, n);
      for (let i = 0; i < width * n; i++) {
        const luma = data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000;
        a[top * width + i] = luma >> 16;
      }
    }
    return { h: height, w: width, a };
  }

  H.picture = { greyOf, opened };
})(self.HWR);
