"use strict";
// From grey values to ink: polarity, the paper's brightness and the threshold. A port of pictures/ink.py.
(function (H) {
  const {
    DataError, WORK_PX, above, closing, countCharacters, countLines, digitMask, extremes, f32, gaussian, grid, inverse,
    label, mapped, max, mean, median, median3, outline, padded, part, percentile, resize, rint, shrink, sum, taken,
  } = H;

  const POLARITY_PX = 48;
  const SURE = 0.3;
  const PLAIN = 40;
  const TIGHT_SPLIT = 0.72;
  const TIGHT_INK = 0.2;
  const TIGHT_OUTLINE = 0.6;
  const TIGHT_RIM = 0.05;
  const TIGHT_MARGIN = 0.5;
  const PAPER_PX = 96;
  const SURROUNDINGS_SHARE = 0.2;
  const LOCAL_PX = 16;
  const STROKE_SHARE = 0.35;
  const SMOOTH = 24;
  const MIN_CONTRAST = 0.06;
  const NOISE_FACTOR = 4;
  const FAINT = 0.15;
  const FAINT_PX = 64;
  const [WEAK, STRONG] = [0.3, 0.55];

  function inverted({ h, w, a }) {
    const made = grid(h, w);
    for (let i = 0; i < a.length; i++) made.a[i] = 255 - a[i];
    return made;
  }

  /** The ink of the one digit in a picture, and what else is there: {ink, characters, lines}. */
  function findInk(picture) {
    const small = shrink(picture, WORK_PX);
    const grey = isLightOnDark(small) ? inverted(small) : small;
    if (!isTight(grey)) return darkInk(grey);
    const { grey: wide, margin } = withMargin(grey);
    const found = darkInk(wide);
    return { ...found, ink: part(found.ink, margin, margin, wide.h - margin, wide.w - margin) };
  }

  /** Puts paper around a tight crop of dark ink. */
  function withMargin(grey) {
    const margin = rint(TIGHT_MARGIN * Math.max(grey.h, grey.w));
    const light = inverse(dark(grey));
    return { grey: padded(grey, margin, median(taken(grey, light))), margin };
  }

  function darkInk(grey) {
    const { contrast, noise } = paperContrast(grey);
    const floor = Math.max(MIN_CONTRAST, NOISE_FACTOR * noise);
    const most = max(contrast.a);
    if (most <= floor) throw new DataError("no ink in the picture: nothing stands out from the paper");
    const full = fullContrast(contrast, floor, most);
    const darkness = darknessOf(contrast, noise, full);
    const [weak, strong] = [f32(Math.max(WEAK * full, floor)), f32(STRONG * full)];
    const { mask, marks } = digitMask(above(contrast, weak), above(contrast, strong), darkness);
    const faintest = Math.max(grey.h, grey.w) > FAINT_PX ? f32(FAINT) : 0;
    for (let i = 0; i < mask.a.length; i++) if (!mask.a[i] || darkness.a[i] <= faintest) darkness.a[i] = 0;
    return { ink: darkness, characters: countCharacters(marks), lines: countLines(marks) };
  }

  /** The contrast of the darkest ink, but for a tenth of it. */
  function fullContrast(contrast, floor, most = max(contrast.a)) {
    const least = f32(Math.min(Math.max(floor, otsu(contrast.a)), most));
    const { a } = contrast;
    const darkest = new Float32Array(a.length);
    let n = 0;
    for (let i = 0; i < a.length; i++) if (a[i] >= least) darkest[n++] = a[i];
    return percentile(darkest.subarray(0, n), 90);
  }

  /** 0 as light as paper with its noise, 1 as dark as `full`. */
  function darknessOf({ h, w, a }, noise, full) {
    const [least, span] = [f32(2 * noise), f32(full - 2 * noise)];
    const made = grid(h, w);
    for (let i = 0; i < a.length; i++) made.a[i] = clipped(f32(f32(a[i] - least) / span));
    return made;
  }

  /** The rule of polarity: strokes are narrower than the paper around them, so ink differs more from its surround. */
  function isLightOnDark(grey) {
    const small = shrink(grey, POLARITY_PX);
    const around = gaussian(small, SURROUNDINGS_SHARE * Math.min(small.h, small.w));
    let [signed, squares] = [0, 0];
    for (let i = 0; i < small.a.length; i++) {
      const difference = f32(small.a[i] - around.a[i]);
      signed += difference * Math.abs(difference);
      squares += difference * difference;
    }
    const excess = signed / Math.max(squares, 1e-6);
    const [darkest, lightest] = extremes(small.a);
    if (Math.abs(excess) > SURE || lightest - darkest < PLAIN) return excess > 0;
    const isDark = dark(small);
    const rest = inverse(isDark);
    return excess / 2 + largestShare(rest) - largestShare(isDark) + mean(outline(isDark)) - 0.5 > 0;
  }

  /** Whether a picture of dark ink is cropped to it: ink nearly reaches two opposite sides, and covers much of it. */
  function isTight(grey) {
    if (Math.min(grey.h, grey.w) < LOCAL_PX) return false;
    const isDark = dark(grey);
    const share = mean(isDark.a);
    if (!(share > TIGHT_INK && share < 1)) return false;
    const [inked, paper] = [taken(grey, isDark), taken(grey, inverse(isDark))];
    const within = variance(inked) * share + variance(paper) * (1 - share);
    if (!(within < (1 - TIGHT_SPLIT) * variance(grey.a) && mean(outline(isDark)) < TIGHT_OUTLINE)) return false;
    return [isDark, H.transposed(isDark)].some((mask) => {
      const rim = Math.max(1, rint(TIGHT_RIM * mask.h)) * mask.w;
      return mask.a.subarray(0, rim).includes(1) && mask.a.subarray(mask.a.length - rim).includes(1);
    });
  }

  function variance(values) {
    const middle = mean(values);
    let total = 0;
    for (let i = 0; i < values.length; i++) total += (values[i] - middle) ** 2;
    return total / values.length;
  }

  /** The darker of two classes of grey values; empty if all values are equal. */
  function dark(grey) {
    const [darkest, lightest] = extremes(grey.a);
    const { h, w, a } = grey;
    const made = grid(h, w, Uint8Array);
    if (darkest === lightest) return made;
    const span = f32(lightest - darkest);
    const share = new Float32Array(a.length);
    for (let i = 0; i < a.length; i++) share[i] = f32(a[i] - darkest) / span;
    const threshold = Math.min(otsu(share), 1);
    for (let i = 0; i < a.length; i++) if (share[i] < threshold) made.a[i] = 1;
    return made;
  }

  /** The share of a mask's pixels that its largest component has; 0 if it is empty. */
  function largestShare(mask) {
    const { labels, count } = label(mask, true);
    if (!count) return 0;
    const sizes = new Int32Array(count + 1);
    for (const l of labels.a) if (l) sizes[l]++;
    return max(sizes) / sum(sizes);
  }

  /** How much darker than the paper each pixel is, and the paper's noise: {contrast, noise}. */
  function paperContrast(grey) {
    if (Math.min(grey.h, grey.w) < LOCAL_PX) {
      const lightest = Math.max(max(grey.a), 1);
      return { contrast: mapped(grey, (v) => clipped(1 - f32(v / lightest))), noise: 0 };
    }
    return contrastWith(grey, paperOf(grey, PAPER_PX, STROKE_SHARE, 3, SMOOTH));
  }

  const clipped = (v) => Math.min(1, Math.max(0, v));

  /** How bright the paper is at each pixel: the closing of a reduced picture, with its steps smoothed. */
  function paperOf(grey, paperPx, strokeShare, leastPx, smooth) {
    const small = shrink(grey, paperPx);
    const size = Math.max(leastPx, rint(strokeShare * Math.min(small.h, small.w)));
    const paper = closing(median3(small), size);
    return resize(gaussian(paper, size / smooth, "nearest"), grey.h, grey.w);
  }

  /** How much darker than its paper each pixel is, and the paper's noise, measured on about `samplePx` rows and columns
   *  (0: on all). */
  function contrastWith(grey, paper, samplePx = 0) {
    const { h, w, a } = grey;
    const lack = grid(h, w);
    for (let i = 0; i < a.length; i++) lack.a[i] = 1 - f32(a[i] / Math.max(paper.a[i], 1));
    const every = (side) => (samplePx ? Math.max(1, Math.floor(side / samplePx)) : 1);
    const [down, across] = [every(h), every(w)];
    const sample = new Float32Array(Math.ceil(h / down) * Math.ceil(w / across));
    let n = 0;
    for (let y = 0; y < h; y += down) {
      for (let x = 0; x < w; x += across) sample[n++] = lack.a[y * w + x];
    }
    const level = median(sample);
    for (let i = 0; i < n; i++) sample[i] = Math.abs(f32(sample[i] - level));
    const noise = 1.4826 * median(sample);
    for (let i = 0; i < a.length; i++) lack.a[i] = clipped(f32(lack.a[i] - level));
    return { contrast: lack, noise };
  }

  /** The threshold that best splits values in 0..1 into two classes (Otsu 1979), to 1/256. */
  function otsu(values) {
    const counts = new Float64Array(256);
    for (let i = 0; i < values.length; i++) {
      if (values[i] >= 0 && values[i] <= 1) counts[Math.min(255, Math.floor(values[i] * 256))]++;
    }
    const mass = sum(counts.map((n, i) => (n * (i + 0.5)) / 256));
    const total = sum(counts);
    let [below, massBelow, best, most] = [0, 0, 0, -1];
    for (let i = 0; i < 256; i++) {
      below += counts[i];
      massBelow += (counts[i] * (i + 0.5)) / 256;
      const between = ((mass * below) / total - massBelow) ** 2 / (below * (total - below));
      const value = Number.isFinite(between) ? between : 0;
      if (value > most) [best, most] = [i, value];
    }
    return (best + 1) / 256;
  }

  H.ink = {
    FAINT, MIN_CONTRAST, NOISE_FACTOR, STRONG, WEAK, contrastWith, findInk, fullContrast, inverted,
    isLightOnDark, isTight, paperOf, withMargin,
  };
})(self.HWR);
