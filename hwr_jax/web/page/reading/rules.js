"use strict";
// Printed lines: ruled paper, margins, grids; removed by their shape or by their being paler. A port of pictures/rules.py.
(function (H) {
  const { f32, grid, maximum, median, percentile, rint, taken, transposed, without } = H;

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
    const upright = pale(transposed(contrast), floor, full);
    if (!level && !upright) return contrast;
    const made = { ...contrast, a: contrast.a.slice() };
    for (const lines of [level, upright && transposed(upright)]) {
      for (let i = 0; lines && i < made.a.length; i++) if (lines.a[i]) made.a[i] = 0;
    }
    return made;
  }

  /** Erases ruled lines and grids by their shape; unchanged if little else is there. */
  function withoutLines(mask) {
    if (isSmall(mask)) return mask;
    const level = rows(mask);
    const upright = rows(transposed(mask));
    if (!level && !upright) return mask;
    const rest = { ...mask, a: mask.a.slice() };
    for (const lines of [level, upright && transposed(upright)]) {
      for (let i = 0; lines && i < rest.a.length; i++) if (lines.a[i]) rest.a[i] = 0;
    }
    return H.count(rest) > 0.1 * H.count(mask) ? rest : mask;
  }

  /** The pixels of a mask: y, x, their run (a column of ink from its upper to its lower end), whether that is no taller
   *  than a line, and the middles of such runs in every `EVERY`-th column. */
  function inkOf(mask, thickestPx) {
    const { h, w, a } = mask;
    const n = H.count(mask);
    const [y, x, run, isThin] = [new Int32Array(n), new Int32Array(n), new Int32Array(n), new Uint8Array(n)];
    const [first, last, column] = [new Int32Array(n), new Int32Array(n), new Int32Array(n)]; // of each run
    const now = new Int32Array(w); // the run of each column
    let runs = 0;
    for (let row = 0, i = 0, at = 0; row < h; row++) {
      for (let k = 0; k < w; k++, i++) {
        if (!a[i]) continue;
        if (!row || !a[i - w]) {
          now[k] = runs;
          first[runs] = row;
          column[runs++] = k;
        }
        last[now[k]] = row;
        y[at] = row;
        x[at] = k;
        run[at++] = now[k];
      }
    }
    const [middleY, middleX] = [[], []];
    for (let i = 0; i < runs; i++) {
      if (column[i] % EVERY || last[i] - first[i] >= thickestPx) continue;
      middleY.push((first[i] + last[i] + 1) >> 1);
      middleX.push(column[i]);
    }
    for (let i = 0; i < n; i++) if (last[run[i]] - first[run[i]] < thickestPx) isThin[i] = 1;
    return { y, x, run, runs, isThin, middleY, middleX };
  }

  /** How many rows each column moves when the picture is sheared by a slope about its middle column. */
  function shear(slope, w) {
    const down = new Int32Array(w);
    for (let x = 0; x < w; x++) down[x] = rint(slope * (x - w / 2));
    return down;
  }

  /** The slopes at which lines lie: for each the row of every pixel of ink in the sheared picture, and the bands
   *  {y, left, right} where lines are in that picture, from the upper to the lower; they cover `least` of the width, or
   *  all of it. */
  function* linesOf(ink, h, w, least = LINE_SHARE) {
    const visible = (VISIBLE_SHARE * least) / LINE_SHARE;
    const enough = visible * Math.floor(w / EVERY);
    for (const slope of SLOPES) {
      const down = shear(slope, w);
      const few = new Int32Array(h + 2); // with a row above and below
      for (let i = 0; i < ink.middleY.length; i++) few[sheared(ink.middleY[i] - down[ink.middleX[i]], h) + 1]++;
      let likely = [];
      for (let y = 0; y < h; y++) if (few[y] + few[y + 1] + few[y + 2] >= enough) likely.push(y);
      if (!likely.length) continue;
      const row = new Int32Array(ink.y.length);
      for (let i = 0; i < row.length; i++) row[i] = sheared(ink.y[i] - down[ink.x[i]], h);
      const bands = [];
      for (const cell of cells(row, ink, likely, h, w)) {
        if (cell.thin < visible || !(cell.share >= least)) continue;
        if (cell.share >= LINE_SHARE && cell.thin >= VISIBLE_SHARE) bands.push({ y: cell.y, left: 0, right: w });
        else {
          const part = longest(cell.line);
          if (part) bands.push({ y: cell.y, left: part[0], right: part[1] });
        }
      }
      if (bands.length) yield { row, bands };
    }
  }

  const sheared = (y, h) => (y < 0 ? 0 : y >= h ? h - 1 : y);

  /** For each wanted row: {y, line, share, thin}: where a pixel lies within one row of it (1) and where one of a thin run
   *  does (3), and the shares of both. */
  function cells(row, ink, wanted, h, w) {
    const slot = new Int32Array(h + 2).fill(-1); // where in `marked` a row is
    let slots = 0;
    for (const y of wanted) for (let i = y; i <= y + 2; i++) if (slot[i] < 0) slot[i] = slots++ * w;
    const marked = new Uint8Array(slots * w);
    for (let i = 0; i < row.length; i++) {
      const start = slot[row[i] + 1];
      if (start >= 0) marked[start + ink.x[i]] |= ink.isThin[i] ? 3 : 1;
    }
    return wanted.map((y) => {
      const line = new Uint8Array(w);
      let [count, thin] = [0, 0];
      for (let i = 0; i < w; i++) {
        const v = marked[slot[y] + i] | marked[slot[y + 1] + i] | marked[slot[y + 2] + i];
        line[i] = v;
        count += v & 1;
        thin += v >> 1;
      }
      return { y, line, share: count / w, thin: thin / w };
    });
  }

  /** For each row the bands within one row of it; undefined: there are none. */
  function bandsAt(bands, h) {
    const at = new Array(h);
    for (const band of bands) {
      for (let y = Math.max(0, band.y - 1); y <= Math.min(h - 1, band.y + 1); y++) (at[y] = at[y] || []).push(band);
    }
    return at;
  }

  /** The first of some bands that reaches over a column; undefined: none does. */
  function over(bands, x) {
    for (let k = 0; k < bands.length; k++) if (x >= bands[k].left && x < bands[k].right) return bands[k];
    return undefined;
  }

  /** Numbers the lines, 0, 1, ...: bands that touch or overlap when each is three rows high. Sets `line`; returns how many. */
  function numbered(bands) {
    let lines = 0;
    bands.forEach((band, i) => {
      band.line = lines++;
      for (let k = i - 1; k >= 0 && band.y - bands[k].y <= 3; k--) {
        const shared = Math.min(band.right, bands[k].right) - Math.max(band.left, bands[k].left);
        if (shared < 0 || (!shared && band.y - bands[k].y === 3) || band.line === bands[k].line) continue;
        const [other, own] = [bands[k].line, band.line];
        for (const one of bands.slice(0, i + 1)) if (one.line === own) one.line = other;
      }
    });
    return lines;
  }

  /** From where to where the longest line in a row of cells reaches; null: it is too short or too broken. */
  function longest(line) {
    const w = line.length;
    const gap = Math.max(1, rint(GAP * w));
    let [best, own, last] = [null, null, -Infinity];
    for (let x = 0; x < w; x++) {
      if (!line[x]) continue;
      if (x - last > gap) own = { left: x, right: x, inked: 0 };
      own.inked++;
      own.right = x + 1;
      if (!best || own.inked > best.inked) best = own;
      last = x;
    }
    if (!best || best.right - best.left < LONG * w) return null;
    const length = best.right - best.left;
    let shown = 0;
    for (let x = best.left; x < best.right; x++) shown += line[x] >> 1;
    return best.inked / length >= WHOLE && shown / length >= VISIBLE_SHARE ? [best.left, best.right] : null;
  }

  /** The pixels of level lines, without those of darker strokes that cross them. */
  function pale(contrast, floor, full) {
    const { h, w } = contrast;
    const least = f32(floor);
    const ink = inkOf(H.above(contrast, least), Math.max(PALE_PX, rint(PALE_THICK * Math.max(h, w))));
    const found = grid(h, w, Uint8Array);
    let any = false;
    const value = new Float32Array(ink.y.length);
    for (let i = 0; i < value.length; i++) value[i] = contrast.a[ink.y[i] * w + ink.x[i]];
    for (const { row, bands } of linesOf(ink, h, w, LONG)) {
      const members = Array.from({ length: numbered(bands) }, () => []);
      const at = bandsAt(bands, h);
      for (let i = 0; i < row.length; i++) {
        const band = at[row[i]] && over(at[row[i]], ink.x[i]);
        if (band) members[band.line].push(i);
      }
      for (const here of members.filter((list) => list.length)) {
        const peak = new Float64Array(w);
        for (const i of here) if (value[i] > peak[ink.x[i]]) peak[ink.x[i]] = value[i];
        const ofLine = percentile(peak.filter((v) => v > 0), OF_LINE);
        if (!(ofLine < PALE * full)) continue;
        const darkest = f32(INK * ofLine);
        for (const i of here) {
          if (!(value[i] < darkest)) continue;
          found.a[ink.y[i] * w + ink.x[i]] = 1;
          any = true;
        }
      }
    }
    if (!any) return null;
    const ofLines = grid(h, w);
    for (let i = 0; i < found.a.length; i++) if (found.a[i]) ofLines.a[i] = contrast.a[i];
    const beside = maximum(ofLines, 3, 1);
    const near = maximum(found, 3, 1);
    for (let i = 0; i < found.a.length; i++) if (near.a[i] && contrast.a[i] <= beside.a[i]) found.a[i] = 1;
    const stroke = f32(INK * median(taken(contrast, found)));
    return without(found, maximum(without(H.above(contrast, stroke), found), 2 * REACH_PX + 1, 1));
  }

  /** The pixels of thin lines from the left to the right side of the picture, of any slope in `SLOPES`; null: there are
   *  none. */
  function rows(mask) {
    const { h, w } = mask;
    const ink = inkOf(mask, Math.max(1, rint(LINE_THICK_SHARE * Math.min(h, w))));
    const ofLine = new Uint8Array(ink.runs);
    for (const { row, bands } of linesOf(ink, h, w)) {
      const at = bandsAt(bands, h);
      for (let i = 0; i < row.length; i++) {
        if (ink.isThin[i] && at[row[i]] && over(at[row[i]], ink.x[i])) ofLine[ink.run[i]] = 1;
      }
    }
    if (!ofLine.includes(1)) return null;
    const found = grid(h, w, Uint8Array);
    for (let i = 0; i < ink.y.length; i++) if (ofLine[ink.run[i]]) found.a[ink.y[i] * w + ink.x[i]] = 1;
    const wide = maximum(found, 3);
    let [bands, inBand] = [0, false];
    for (let y = 0; y < h; y++) {
      const here = wide.a.subarray(y * w, (y + 1) * w).includes(1);
      if (here && !inBand) bands++;
      inBand = here;
    }
    if (bands > 1) return found;
    const columns = [];
    for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++) if (mask.a[i] && !found.a[i]) columns.push(x);
    const rest = new Float64Array(columns);
    const span = rest.length ? percentile(rest, 98) - percentile(rest, 2) : w;
    return span < 0.8 * w ? found : null;
  }

  Object.assign(H, { withoutPaleLines, withoutLines });
})(self.HWR);
