"use strict";
// From the marks on a page to its characters and its lines of writing. A port of pictures/characters.py.
(function (H) {
  const { HUG_SHARE, argmax, f32, grid, ink, isPageEdge, masked, maximum, mean, median, normalise, rint, sorted, sum } = H;

  const FINE = 4;
  const ALIKE = 0.7;
  const SEVERAL = 3;
  const [MOST, SPECK] = [0.85, 0.1];
  const MARKS = 2000;
  const SMALLEST_PX = 160;
  const AT_OUTLINE = 2.2;
  const MANY = 12;
  const STRIP = 0.3;
  const [TALLEST, WIDEST] = [4, 6];
  const WHOLE = 0.45;
  const NEAR = 0.18;
  const PART = 0.02;
  const [ABOVE, BETWEEN, TOGETHER] = [0.5, 0.15, 1.5];
  const FAINTEST = 0.12;
  const TALL = 0.7;
  const PALEST = 0.4;
  const ON_LINE = 0.7;
  const SLANTS = [-0.4, -0.2, 0, 0.2, 0.4];
  const [CUTS, PAIR, MOST_CUTS] = [6, 1.6, 12];
  const MARGIN = 0.12;
  const LEANING = 0.1;

  const height = (c) => c.bottom - c.top;
  const width = (c) => c.right - c.left;
  const length = (c) => Math.max(height(c), width(c));

  /** Joins the marks of a page to characters, and drops edges, frames, specks and points: {characters, dropped}. */
  function find(page) {
    const heaviest = sorted(page.marks, (m) => -m.mass);
    const [considered, rest] = [heaviest.slice(0, MARKS), heaviest.slice(MARKS)];
    const inner = withoutEdges(considered, page.grey);
    if (!inner.length) return { characters: [], dropped: {} };
    const typical = typicalHeight(inner);
    const fitting = inner.filter((m) => height(m) < TALLEST * typical && width(m) < WIDEST * typical);
    let joined = join(fitting, typical);
    const least = joined.length ? FAINTEST * median(joined.map((c) => c.mass)) : 0;
    joined = joined.filter((c) => c.mass > least || height(c) > TALL * typical);
    const contrasts = joined.map((c) => contrastOf(page, c));
    const palest = contrasts.length ? PALEST * median(contrasts) : 0;
    const kept = joined.filter((_, i) => contrasts[i] > palest);
    const large = (list) => list.filter((m) => height(m) >= WHOLE * typical).length;
    const counts = {
      "at the outline": large(considered) - large(inner),
      "too large": large(inner) - large(fitting),
      "too pale": large(joined) - large(kept),
      [`beyond ${MARKS} marks`]: large(rest),
    };
    return { characters: kept, dropped: Object.fromEntries(Object.entries(counts).filter(([, n]) => n)) };
  }

  /** The marks that are whole characters, with the parts that lie close to them. */
  function join(found, typical) {
    const alone = ({ top, left, bottom, right, label, mass }) => ({ top, left, bottom, right, labels: [label], mass });
    const whole = found.filter((m) => height(m) >= WHOLE * typical).map(alone);
    if (!whole.length) return [];
    for (const part of found.filter((m) => height(m) < WHOLE * typical).map(alone)) {
      const apart = whole.map((c) =>
        Math.max(c.top - part.bottom, c.left - part.right, part.top - c.bottom, part.left - c.right, 0));
      const near = apart.indexOf(Math.min(...apart));
      if (apart[near] < NEAR * typical && part.mass > PART * whole[near].mass) whole[near] = joinedOf(whole[near], part);
    }
    return stacked(whole, typical);
  }

  const joinedOf = (one, other) => ({
    top: Math.min(one.top, other.top), left: Math.min(one.left, other.left),
    bottom: Math.max(one.bottom, other.bottom), right: Math.max(one.right, other.right),
    labels: [...one.labels, ...other.labels], mass: one.mass + other.mass,
  });

  /** Joins pieces of a character that lie above each other. */
  function stacked(found, typical) {
    const joined = sorted(found, (c) => -c.mass);
    const gone = new Set();
    for (let i = 0; i < joined.length; i++) {
      while (!gone.has(i)) {
        const one = joined[i];
        const other = joined.findIndex((c, k) => {
          if (k <= i || gone.has(k)) return false;
          const overlap = Math.min(c.right, one.right) - Math.max(c.left, one.left);
          const gap = Math.max(c.top, one.top) - Math.min(c.bottom, one.bottom);
          const both = Math.max(c.bottom, one.bottom) - Math.min(c.top, one.top);
          return overlap > ABOVE * Math.min(width(c), width(one)) && gap < BETWEEN * typical && both < TOGETHER * typical;
        });
        if (other < 0) break;
        joined[i] = joinedOf(one, joined[other]);
        gone.add(other);
      }
    }
    return joined.filter((_, i) => !gone.has(i));
  }

  /** Groups characters into lines from top to bottom, each from left to right. */
  function lines(found) {
    if (!found.length) return [];
    const typical = median(found.map(height));
    const middle = (c) => (c.top + c.bottom) / 2;
    const rows = [];
    for (const character of sorted(found, (c) => c.left)) {
      const apart = rows.map((row) => Math.abs(mean(row.slice(-3).map(middle)) - middle(character)));
      const least = Math.min(...apart);
      if (least < ON_LINE * typical) rows[apart.indexOf(least)].push(character);
      else rows.push([character]);
    }
    return sorted(rows, (row) => mean(row.map((c) => c.top)));
  }

  /** Where the character's marks are in its box. */
  function maskOf(page, character) {
    const { top, left, bottom, right, labels } = character;
    const inside = H.part(page.labels, top, left, bottom, right);
    if (labels.length === 1) return H.labelled(inside, labels[0]);
    const own = new Set(labels);
    return masked(inside, (l) => l > 0 && own.has(l));
  }

  /** The image of a character as the networks know it. `without`: the ink of its neighbours. */
  function imageOf(page, character, mask, without = null) {
    const dark = H.part(page.darkness, character.top, character.left, character.bottom, character.right);
    const soft = maximum(mask, 3);
    const faint = f32(ink.FAINT);
    const own = grid(dark.h, dark.w);
    for (let i = 0; i < own.a.length; i++) {
      if (soft.a[i] && dark.a[i] > faint && !(without && without.a[i])) own.a[i] = dark.a[i];
    }
    return normalise.toMnist(normalise.widened(own, FINE));
  }

  /** Where the characters of a mark may touch, from left to right: {column, slant, crossed}. Half are the ways that
   *  cross the least ink, the others those along which the ink reaches the least far. */
  function cuts(mask) {
    const { h, w } = mask;
    const apart = Math.max(1, rint(MARGIN * h));
    const half = Math.min(Math.max(CUTS / 2, rint(((CUTS / 2) * w) / (PAIR * h))), MOST_CUTS / 2);
    const found = [];
    for (const slant of SLANTS) {
      const shift = Int32Array.from({ length: h }, (_, y) => rint(slant * (y - h / 2)));
      for (let x = apart; x < w - apart; x++) {
        let [crossed, first, last] = [0, -1, -1];
        for (let y = 0; y < h; y++) {
          const column = x + shift[y];
          if (column < 0 || column >= w || !mask.a[y * w + column]) continue;
          crossed++;
          if (first < 0) first = y;
          last = y;
        }
        found.push({ column: x, slant, crossed, reach: first < 0 ? 0 : last + 1 - first });
      }
    }
    const leaning = (c) => LEANING * h * Math.abs(c.slant);
    const orders = [sorted(found, (c) => c.crossed + leaning(c)), sorted(found, (c) => c.reach + leaning(c))];
    const chosen = [];
    orders.forEach((order, i) => {
      const most = i ? 2 * half : half;
      for (const cut of order) {
        if (chosen.length === most) break;
        if (chosen.every((other) => Math.abs(cut.column - other.column) > apart)) chosen.push(cut);
      }
    });
    return sorted(chosen, (c) => c.column);
  }

  /** The side of a cut. */
  function rightOf(cut, h, w) {
    const made = grid(h, w, Uint8Array);
    for (let y = 0; y < h; y++) {
      const way = cut.column + rint(cut.slant * (y - h / 2));
      made.a.fill(1, y * w + Math.min(Math.max(way, 0), w), (y + 1) * w);
    }
    return made;
  }

  /** The contrast of the darker half of its ink with the paper. */
  function contrastOf(page, character) {
    const inside = H.part(page.contrast, character.top, character.left, character.bottom, character.right);
    const values = H.taken(inside, maskOf(page, character));
    const middle = median(values);
    return median(values.filter((v) => v >= middle));
  }

  /** The height of a character: the one that most marks have about, times its square, for specks outnumber digits. */
  function typicalHeight(found) {
    const [masses, heights] = [found.map((m) => m.mass), found.map(height)];
    const largest = argmax(masses);
    const low = heights.filter((v) => v < SPECK * heights[largest]).length;
    if (masses[largest] > MOST * sum(masses) && low === found.length - 1) return heights[largest];
    const alike = heights.map((own) => heights.filter((v) => v / own > ALIKE && v / own < 1 / ALIKE));
    const most = Math.max(...alike.map((list) => list.length));
    const votes = alike.map((list, i) => (list.length >= Math.min(SEVERAL, most) ? list.length * heights[i] ** 2 : 0));
    return median(alike[argmax(votes)]);
  }

  /** Drops what lies at the picture's outline and is no character. */
  function withoutEdges(found, { h, w }) {
    const longer = Math.max(h, w);
    if (longer <= SMALLEST_PX) return found;
    const inner = found.filter((m) => !m.sides && length(m) > 0.02 * longer).map(height);
    if (inner.length <= 3) return found.filter((m) => !isPageEdge(m)); // too few to compare with
    if (inner.length >= MANY) return found.filter((m) => !m.sides);
    const typical = median(inner);
    return found.filter((m) => {
      const thin = Math.min(height(m), width(m)) < STRIP * typical;
      return !(m.sides > 0 && (length(m) > AT_OUTLINE * typical || (m.edge > HUG_SHARE && thin)));
    });
  }

  H.characters = { cuts, find, height, imageOf, lines, maskOf, rightOf, width };
})(self.HWR);
