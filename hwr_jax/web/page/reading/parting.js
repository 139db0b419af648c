"use strict";
// Takes apart characters that touch: the network decides where a mark is cut, if at all. A port of inference/parting.py.
(function (H) {
  const { bounds, characters, grid, max, median, network, part, sorted, sum, without } = H;
  const { height, width } = characters;

  const NONE = "none";
  const WIDE = 0.95;
  const [SURELY_ONE, TOO_WIDE] = [0.98, 1.3];
  const UNSURE = 0.9;
  const NARROW = 0.5;
  const EACH = 0.05;
  const CROSSED = 0.5;
  const BROAD = 3;
  const [LOW, SHORT] = [0.75, 5];
  const [SHORTEST, LONGEST] = [0.4, 1.6];
  const [SLENDER, SPLIT] = [1, 1];
  const DOUBTFUL = 0.7;
  const SHIFTS = [[-1, -1], [-1, 1], [1, -1], [1, 1]];
  const ROUNDING = 1e-5;
  const MOST = 100;
  const SIDE = 28;

  /** The probability that what was read is no digit. */
  const noneOf = (one) => 1 - sum(one.prob.filter((p) => p >= 0));

  const isNone = (one) => noneOf(one) > max(one.prob);

  /** Reads each character by itself: [{character, prob, image}]. */
  function read(net, page, found) {
    const images = found.map((c) => characters.imageOf(page, c, characters.maskOf(page, c)));
    const probs = probabilities(net, images, true);
    return found.map((character, i) => ({ character, prob: probs[i], image: images[i] }));
  }

  /** The probabilities of images, with -1 for the class `none`. `again`: those of a doubtful image are the mean over it
   *  and its shifts by a pixel. */
  function probabilities(net, images, again = false) {
    return network.predict(net, images).map((first, i) => {
      let prob = first;
      if (again && max(prob) < DOUBTFUL) {
        const others = network.predict(net, SHIFTS.map(([y, x]) => shifted(images[i], y, x)));
        prob = prob.map((p, k) => (p + sum(others.map((other) => other[k]))) / (1 + SHIFTS.length));
      }
      return prob.map((p, k) => (net.classes[k] === NONE ? -1 : p));
    });
  }

  function shifted(image, dy, dx) {
    const made = new Uint8Array(image.length);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [row, column] = [y - dy, x - dx];
        if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) continue;
        made[y * SIDE + x] = image[row * SIDE + column];
      }
    }
    return made;
  }

  /** Takes apart the marks that are read better as several characters: {read, beyond}, with how many were given up. */
  function parted(net, page, before) {
    if (!before.length) return { read: [], beyond: 0 };
    const typical = median(before.map((one) => height(one.character)));
    const doubtful = [];
    before.forEach((one, i) => {
      if (mayBeSeveral(one, typical)) doubtful.push(i);
    });
    const given = new Set(sorted(doubtful, (i) => -before[i].character.mass).slice(MOST));
    const read = before.map((one, i) => (given.has(i) ? { ...one, prob: one.prob.map((p) => Math.min(p, 0)) } : one));
    const cut = doubtful.filter((i) => !given.has(i)).map((i) => partsOf(page, read[i], typical));
    if (!cut.length) return { read, beyond: given.size };
    const whole = new Set(cut.map((parts) => parts.whole));
    const chosen = read.filter((one) => !whole.has(one));
    for (const parts of cut) {
      const pieces = [...parts.found.values()];
      const probs = probabilities(net, pieces.map((one) => one.image));
      pieces.forEach((one, i) => (one.prob = probs[i]));
      chosen.push(...best(parts, typical));
    }
    const known = new Set(read);
    return {
      read: chosen.map((one) => {
        if (known.has(one) || max(one.prob) >= DOUBTFUL) return one;
        return { ...one, prob: probabilities(net, [one.image], true)[0] };
      }),
      beyond: given.size,
    };
  }

  function mayBeSeveral({ character, prob }, typical) {
    const sure = max(prob);
    if (width(character) > (sure > SURELY_ONE ? TOO_WIDE : WIDE) * height(character)) return true;
    return sure < UNSURE && width(character) > NARROW * typical;
  }

  /** A mark that may be several characters, its cuts, and each part between two of them (or an end) that may be one. */
  function partsOf(page, one, typical) {
    if (!pays(one, typical)) return { whole: one, cuts: [], found: new Map() };
    const whole = one.character;
    const mask = characters.maskOf(page, whole);
    const cuts = characters.cuts(mask);
    const right = cuts.map((cut) => characters.rightOf(cut, mask.h, mask.w).a);
    const boxes = new Map();
    for (let i = 0; i <= cuts.length; i++) {
      for (let j = i + 1; j <= cuts.length + 1; j++) {
        if (i === 0 && j === cuts.length + 1) continue;
        const own = between(mask, i ? right[i - 1] : null, j > cuts.length ? null : right[j - 1]);
        const box = bounds(own);
        if (!box || box.bottom - 1 - box.top < SHORTEST * height(whole)) continue;
        if (i > 0 && j <= cuts.length && cross(mask, right[i - 1], right[j - 1])) continue;
        if (box.right - box.left > LONGEST * height(whole)) continue;
        const character = {
          top: whole.top + box.top, left: whole.left + box.left,
          bottom: whole.top + box.bottom, right: whole.left + box.right,
          labels: [...whole.labels, -i, -j], mass: H.count(own),
        };
        boxes.set(`${i} ${j}`, { i, j, character, box, own });
      }
    }
    const found = new Map();
    for (const key of possible(one, cuts, boxes, typical)) {
      const { character, box, own } = boxes.get(key);
      const cropped = (g) => part(g, box.top, box.left, box.bottom, box.right);
      found.set(key, { character, image: characters.imageOf(page, character, cropped(own), cropped(without(mask, own))) });
    }
    return { whole: one, cuts, found };
  }

  /** The pixels of a mask on the right of one cut and on the left of another; null: of its ends. */
  function between(mask, first, second) {
    const own = grid(mask.h, mask.w, Uint8Array);
    for (let k = 0; k < own.a.length; k++) {
      if (mask.a[k] && (!first || first[k]) && !(second && second[k])) own.a[k] = 1;
    }
    return own;
  }

  /** Whether a pixel of a mask is on the left of the first cut and on the right of the second. */
  function cross(mask, first, second) {
    for (let k = 0; k < mask.a.length; k++) if (mask.a[k] && second[k] && !first[k]) return true;
    return false;
  }

  /** How well a character fits that is read with a probability. */
  function score(character, prob, typical) {
    const broad = Math.max(0, width(character) / typical - 1);
    const low = Math.max(0, LOW - height(character) / typical);
    return Math.log(Math.max(prob, 1e-6)) - EACH - BROAD * broad - SHORT * low;
  }

  /** The score that a way to part a mark has to exceed. */
  const needed = ({ character, prob }, typical) =>
    score(character, max(prob), typical) + (width(character) < SLENDER * typical ? SPLIT : 0);

  /** Whether two characters that are read with certainty, parted by a cut through no ink, are better than a mark. */
  const pays = (one, typical) => -2 * EACH > needed(one, typical) - ROUNDING;

  /** The keys of the parts that belong to a way to part a mark that could be the best, if each was read with certainty. */
  function possible(one, cuts, boxes, typical) {
    const keys = [...boxes.keys()]; // in the order of i, and of j
    const price = new Map();
    for (const [key, { i, character }] of boxes) {
      price.set(key, score(character, 1, typical) - (i ? (CROSSED * cuts[i - 1].crossed) / height(one.character) : 0));
    }
    const before = [0, ...new Array(cuts.length + 1).fill(-Infinity)]; // of the best way up to a cut
    const after = [...before].reverse(); // and from it on
    for (const key of keys) {
      const { i, j } = boxes.get(key);
      before[j] = Math.max(before[j], before[i] + price.get(key));
    }
    for (const key of [...keys].reverse()) {
      const { i, j } = boxes.get(key);
      after[i] = Math.max(after[i], price.get(key) + after[j]);
    }
    const least = needed(one, typical) - ROUNDING;
    return keys.filter((key) => before[boxes.get(key).i] + price.get(key) + after[boxes.get(key).j] > least);
  }

  /** The most probable way to part a mark; the mark itself, if that is more probable. */
  function best({ whole, cuts, found }, typical) {
    const ways = [{ value: 0, pieces: [] }, ...new Array(cuts.length + 1).fill(null)];
    for (let j = 1; j < ways.length; j++) {
      for (let i = 0; i < j; i++) {
        const [before, piece] = [ways[i], found.get(`${i} ${j}`)];
        if (!before || !piece) continue;
        let value = before.value + score(piece.character, max(piece.prob), typical);
        if (i > 0) value -= (CROSSED * cuts[i - 1].crossed) / height(whole.character);
        if (!ways[j] || value > ways[j].value) ways[j] = { value, pieces: [...before.pieces, piece] };
      }
    }
    const last = ways[ways.length - 1];
    return !last || last.value <= needed(whole, typical) ? [whole] : last.pieces;
  }

  H.parting = { MOST, isNone, noneOf, parted, probabilities, read };
})(self.HWR);
