"use strict";
// The projective map between a sheet as a camera sees it and the rectangle that it is. A port of pictures/perspective.py.
(function (H) {
  const { area, eroded, filled, hull, mean, rint, simplified, sum } = H;

  const STRAIGHT = 0.95;
  const MIDDLE = 0.15;
  const MANY = 9;
  const ASIDE = [3, 0.03];
  const [LEAST_DEG, MOST_DEG] = [1.5, 30];

  /** Solves a system of linear equations, given as rows with their right side last; null: it has no one solution. */
  function solved(rows) {
    const n = rows.length;
    const m = rows.map((row) => row.slice());
    for (let i = 0; i < n; i++) {
      let best = i;
      for (let k = i + 1; k < n; k++) if (Math.abs(m[k][i]) > Math.abs(m[best][i])) best = k;
      [m[i], m[best]] = [m[best], m[i]];
      if (m[i][i] === 0) return null;
      for (let k = i + 1; k < n; k++) {
        const share = m[k][i] / m[i][i];
        for (let j = i; j <= n; j++) m[k][j] -= share * m[i][j];
      }
    }
    const x = new Array(n).fill(0);
    for (let i = n - 1; i >= 0; i--) {
      x[i] = m[i][n];
      for (let j = i + 1; j < n; j++) x[i] -= m[i][j] * x[j];
      x[i] /= m[i][i];
    }
    return x;
  }

  /** The map, nine numbers, that takes four points to four others. */
  function homography(source, target) {
    const rows = [];
    source.forEach(([x, y], i) => {
      const [u, v] = target[i];
      rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]);
    });
    return [...solved(rows), 1];
  }

  const moved = (by, points) =>
    points.map(([x, y]) => {
      const over = by[6] * x + by[7] * y + by[8];
      return [(by[0] * x + by[1] * y + by[2]) / over, (by[3] * x + by[4] * y + by[5]) / over];
    });

  const scaled = ([x, y], [across, down]) => [across, 0, x, 0, down, y, 0, 0, 1];

  /** The map that does `second` and then `first`. */
  function after(first, second) {
    const made = new Array(9).fill(0);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) for (let k = 0; k < 3; k++) made[3 * i + j] += first[3 * i + k] * second[3 * k + j];
    }
    return made;
  }

  /** The four corners of a region with straight sides, from the upper left one clockwise; null: another shape. */
  function cornersOf(mask) {
    if (sum(H.outline(mask))) return null;
    const inner = eroded(mask, 1, 0);
    const rim = [];
    for (let i = 0; i < mask.a.length; i++) {
      if (mask.a[i] && !inner.a[i]) rim.push([i % mask.w, Math.floor(i / mask.w)]);
    }
    const ring = four(hull(rim));
    const lines = ring.map((p, i) => lineOf(rim, p, ring[(i + 1) % ring.length])).filter((line) => line);
    if (lines.length < 4) return null;
    const crossings = lines.map((line, i) => solved([lines[(i + lines.length - 1) % lines.length], line]));
    if (crossings.some((point) => !point)) return null;
    const found = inOrder(crossings);
    const share = area(found) / Math.max(H.count(mask) - rim.length / 2, 1);
    return share > STRAIGHT && share < 1 / STRAIGHT ? found : null;
  }

  /** Whether a sheet is turned so much that straightening pays, and not so much that nobody knows which side is up. */
  function isAskew([a, b, c, d]) {
    const degrees = (y, x) => Math.abs((Math.atan2(y, x) * 180) / Math.PI);
    const turned = Math.max(
      degrees(b[1] - a[1], b[0] - a[0]), degrees(c[1] - d[1], c[0] - d[0]),
      degrees(a[0] - d[0], d[1] - a[1]), degrees(b[0] - c[0], c[1] - b[1]),
    );
    return turned > LEAST_DEG && turned < MOST_DEG;
  }

  /** The rectangle between four corners of a grid, and the map from its pixels to those of the grid. */
  function straightened(g, corners, outside) {
    const sides = corners.map(([x, y], i) => {
      const [u, v] = corners[(i + 1) % 4];
      return Math.hypot(u - x, v - y);
    });
    const [w, h] = [0, 1].map((i) => Math.max(1, rint(Math.max(sides[i], sides[i + 2]))));
    const back = homography([[0, 0], [w, 0], [w, h], [0, h]], corners);
    const made = filled(h, w, outside);
    const [a, b, c, d, e, f, k, l, m] = back; // as in `moved`, with nothing to hold for each pixel
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const right = x + 0.5, down = y + 0.5;
        const over = k * right + l * down + m;
        const u = (a * right + b * down + c) / over, v = (d * right + e * down + f) / over;
        if (u >= 0 && u < g.w && v >= 0 && v < g.h) made.a[y * w + x] = bicubic(g, u - 0.5, v - 0.5);
      }
    }
    return { grey: made, back };
  }

  const cubic = (a, b, c, d, t) => b + t * (c - a + t * (2 * (a - b) + c - d + t * (-a + b - c + d)));

  /** Between 4x4 pixels, as Pillow's transform does it: rows below the last one repeat the one before. */
  function bicubic({ h, w, a }, x, y) {
    const left = Math.floor(x), top = Math.floor(y);
    const x0 = Math.min(Math.max(left - 1, 0), w - 1), x1 = Math.min(Math.max(left, 0), w - 1);
    const x2 = Math.min(Math.max(left + 1, 0), w - 1), x3 = Math.min(Math.max(left + 2, 0), w - 1);
    const across = (start) => cubic(a[start + x0], a[start + x1], a[start + x2], a[start + x3], x - left);
    const first = across(Math.min(Math.max(top - 1, 0), h - 1) * w);
    const second = top >= 0 && top < h ? across(top * w) : first;
    const third = top + 1 >= 0 && top + 1 < h ? across((top + 1) * w) : second;
    const fourth = top + 2 >= 0 && top + 2 < h ? across((top + 2) * w) : third;
    return cubic(first, second, third, fourth, y - top);
  }

  /** The four corners of a polygon that span most of it, of the `MANY` whose loss would cost the most. */
  function four(polygon) {
    const ring = simplified(polygon, MANY);
    if (ring.length < 4) return ring;
    let [best, most] = [null, -1];
    const n = ring.length;
    for (let a = 0; a < n; a++) for (let b = a + 1; b < n; b++) for (let c = b + 1; c < n; c++) for (let d = c + 1; d < n; d++) {
      const size = area([ring[a], ring[b], ring[c], ring[d]]);
      if (size > most) [best, most] = [[ring[a], ring[b], ring[c], ring[d]], size];
    }
    return best;
  }

  /** The line n_x x + n_y y = d, as [n_x, n_y, d], of the rim's pixels between two corners; null: too few. */
  function lineOf(rim, start, end) {
    const length = Math.max(Math.hypot(end[0] - start[0], end[1] - start[1]), 1e-9);
    const along = [(end[0] - start[0]) / length, (end[1] - start[1]) / length];
    const reach = Math.max(ASIDE[0], ASIDE[1] * length);
    const own = rim.filter(([x, y]) => {
      const where = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length;
      const away = Math.abs((y - start[1]) * along[0] - (x - start[0]) * along[1]);
      return where > MIDDLE && where < 1 - MIDDLE && away < reach;
    });
    if (own.length < 4) return null;
    const [x0, y0] = [mean(own.map((p) => p[0])), mean(own.map((p) => p[1]))];
    let [xx, xy, yy] = [0, 0, 0];
    for (const [x, y] of own) {
      xx += (x - x0) ** 2;
      xy += (x - x0) * (y - y0);
      yy += (y - y0) ** 2;
    }
    const angle = Math.atan2(2 * xy, xx - yy) / 2; // of the direction in which they spread
    const normal = [-Math.sin(angle), Math.cos(angle)];
    return [...normal, normal[0] * x0 + normal[1] * y0];
  }

  /** Clockwise on the screen from the corner nearest to the upper left. */
  function inOrder(corners) {
    const [x0, y0] = [mean(corners.map((p) => p[0])), mean(corners.map((p) => p[1]))];
    const ring = H.sorted(corners, ([x, y]) => Math.atan2(y - y0, x - x0));
    const sums = ring.map(([x, y]) => x + y);
    const first = sums.indexOf(Math.min(...sums));
    return [...ring.slice(first), ...ring.slice(0, first)];
  }

  /** The map that undoes another. */
  function inverse([a, b, c, d, e, f, g, h, i]) {
    const whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
    return [
      e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g,
      b * g - a * h, a * e - b * d,
    ].map((v) => v / whole);
  }

  H.perspective = { after, cornersOf, inverse, isAskew, moved, scaled, straightened };
})(self.HWR);
