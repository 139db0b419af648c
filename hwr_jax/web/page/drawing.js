"use strict";
// The sheet: strokes of mouse, finger, pen or keyboard, or a picture; and boxes around what was read.
(function (H) {
  const WIDTH = 512; // of the sheet that is read, in its own pixels
  const PEN = 10;
  const STEP = 8; // of an arrow key
  const LEAVE = 1600; // the longer side of a shown picture, at most

  /** A sheet on a canvas. `changed(settled)` is called when what is on it changes; settled: a stroke has ended. */
  function made(canvas, { changed, picked }) {
    const pen = canvas.getContext("2d");
    let strokes = [];
    let picture = null; // {grey, bitmap}
    let boxes = []; // {box, chosen, isNone}
    let cursor = null; // {x, y, down} of the keyboard's pen
    let moving = null; // the pointer that draws

    const colour = (name) => getComputedStyle(canvas).getPropertyValue(name).trim();
    const isEmpty = () => !picture && !strokes.length;

    /** Makes the sheet as high as its place, unless something is on it. */
    function fit() {
      if (!isEmpty()) return;
      const { width, height } = canvas.getBoundingClientRect();
      [canvas.width, canvas.height] = [WIDTH, Math.round((WIDTH * height) / Math.max(width, 1)) || WIDTH];
      paint();
    }

    /** Where an event is, in the sheet's pixels: the canvas is fitted into its place. */
    function at(event) {
      const place = canvas.getBoundingClientRect();
      const scale = Math.min(place.width / canvas.width, place.height / canvas.height);
      return {
        x: (event.clientX - place.left - (place.width - scale * canvas.width) / 2) / scale,
        y: (event.clientY - place.top - (place.height - scale * canvas.height) / 2) / scale,
      };
    }

    function line(on, stroke) {
      on.beginPath();
      on.moveTo(stroke[0].x, stroke[0].y);
      for (let i = 1; i < stroke.length - 1; i++) { // smooth through the middles
        const [p, q] = [stroke[i], stroke[i + 1]];
        on.quadraticCurveTo(p.x, p.y, (p.x + q.x) / 2, (p.y + q.y) / 2);
      }
      const last = stroke[stroke.length - 1];
      on.lineTo(last.x + (stroke.length === 1 ? 0.01 : 0), last.y); // a dot
      on.stroke();
    }

    function drawn(on, ink) {
      Object.assign(on, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: ink });
      for (const stroke of strokes) line(on, stroke);
    }

    /** Where the boxes are drawn: in pixels of what is read. */
    const scale = () => (picture ? canvas.width / picture.grey.w : 1);

    let isDue = false;

    /** Paints before the next frame, once for all that has changed. */
    function paint() {
      if (!isDue) requestAnimationFrame(painted);
      isDue = true;
    }

    function painted() {
      isDue = false;
      pen.clearRect(0, 0, canvas.width, canvas.height);
      if (picture) pen.drawImage(picture.bitmap, 0, 0, canvas.width, canvas.height);
      else drawn(pen, colour("--ink"));
      const shown = canvas.getBoundingClientRect();
      const thin = Math.max(canvas.width / Math.max(shown.width, 1), canvas.height / Math.max(shown.height, 1));
      const by = scale();
      for (const { box: [x, y, w, h], chosen, isNone } of boxes) {
        const away = picture ? 3 * thin : PEN / 2 + 4;
        pen.setLineDash(isNone ? [5 * thin, 4 * thin] : []);
        Object.assign(pen, { lineWidth: (chosen ? 2.5 : 1.25) * thin, strokeStyle: picture ? "#2f6bff" : colour("--accent") });
        pen.globalAlpha = chosen ? 1 : 0.55;
        pen.strokeRect(x * by - away, y * by - away, w * by + 2 * away, h * by + 2 * away);
      }
      pen.setLineDash([]);
      pen.globalAlpha = 1;
      if (cursor) {
        pen.beginPath();
        pen.arc(cursor.x, cursor.y, PEN / 2 + 5, 0, 7);
        Object.assign(pen, { lineWidth: cursor.down ? 4 : 2, strokeStyle: colour("--accent") });
        pen.stroke();
      }
    }

    /** The grey values to read; null: nothing is there. */
    function grey() {
      if (picture) return picture.grey;
      if (!strokes.length) return null;
      const page = document.createElement("canvas");
      [page.width, page.height] = [canvas.width, canvas.height];
      drawn(page.getContext("2d", { willReadFrequently: true }), "#000");
      return H.picture.greyOf(page, "#fff");
    }

    /** Lifts the pen in the middle of a stroke, whoever holds it. */
    function lift() {
      moving = null;
      if (cursor) cursor.down = false;
    }

    function clear() {
      lift();
      if (picture) picture.bitmap.close();
      [strokes, picture, boxes] = [[], null, []];
      canvas.parentElement.classList.remove("picture");
      fit();
      changed(true);
    }

    function show(opened) {
      clear();
      picture = opened;
      const { width, height } = opened.bitmap;
      const by = Math.min(1, LEAVE / Math.max(width, height));
      [canvas.width, canvas.height] = [Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))];
      canvas.parentElement.classList.add("picture");
      cursor = null;
      paint();
      changed(true);
    }

    function undo() {
      if (picture) return clear();
      lift();
      strokes.pop();
      boxes = [];
      if (isEmpty()) fit();
      paint();
      return changed(true);
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (moving !== null || event.button) return;
      if (picture) {
        const { x, y } = at(event);
        picked(x / scale(), y / scale());
        return;
      }
      moving = event.pointerId;
      canvas.setPointerCapture(moving);
      cursor = null;
      boxes = [];
      strokes.push([at(event)]);
      paint();
      changed(false);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== moving) return;
      const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      strokes[strokes.length - 1].push(...(all.length ? all : [event]).map(at));
      paint();
      changed(false);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => {
        if (event.pointerId !== moving) return;
        moving = null;
        changed(true);
      });
    }

    const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
      else if (event.key === "Delete" || event.key === "Backspace") clear();
      else if (!picture && event.key === " ") event.repeat || press(); // held, it is pressed once
      else if (!picture && ARROWS[event.key]) go(ARROWS[event.key], event.shiftKey ? 4 : 1);
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("focus", () => {
      if (!picture && canvas.matches(":focus-visible")) cursor = cursor || { x: canvas.width / 2, y: canvas.height / 4, down: false };
      paint();
    });
    canvas.addEventListener("blur", () => {
      cursor = null;
      paint();
    });

    function press() {
      cursor = cursor || { x: canvas.width / 2, y: canvas.height / 4, down: false };
      cursor.down = !cursor.down;
      if (cursor.down) {
        boxes = [];
        strokes.push([{ x: cursor.x, y: cursor.y }]);
      }
      paint();
      changed(!cursor.down);
    }

    function go([across, down], times) {
      cursor = cursor || { x: canvas.width / 2, y: canvas.height / 4, down: false };
      cursor.x = Math.min(Math.max(cursor.x + across * STEP * times, 0), canvas.width);
      cursor.y = Math.min(Math.max(cursor.y + down * STEP * times, 0), canvas.height);
      if (cursor.down) strokes[strokes.length - 1].push({ x: cursor.x, y: cursor.y });
      paint();
      if (cursor.down) changed(false);
    }

    addEventListener("resize", fit);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    fit();
    return {
      clear, grey, isEmpty, paint, show, undo,
      mark(list) {
        boxes = list;
        paint();
      },
    };
  }

  H.drawing = { made };
})(self.HWR);
