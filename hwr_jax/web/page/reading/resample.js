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

  /** Four rows at a time: each sum waits for its last addition. */
  function across({ h, w: from, a }, w, kernel) {
    const made = grid(h, w);
    const { first, count, weight, most } = weights(from, w, kernel);
    let y = 0;
    for (; y + 4 <= h; y += 4) {
      for (let x = 0; x < w; x++) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        const end = x * most + count[x];
        for (let j = x * most, i = y * from + first[x]; j < end; j++, i++) {
          const share = weight[j];
          s0 += a[i] * share; s1 += a[i + from] * share; s2 += a[i + 2 * from] * share; s3 += a[i + 3 * from] * share;
        }
        const at = y * w + x;
        made.a[at] = s0; made.a[at + w] = s1; made.a[at + 2 * w] = s2; made.a[at + 3 * w] = s3;
      }
    }
    for (; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const start = y * from + first[x];
        let total = 0;
        for (let j = 0; j < count[x]; j++) total += a[start + j] * weight[x * most + j];
        made.a[y * w + x] = total;
      }
    }
    return made;
  }

  function down({ h: from, w, a }, h, kernel) {
    const made = grid(h, w);
    const { first, count, weight, most } = weights(from, h, kernel);
    for (let y = 0; y < h; y++) {
      const end = y * most + count[y];
      let x = 0;
      for (; x + 4 <= w; x += 4) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (let j = y * most, i = first[y] * w + x; j < end; j++, i += w) {
          const share = weight[j];
          s0 += a[i] * share; s1 += a[i + 1] * share; s2 += a[i + 2] * share; s3 += a[i + 3] * share;
        }
        const at = y * w + x;
        made.a[at] = s0; made.a[at + 1] = s1; made.a[at + 2] = s2; made.a[at + 3] = s3;
      }
      for (; x < w; x++) {
        let total = 0;
        for (let j = y * most, i = first[y] * w + x; j < end; j++, i += w) total += a[i] * weight[j];
        made.a[y * w + x] = total;
      }
    }
    return made;
  }

  /** As Pillow's Image.resize of a picture in mode F; a kernel is box, bilinear, hamming or bicubic. */
  function resampled(g, h, w, name) {
    const kernel = KERNELS[name];
    const narrow = g.w === w ? g : across(g, w, kernel);
    return narrow.h === h ? narrow : down(narrow, h, kernel);
  }

  const asFloat = (g) => (g.a instanceof Float32Array ? g : { h: g.h, w: g.w, a: new Float32Array(g.a) });

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
    const [left, right, share] = [new Int32Array(w), new Int32Array(w), new Float64Array(w)];
    for (let x = 0; x < w; x++) [left[x], right[x], share[x]] = between(x, g.w, w);
    for (let y = 0; y < h; y++) {
      const [y0, y1, dy] = between(y, g.h, h);
      for (let x = 0; x < w; x++) {
        const [x0, x1, dx] = [left[x], right[x], share[x]];
        const upper = g.a[y0 * g.w + x0] * (1 - dx) + g.a[y0 * g.w + x1] * dx;
        const lower = g.a[y1 * g.w + x0] * (1 - dx) + g.a[y1 * g.w + x1] * dx;
        made.a[y * w + x] = f32(upper * (1 - dy) + lower * dy);
      }
    }
    return made;
  }

  Object.assign(H, { WORK_PX, resampled, resize, shrink, zoomed });
})(self.HWR);
