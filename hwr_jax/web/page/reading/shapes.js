"use strict";
// Regions of a mask: connected components, holes, erosion and dilation, distances, convex hulls.
(function (H) {
  const { grid, mapped, masked } = H;

  /** Numbers the components 1, 2, ... in the order of their first pixels. `eight`: diagonal neighbours touch. */
  function label(mask, eight = false) {
    const { h, w, a } = mask;
    const labels = grid(h, w, Int32Array);
    const parent = [0];
    const root = (i) => {
      while (parent[i] !== i) i = parent[i] = parent[parent[i]];
      return i;
    };
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const at = y * w + x;
        if (!a[at]) continue;
        let own = x && a[at - 1] ? root(labels.a[at - 1]) : 0;
        if (y) {
          for (let dx = eight ? -1 : 0; dx <= (eight ? 1 : 0); dx++) {
            if (x + dx < 0 || x + dx >= w || !a[at - w + dx]) continue;
            const other = root(labels.a[at - w + dx]);
            if (!own) own = other;
            else if (other !== own) {
              const low = Math.min(own, other);
              parent[Math.max(own, other)] = low;
              own = low;
            }
          }
        }
        if (!own) parent.push((own = parent.length));
        labels.a[at] = own;
      }
    }
    const number = new Int32Array(parent.length);
    let count = 0;
    for (let i = 1; i < parent.length; i++) number[i] = parent[i] === i ? ++count : number[root(i)];
    for (let i = 0; i < labels.a.length; i++) labels.a[i] = number[labels.a[i]];
    return { labels, count };
  }

  /** The box {top, left, bottom, right} of each label from 1 to `count`; null: it has no pixel. */
  function boxes(labels, count) {
    const found = new Array(count + 1).fill(null);
    for (let y = 0; y < labels.h; y++) {
      for (let x = 0; x < labels.w; x++) {
        const l = labels.a[y * labels.w + x];
        if (!l) continue;
        const box = found[l];
        if (!box) found[l] = { top: y, left: x, bottom: y + 1, right: x + 1 };
        else {
          box.bottom = y + 1;
          if (x < box.left) box.left = x;
          if (x >= box.right) box.right = x + 1;
        }
      }
    }
    return found.slice(1);
  }

  /** Whether each pixel and its four neighbours are 1; what lies outside counts as `border`. */
  function eroded(mask, times, border) {
    const { h, w } = mask;
    let now = mask;
    for (let t = 0; t < times; t++) {
      const a = now.a;
      now = mapped(now, (v, i) => {
        const [y, x] = [Math.floor(i / w), i % w];
        return v && (y ? a[i - w] : border) && (y < h - 1 ? a[i + w] : border) && (x ? a[i - 1] : border) &&
          (x < w - 1 ? a[i + 1] : border) ? 1 : 0;
      });
    }
    return now;
  }

  const inverse = (mask) => masked(mask, (v) => (v ? 0 : 1));
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
        const away = (k) => (site[k] - x) * (site[k] - x) + height[k];
        while (i < n - 1 && away(i) > away(i + 1)) i++;
        found[y * w + x] = row[y * w + site[i]] * w + site[i];
      }
    }
    return found;
  }

  /** The Euclidean distance of each pixel of a mask to the nearest one outside of it. */
  function distances(mask) {
    const nearest = nearestOutside(mask);
    const w = mask.w;
    return mapped(mask, (v, i) => {
      if (!v || nearest[i] < 0) return 0;
      return Math.hypot(Math.floor(nearest[i] / w) - Math.floor(i / w), (nearest[i] % w) - (i % w));
    }, Float64Array);
  }

  /** The same in steps along rows, columns and diagonals. */
  function steps(mask) {
    const { h, w } = mask;
    const made = masked(mask, (v) => (v ? 1 : 0));
    const out = mapped(made, (v) => (v ? 1e9 : 0), Int32Array);
    const look = (i, y, x, dy) => {
      let least = out.a[i];
      const at = (yy, xx) => {
        if (yy >= 0 && yy < h && xx >= 0 && xx < w) least = Math.min(least, out.a[yy * w + xx] + 1);
      };
      at(y, x + dy);
      for (let dx = -1; dx <= 1; dx++) at(y + dy, x + dx);
      out.a[i] = least;
    };
    for (let i = 0; i < h * w; i++) if (out.a[i]) look(i, Math.floor(i / w), i % w, -1);
    for (let i = h * w - 1; i >= 0; i--) if (out.a[i]) look(i, Math.floor(i / w), i % w, 1);
    return out;
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
