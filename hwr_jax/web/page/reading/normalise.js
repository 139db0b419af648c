"use strict";
// From ink to the 28x28 image that the network knows: MNIST's size, place and pen. A port of pictures/normalise.py.
(function (H) {
  const {
    DataError, above, bounds, cropToSheet, dilatedByDisc, distances, f32, gaussian, grid, max, padded, part, resampled, rint,
    steps, sum,
  } = H;

  const SIZE_PX = 28;
  const BOX_PX = 20;
  const FINE = 8;
  const THIN_PX = 1.8;
  const PEN_PX = 2.3;
  const BLUR_PX = 0.4;
  const TAIL = f32(0.1);
  const MIN_INK = f32(0.5 / 255);

  /** A picture as model input, and what speaks against reading it so: {image, doubts, trust}. */
  function normalised(grey) {
    const sheet = cropToSheet(grey);
    if (sheet !== grey) {
      try {
        return character(sheet);
      } catch (error) {
        if (!(error instanceof DataError)) throw error; // no ink on it: then it is no sheet
      }
    }
    return character(grey);
  }

  function character(grey) {
    const { ink, characters, lines } = H.ink.findInk(grey);
    const image = toMnist(widened(ink));
    if (characters === 1) return { image, doubts: [], trust: 1 };
    const on = lines > 1 ? ` on ${lines} lines` : "";
    const doubt = `${characters} characters${on} in the picture, but the model reads one: ` +
      `the confidence is divided by ${characters}`;
    return { image, doubts: [doubt], trust: 1 / characters };
  }

  /** Draws a thin pen's digit with a pen as wide as MNIST's; other ink stays as it is. */
  function widened(ink, fine = FINE) {
    const large = fitted(cropped(ink), BOX_PX * fine);
    const most = max(large.a);
    const half = f32(most / 2);
    const mask = above(large, half);
    const pixels = H.count(mask);
    const around = padded(mask, 1);
    if ((4 * sum(steps(around).a)) / pixels / fine >= THIN_PX) return ink; // quicker than the width itself
    const widthPx = (4 * sum(distances(around).a)) / pixels / fine;
    if (widthPx >= THIN_PX) return ink;
    const radius = ((PEN_PX - widthPx) / 2) * fine;
    const wide = dilatedByDisc(padded(large, Math.ceil(radius) + fine), radius);
    for (let i = 0; i < wide.a.length; i++) wide.a[i] /= most;
    const soft = gaussian(wide, BLUR_PX * fine);
    for (let i = 0; i < soft.a.length; i++) if (!(soft.a[i] > TAIL)) soft.a[i] = 0;
    return soft;
  }

  /** Fits ink into a box and centres its mass, as MNIST's digits were made: Uint8Array of 28x28, 255 = ink. */
  function toMnist(ink) {
    const digit = fitted(cropped(ink), BOX_PX);
    const { h, w, a } = digit;
    const most = max(a);
    const rows = Float32Array.from({ length: h }, (_, y) => pairwise(a.subarray(y * w, (y + 1) * w)));
    const columns = new Float32Array(w);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) columns[x] += a[y * w + x];
    const [top, left] = [offset(rows), offset(columns)];
    const square = grid(SIZE_PX, SIZE_PX, Uint8Array);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        square.a[(top + y) * SIZE_PX + left + x] = rint(f32(f32(a[y * w + x] / most) * 255));
      }
    }
    return square.a;
  }

  /** The sum as NumPy rounds it: eight sums side by side, in float32. A tie of two places hangs on it. */
  function pairwise(values) {
    const n = values.length;
    const eight = values.slice(0, 8);
    let i = 8;
    if (n < 8) return values.reduce((total, v) => f32(total + v), 0);
    for (; i + 8 <= n; i += 8) for (let j = 0; j < 8; j++) eight[j] += values[i + j];
    const [a, b, c, d, e, f, g, h] = eight;
    let total = f32(f32(f32(a + b) + f32(c + d)) + f32(f32(e + f) + f32(g + h)));
    for (; i < n; i++) total = f32(total + values[i]);
    return total;
  }

  /** Where a line of mass starts so that its centre of mass falls on the middle pixel. */
  function offset(mass) {
    let moment = 0;
    for (let i = 0; i < mass.length; i++) moment += i * mass[i];
    const start = rint(SIZE_PX / 2 - moment / pairwise(mass));
    return Math.min(Math.max(start, 0), SIZE_PX - mass.length);
  }

  /** The bounding box of what is darker than `MIN_INK`. */
  function cropped(ink) {
    const box = bounds(above(ink, MIN_INK));
    if (!box) throw new DataError(`no ink in the picture: all of its ${ink.w}x${ink.h} pixels are paper`);
    return part(ink, box.top, box.left, box.bottom, box.right);
  }

  /** Resamples so that the longer side is `boxPx`. */
  function fitted(digit, boxPx) {
    const scale = boxPx / Math.max(digit.h, digit.w);
    if (scale === 1) return digit;
    const [h, w] = [Math.max(1, rint(digit.h * scale)), Math.max(1, rint(digit.w * scale))];
    const other = resampled(digit, h, w, scale > 1 ? "bicubic" : "hamming");
    for (let i = 0; i < other.a.length; i++) {
      if (other.a[i] < 0) other.a[i] = 0;
      else if (other.a[i] > 1) other.a[i] = 1;
    }
    return other;
  }

  H.normalise = { normalised, toMnist, widened };
})(self.HWR);
