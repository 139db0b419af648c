"use strict";
// Printed lines: ruled paper, margins, grids; removed by their shape or by their being paler. A port of pictures/rules.py.
(function (H) {
  const { f32, grid, label, mapped, masked, maximum, median, percentile, rint, sum, taken, transposed } = H;

  const LINE_SHARE = 0.8;
  const VISIBLE_SHARE = 0.4;
  const LINE_THICK_SHARE = 0.04;
  const MIN_LINED_PX = 48;
  const SLOPES = Array.from({ length: 49 }, (_, i) => Math.tan(((-6 + 0.25 * i) * Math.PI) / 180));
  const EVERY = 4;
  const [LONG, WHOLE] = [0.4, 0.9];
  const GAP = 0.02;
  const [PALE_PX, PALE_THICK] = [5, 0.008];
  const REACH_PX = 2;
  const OF_LINE = 35;
  const PALE = 0.7;
  const INK = 1.5;

  const isSmall = (g) => Math.min(g.h, g.w) < MIN_LINED_PX;

  /** Sets printed lines and grids to paper where they are paler than the ink; `contrast` itself if there are none. */
  function withoutPaleLines(contrast, floor, full) {
    if (isSmall(contrast)) return contrast;
    const level = pale(contrast, floor, full);
    const upright = transposed(pale(transposed(contrast), floor, full));
    for (let i = 0; i < level.a.length; i++) level.a[i] |= upright.a[i];
    return H.count(level) ? mapped(contrast, (v, i) => (level.a[i] ? 0 : v)) : contrast;
  }

  /** Erases ruled lines and grids by their shape; unchanged if little else is there. */
  function withoutLines(mask) {
    if (isSmall(mask)) return mask;
    const level = rows(mask);
    const upright = transposed(rows(transposed(mask)));
    const rest = masked(mask, (v, i) => v && !level.a[i] && !upright.a[i]);
    return H.count(rest) > 0.1 * H.count(mask) ? rest : mask;
  }

  /** The pixels of a mask, column by column: y, x, their run (a column of ink from its upper to its lower end), whether
   *  that is no taller than a line, and the middles of such runs. */
  function inkOf(mask, thickestPx) {
    const n = H.count(mask);
    const [y, x, run, isThin] = [new Int32Array(n), new Int32Array(n), new Int32Array(n), new Uint8Array(n)];
    const [middleY, middleX] = [[], []];
    let [at, runs] = [0, 0];
    for (let column = 0; column < mask.w; column++) {
      for (let row = 0; row < mask.h; row++) {
        if (!mask.a[row * mask.w + column]) continue;
        const start = row;
        while (row < mask.h && mask.a[row * mask.w + column]) row++;
        const thin = row - start <= thickestPx;
        for (let i = start; i < row; i++, at++) [y[at], x[at], run[at], isThin[at]] = [i, column, runs, thin ? 1 : 0];
        if (thin) {
          middleY.push((start + row) >> 1);
          middleX.push(column);
        }
        runs++;
      }
    }
    return { y, x, run, runs, isThin, middleY, middleX };
  }

  /** How many rows each column moves when the picture is sheared by a slope about its middle column. */
  const shear = (slope, w) => Int32Array.from({ length: w }, (_, x) => rint(slope * (x - w / 2)));

  const sheared = (y, x, down, h) => Math.min(Math.max(y - down[x], 0), h - 1);

  /** The slopes at which lines lie: for each the row of every pixel of ink in the sheared picture, and where lines are
   *  in that picture; they cover `least` of the width, or all of it. */
  function* linesOf(ink, h, w, least = LINE_SHARE) {
    const visible = (VISIBLE_SHARE * least) / LINE_SHARE;
    for (const slope of SLOPES) {
      const down = shear(slope, w);
      const few = new Int32Array(h + 2); // with a row above and below
      ink.middleY.forEach((y, i) => {
        if (ink.middleX[i] % EVERY === 0) few[sheared(y, ink.middleX[i], down, h) + 1]++;
      });
      let likely = [];
      const enough = visible * Math.floor(w / EVERY);
      for (let y = 0; y < h; y++) if (few[y] + few[y + 1] + few[y + 2] >= enough) likely.push(y);
      if (!likely.length) continue;
      const row = new Int32Array(ink.y.length);
      for (let i = 0; i < row.length; i++) row[i] = sheared(ink.y[i], ink.x[i], down, h);
      const thin = cells(row, ink.x, ink.isThin, likely, h, w);
      likely = likely.filter((y) => thin.get(y).share >= visible);
      if (!likely.length) continue;
      const all = cells(row, ink.x, null, likely, h, w);
      const found = grid(h, w, Uint8Array);
      let any = false;
      for (const y of likely) {
        const share = all.get(y).share;
        if (!(share >= least)) continue;
        if (share >= LINE_SHARE && thin.get(y).share >= VISIBLE_SHARE) {
          found.a.fill(1, y * w, (y + 1) * w);
          any = true;
        } else {
          const part = longest(all.get(y).line, thin.get(y).line);
          if (part) found.a.fill(1, y * w + part[0], y * w + part[1]);
          any = any || part !== null;
        }
      }
      if (any) yield { row, found };
    }
  }

  /** For each wanted row, where a pixel lies within one row of it: {line, share}. */
  function cells(row, x, only, wanted, h, w) {
    const lines = new Array(h + 2).fill(null);
    for (const y of wanted) for (let i = y; i <= y + 2; i++) lines[i] = lines[i] || new Uint8Array(w);
    for (let i = 0; i < row.length; i++) if (lines[row[i] + 1] && (!only || only[i])) lines[row[i] + 1][x[i]] = 1;
    const made = new Map();
    for (const y of wanted) {
      const [a, b, c] = [lines[y], lines[y + 1], lines[y + 2]];
      const line = new Uint8Array(w);
      let count = 0;
      for (let i = 0; i < w; i++) count += line[i] = a[i] | b[i] | c[i];
      made.set(y, { line, share: count / w });
    }
    return made;
  }

  /** From where to where the longest line in a row reaches; null: it is too short or too broken. */
  function longest(covered, visible) {
    const w = covered.length;
    const gap = Math.max(1, rint(GAP * w));
    let [best, own, last] = [null, null, -Infinity];
    for (let x = 0; x < w; x++) {
      if (!covered[x]) continue;
      if (x - last > gap) own = { left: x, right: x, inked: 0 };
      own.inked++;
      own.right = x + 1;
      if (!best || own.inked > best.inked) best = own;
      last = x;
    }
    if (!best || best.right - best.left < LONG * w) return null;
    const length = best.right - best.left;
    const shown = sum(visible.subarray(best.left, best.right));
    return best.inked / length >= WHOLE && shown / length >= VISIBLE_SHARE ? [best.left, best.right] : null;
  }

  /** The pixels of level lines, without those of darker strokes that cross them. */
  function pale(contrast, floor, full) {
    const { h, w } = contrast;
    const least = f32(floor);
    const ink = inkOf(masked(contrast, (v) => v > least), Math.max(PALE_PX, rint(PALE_THICK * Math.max(h, w))));
    const found = grid(h, w, Uint8Array);
    let any = false;
    const value = (i) => contrast.a[ink.y[i] * w + ink.x[i]];
    for (const { row, found: isLine } of linesOf(ink, h, w, LONG)) {
      const { labels, count } = label(maximum(isLine, 3, 1));
      const members = Array.from({ length: count + 1 }, () => []);
      for (let i = 0; i < row.length; i++) members[labels.a[row[i] * w + ink.x[i]]].push(i);
      for (const here of members.slice(1)) {
        const peak = new Float32Array(w);
        for (const i of here) peak[ink.x[i]] = Math.max(peak[ink.x[i]], value(i));
        const ofLine = percentile(peak.filter((v) => v > 0), OF_LINE);
        if (!(ofLine < PALE * full)) continue;
        const darkest = f32(INK * ofLine);
        for (const i of here) {
          if (!(value(i) < darkest)) continue;
          found.a[ink.y[i] * w + ink.x[i]] = 1;
          any = true;
        }
      }
    }
    if (!any) return found;
    const beside = maximum(mapped(contrast, (v, i) => (found.a[i] ? v : 0)), 3, 1);
    const near = maximum(found, 3, 1);
    for (let i = 0; i < found.a.length; i++) if (near.a[i] && contrast.a[i] <= beside.a[i]) found.a[i] = 1;
    const stroke = f32(INK * median(taken(contrast, found)));
    const strokes = maximum(masked(contrast, (v, i) => v > stroke && !found.a[i]), 2 * REACH_PX + 1, 1);
    return masked(found, (v, i) => v && !strokes.a[i]);
  }

  /** The pixels of thin lines from the left to the right side of the picture, of any slope in `SLOPES`. */
  function rows(mask) {
    const { h, w } = mask;
    const ink = inkOf(mask, Math.max(1, rint(LINE_THICK_SHARE * Math.min(h, w))));
    const ofLine = new Uint8Array(ink.runs);
    for (const { row, found } of linesOf(ink, h, w)) {
      const wide = maximum(found, 3, 1);
      for (let i = 0; i < row.length; i++) {
        if (ink.isThin[i] && wide.a[row[i] * w + ink.x[i]]) ofLine[ink.run[i]] = 1;
      }
    }
    const none = grid(h, w, Uint8Array);
    const found = grid(h, w, Uint8Array);
    for (let i = 0; i < ink.y.length; i++) if (ofLine[ink.run[i]]) found.a[ink.y[i] * w + ink.x[i]] = 1;
    if (!sum(ofLine)) return found;
    const wide = maximum(found, 3);
    let [bands, inBand] = [0, false];
    for (let y = 0; y < h; y++) {
      const here = wide.a.subarray(y * w, (y + 1) * w).includes(1);
      if (here && !inBand) bands++;
      inBand = here;
    }
    if (bands > 1) return found;
    const columns = [];
    for (let i = 0; i < mask.a.length; i++) if (mask.a[i] && !found.a[i]) columns.push(i % w);
    const rest = Float64Array.from(columns);
    const span = rest.length ? percentile(rest, 98) - percentile(rest, 2) : w;
    return span < 0.8 * w ? found : none;
  }

  Object.assign(H, { withoutPaleLines, withoutLines });
})(self.HWR);
