"use strict";
// Marks, the connected components of ink: which of them form the digit, and how many characters and lines they are.
// A port of pictures/marks.py and pictures/several.py.
(function (H) {
  const { boxes, label, masked, maximum, median, rint, sorted, sum, withoutLines } = H;

  const SOFT_SHARE = 0.006;
  const GAP_SHARE = 0.012;
  const SPECK_SHARE = 0.04;
  const NEAR_SHARE = 0.35;
  const EDGE_SHARE = 0.06;
  const HUG_SHARE = 0.5;
  const [FRAME_SHARE, FRAME_FILL] = [0.3, 0.2];
  const SIDE_SHARE = 0.85;
  const MIN_DIGIT_SHARE = 0.015;

  const height = (m) => m.bottom - m.top;
  const width = (m) => m.right - m.left;
  const length = (m) => Math.max(height(m), width(m));

  /** Where the digit and its soft edges are, and all marks in the picture: {mask, marks}. */
  function digitMask(possible, strong, darkness) {
    const weak = withoutOutline(withoutLines(possible), strong, darkness);
    const longer = Math.max(weak.h, weak.w);
    const { labels, count } = label(widened(weak, rint(GAP_SHARE * longer)), true);
    for (let i = 0; i < labels.a.length; i++) if (!weak.a[i]) labels.a[i] = 0;
    const marks = measured(labels, count, darkness, strong);
    const keep = new Set(chosen(marks, weak).map((m) => m.label));
    const mask = masked(labels, (l) => l > 0 && keep.has(l));
    return { mask: widened(mask, Math.max(1, rint(SOFT_SHARE * longer))), marks };
  }

  /** Erases page edges and frames, unless hardly anything is left. */
  function withoutOutline(weak, strong, darkness) {
    const { labels, count } = label(weak, true);
    const marks = measured(labels, count, darkness, strong);
    const drop = marks.filter((m) => isPageEdge(m) || isFrame(m, marks, Math.max(weak.h, weak.w)));
    const mass = sum(marks.map((m) => m.mass));
    if (mass - sum(drop.map((m) => m.mass)) < MIN_DIGIT_SHARE * mass) return weak;
    const gone = new Set(drop.map((m) => m.label));
    return masked(weak, (v, i) => v && !gone.has(labels.a[i]));
  }

  const widened = (mask, byPx) => (byPx ? maximum(mask, 2 * byPx + 1) : mask);

  /** Of `most` components those that hold strong ink: label, mass (sum of darkness), box, sides (of the picture that they touch),
   *  edge (share of pixels in the strip along the outline), cover (largest share of a side of the picture). */
  function measured(labels, most, darkness, strong) {
    const { h, w, a } = labels;
    const strip = Math.max(1, rint(EDGE_SHARE * Math.min(h, w)));
    const count = most + 1;
    const zeros = () => new Float64Array(count);
    const [mass, pixels, edge, sure] = [zeros(), zeros(), zeros(), zeros()];
    const sides = [zeros(), zeros(), zeros(), zeros()];
    for (let y = 0, i = 0; y < h; y++) {
      const atEdge = y < strip || y >= h - strip;
      for (let x = 0; x < w; x++, i++) {
        const l = a[i];
        if (!l) continue;
        mass[l] += darkness.a[i];
        pixels[l]++;
        if (atEdge || x < strip || x >= w - strip) edge[l]++;
        if (strong.a[i]) sure[l]++;
      }
    }
    for (let x = 0; x < w; x++) {
      sides[0][a[x]]++;
      sides[1][a[(h - 1) * w + x]]++;
    }
    for (let y = 0; y < h; y++) {
      sides[2][a[y * w]]++;
      sides[3][a[y * w + w - 1]]++;
    }
    const found = [];
    boxes(labels, count - 1).forEach((box, i) => {
      const l = i + 1;
      if (!box || !sure[l]) return;
      const touched = (box.top === 0) + (box.left === 0) + (box.bottom === h) + (box.right === w);
      const cover = Math.max(sides[0][l] / w, sides[1][l] / w, sides[2][l] / h, sides[3][l] / h);
      found.push({ label: l, mass: mass[l], ...box, sides: touched, edge: edge[l] / Math.max(pixels[l], 1), cover });
    });
    return found;
  }

  /** The marks of the digit: the heaviest near the middle, and what lies near it and is no speck. */
  function chosen(marks, shape) {
    if (!marks.length) return [];
    const weights = marks.map((m) => m.mass * centrality(m, shape));
    const main = marks[H.argmax(weights)];
    const reach = NEAR_SHARE * length(main);
    return marks.filter((m) => m.mass >= SPECK_SHARE * main.mass && gap(m, main) <= reach);
  }

  const isPageEdge = (m) => m.sides > 0 && (m.edge > HUG_SHARE || m.cover > SIDE_SHARE);

  /** Large, thin for its size (little ink in a large box), and encloses a smaller mark with some weight. */
  function isFrame(m, marks, sizePx) {
    if (!(length(m) > FRAME_SHARE * sizePx && m.mass < FRAME_FILL * height(m) * width(m))) return false;
    return marks.some((o) =>
      m.top < o.top && m.left < o.left && o.bottom < m.bottom && o.right < m.right && o.mass > 0.1 * m.mass &&
      length(o) > 0.2 * length(m));
  }

  /** 1 in the middle of the picture, 0.3 in its corners; a mark that is cut off by the outline counts less. */
  function centrality(m, shape) {
    const down = Math.abs((m.top + m.bottom) / shape.h - 1);
    const across = Math.abs((m.left + m.right) / shape.w - 1);
    return (1 - 0.7 * Math.max(down, across)) / (1 + m.sides);
  }

  const gap = (m, o) => Math.max(m.top - o.bottom, o.top - m.bottom, m.left - o.right, o.left - m.right, 0);

  const MIN_MASS = 0.2;
  const MIN_HEIGHT = 0.5;
  const ABOVE = 0.5;
  const NEAR = 0.2;
  const [WIDE, PITCH, FILLED] = [1.7, 0.8, 0.5];
  const NEXT_LINE = 0.75;

  /** The characters in a picture, at least 1. Characters that touch count by the width of their mark. */
  const countCharacters = (marks) => Math.max(1, sum(characters(marks).map(sideBySide)));

  /** The lines of writing in a picture, at least 1. */
  function countLines(marks) {
    const found = characters(marks);
    if (!found.length) return 1;
    const typical = median(found.map(height));
    const middles = found.map((m) => (m.top + m.bottom) / 2).sort((a, b) => a - b);
    return 1 + middles.filter((middle, i) => i && middle - middles[i - 1] > NEXT_LINE * typical).length;
  }

  /** The marks as large as characters; parts above each other are one mark. */
  function characters(marks) {
    const heaviest = Math.max(0, ...marks.map((m) => m.mass));
    const joined = [];
    for (const m of sorted(marks.filter((one) => one.mass >= MIN_MASS * heaviest), (one) => -one.mass)) {
      const i = joined.findIndex((other) => areOne(m, other));
      if (i < 0) joined.push(m);
      else {
        const other = joined[i];
        joined[i] = {
          mass: other.mass + m.mass,
          top: Math.min(m.top, other.top), left: Math.min(m.left, other.left),
          bottom: Math.max(m.bottom, other.bottom), right: Math.max(m.right, other.right),
        };
      }
    }
    const tallest = Math.max(0, ...joined.map(height));
    return joined.filter((m) => height(m) >= MIN_HEIGHT * tallest);
  }

  function areOne(m, other) {
    const overlap = Math.min(m.right, other.right) - Math.max(m.left, other.left);
    const apart = Math.max(m.top, other.top) - Math.min(m.bottom, other.bottom);
    return overlap >= ABOVE * Math.min(width(m), width(other)) && apart <= NEAR * Math.max(height(m), height(other));
  }

  function sideBySide(m) {
    if (width(m) < WIDE * height(m) || m.mass > FILLED * height(m) * width(m)) return 1;
    return Math.max(2, rint(width(m) / height(m) / PITCH));
  }

  Object.assign(H, { HUG_SHARE, countCharacters, countLines, digitMask, isPageEdge, measured });
})(self.HWR);
