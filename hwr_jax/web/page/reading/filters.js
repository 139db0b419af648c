"use strict";
// Filters with the conventions of scipy.ndimage: windows, what lies outside, and the rounding between two passes.
(function (H) {
  const { grid } = H;

  /** The index that stands for one outside of 0..n-1: the edge ("nearest"), or mirrored with the edge ("reflect"). */
  function inside(i, n, mode) {
    if (i >= 0 && i < n) return i;
    if (mode === "nearest") return i < 0 ? 0 : n - 1;
    const m = ((i % (2 * n)) + 2 * n) % (2 * n);
    return m < n ? m : 2 * n - 1 - m;
  }

  /** Calls of(line, out) for each column, then for each row; `reach` values more stand on each side of a line. */
  function alongBoth(g, reach, mode, of) {
    let now = g;
    for (const vertical of [true, false]) {
      const [n, lines] = vertical ? [now.h, now.w] : [now.w, now.h];
      const [step, next] = vertical ? [now.w, 1] : [1, now.w];
      const made = grid(now.h, now.w, g.a.constructor);
      const [line, out] = [new Float64Array(n + 2 * reach), new Float64Array(n)];
      const from = Int32Array.from(line, (_, i) => inside(i - reach, n, mode) * step);
      for (let l = 0; l < lines; l++) {
        for (let i = 0; i < line.length; i++) line[i] = now.a[l * next + from[i]];
        of(line, out);
        for (let i = 0; i < n; i++) made.a[l * next + i * step] = out[i];
      }
      now = made;
    }
    return now;
  }

  function gaussian(g, sigma, mode = "reflect") {
    if (sigma <= 1e-15) return g;
    const reach = Math.trunc(4 * sigma + 0.5);
    const weight = Float64Array.from({ length: reach + 1 }, (_, i) => Math.exp((-0.5 / (sigma * sigma)) * i * i));
    let total = weight[0];
    for (let i = 1; i <= reach; i++) total += 2 * weight[i];
    for (let i = 0; i <= reach; i++) weight[i] /= total;
    return alongBoth(g, reach, mode, (line, out) => weighted(line, weight, out));
  }

  /** The sums of a line's values and their neighbours on both sides by their weights. Four at a time: of the eight
   *  values that they need, six are those of the step before. */
  function weighted(line, weight, out) {
    const [reach, n] = [weight.length - 1, out.length];
    let i = 0;
    for (; i + 4 <= n; i += 4) {
      let p = i, q = i + 2 * reach;
      const [c, middle] = [i + reach, weight[0]];
      let s0 = line[c] * middle, s1 = line[c + 1] * middle, s2 = line[c + 2] * middle, s3 = line[c + 3] * middle;
      let l0 = line[p], l1 = line[p + 1], l2 = line[p + 2], r1 = line[q + 1], r2 = line[q + 2], r3 = line[q + 3];
      for (let j = reach; j > 0; j--, p++, q--) {
        const w = weight[j], l3 = line[p + 3], r0 = line[q];
        s0 += (l0 + r0) * w; s1 += (l1 + r1) * w; s2 += (l2 + r2) * w; s3 += (l3 + r3) * w;
        l0 = l1; l1 = l2; l2 = l3;
        r3 = r2; r2 = r1; r1 = r0;
      }
      out[i] = s0; out[i + 1] = s1; out[i + 2] = s2; out[i + 3] = s3;
    }
    for (; i < n; i++) {
      const c = i + reach;
      let value = line[c] * weight[0];
      for (let j = reach; j > 0; j--) value += (line[c - j] + line[c + j]) * weight[j];
      out[i] = value;
    }
  }

  /** The mean of each pixel and those before it, `size` in each direction, centred as scipy's uniform_filter does. */
  function uniform(g, size) {
    const first = size - (size >> 1);
    return alongBoth(g, size, "reflect", (line, out) => {
      let total = 0;
      for (let j = 0; j < size; j++) total += line[first + j];
      for (let i = 0; i < out.length; i++) {
        out[i] = total / size;
        total += line[first + i + size] - line[first + i];
      }
    });
  }

  /** In place: the largest of each value and the `size` - 1 behind it, `step` apart, in steps of twice as many. `has`: of
   *  how many each is the largest as yet. */
  function runningMax(a, size, step, has = 1) {
    while (has < size) {
      const more = Math.min(has, size - has);
      const away = more * step;
      if (a instanceof Uint8Array) orBehind(a, away);
      else maxBehind(a, away);
      has += more;
    }
  }

  function orBehind(mask, away) {
    for (let i = 0; i + away < mask.length; i++) mask[i] |= mask[i + away];
  }

  function maxBehind(a, away) {
    for (let i = 0; i + away < a.length; i++) if (a[i + away] > a[i]) a[i] = a[i + away];
  }

  /** The largest of `before` values before each, itself and `after` behind it, down the columns or along the rows;
   *  outside there is nothing. */
  function along({ h, w, a }, vertical, before, after) {
    const more = before + after;
    if (!more) return { h, w, a };
    const wide = vertical ? w : w + more;
    const all = new a.constructor(vertical ? (h + more) * w : h * wide);
    if (!(a instanceof Uint8Array)) all.fill(-Infinity);
    if (vertical) all.set(a, before * w);
    else for (let y = 0; y < h; y++) all.set(a.subarray(y * w, (y + 1) * w), y * wide + before);
    runningMax(all, more + 1, vertical ? w : 1);
    if (vertical) return { h, w, a: all.slice(0, h * w) };
    const made = grid(h, w, a.constructor);
    for (let y = 0; y < h; y++) made.a.set(all.subarray(y * wide, y * wide + w), y * w);
    return made;
  }

  /** As scipy's maximum_filter with a window of `rows` x `columns`; at the outline the window is cut off. */
  function maximum(g, rows, columns = rows) {
    const sides = (size) => [size >> 1, size - 1 - (size >> 1)];
    return along(along(g, true, ...sides(rows)), false, ...sides(columns));
  }

  /** The morphological closing of grey values with a square, as scipy's grey_closing with mode="nearest". */
  function closing(g, size) {
    const [less, more] = [size - 1 - (size >> 1), size >> 1];
    const wide = along(along(g, true, less, more), false, less, more);
    const negative = H.mapped(wide, (v) => -v);
    return H.mapped(along(along(negative, true, more, less), false, more, less), (v) => -v);
  }

  /** The largest value within a disc around each pixel; outside there is nothing. */
  function dilatedByDisc({ h, w, a }, radius) {
    const reach = Math.floor(radius);
    const made = { h, w, a: a.slice() };
    const line = new Float32Array(w + 2 * reach);
    for (let y = 0; y < h; y++) {
      line.fill(-Infinity);
      for (let x = 0; x < w; x++) line[reach + x] = a[y * w + x];
      for (let dy = reach, has = 1; dy >= 0; dy--) { // its chord grows
        const half = Math.floor(Math.sqrt(radius * radius - dy * dy));
        runningMax(line, 2 * half + 1, 1, has);
        has = 2 * half + 1;
        for (const to of dy ? [y - dy, y + dy] : [y]) {
          if (to < 0 || to >= h) continue;
          for (let i = to * w, from = reach - half, end = i + w; i < end; i++, from++) {
            if (line[from] > made.a[i]) made.a[i] = line[from];
          }
        }
      }
    }
    return made;
  }

  /** The median of 3x3 pixels; at the outline the edge is repeated. */
  function median3(g) {
    const made = grid(g.h, g.w, g.a.constructor);
    const nine = new Float64Array(9);
    for (let y = 0; y < g.h; y++) {
      for (let x = 0; x < g.w; x++) {
        let n = 0;
        for (let dy = -1; dy <= 1; dy++) {
          const row = Math.min(Math.max(y + dy, 0), g.h - 1) * g.w;
          for (let dx = -1; dx <= 1; dx++) {
            const value = g.a[row + Math.min(Math.max(x + dx, 0), g.w - 1)];
            let i = n++;
            for (; i > 0 && nine[i - 1] > value; i--) nine[i] = nine[i - 1];
            nine[i] = value;
          }
        }
        made.a[y * g.w + x] = nine[4];
      }
    }
    return made;
  }

  Object.assign(H, { gaussian, uniform, maximum, closing, dilatedByDisc, median3 });
})(self.HWR);
