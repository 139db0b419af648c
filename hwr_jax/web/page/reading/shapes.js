"use strict";
// Regions of a mask: connected components, holes, erosion and dilation, distances, convex hulls.
(function (H) {
  const { grid, inverse } = H;

  /** Numbers the components 1, 2, ... in the order of their first pixels. `eight`: diagonal neighbours touch. */
  function label({ h, w, a }, eight = false) {
    const aside = eight ? 1 : 0;
    const [from, to, own] = [[], [], []]; // of each run of pixels in a row: its first pixel, the one behind it, its number
    const parent = [0];
    const root = (i) => {
      while (parent[i] !== i) i = parent[i] = parent[parent[i]];
      return i;
    };
    for (let y = 0, above = 0; y < h; y++) {
      const first = from.length;
      let k = above;
      for (let i = y * w, end = i + w; i < end; i++) {
        if (!a[i]) continue;
        const left = i;
        while (i < end && a[i]) i++;
        let number = 0;
        while (k < first && to[k] + w + aside <= left) k++;
        for (let over = k; over < first && from[over] + w < i + aside; over++) {
          const other = root(own[over]);
          if (!number) number = other;
          else if (other !== number) {
            const low = Math.min(number, other);
            parent[Math.max(number, other)] = low;
            number = low;
          }
        }
        if (!number) parent.push((number = parent.length));
        from.push(left);
        to.push(i);
        own.push(number);
      }
      above = first;
    }
    const number = new Int32Array(parent.length);
    let count = 0;
    for (let i = 1; i < parent.length; i++) number[i] = parent[i] === i ? ++count : number[root(i)];
    const labels = grid(h, w, Int32Array);
    for (let k = 0; k < own.length; k++) {
      const [n, end] = [number[own[k]], to[k]];
      for (let i = from[k]; i < end; i++) labels.a[i] = n;
    }
    return { labels, count };
  }

  /** The box {top, left, bottom, right} of each label from 1 to `count`; null: it has no pixel. */
  function boxes({ h, w, a }, count) {
    const [top, bottom] = [new Int32Array(count + 1).fill(-1), new Int32Array(count + 1)];
    const [left, right] = [new Int32Array(count + 1).fill(w), new Int32Array(count + 1)];
    for (let y = 0, i = 0; y < h; y++) {
      for (let x = 0; x < w; x++, i++) {
        const l = a[i];
        if (!l) continue;
        if (top[l] < 0) top[l] = y;
        bottom[l] = y + 1;
        if (x < left[l]) left[l] = x;
        if (x >= right[l]) right[l] = x + 1;
      }
    }
    return Array.from({ length: count }, (_, i) =>
      (top[i + 1] < 0 ? null : { top: top[i + 1], left: left[i + 1], bottom: bottom[i + 1], right: right[i + 1] }));
  }

  /** Whether each pixel and its four neighbours are 1; what lies outside counts as `border`. */
  function eroded(mask, times, border) {
    const { h, w } = mask;
    let now = mask;
    for (let t = 0; t < times; t++) {
      const [a, made] = [now.a, grid(h, w, Uint8Array)];
      for (let y = 0, i = 0; y < h; y++) {
        for (let x = 0; x < w; x++, i++) {
          if (a[i] && (y ? a[i - w] : border) && (y < h - 1 ? a[i + w] : border) && (x ? a[i - 1] : border) &&
            (x < w - 1 ? a[i + 1] : border)) made.a[i] = 1;
        }
      }
      now = made;
    }
    return now;
  }

  const dilated = (mask, times) => inverse(eroded(inverse(mask), times, 1));

  function withoutHoles(mask) {
    const outside = label(padded1(inverse(mask))).labels;
    const made = grid(mask.h, mask.w, Uint8Array);
    for (let y = 0; y < mask.h; y++) {
      for (let x = 0; x < mask.w; x++) made.a[y * mask.w + x] = outside.a[(y + 1) * outside.w + x + 1] === 1 ? 0 : 1;
    }
    return made;
  }

  const padded1 = (mask) => H.padded(mask, 1, 1);

  /** For each pixel of a mask the nearest one outside of it, as y * w + x: of equally near ones the leftmost, of those
   *  in one column the upper one. -1: all of it is mask. */
  function nearestOutside(mask) {
    const { h, w, a } = mask;
    const row = new Int32Array(h * w).fill(-1); // the nearest row in the same column
    for (let x = 0; x < w; x++) {
      for (let y = 0, last = -1; y < h; y++) {
        if (!a[y * w + x]) last = y;
        row[y * w + x] = last;
      }
      for (let y = h - 1, next = -1; y >= 0; y--) {
        if (!a[y * w + x]) next = y;
        const above = row[y * w + x];
        if (next >= 0 && (above < 0 || next - y < y - above)) row[y * w + x] = next;
      }
    }
    const found = new Int32Array(h * w).fill(-1);
    const [site, height] = [new Int32Array(w), new Float64Array(w)];
    for (let y = 0; y < h; y++) {
      let n = 0;
      for (let x = 0; x < w; x++) {
        const of = row[y * w + x];
        if (of < 0) continue;
        const own = (of - y) * (of - y);
        while (n >= 2) { // whether the last one is nowhere the nearest
          const [b, c] = [site[n - 1] - site[n - 2], x - site[n - 1]];
          if ((b + c) * height[n - 1] - c * height[n - 2] - b * own - b * c * (b + c) <= 0) break;
          n--;
        }
        [site[n], height[n]] = [x, own];
        n++;
      }
      for (let x = 0, i = 0; x < w && n; x++) {
        while (i < n - 1) { // whether the next one is nearer
          const [here, next] = [site[i] - x, site[i + 1] - x];
          if (here * here + height[i] <= next * next + height[i + 1]) break;
          i++;
        }
        found[y * w + x] = row[y * w + site[i]] * w + site[i];
      }
    }
    return found;
  }

  /** The Euclidean distance of each pixel of a mask to the nearest one outside of it. */
  function distances(mask) {
    const { h, w, a } = mask;
    const nearest = nearestOutside(mask);
    const made = grid(h, w, Float64Array);
    for (let y = 0, i = 0; y < h; y++) {
      for (let x = 0; x < w; x++, i++) {
        if (!a[i] || nearest[i] < 0) continue;
        const row = Math.floor(nearest[i] / w);
        const [down, across] = [row - y, nearest[i] - row * w - x];
        made.a[i] = Math.sqrt(down * down + across * across);
      }
    }
    return made;
  }

  /** The same in steps along rows, columns and diagonals. */
  function steps({ h, w, a }) {
    const made = grid(h, w, Int32Array);
    const out = made.a;
    for (let y = 0, i = 0; y < h; y++) {
      for (let x = 0; x < w; x++, i++) {
        if (!a[i]) continue;
        let least = 1e9;
        if (x) least = out[i - 1];
        if (y) {
          if (x && out[i - w - 1] < least) least = out[i - w - 1];
          if (out[i - w] < least) least = out[i - w];
          if (x < w - 1 && out[i - w + 1] < least) least = out[i - w + 1];
        }
        out[i] = Math.min(1e9, least + 1);
      }
    }
    for (let y = h - 1, i = h * w - 1; y >= 0; y--) {
      for (let x = w - 1; x >= 0; x--, i--) {
        let least = out[i] - 1;
        if (least < 0) continue;
        if (x < w - 1 && out[i + 1] < least) least = out[i + 1];
        if (y < h - 1) {
          if (x < w - 1 && out[i + w + 1] < least) least = out[i + w + 1];
          if (out[i + w] < least) least = out[i + w];
          if (x && out[i + w - 1] < least) least = out[i + w - 1];
        }
        out[i] = least + 1;
      }
    }
    return made;
  }

  const cross = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);

  /** The corners of the convex hull of points [[x, y], ...], in order around it (Andrew's monotone chain). */
  function hull(points) {
    const ordered = points.slice().sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const chain = (list) => {
      const kept = [];
      for (const p of list) {
        while (kept.length >= 2 && cross(kept[kept.length - 2], kept[kept.length - 1], p) <= 0) kept.pop();
        kept.push(p);
      }
      return kept.slice(0, -1);
    };
    return [...chain(ordered), ...chain(ordered.reverse())];
  }

  /** The area of a polygon. */
  function area(ring) {
    let twice = 0;
    ring.forEach(([x, y], i) => {
      const [u, v] = ring[(i + 1) % ring.length];
      twice += x * v - y * u;
    });
    return Math.abs(twice) / 2;
  }

  /** A polygon without the corners whose loss costs the least, until `most` are left. */
  function simplified(ring, most) {
    const left = ring.slice();
    while (left.length > most) {
      const costs = left.map((p, i) => {
        const [before, after] = [left[(i + left.length - 1) % left.length], left[(i + 1) % left.length]];
        return Math.abs((p[0] - before[0]) * (after[1] - p[1]) - (p[1] - before[1]) * (after[0] - p[0]));
      });
      left.splice(costs.indexOf(Math.min(...costs)), 1);
    }
    return left;
  }

  Object.assign(H, {
    label, boxes, eroded, dilated, withoutHoles, nearestOutside, distances, steps, hull, area, simplified,
  });
})(self.HWR);
