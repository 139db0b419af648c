"""Builds the documentation site strictly into build/site, and checks what it became.

    python scripts/check_site.py

A warning of the builder, a docstring that griffe cannot read, a link or an anchor that leads nowhere, a picture that is
none, a picture, font, style or script that is loaded from elsewhere, Markdown that was not understood, a doctest that
became a quotation, and a module without documentation are errors: one line each, and exit code 1.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
LIMIT_S = 300
BUILD = (sys.executable, "-m", "zensical", "build", "--clean", "--strict")
LOADED = {(tag, name) for tag in ("script", "img", "source", "iframe") for name in ("src", "srcset")}
LINK_LOADS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
PNG = b"\x89PNG"
ELSEWHERE = re.compile(r"(?:[a-z]+:)?//")
NOT_UNDERSTOOD = re.compile(r"^\s*(?:[-*] |\d+\. |\||#{1,6} |```|>>> )", re.MULTILINE)


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at; and its paragraphs."""

    def __init__(self, path: Path) -> None:
        """Reads the page."""
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.paragraphs: list[str] = []
        self.quotations = 0
        self.open: list[str] = []  # paragraphs, and code in them
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what the tag names."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and LINK_LOADS & set(given.get("rel", "").split()):
            self.loads.append(given["href"])
        self.loads += [given[name].split()[0] for name in given if (tag, name) in LOADED and given[name].split()]
        self.quotations += tag == "blockquote"
        if tag == "p":
            self.open, self.paragraphs = ["p"], [*self.paragraphs, ""]
        elif tag == "code" and self.open:
            self.open.append("code")

    def handle_endtag(self, tag: str) -> None:
        """Ends a paragraph, or code in it."""
        if tag == "p":
            self.open = []
        elif tag == "code" and "code" in self.open:
            self.open.remove("code")

    def handle_data(self, data: str) -> None:
        """Adds to the paragraph."""
        if self.open == ["p"]:
            self.paragraphs[-1] += data


def shown(root: Path) -> dict[Path, tuple[int, int]]:
    """Returns the files in `root` that the site is made of, each with its bytes and the nanosecond of its last change:
    zensical.toml and all that it allows."""
    allowed = re.findall(r"^!/(\w[^/\n]*)", (root / "zensical.toml").read_text(), re.MULTILINE)
    places = [root / name for name in ("zensical.toml", *allowed)]
    found = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    files = [file for file in found if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(root): ((at := file.stat()).st_size, at.st_mtime_ns) for file in files}


def follow(root: Path, copy: Path, has: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
    """Makes a copy of what the site shows, which `has` these files of `root`, equal to it; returns what it has then."""
    wanted = shown(root)
    for file in has.keys() - wanted.keys():
        (copy / file).unlink(missing_ok=True)
    for file in (file for file in wanted if wanted[file] != has.get(file)):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / file, copy / file)
    return wanted


def build() -> list[str]:
    """Builds the site in a copy of what it shows, and returns the builder's complaints.

    In a root with an environment (.venv) zensical 0.0.73 never ends.
    """
    with tempfile.TemporaryDirectory() as copy:
        follow(ROOT, Path(copy), {})
        try:
            done = subprocess.run(BUILD, cwd=copy, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return [f"the builder did not end within {LIMIT_S} s"]
        built = Path(copy, SITE.relative_to(ROOT))
        if built.is_dir():
            shutil.rmtree(SITE, ignore_errors=True)
            shutil.copytree(built, SITE)
    said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if re.search("griffe:|Warning|Error", line)]
    return said or ([f"the builder ended with exit code {done.returncode}: {done.stderr}"] if done.returncode else [])


def problems() -> Iterator[str]:
    """Yields what is wrong with the pages in SITE."""
    pages = {path: Page(path) for path in sorted(SITE.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(SITE).as_posix()
        for address in page.loads:
            if ELSEWHERE.match(address):
                yield f"{name} loads {address}, from elsewhere"
            elif not address.startswith("data:"):
                found = target(path, address)
                if found is None:
                    yield f"{name} loads {address}, which is not there"
                elif found.suffix == ".png" and not found.read_bytes().startswith(PNG):
                    yield f"{name} loads {address}, which is no picture"
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            found = target(path, parts.path)
            if found is None:
                yield f"{name} links to {address}, which is not there"
            elif parts.fragment and found in pages and unquote(parts.fragment) not in pages[found].anchors:
                yield f"{name} links to {address}, where there is no such anchor"
        if page.quotations and "reference" in path.parts:
            yield f"{name} has a quotation: a doctest that was not understood"
        for text in page.paragraphs:
            if found := NOT_UNDERSTOOD.search(text):
                yield f"{name} shows Markdown as it is: {text[found.start() :].strip()[:60]!r}"
    for style in sorted(SITE.rglob("*.css")):
        for address in re.findall(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')]+)", style.read_text()):
            yield f"{style.relative_to(SITE)} loads {address}, from elsewhere"
    reference = set().union(*(page.anchors for path, page in pages.items() if "reference" in path.parts))
    for source in sorted((ROOT / "hwr_jax").rglob("*.py")):
        module = ".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if len(source.relative_to(ROOT).parts) > 2 and module not in reference:
            yield f"docs/reference/ has nothing about {module}"


def target(page: Path, address: str) -> Path | None:
    """Returns the file of SITE that an address in a page leads to; None if there is none."""
    if not address:
        return page
    path = (SITE / address.lstrip("/") if address.startswith("/") else page.parent / unquote(address)).resolve()
    path = path / "index.html" if path.is_dir() else path
    return path if path.is_file() and path.is_relative_to(SITE) else None


def main() -> int:
    """Builds and checks; returns the exit code."""
    found = build() or list(problems())
    print("\n".join(found) if found else f"no problem in {len(list(SITE.rglob('*.html')))} pages of {SITE}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
