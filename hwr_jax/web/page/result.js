"use strict";
// What was read, in words and numbers: the text, each digit with its probabilities, what was left out and why.
(function (H) {
  const $ = (id) => document.getElementById(id);

  /** With one decimal; never rounded to all or nothing. The space does not break. */
  function percent(p) {
    if (p < 0.001) return "< 0.1\u00a0%";
    return p > 0.999 ? "> 99.9\u00a0%" : `${(100 * p).toFixed(1)}\u00a0%`;
  }

  /** The digits and what was looked at beside them, in the order in which they can be chosen. */
  const all = (found) => [...found.digits, ...found.others];

  function sentence(found) {
    if (!found.digits.length) return found.others.length ? "No digit was read." : "Nothing was found to read.";
    const least = found.digits.reduce((worst, d) => (d.confidence < worst.confidence ? d : worst));
    if (found.digits.length === 1) {
      const [digit] = found.digits;
      return digit.isNone ? `Probably not a digit (${percent(digit.none)}).` : `Read with ${percent(digit.confidence)} confidence.`;
    }
    const on = found.lines.length > 1 ? ` on ${found.lines.length} lines` : "";
    return `${found.digits.length} digits${on}; the least sure is a ${least.label}, with ${percent(least.confidence)}.`;
  }

  function remarks(found) {
    const left = Object.entries(found.skipped).map(([why, count]) => `${count} ${why}`);
    return [...found.notes.map((note) => note[0].toUpperCase() + note.slice(1) + "."),
      ...(left.length ? [`Not read: ${left.join(", ")}.`] : [])];
  }

  /** The text that a single mark shows, which may be no digit. */
  function headline(found) {
    const isNone = found.digits.length === 1 ? found.digits[0].isNone : !found.digits.length && found.others.length > 0;
    return isNone ? { text: "Not a digit", kind: "none" } : { text: found.text, kind: size(found) };
  }

  function size(found) {
    if (found.digits.length === 1) return "alone";
    return found.lines.length > 3 || found.lines.some((line) => line.text.length > 14) ? "long" : "";
  }

  function show(found, chosen) {
    const { text, kind } = headline(found);
    $("text").textContent = text;
    $("text").className = `text ${kind}`;
    $("remarks").replaceChildren(...remarks(found).map((remark) => {
      const item = document.createElement("li");
      item.textContent = remark;
      return item;
    }));
    const digit = all(found)[chosen];
    $("one").hidden = !digit;
    if (digit) look(found, digit, chosen);
  }

  function look(found, digit, chosen) {
    const count = all(found).length;
    const kind = digit.line < 0 ? "Mark, not read" : "Digit";
    $("which").textContent = count > 1 ? `${kind}, ${chosen + 1} of ${count}` : kind;
    $("before").hidden = $("after").hidden = count < 2;
    const pixels = new ImageData(28, 28);
    digit.image.forEach((v, i) => pixels.data.set([v, v, v, 255], 4 * i));
    $("seen").getContext("2d").putImageData(pixels, 0, 0);
    const rows = [...digit.probabilities, { label: "not a digit", confidence: Math.max(0, digit.none) }];
    const best = rows.reduce((a, b) => (b.confidence > a.confidence ? b : a));
    rows.forEach((row, i) => bar(i, row, row === best));
  }

  function bar(i, { label, confidence }, isBest) {
    const table = $("bars");
    if (!table.rows[i]) {
      const row = table.insertRow();
      const name = document.createElement("th");
      name.scope = "row";
      row.append(name);
      row.insertCell().append(document.createElement("i"));
      row.insertCell();
    }
    const row = table.rows[i];
    row.className = isBest ? "best" : "";
    row.cells[0].textContent = label;
    row.cells[1].firstChild.style.width = `${100 * confidence}%`;
    row.cells[2].textContent = percent(confidence);
  }

  /** The sheet is empty, or the reader is not ready yet. */
  function wait(text) {
    $("text").textContent = text;
    $("text").className = "text none waiting";
    $("remarks").replaceChildren();
    $("one").hidden = true;
  }

  /** Says it aloud too: once what is on the sheet has settled, not at each stroke. */
  const say = (text) => {
    $("said").textContent = text;
  };

  H.result = { all, say, sentence, show, wait };
})(self.HWR);
