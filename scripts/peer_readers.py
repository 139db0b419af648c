"""Reads pages with other readers, and compares them with ours on the same pictures.

    python scripts/peer_readers.py --pages=FOLDER [--peers=rapidocr,tesseract] [--out=FILE.json]

FOLDER holds pictures and their ground_truth.json (see `hwr_jax/inference/page_scores.py`). rapidocr 3.10.0 (PP-OCRv6
small, the models are in its wheel) runs in an environment of its own that uv makes; tesseract is the program of that
name. Their settings are those with which they read digits best on pages that we know: rapidocr without its classifier
of angles, which turns lines of digits upside down, and with a low threshold; tesseract with page mode 6 and digits
alone. Letters are dropped from what they read, and words of one line are joined.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hwr_jax.core.errors import DataError
from hwr_jax.inference import packaged, page_scores, scan

RAPIDOCR = ("rapidocr==3.10.0", "onnxruntime>=1.20", "opencv-python-headless")
WORKER = """
import json, sys
from rapidocr import RapidOCR
engine = RapidOCR(params={"Global.use_cls": False, "Global.text_score": 0.2})
print("ready", flush=True)
for path in sys.stdin:
    found = engine(path.rstrip("\\n"))
    boxes = [] if found.boxes is None else [box.tolist() for box in found.boxes]
    print(json.dumps([boxes, list(found.txts or ())]), flush=True)
"""
SAME_LINE = 0.5  # of the height of a word: another's middle is at most this far away


class Rapidocr:
    """A worker that reads one path a line, in an environment of its own."""

    name = "rapidocr 3.10.0 (PP-OCRv6 small)"

    def __init__(self) -> None:
        """Starts the worker. Raises OSError: uv is missing, or it cannot install the packages."""
        uv = shutil.which("uv")
        if uv is None:
            raise OSError("uv is not on the PATH: `pip install uv`")
        packages = [f"--with={package}" for package in RAPIDOCR]
        line = [uv, "run", "--no-project", "--quiet", f"--python={sys.executable}", *packages, "python", "-c", WORKER]
        self._worker = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._answer() != "ready":
            raise OSError("rapidocr does not start: see above")

    def __call__(self, path: Path) -> list[str]:
        """Returns the digits of each line."""
        assert self._worker.stdin is not None
        print(path.resolve(), file=self._worker.stdin, flush=True)
        boxes, texts = json.loads(self._answer())
        return in_lines(boxes, texts)

    def _answer(self) -> str:
        assert self._worker.stdout is not None
        for line in self._worker.stdout:
            if line.startswith(("ready", "[[")):
                return line.strip()
        raise OSError("rapidocr has ended: see above")


class Tesseract:
    """The program of that name."""

    name = "tesseract, digits, page mode 6"

    def __init__(self) -> None:
        """Finds it. Raises OSError: it is missing."""
        if shutil.which("tesseract") is None:
            raise OSError("tesseract is not on the PATH")

    def __call__(self, path: Path) -> list[str]:
        """Returns the digits of each line."""
        line = ["tesseract", str(path), "-", "--psm", "6", "-c", "tessedit_char_whitelist=0123456789"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DataError(f"{path}: tesseract: {done.stderr.strip()}")
        return [digits for row in done.stdout.splitlines() if (digits := only_digits(row))]


class Ours:
    """The model that comes with the package."""

    name = "hwr_jax"

    def __call__(self, path: Path) -> list[str]:
        """Returns the text of each line."""
        return [line.text for line in scan.scan(packaged.model(), path).lines]


PEERS = {"rapidocr": Rapidocr, "tesseract": Tesseract}


def only_digits(text: str) -> str:
    """Drops all that is no digit."""
    return "".join(c for c in text if c in "0123456789")


def in_lines(boxes: list[list[list[float]]], texts: list[str]) -> list[str]:
    """Joins words of one line by their place: boxes of four corners x, y, and the text of each."""
    words = [
        (min(x for x, _ in box), min(y for _, y in box), max(y for _, y in box), digits)
        for box, text in zip(boxes, texts, strict=True)
        if (digits := only_digits(text))
    ]
    rows: list[list[tuple[float, float, float, str]]] = []
    for word in sorted(words, key=lambda w: (w[1] + w[2]) / 2):
        last = rows[-1][-1] if rows else None
        if last and abs((word[1] + word[2]) - (last[1] + last[2])) / 2 < SAME_LINE * (last[2] - last[1]):
            rows[-1].append(word)
        else:
            rows.append([word])
    return ["".join(word[3] for word in sorted(row)) for row in rows]


def main() -> None:
    """Prints a table of the readers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    screen = Console()
    names = [name for name in args.peers.split(",") if name]
    if unknown := [name for name in names if name not in PEERS]:
        sys.exit(f"--peers: no reader {unknown[0]!r}: use {', '.join(PEERS)}")
    readers = [Ours()]
    for name in names:
        try:
            readers.append(PEERS[name]())
        except OSError as error:
            screen.print(f"{name} is left out: {error}")
    table = Table("reader", *("character error rate", "exact lines", "exact pages", "ms a page (median)"))
    found = {}
    for reader in readers:
        found[reader.name] = scores = page_scores.score_reader(reader, args.pages, log=screen.print)
        shares = [f"{100 * scores[key]:.2f} %" for key in ("cer", "exact_lines", "exact_pages")]
        table.add_row(reader.name, *shares, f"{scores['ms']:.0f}")
    screen.print(table)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
