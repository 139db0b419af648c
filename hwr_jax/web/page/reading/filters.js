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
    return alongBoth(g, reach, mode, (line, out) => {
      for (let i = 0; i < out.length; i++) {
        const c = i + reach;
        let value = line[c] * weight[0];
        for (let j = reach; j > 0; j--) value += (line[c - j] + line[c + j]) * weight[j];
        out[i] = value;
      }
    });
  }

  /** The mean of each pixel and those before it, `size` in each direction, centred as scipy's uniform_filter does. */
  function uniform(g, size) {
    const reach = size;
    const first = reach - (size >> 1);
    return alongBoth(g, reach, "reflect", (line, out) => {
      let total = 0;
      for (let j = 0; j < size; j++) total += line[first + j];
      for (let i = 0; i < out.length; i++) {
        out[i] = total / size;
        total += line[first + i + size] - line[first + i];
      }
    });
  }

  /** The largest of `before` values before each, itself and `after` behind it (van Herk); outside there is nothing. */
  function runningMax(line, n, before, after, out, forward, backward) {
    const size = before + after + 1;
    const length = n + before + after;
    const at = (i) => (i < before || i >= before + n ? -Infinity : line[i - before]);
    for (let i = 0; i < length; i++) forward[i] = i % size ? Math.max(forward[i - 1], at(i)) : at(i);
    for (let i = length - 1; i >= 0; i--) {
      backward[i] = i === length - 1 || (i + 1) % size === 0 ? at(i) : Math.max(backward[i + 1], at(i));
    }
    for (let i = 0; i < n; i++) out[i] = Math.max(backward[i], forward[i + size - 1]);
  }

  function along(g, vertical, before, after) {
    if (!before && !after) return g;
    const [n, lines] = vertical ? [g.h, g.w] : [g.w, g.h];
    const [step, next] = vertical ? [g.w, 1] : [1, g.w];
    const made = grid(g.h, g.w, g.a.constructor);
    const [line, out] = [new Float64Array(n), new Float64Array(n)];
    const [forward, backward] = [new Float64Array(n + before + after), new Float64Array(n + before + after)];
    for (let l = 0; l < lines; l++) {
      for (let i = 0; i < n; i++) line[i] = g.a[l * next + i * step];
      runningMax(line, n, before, after, out, forward, backward);
      for (let i = 0; i < n; i++) made.a[l * next + i * step] = out[i];
    }
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
  function dilatedByDisc(g, radius) {
    const reach = Math.ceil(radius);
    const made = { h: g.h, w: g.w, a: g.a.slice() };
    for (let dy = -reach; dy <= reach; dy++) {
      const rest = radius * radius - dy * dy;
      if (rest < 0) continue;
      const half = Math.floor(Math.sqrt(rest));
      const rows = along(g, false, half, half);
      for (let y = Math.max(0, -dy); y < Math.min(g.h, g.h - dy); y++) {
        for (let x = 0; x < g.w; x++) {
          const value = rows.a[(y + dy) * g.w + x];
          if (value > made.a[y * g.w + x]) made.a[y * g.w + x] = value;
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
