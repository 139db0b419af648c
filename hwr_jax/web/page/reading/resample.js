"use strict";
// Other sizes, as Pillow computes them in mode F: weights and sums in double precision, each pass rounded to float32.
(function (H) {
  const { f32, grid, rint } = H;

  const WORK_PX = 640; // larger pictures are averaged down to this longer side

  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const KERNELS = {
    box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)))],
    bicubic: [2, cubic],
  };

  function cubic(x) {
    const [a, t] = [-0.5, Math.abs(x)];
    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
  }

  /** For each of `to` places the first of `from` that count, how many, and their weights. */
  function weights(from, to, [reach, kernel]) {
    const scale = from / to;
    const stretch = Math.max(scale, 1);
    const support = reach * stretch;
    const most = Math.ceil(support) * 2 + 1;
    const [first, count, weight] = [new Int32Array(to), new Int32Array(to), new Float64Array(to * most)];
    for (let i = 0; i < to; i++) {
      const centre = (i + 0.5) * scale;
      const low = Math.max(0, Math.trunc(centre - support + 0.5));
      const n = Math.min(from, Math.trunc(centre + support + 0.5)) - low;
      let total = 0;
      for (let j = 0; j < n; j++) {
        weight[i * most + j] = kernel((j + low - centre + 0.5) * (1 / stretch));
        total += weight[i * most + j];
      }
      if (total !== 0) for (let j = 0; j < n; j++) weight[i * most + j] /= total;
      [first[i], count[i]] = [low, n];
    }
    return { first, count, weight, most };
  }

  function across(g, w, kernel) {
    const made = grid(g.h, w);
    const { first, count, weight, most } = weights(g.w, w, kernel);
    for (let y = 0; y < g.h; y++) {
      for (let x = 0; x < w; x++) {
        const start = y * g.w + first[x];
        let total = 0;
        for (let j = 0; j < count[x]; j++) total += g.a[start + j] * weight[x * most + j];
        made.a[y * w + x] = total;
      }
    }
    return made;
  }

  function down(g, h, kernel) {
    const made = grid(h, g.w);
    const { first, count, weight, most } = weights(g.h, h, kernel);
    const total = new Float64Array(g.w);
    for (let y = 0; y < h; y++) {
      total.fill(0);
      for (let j = 0; j < count[y]; j++) {
        const [start, share] = [(first[y] + j) * g.w, weight[y * most + j]];
        for (let x = 0; x < g.w; x++) total[x] += g.a[start + x] * share;
      }
      made.a.set(total, y * g.w);
    }
    return made;
  }

  /** As Pillow's Image.resize of a picture in mode F; a kernel is box, bilinear, hamming or bicubic. */
  function resampled(g, h, w, name) {
    const kernel = KERNELS[name];
    const narrow = g.w === w ? g : across(g, w, kernel);
    return narrow.h === h ? narrow : down(narrow, h, kernel);
  }

  const asFloat = (g) => (g.a instanceof Float32Array ? g : { h: g.h, w: g.w, a: Float32Array.from(g.a) });

  /** Averages when shrinking, interpolates linearly when enlarging. */
  function resize(g, h, w) {
    if (g.h === h && g.w === w) return asFloat(g);
    return resampled(g, h, w, h < g.h ? "box" : "bilinear");
  }

  /** Averages so that the longer side is at most `longerPx`. */
  function shrink(g, longerPx) {
    const scale = longerPx / Math.max(g.h, g.w);
    if (scale >= 1) return asFloat(g);
    return resize(g, Math.max(1, rint(g.h * scale)), Math.max(1, rint(g.w * scale)));
  }

  /** As scipy.ndimage.zoom to h x w with order=1, mode="nearest" and grid_mode. */
  function zoomed(g, h, w) {
    const made = grid(h, w);
    const between = (i, from, to) => {
      const at = Math.min(Math.max((i + 0.5) * (from / to) - 0.5, 0), from - 1);
      const low = Math.min(Math.floor(at), Math.max(from - 2, 0));
      return [low, Math.min(low + 1, from - 1), at - low];
    };
    for (let y = 0; y < h; y++) {
      const [y0, y1, dy] = between(y, g.h, h);
      for (let x = 0; x < w; x++) {
        const [x0, x1, dx] = between(x, g.w, w);
        const upper = g.a[y0 * g.w + x0] * (1 - dx) + g.a[y0 * g.w + x1] * dx;
        const lower = g.a[y1 * g.w + x0] * (1 - dx) + g.a[y1 * g.w + x1] * dx;
        made.a[y * w + x] = f32(upper * (1 - dy) + lower * dy);
      }
    }
    return made;
  }

  Object.assign(H, { WORK_PX, resampled, resize, shrink, zoomed });
})(self.HWR);
