"use strict";
// Rectangles of numbers, and what NumPy does with them. A grid is {h, w, a}: height, width, and a typed array of rows.
// Masks are grids of Uint8Array, 0 or 1. Values are Float32Array, as in Python, so that both round alike.
self.HWR = self.HWR || {};
(function (H) {
  /** A picture that cannot be read: the message says why. */
  class DataError extends Error {}

  const f32 = Math.fround;
  const BLOCK = 32;

  /** The nearest whole number; halves go to the even one, as Python's round and NumPy's rint do. */
  function rint(x) {
    const low = Math.floor(x);
    const over = x - low;
    return over < 0.5 || (over === 0.5 && low % 2 === 0) ? low : low + 1;
  }

  function grid(h, w, Kind = Float32Array) {
    return { h, w, a: new Kind(h * w) };
  }

  function filled(h, w, value, Kind = Float32Array) {
    const made = grid(h, w, Kind);
    made.a.fill(value);
    return made;
  }

  /** A grid of another kind, each value made of one of `g`. */
  function mapped(g, of, Kind = g.a.constructor) {
    const made = grid(g.h, g.w, Kind);
    for (let i = 0; i < made.a.length; i++) made.a[i] = of(g.a[i], i);
    return made;
  }

  /** A mask: where `is` holds. What is asked for often has a loop of its own below: one for all kinds of arrays is slow. */
  function masked(g, is) {
    const made = grid(g.h, g.w, Uint8Array);
    for (let i = 0; i < made.a.length; i++) if (is(g.a[i], i)) made.a[i] = 1;
    return made;
  }

  /** Where a grid of Float32Array is larger than a value. */
  function above({ h, w, a }, value) {
    const made = grid(h, w, Uint8Array);
    for (let i = 0; i < a.length; i++) if (a[i] > value) made.a[i] = 1;
    return made;
  }

  /** Where a grid of labels has one. */
  function labelled({ h, w, a }, label) {
    const made = grid(h, w, Uint8Array);
    for (let i = 0; i < a.length; i++) if (a[i] === label) made.a[i] = 1;
    return made;
  }

  function inverse({ h, w, a }) {
    const made = grid(h, w, Uint8Array);
    for (let i = 0; i < a.length; i++) if (!a[i]) made.a[i] = 1;
    return made;
  }

  /** Where one mask is 1 and another is not. */
  function without({ h, w, a }, { a: other }) {
    const made = grid(h, w, Uint8Array);
    for (let i = 0; i < a.length; i++) if (a[i] && !other[i]) made.a[i] = 1;
    return made;
  }

  /** How many pixels of a mask are 1. */
  function count(mask) {
    let n = 0;
    for (let i = 0; i < mask.a.length; i++) n += mask.a[i];
    return n;
  }

  function part(g, top, left, bottom, right) {
    const made = grid(bottom - top, right - left, g.a.constructor);
    for (let y = top; y < bottom; y++) {
      made.a.set(g.a.subarray(y * g.w + left, y * g.w + right), (y - top) * made.w);
    }
    return made;
  }

  /** With `by` more rows and columns of `value` on each side. */
  function padded(g, by, value = 0) {
    const made = filled(g.h + 2 * by, g.w + 2 * by, value, g.a.constructor);
    for (let y = 0; y < g.h; y++) made.a.set(g.a.subarray(y * g.w, (y + 1) * g.w), (y + by) * made.w + by);
    return made;
  }

  /** In blocks that stay in the processor's cache. */
  function transposed({ h, w, a }) {
    const made = grid(w, h, a.constructor);
    for (let top = 0; top < h; top += BLOCK) {
      const bottom = Math.min(h, top + BLOCK);
      for (let left = 0; left < w; left += BLOCK) {
        const right = Math.min(w, left + BLOCK);
        for (let x = left; x < right; x++) for (let y = top; y < bottom; y++) made.a[x * h + y] = a[y * w + x];
      }
    }
    return made;
  }

  /** The upper, lower, left and right rim, one after the other. */
  function outline(g) {
    const made = new g.a.constructor(2 * (g.w + g.h));
    made.set(g.a.subarray(0, g.w), 0);
    made.set(g.a.subarray((g.h - 1) * g.w), g.w);
    for (let y = 0; y < g.h; y++) {
      made[2 * g.w + y] = g.a[y * g.w];
      made[2 * g.w + g.h + y] = g.a[y * g.w + g.w - 1];
    }
    return made;
  }

  /** The box {top, left, bottom, right} around all values that are not 0; null: there are none. */
  function bounds(mask) {
    let [top, left, bottom, right] = [mask.h, mask.w, 0, 0];
    for (let y = 0; y < mask.h; y++) {
      for (let x = 0; x < mask.w; x++) {
        if (!mask.a[y * mask.w + x]) continue;
        if (y < top) top = y;
        if (y >= bottom) bottom = y + 1;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
      }
    }
    return bottom ? { top, left, bottom, right } : null;
  }

  function sum(values) {
    let total = 0;
    for (let i = 0; i < values.length; i++) total += values[i];
    return total;
  }

  const mean = (values) => sum(values) / values.length;

  function extremes(values) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < values.length; i++) {
      if (values[i] < low) low = values[i];
      if (values[i] > high) high = values[i];
    }
    return [low, high];
  }

  /** The largest value. Those of grids have a loop of their own: one for all kinds of arrays is slow. */
  function max(values) {
    if (values instanceof Float32Array) return largest(values);
    let high = -Infinity;
    for (let i = 0; i < values.length; i++) if (values[i] > high) high = values[i];
    return high;
  }

  function largest(values) {
    let high = -Infinity;
    for (let i = 0; i < values.length; i++) if (values[i] > high) high = values[i];
    return high;
  }

  /** Where the largest value is, the first of equals. */
  function argmax(values) {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
    return best;
  }

  /** Reorders values so that the one at `k` is where sorting would put it, with no larger one before it. */
  function select(values, k) {
    let [low, high] = [0, values.length - 1];
    while (low < high) {
      const pivot = values[(low + high) >> 1];
      let [i, j] = [low, high];
      while (i <= j) {
        while (values[i] < pivot) i++;
        while (values[j] > pivot) j--;
        if (i <= j) {
          const held = values[i];
          values[i++] = values[j];
          values[j--] = held;
        }
      }
      if (k <= j) high = j;
      else if (k >= i) low = i;
      else break;
    }
    return values[k];
  }

  /** As numpy.percentile: linear between neighbours, rounded to float32 where the values are. */
  function percentile(values, percent) {
    const copy = new Float64Array(values);
    const round = values instanceof Float32Array ? f32 : (x) => x;
    const share = percent / 100;
    const where = copy.length * share + (1 - share) - 1;
    const before = Math.min(Math.max(Math.floor(where), 0), copy.length - 1);
    const low = select(copy, before);
    if (before + 1 >= copy.length) return low;
    let high = Infinity;
    for (let i = before + 1; i < copy.length; i++) if (copy[i] < high) high = copy[i];
    const [t, span] = [where - before, round(high - low)];
    return t >= 0.5 ? round(high - round(span * round(1 - t))) : round(low + round(span * round(t)));
  }

  /** The middle value, or the mean of the two middle ones; NaN of nothing. */
  function median(values) {
    if (!values.length) return NaN;
    const copy = new Float64Array(values);
    const half = copy.length >> 1;
    const upper = select(copy, half);
    if (copy.length % 2) return upper;
    let lower = -Infinity;
    for (let i = 0; i < half; i++) if (copy[i] > lower) lower = copy[i];
    return values instanceof Float32Array ? f32(f32(lower + upper) / 2) : (lower + upper) / 2;
  }

  /** The values of a grid where a mask is not 0. */
  function taken(g, mask) {
    const found = new g.a.constructor(count(mask));
    let n = 0;
    for (let i = 0; i < g.a.length; i++) if (mask.a[i]) found[n++] = g.a[i];
    return found;
  }

  /** A copy in increasing order of `key`; equals stay in order. */
  const sorted = (list, key) => list.map((one) => [key(one), one]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);

  Object.assign(H, {
    DataError, f32, rint, grid, filled, mapped, masked, above, labelled, inverse, without, part, padded, transposed, outline,
    bounds, count, sum, mean, extremes, max, argmax, percentile, median, taken, sorted,
  });
})(self.HWR);
