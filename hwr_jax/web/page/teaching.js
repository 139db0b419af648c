"use strict";
// Corrections: what the network saw, and which digit it is. Kept in this browser, and downloaded as a data set that
// configs/finetune.py takes: digits/3/0001.png, white ink on black, as MNIST has it.
(function (H) {
  const STORE = "lessons";
  const ANSWERED = 2000; // milliseconds for the browser to say what it keeps

  /** What is promised, if it comes in time: a browser may never answer, as while another window holds what it keeps. */
  const inTime = (promised) =>
    Promise.race([promised, new Promise((_, reject) => {
      setTimeout(() => reject(new Error("the browser does not answer.")), ANSWERED);
    })]);

  /** Opens what this browser keeps. Throws an Error where it keeps nothing. */
  function opened() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open("hwr", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  /** The result of a request once its transaction is complete: the browser may run out of room as late as then. */
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.transaction.addEventListener("complete", () => resolve(request.result));
      request.transaction.addEventListener("abort", () => reject(request.transaction.error || request.error));
    });

  const isWithin = ([x, y, w, h], [left, top, width, height]) =>
    x + w / 2 >= left && x + w / 2 <= left + width && y + h / 2 >= top && y + h / 2 <= top + height;

  /** Whether two readings of one sheet are of the same digit: both are alone, or the middle of each is in the other's box. */
  const areOne = (a, b) => (a.isAlone && b.isAlone) || (isWithin(a.box, b.box) && isWithin(b.box, a.box));

  /**
   * The lessons {label, image, key}, one for each digit, a list that stays in the browser where that is possible; and
   * `problem`, a sentence, where what it keeps cannot be read. A digit {image, box, isAlone} is known by its image, and
   * on the same sheet by its place: each mode sees it a little differently. `others` gets a message when the page in
   * another window has changed what is kept: `load` it again then.
   */
  async function kept() {
    let base = null;
    const on = (mode) => base.transaction(STORE, mode).objectStore(STORE);
    const [lessons, others] = [[], new BroadcastChannel("hwr")];
    let problem = "";
    try {
      base = await inTime(opened());
      await load();
    } catch (error) {
      base = null;
      problem = `Corrections of earlier visits cannot be read, nor new ones kept: ${error.message}`;
    }
    let here = []; // {lesson, place}: what was looked at on this sheet

    async function load() {
      if (!base) return;
      const store = on("readonly");
      const [found, keys] = await inTime(Promise.all([done(store.getAll()), done(store.getAllKeys())]));
      const known = (key) => lessons.find((one) => one.key === key);
      lessons.splice(0, lessons.length, ...found.map((lesson, i) =>
        Object.assign(known(keys[i]) || {}, lesson, { key: keys[i] })));
    }

    /** The lesson of a digit; undefined: there is none. */
    function of(digit) {
      const same = lessons.find((one) => one.image.every((v, i) => v === digit.image[i]));
      if (same && !here.some(({ lesson }) => lesson === same)) here.push({ lesson: same, place: digit });
      return same || here.find(({ lesson, place }) => lessons.includes(lesson) && areOne(place, digit))?.lesson;
    }

    /** Keeps the label of a digit in place of the one before; the same label again takes it back. */
    async function say(digit, label) {
      const [before, image] = [of(digit), digit.image];
      if (before && before.label === label) {
        if (base) await done(on("readwrite").delete(before.key));
        lessons.splice(lessons.indexOf(before), 1);
      } else if (before) {
        if (base) await done(on("readwrite").put({ label, image }, before.key));
        Object.assign(before, { label, image });
      } else {
        const key = base ? await done(on("readwrite").add({ label, image })) : null;
        lessons.push({ label, image, key });
        of(digit);
      }
      others.postMessage("");
    }

    /** Something else is on the sheet. */
    function turn() {
      here = [];
    }

    async function forget() {
      if (base) await done(on("readwrite").clear());
      lessons.length = 0;
      others.postMessage("");
    }

    return { lessons, of, say, turn, forget, load, others, problem, stays: base !== null };
  }

  /** How many of `count` pictures training holds back for test and validation: data/folder.py with 20 for validation. */
  function heldBack(count, kinds) {
    const test = Math.floor(count / 5);
    const rest = count - test;
    if (20 <= Math.floor(rest / 2)) return test + 20;
    return test + Math.max(1, Math.floor(rest / 6), Math.min(kinds, Math.floor(rest / 4)));
  }

  /** What is kept, and what training needs more. */
  function summary({ lessons, stays }) {
    const kinds = new Set(lessons.map((one) => one.label)).size;
    const count = `${lessons.length} ${lessons.length === 1 ? "correction" : "corrections"} kept${stays ? "" : " until you close this page"}.`;
    if (lessons.length < 5 || kinds < 2) return `${count} Training needs at least 5, of at least 2 digits.`;
    let more = 0;
    while (lessons.length + more - kinds < heldBack(lessons.length + more, kinds)) more++;
    if (more) return `${count} Training needs ${more} more of these digits, as it holds back some for validation and test.`;
    return `${count} Unpack the download and train: configs/finetune.py --config.data.manual_dir=digits`;
  }

  async function png(image) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [28, 28];
    const pixels = new ImageData(28, 28);
    image.forEach((v, i) => pixels.data.set([v, v, v, 255], 4 * i));
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return new Uint8Array(await blob.arrayBuffer());
  }

  /** The data set as a zip archive. */
  async function archive(lessons) {
    const files = await Promise.all(lessons.map(async ({ label, image }, i) => ({
      name: `digits/${label}/${String(i + 1).padStart(4, "0")}.png`,
      bytes: await png(image),
    })));
    return H.zip.zipped(files);
  }

  H.teaching = { archive, kept, summary };
})(self.HWR);
