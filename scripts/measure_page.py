"""Measures the page: how often it reads what `hwr scan` reads, how fast, and how much it loads.

    python scripts/measure_page.py --pages=FOLDER --pages=OTHER

Each picture of the folders is decoded here and handed to the page's reader as grey values, so that the two differ in
nothing but the language. Prints every difference.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import page_browser

from hwr_jax.core.errors import DataError
from hwr_jax.inference import packaged, scan
from hwr_jax.pictures import documents, inputs
from hwr_jax.web import page_files

READ = """(task) => {
  const bytes = atob(task.grey), a = new Uint8Array(bytes.length);
  for (let i = 0; i < a.length; i++) a[i] = bytes.charCodeAt(i);
  const start = performance.now();
  const found = HWR.scan(self.net, {h: task.h, w: task.w, a}, "auto");
  return JSON.stringify({text: found.text, ms: performance.now() - start,
    confidence: found.digits.map((d) => d.confidence), skipped: found.skipped});
}"""
SPEED = """() => {
  const image = Uint8Array.from({length: 784}, (_, i) => (i * 37) % 256), images = new Array(50).fill(image);
  HWR.network.predict(self.net, images);
  const start = performance.now();
  HWR.network.predict(self.net, images);
  return (performance.now() - start) / images.length;
}"""


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, type=Path, action="append", help="folder of pictures")
    flags = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        page_browser.served(Path(folder)) as server,
        page_browser.started() as browser,
    ):
        print(_load(browser, server))
        page = browser.new_page()
        page.goto(server.url + "manifest.json")
        for name in ("files.js", *(f"reading/{one}.js" for one in page_files.READING), "model.js"):
            page.evaluate(page_files.files()[name].decode())
        page.evaluate("() => { self.net = HWR.network.loaded(HWR_MODEL); }")
        print(f"the network: {page.evaluate(SPEED):.2f} ms a digit")
        for pages in flags.pages:
            print(_compared(page, pages))


def _load(browser, server: page_browser.Server) -> str:
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(server.url)
    page.wait_for_selector(page_browser.READY)
    ready_s = time.perf_counter() - start
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    size = sum(map(len, page_files.files().values()))
    page.close()
    return f"first load: {server.sent:,} bytes sent, of {size:,} in all; ready after {ready_s:.2f} s"


def _compared(page, folder: Path) -> str:
    model, same, total, apart, ours, theirs = packaged.model(), 0, 0, 0.0, [], []
    for path in inputs.pictures_in(folder):
        try:
            grey = np.rint(documents.read_one(path)).astype(np.uint8)
        except (DataError, OSError) as error:
            print(f"left out: {error}")
            continue
        start = time.perf_counter()
        expected = scan.read_grey(model, grey)
        theirs.append(1000 * (time.perf_counter() - start))
        task = {"grey": base64.b64encode(grey.tobytes()).decode(), "h": grey.shape[0], "w": grey.shape[1]}
        found = json.loads(page.evaluate(READ, task))
        ours.append(found["ms"])
        total += 1
        if found["text"] != expected.text or found["skipped"] != expected.skipped:
            print(f"{path.name}: the page reads {found['text']!r}, leaves out {found['skipped']}; hwr scan reads "
                  f"{expected.text!r}, leaves out {expected.skipped}")  # fmt: skip
        if found["text"] == expected.text:
            same += 1
            pairs = zip(found["confidence"], (digit.confidence for digit in expected.digits), strict=True)
            apart = max([apart, *(abs(a - b) for a, b in pairs)])
    times = f"median {statistics.median(ours):.0f} ms a picture, hwr scan {statistics.median(theirs):.0f} ms"
    return f"{folder.name}: {same} of {total} read the same; confidences at most {apart:.4f} apart; {times}"


if __name__ == "__main__":
    main()
