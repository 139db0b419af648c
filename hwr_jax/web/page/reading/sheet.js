"use strict";
// Where the sheet of paper lies in a picture: a card on a desk, a slate, a printed box. A port of pictures/sheet.py.
(function (H) {
  const {
    WORK_PX, above, area, bounds, boxes, dilated, distances, eroded, hull, inverse, label, masked, max, median, median3,
    nearestOutside, part, percentile, perspective, rint, shrink, simplified, taken, without, withoutHoles, zoomed,
  } = H;

  const LOOK_PX = 96;
  const [LONG_PX, NARROW_PX] = [384, 48];
  const LEVELS = 12;
  const [MIN_AREA, MAX_AREA] = [0.06, 0.95];
  const MIN_SIDE_PX = 48;
  const CONVEX = 0.94;
  const [CORNERS, STRAIGHT] = [6, 0.95];
  const MAX_OTHERS = 0.3;
  const MOST_SIDES = 2;
  const MAX_INK = 0.5;
  const CARD = [0.004, 0.12];
  const PAGE = [0.001, 0.03];
  const MIN_STEP = 0.12;
  const SHARP = 0.5;

  /** Cuts out the sheet that carries the ink, if it lies on something of another brightness; else `grey` itself. */
  function cropToSheet(grey) {
    const found = cut(grey, WORK_PX, CARD);
    return found ? found.grey : grey;
  }

  /** {grey, box, toPicture, isStraightened} of the sheet, at most `longerPx` long; null: there is none. */
  function cut(grey, longerPx, leastInk = PAGE) {
    const found = findSheet(grey, leastInk);
    if (!found) return null;
    const box = bounds(found);
    const [down, across] = [grey.h / found.h, grey.w / found.w];
    const [top, bottom] = [rint((box.top * grey.h) / found.h), rint((box.bottom * grey.h) / found.h)];
    const [left, right] = [rint((box.left * grey.w) / found.w), rint((box.right * grey.w) / found.w)];
    const place = { top, left, bottom, right };
    const own = shrink(part(grey, top, left, bottom, right), longerPx);
    const back = perspective.scaled([left, top], [(right - left) / own.w, (bottom - top) / own.h]);
    const corners = perspective.cornersOf(found);
    if (corners) {
      const seen = corners.map(([x, y]) => [(x + 0.5) * across, (y + 0.5) * down]);
      if (perspective.isAskew(seen)) {
        const ring = perspective.moved(perspective.inverse(back), seen);
        const straight = perspective.straightened(own, ring, median(own.a));
        const toPicture = perspective.after(back, straight.back);
        return { grey: straight.grey, box: place, toPicture, isStraightened: true };
      }
    }
    const inside = part(found, box.top, box.left, box.bottom, box.right);
    const around = inverse(above(zoomed(inside, own.h, own.w), 0.5));
    if (!H.count(around)) return { grey: own, box: place, toPicture: back, isStraightened: false };
    const nearest = nearestOutside(around);
    return { grey: H.mapped(own, (v, i) => own.a[nearest[i]]), box: place, toPicture: back, isStraightened: false };
  }

  /** The sheet in a picture reduced to `LOOK_PX` or more, without a rim of two pixels, as a mask; null: there is none. */
  function findSheet(grey, leastInk) {
    const [shorter, longer] = [Math.min(grey.h, grey.w), Math.max(grey.h, grey.w)];
    if (shorter < MIN_SIDE_PX) return null;
    const lookPx = Math.max(LOOK_PX, Math.min(LONG_PX, rint((NARROW_PX * longer) / shorter)));
    const small = median3(shrink(grey, lookPx));
    const values = new Float64Array(small.a);
    const [darkest, lightest] = [percentile(values, 1), percentile(values, 99)];
    let [best, most] = [null, 0];
    for (let i = 1; i <= LEVELS; i++) {
      const level = darkest + (i * (lightest - darkest)) / (LEVELS + 1);
      const lighter = above(small, level);
      for (const region of [lighter, inverse(lighter)]) {
        const { labels, count } = label(region);
        const sizes = new Int32Array(count + 1);
        for (const l of labels.a) sizes[l]++;
        for (let l = 1; l <= count; l++) {
          if (!(sizes[l] > 0.5 * MIN_AREA * small.a.length)) continue;
          const one = H.labelled(labels, l);
          const { score, sheet } = scored(one, region, small, lightest - darkest, leastInk);
          if (score > most) [best, most] = [sheet, score];
        }
      }
    }
    return best;
  }

  /** How much a part of a region is a sheet with ink on it, 0 for not at all; and it with its ink, without its rim. */
  function scored(one, region, small, span, [leastShare, leastLength]) {
    const none = { score: 0, sheet: one };
    const { h, w, a } = one;
    let [upper, lower, left, right] = [0, 0, 0, 0];
    for (let x = 0; x < w; x++) {
      upper |= a[x];
      lower |= a[(h - 1) * w + x];
    }
    for (let y = 0; y < h; y++) {
      left |= a[y * w];
      right |= a[y * w + w - 1];
    }
    if (upper + lower + left + right > MOST_SIDES) return none;
    const filled = withoutHoles(one);
    const size = H.count(filled);
    if (!(size > MIN_AREA * a.length && size < MAX_AREA * a.length)) return none;
    const others = without(region, filled);
    if (H.count(others) > MAX_OTHERS * (a.length - size)) return none;
    const ink = without(filled, region);
    const inked = H.count(ink);
    if (!(inked > leastShare * size && inked < MAX_INK * size) || !isPolygon(filled, size)) return none;
    const box = bounds(filled);
    const side = Math.min(box.bottom - box.top, box.right - box.left);
    const { labels, count } = label(ink, true);
    const longest = max(boxes(labels, count).map((b) => Math.max(b.bottom - b.top, b.right - b.left)));
    if (longest < leastLength * side) return none;
    if (max(distances(ink).a) > max(distances(one).a)) return none;
    const [three, near] = [dilated(filled, 3), dilated(filled, 1)];
    const around = without(three, near);
    const inner = eroded(filled, 3, 1);
    const rim = masked(filled, (v, i) => v && !inner.a[i] && a[i]);
    const step = H.count(around) ? Math.abs(median(taken(small, rim)) - median(taken(small, around))) : 0;
    const outside = inverse(filled);
    const whole = Math.abs(median(taken(small, one)) - median(taken(small, outside)));
    if (!(step >= Math.max(MIN_STEP * span, SHARP * whole))) return none;
    return { score: step * size, sheet: eroded(filled, 2, 1) };
  }

  /** Whether a region is convex, with straight sides and few corners. */
  function isPolygon(filled, size) {
    const points = [];
    for (let y = 0; y < filled.h; y++) { // the corners of the first and the last pixel of each row
      const row = filled.a.subarray(y * filled.w, (y + 1) * filled.w);
      const [left, right] = [row.indexOf(1), row.lastIndexOf(1) + 1];
      if (right) points.push([left, y], [left, y + 1], [right, y], [right, y + 1]);
    }
    const ring = hull(points);
    const whole = area(ring);
    return size >= CONVEX * whole && area(simplified(ring, CORNERS)) > STRAIGHT * whole;
  }

  Object.assign(H, { cropToSheet, cutSheet: cut });
})(self.HWR);
