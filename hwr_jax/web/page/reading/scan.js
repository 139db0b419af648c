"use strict";
// Reads a page of digits: what hwr scan does, in JavaScript. A port of inference/scan.py.
(function (H) {
  const { DataError, characters, max, mean, median, normalise, page, parting, rint, sorted, sum } = H;
  const { height } = characters;

  const ALTERNATIVES = 3;
  const LETTERS = 0.5;
  const OTHER_SIZE = 2.3;
  const NO_DIGIT = 0.5;
  const SURE = 0.9;
  const [NONE_IN_LINE, BESIDE] = [0.9, 2];
  const [AS_HIGH, ONE_OF] = [0.6, 0.5];
  const MODES = ["auto", "digit", "line", "page"];
  const FEW = 2;

  /** Reads a grid of grey values, 0 = black, 255 = white: {text, lines, digits, skipped, notes, others}. Each digit has
   *  its label, confidence, alternatives, box, line, and for the eye its image, probabilities and `none`; `others` are
   *  the marks that the network has looked at and that are not read. */
  function scan(net, grey, mode = "auto") {
    if (!MODES.includes(mode)) throw new Error(`mode=${mode} is not known: use one of ${MODES.join(", ")}`);
    if (mode === "digit") return asOneDigit(net, grey);
    const done = steps(net, grey);
    const notes = notesOf(done.page);
    let rows = done.rows;
    if (mode === "line" && rows.length > 1) {
      notes.push(`${rows.length} lines were found, and are read as one from left to right`);
      rows = [sorted(rows.flat(), (one) => one.character.left)];
    }
    const lines = [];
    const digits = rows.flatMap((row, line) => {
      const own = row.map((one) => digitOf(net, one, rounded(page.boxInPicture(done.page, one.character)), line));
      lines.push(lineOf(own));
      return own;
    });
    const kept = new Set(rows.flat());
    const others = done.read.filter((one) => !kept.has(one))
      .map((one) => digitOf(net, one, rounded(page.boxInPicture(done.page, one.character)), -1));
    const found = { text: textOf(lines), lines, digits, skipped: done.skipped, notes, others };
    if (mode === "auto" && digits.length <= FEW) {
      const one = asOneDigit(net, grey);
      if (!one.notes.length && one.text !== found.text && confidenceOf(one) > Math.max(NO_DIGIT, confidenceOf(found))) {
        return { ...one, notes: ["read as a picture of one digit"] };
      }
    }
    return found;
  }

  const rounded = (box) => box.map(rint);
  const textOf = (lines) => lines.map((line) => line.text).join("\n");
  const confidenceOf = (found) => (found.lines.length ? product(found.lines.map((line) => line.confidence)) : 0);
  const product = (values) => values.reduce((all, v) => all * v, 1);
  const six = (p) => Math.round(p * 1e6) / 1e6;

  /** What each step makes of a picture: {page, read, rows, skipped}. */
  function steps(net, grey) {
    let marked;
    try {
      marked = page.findMarks(grey);
    } catch (error) {
      if (error instanceof DataError) return { page: null, read: [], rows: [], skipped: {} }; // blank
      throw error;
    }
    const found = characters.find(marked);
    const { read, beyond } = parting.parted(net, marked, parting.read(net, marked, found.characters));
    const { rows, leftOut } = rowsOfDigits(read);
    leftOut["like no digit"] -= beyond;
    leftOut[`beyond ${parting.MOST} marks to take apart`] = beyond;
    const counted = Object.fromEntries(Object.entries(leftOut).filter(([, count]) => count));
    return { page: marked, read, rows, skipped: { ...found.dropped, ...counted } };
  }

  function lineOf(own) {
    const [left, top] = [0, 1].map((i) => Math.min(...own.map((d) => d.box[i])));
    const [right, bottom] = [0, 1].map((i) => Math.max(...own.map((d) => d.box[i] + d.box[i + 2])));
    return {
      text: own.map((d) => d.label).join(""),
      confidence: six(product(own.map((d) => d.confidence))),
      box: [left, top, right - left, bottom - top],
    };
  }

  function digitOf(net, one, box, line) {
    const names = net.classes.map((_, k) => k).filter((k) => one.prob[k] >= 0);
    const ranked = sorted(names, (k) => -one.prob[k]).slice(0, 1 + ALTERNATIVES);
    const [first, ...rest] = ranked.map((k) => ({ label: net.classes[k], confidence: six(one.prob[k]) }));
    const none = parting.noneOf(one);
    return {
      ...first, alternatives: rest, box, line, none, isNone: parting.isNone(one), image: one.image,
      probabilities: names.map((k) => ({ label: net.classes[k], confidence: one.prob[k] })),
    };
  }

  /** The picture as `predict` reads it: all of it is one digit, whose box is the picture. */
  function asOneDigit(net, grey) {
    const nothing = { text: "", lines: [], digits: [], skipped: {}, notes: [], others: [] };
    let found;
    try {
      found = normalise.normalised(grey);
    } catch (error) {
      if (error instanceof DataError) return nothing; // a blank picture
      throw error;
    }
    const [prob] = parting.probabilities(net, [found.image], true);
    const one = { prob: prob.map((p) => (p < 0 ? p : p * found.trust)), image: found.image };
    const digit = digitOf(net, one, [0, 0, grey.w, grey.h], 0);
    const lines = [lineOf([digit])];
    return { ...nothing, text: textOf(lines), lines, digits: [digit], notes: found.doubts };
  }

  /** The lines of writing that are of digits, and how many characters were left out, and why. */
  function rowsOfDigits(read) {
    const of = new Map(read.map((one) => [one.character, one]));
    let noDigits = 0;
    const rows = [];
    for (const row of characters.lines(read.map((one) => one.character))) {
      const whole = row.map((c) => of.get(c));
      const own = digitsOf(whole);
      const sure = own.map((one) => max(one.prob));
      const isText = own.length < (1 - LETTERS) * whole.length;
      if (!own.length || isText || (mean(sure) < NO_DIGIT && max(sure) < SURE)) noDigits += whole.length;
      else {
        noDigits += whole.length - own.length;
        rows.push(own);
      }
    }
    const heights = (list) => median(list.map((one) => height(one.character)));
    const typical = rows.length ? heights(rows.flat()) : 0;
    const fits = (row) => heights(row) > typical / OTHER_SIZE && heights(row) < typical * OTHER_SIZE;
    const other = sum(rows.filter((row) => !fits(row)).map((row) => row.length));
    return { rows: rows.filter(fits), leftOut: { "like no digit": noDigits, "in lines of another size": other } };
  }

  /** Those of a line that are digits. What may be none is, among sure digits, more probably a badly written one. */
  function digitsOf(whole) {
    const surely = whole.filter((one) => !parting.isNone(one) && max(one.prob) > SURE);
    if (surely.length < Math.max(BESIDE, LETTERS * whole.length)) return whole.filter((one) => !parting.isNone(one));
    const least = AS_HIGH * median(surely.map((one) => height(one.character)));
    return whole.filter((one) => {
      if (!parting.isNone(one)) return true;
      const none = parting.noneOf(one);
      return none < NONE_IN_LINE && height(one.character) > least && max(one.prob) > ONE_OF * (1 - none);
    });
  }

  function notesOf(marked) {
    if (!marked || !marked.sheet) return [];
    const { box, isStraightened } = marked.sheet;
    const size = `${box.right - box.left}x${box.bottom - box.top} pixels of the picture`;
    const straightened = isStraightened ? ", straightened" : "";
    return [`only the sheet at x=${box.left}, y=${box.top} was read, ${size}${straightened}`];
  }

  H.scan = scan;
})(self.HWR);
