"use strict";
// From a picture of a page to the marks of ink on it: polarity, uneven light, threshold. A port of pictures/page.py.
(function (H) {
  const {
    DataError, cutSheet, f32, filled, gaussian, grid, ink, label, max, maximum, measured, perspective, resize, rint,
    shrink, uniform, withoutLines, withoutPaleLines,
  } = H;

  const PAGE_PX = 1200;
  const SCALES = [0.01, 0.02, 0.04, 0.08];
  const SIGMA_PX = 4;
  const EVEN_GREY = 2;
  const PAPER_PX = 200;
  const STROKE_SHARE = 0.12;
  const SMOOTH = 8;
  const SAMPLE_PX = 300;
  const LOCAL_PX = 160;
  const TIGHT_PX = 400;
  const AROUND = 0.08;
  const FAINTEST = 0.2;
  const ABOVE_FLOOR = 1.5;

  const longer = (g) => Math.max(g.h, g.w);

  /** The marks of ink on a page, without ruled lines: {grey, contrast, darkness, labels, marks, toPicture, sheet}. */
  function findMarks(picture) {
    const sheet = cutSheet(picture, PAGE_PX);
    let grey = sheet ? sheet.grey : shrink(picture, PAGE_PX);
    let toPicture = sheet ? sheet.toPicture : perspective.scaled([0, 0], [picture.w / grey.w, picture.h / grey.h]);
    const tight = longer(picture) <= TIGHT_PX ? croppedToInk(grey) : null;
    if (tight) { // the rule of polarity on a page needs paper
      const wide = ink.withMargin(tight);
      grey = wide.grey;
      toPicture = perspective.after(toPicture, perspective.scaled([-wide.margin, -wide.margin], [1, 1]));
    } else if (isLightOnDark(grey)) grey = ink.inverted(grey);
    const paper = ink.paperOf(grey, PAPER_PX, STROKE_SHARE, 5, SMOOTH);
    const measuredContrast = ink.contrastWith(grey, paper, SAMPLE_PX);
    const noise = measuredContrast.noise;
    let contrast = measuredContrast.contrast;
    const floor = Math.max(ink.MIN_CONTRAST, ink.NOISE_FACTOR * noise);
    if (max(contrast.a) <= floor) throw new DataError("no ink on the page: nothing stands out from the paper");
    let fullOfPage = ink.fullContrast(contrast, floor);
    const unlined = withoutPaleLines(contrast, floor, fullOfPage);
    if (unlined !== contrast) {
      contrast = unlined;
      fullOfPage = ink.fullContrast(unlined, floor);
    }
    const full = inkAround(contrast, fullOfPage, floor).a;
    const twice = f32(2 * noise);
    const [least, weak, strong] = [f32(floor), f32(ink.WEAK), f32(ink.STRONG)];
    const { h, w, a } = contrast;
    const [darkness, possible, sure] = [grid(h, w), grid(h, w, Uint8Array), grid(h, w, Uint8Array)];
    for (let i = 0; i < a.length; i++) {
      const [v, most] = [a[i], full[i]];
      darkness.a[i] = Math.min(1, Math.max(0, f32(v - twice) / f32(most - twice)));
      if (v > least && v > f32(weak * most)) possible.a[i] = 1;
      if (v > f32(strong * most)) sure.a[i] = 1;
    }
    const { labels, count } = label(withoutLines(possible), true);
    const marks = measured(labels, count, darkness, sure);
    return { grey, contrast, darkness, labels, marks, toPicture, sheet };
  }

  /** The same with dark ink, if it is a tight crop of it; else null. */
  function croppedToInk(grey) {
    const dark = ink.isLightOnDark(grey) ? ink.inverted(grey) : grey;
    return ink.isTight(dark) ? dark : null;
  }

  /** The rule of polarity on a page: strokes are the few pixels that differ much from their surroundings. */
  function isLightOnDark(grey) {
    let [small, skewness] = [grey, 0];
    for (const share of SCALES) {
      small = shrink(small, rint(SIGMA_PX / share));
      const sigma = Math.max(1.5, share * longer(small));
      const around = gaussian(small, sigma, "nearest");
      const [difference, squares] = [grid(small.h, small.w), grid(small.h, small.w)];
      for (let i = 0; i < small.a.length; i++) {
        difference.a[i] = small.a[i] - around.a[i];
        squares.a[i] = difference.a[i] * difference.a[i];
      }
      const variance = gaussian(squares, 4 * sigma, "nearest");
      let total = 0;
      for (let i = 0; i < small.a.length; i++) {
        const share = difference.a[i] / Math.max(Math.sqrt(variance.a[i]), EVEN_GREY);
        total += share * share * share;
      }
      const own = total / small.a.length;
      if (Math.abs(own) > Math.abs(skewness)) skewness = own;
    }
    return skewness > 0;
  }

  /** The full contrast of the ink around each pixel: that of a pencil is a third of a marker's. */
  function inkAround(contrast, full, floor) {
    if (longer(contrast) <= LOCAL_PX) return filled(contrast.h, contrast.w, full);
    const step = Math.max(1, rint(longer(contrast) / 300));
    const smooth = uniform(contrast, 2); // a single pixel is noise
    const blocks = grid(Math.floor(contrast.h / step), Math.floor(contrast.w / step));
    for (let y = 0, i = 0; y < blocks.h; y++) {
      for (let x = 0; x < blocks.w; x++, i++) {
        const start = step * (y * contrast.w + x);
        let most = -Infinity;
        for (let down = 0; down < step; down++) {
          for (let k = start + down * contrast.w, end = k + step; k < end; k++) if (smooth.a[k] > most) most = smooth.a[k];
        }
        blocks.a[i] = most;
      }
    }
    const around = Math.max(3, rint(AROUND * longer(blocks)));
    const darkest = resize(gaussian(maximum(blocks, around), around / 2), contrast.h, contrast.w);
    const least = f32(Math.max(FAINTEST * full, ABOVE_FLOOR * floor));
    for (let i = 0; i < darkest.a.length; i++) if (darkest.a[i] < least) darkest.a[i] = least;
    return darkest;
  }

  /** The box [x, y, width, height] in the picture around a box of the page. */
  function boxInPicture(page, { top, left, bottom, right }) {
    const seen = perspective.moved(page.toPicture, [[left, top], [right, top], [right, bottom], [left, bottom]]);
    const [xs, ys] = [seen.map((p) => p[0]), seen.map((p) => p[1])];
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    return [x, y, Math.max(...xs) - x, Math.max(...ys) - y];
  }

  H.page = { boxInPicture, findMarks };
})(self.HWR);
