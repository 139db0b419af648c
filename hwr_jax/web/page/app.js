"use strict";
// The page: what happens when something is written, dropped, pasted, chosen, corrected.
(function (H) {
  const $ = (id) => document.getElementById(id);
  const { result } = H;
  const PAUSE = 200; // milliseconds
  const SOON = 500; // milliseconds in which most is read
  const EMPTY = "Write a digit, or add a picture.";

  let read = null; // the reader, once it has started
  let found = null; // what was read last
  let chosen = 0;
  let memory = null; // the corrections
  let [busy, again, settled] = [false, false, false];
  let [next, timer] = [0, 0];
  let opening = 0; // counts the pictures: the newest is shown, whichever is decoded first
  let refused = ""; // why the newest is not shown

  const sheet = H.drawing.made($("paper"), { changed: written, picked });
  const mode = () => document.querySelector("input[name=mode]:checked").value;

  function written(isSettled) {
    if (memory) memory.turn();
    changed(isSettled);
  }

  function changed(isSettled) {
    const isEmpty = sheet.isEmpty();
    $("hint").hidden = !isEmpty;
    $("undo").disabled = $("clear").disabled = isEmpty;
    if (isEmpty) $("source").textContent = "";
    refused = "";
    result.say(""); // until it has been read
    if (settled && !isSettled) next = performance.now() + PAUSE; // the dot with which a stroke begins is not read
    settled = isSettled;
    again = true;
    look();
  }

  /** Reads what is on the sheet; what changes meanwhile is read next, while the pen moves not more often than `PAUSE`. */
  async function look() {
    if (busy || !read || !again) return;
    const rest = settled ? 0 : next - performance.now();
    if (rest > 0) {
      clearTimeout(timer);
      timer = setTimeout(look, rest);
      return;
    }
    next = performance.now() + PAUSE;
    [busy, again] = [true, false];
    const last = settled;
    const slow = last && setTimeout(() => wait("Reading …", refused), SOON);
    try {
      const grey = sheet.grey();
      if (grey === null) {
        wait(EMPTY);
      } else {
        const now = await read(grey, mode());
        if (!again || !last) show(now, last && !again);
      }
    } catch (error) {
      if (!again) problem(`This could not be read: ${error.message}`);
    }
    clearTimeout(slow);
    busy = false;
    look();
  }

  function show(now, say) {
    if (sheet.isEmpty()) return;
    found = now;
    const list = result.all(found);
    const doubtful = list.findIndex((d) => d.line >= 0 && d.confidence < 0.9);
    choose(doubtful < 0 ? 0 : doubtful);
    if (say) result.say(refused || result.sentence(found));
  }

  function choose(i) {
    const list = result.all(found);
    chosen = Math.min(Math.max(i, 0), Math.max(list.length - 1, 0));
    result.show(found, chosen);
    const isWhole = list.length === 1 && list[0].box[0] === 0 && list[0].box[1] === 0;
    sheet.mark(isWhole || !settled ? [] : list.map((d, k) => ({ box: d.box, chosen: k === chosen, isNone: d.line < 0 })));
    labels();
  }

  function picked(x, y) {
    if (!found) return;
    const inside = ({ box: [left, top, w, h] }) => x >= left && x <= left + w && y >= top && y <= top + h;
    const at = result.all(found).findIndex(inside);
    if (at >= 0) choose(at);
  }

  /** Shows a text in place of a reading, and says why. */
  function wait(text, why = "") {
    found = null;
    result.wait(text);
    result.say(why);
  }

  const problem = (why) => wait("Not read", why);

  async function open(file, how, others = "") {
    const mine = ++opening;
    try {
      const opened = await H.picture.opened(file);
      if (mine !== opening) {
        opened.bitmap.close();
        return;
      }
      sheet.show(opened);
      $("source").textContent = `${file.name || how}, ${opened.grey.w} x ${opened.grey.h} pixels${others}`;
    } catch (error) {
      if (mine === opening) problem(refused = error.message);
    }
  }

  $("undo").addEventListener("click", sheet.undo);
  $("clear").addEventListener("click", sheet.clear);
  $("before").addEventListener("click", () => choose(chosen - 1));
  $("after").addEventListener("click", () => choose(chosen + 1));
  for (const input of document.querySelectorAll("input[name=mode]")) input.addEventListener("change", () => changed(true));
  for (const id of ["choose", "photograph"]) {
    $(id).addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (file) await open(file, "photograph");
      event.target.value = ""; // the same file can be chosen again
    });
  }
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    open(file, "pasted picture");
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    $("sheet").classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("sheet").classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("sheet").classList.remove("dropping");
    const files = [...event.dataTransfer.files];
    const others = files.length > 1 ? `; ${files.length - 1} more dropped and not read` : "";
    if (files.length) open(files[0], "dropped picture", others);
  });

  let writing = Promise.resolve(); // changes of the memory, one after the other
  const keys = Array.from({ length: 10 }, (_, label) => {
    const key = document.createElement("button");
    [key.type, key.textContent] = ["button", label];
    key.setAttribute("aria-label", `It is ${label}`);
    key.addEventListener("click", () => teach(String(label)));
    $("labels").append(key);
    return key;
  });

  /** The chosen digit, and whether it is the only one. */
  function digitChosen() {
    const list = result.all(found);
    const digit = list[chosen];
    const isAlone = list.length === 1 || (digit && digit.line >= 0 && found.digits.length === 1);
    return digit && { image: digit.image, box: digit.box, isAlone };
  }

  function labels() {
    const digit = digitChosen();
    const said = digit && memory.of(digit)?.label;
    keys.forEach((key, label) => key.setAttribute("aria-pressed", String(said === String(label))));
  }

  /** Changes the memory after what is being written to it; a failure is said. */
  function change(how) {
    writing = writing.then(how).then(remember).catch((error) => {
      result.say(`The corrections could not be changed: ${error.message}`);
    });
  }

  function teach(label) {
    const digit = digitChosen();
    change(() => memory.say(digit, label));
  }

  function remember() {
    $("lessons").hidden = !memory.lessons.length;
    $("kept").textContent = H.teaching.summary(memory);
    if (found) labels();
  }

  $("forget").addEventListener("click", () => change(() => memory.forget()));
  $("download").addEventListener("click", async () => {
    const link = document.createElement("a");
    try {
      link.href = URL.createObjectURL(await H.teaching.archive(memory.lessons));
    } catch (error) {
      result.say(`The download could not be made: ${error.message}`);
      return;
    }
    link.download = "digits.zip";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });

  async function start() {
    result.wait("Loading the network …");
    memory = await H.teaching.kept();
    memory.others.onmessage = () => change(memory.load);
    remember();
    try {
      read = await H.reader.started();
    } catch (error) {
      problem(`The page is incomplete: ${error.message}.`);
      return;
    }
    document.documentElement.dataset.ready = "yes";
    result.wait(EMPTY);
    changed(true);
    result.say(memory.problem);
    if ("serviceWorker" in navigator && location.protocol !== "file:") {
      navigator.serviceWorker.register("sw.js", { updateViaCache: "none" }).catch(() => {}); // without it, only online
    }
  }

  start();
})(self.HWR);
