#!/usr/bin/env python3
"""Executes the chapters of the course, and writes each as a notebook and as a page with its figures.

The source of a chapter is docs/course/NN_name.py, in jupytext's percent format. From it this makes, in --out:

    NN_name.ipynb    to download: with outputs, and with each solution folded into its text
    NN_name.md       for the site, with its figures in figures/

Four conventions go beyond the format. A cell with the tag `setup`, which imports from docs/course/look.py, becomes the
text of that file. In text, {{expression}} or {{expression:format}} is replaced by its value at
that place, so that no number in a text can differ from what the code computed. Cells with the tag `setup`, `check` or
`solution` are folded on the page. `alt="..."` beside a cell is the description of its figure. Formulas become MathML on
the page, which browsers show without a script.

    python scripts/course.py --out=FOLDER               (all chapters; needs the extra `course`)
    python scripts/course.py --out=FOLDER 3 9           (two of them)
    python scripts/course.py --check                    (executes all, writes nothing)

As many chapters as there are cores are executed at once, each in a kernel of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hwr_jax.core import cores

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "docs" / "course"
LOOK = SOURCES / "look.py"  # the set-up cell of every chapter
PLACEHOLDER = re.compile(r"\{\{(.+?)(?::([^:\[\](){}\"']*))?\}\}", re.DOTALL)  # an expression, its format
FOLDED = {"setup": "Set-up", "check": "What the text claims, checked", "solution": "Solution"}
FORMULA = re.compile(r"(`[^`]*`)|\$\$(.+?)\$\$|\$([^$]+?)\$", re.DOTALL)  # code is left alone; displayed; in a line
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",  # of NumPy: for small matrices, more threads wait for each other
    "OPENBLAS_NUM_THREADS": "1",
    # the programs run for seconds, so they are compiled quickly rather than well
    "XLA_FLAGS": "--xla_cpu_parallel_codegen_split_count=1 --xla_backend_optimization_level=1",
}
CELL_S = 900  # seconds that a cell may take, on a busy machine
# The seconds of processor time of a kernel and of the processes that it started.
USED = "import os as _os\nprint(sum(_os.times()[:4]))"


class Chapter(NamedTuple):
    """A chapter that was executed."""

    name: str  # 03_softmax_regression
    notebook: Any  # nbformat, with outputs
    seconds: float
    cpu_s: float  # seconds of all cores, which other work on the machine hardly changes


def sources(numbers: list[int]) -> list[Path]:
    """Returns the chapters with these numbers, all of them without numbers, in order."""
    found = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    known = [int(path.name[:2]) for path in found]
    if unknown := sorted(set(numbers) - set(known)):
        raise SystemExit(f"there is no chapter {unknown[0]}: use numbers from {known[0]} to {known[-1]}")
    return [path for path, number in zip(found, known, strict=True) if not numbers or number in numbers]


def tag_of(cell: Any) -> str:
    """Returns the tag of a cell that decides how it is shown, or ""."""
    return next((tag for tag in cell.metadata.get("tags", []) if tag in FOLDED), "")


def read(source: Path) -> Any:
    """Returns a chapter as a notebook whose set-up cell has the text of LOOK: downloaded, it needs no other file."""
    import jupytext

    notebook = jupytext.read(source, fmt="py:percent")
    for cell in notebook.cells:
        if tag_of(cell) == "setup":
            cell.source = LOOK.read_text().strip()
    return notebook


def execute(source: Path, folder: Path) -> Chapter:
    """Executes a chapter in a kernel of its own, whose working directory is `folder`.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell failed; the message has the cell and the error.
    """
    import nbformat
    from nbclient import NotebookClient

    started = time.perf_counter()
    notebook = read(source)
    texts = {i: cell for i, cell in enumerate(notebook.cells) if PLACEHOLDER.search(cell.source)}
    texts = {i: cell for i, cell in texts.items() if cell.cell_type == "markdown"}
    running = notebook.copy()
    running.cells = [_evaluating(cell) if i in texts else cell for i, cell in enumerate(notebook.cells)]
    running.cells.append(nbformat.v4.new_code_cell(USED))
    client = NotebookClient(
        running,
        timeout=CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        extra_arguments=["--log-level=ERROR"],  # it warns that its messages, to this machine alone, are signed only
    )
    asyncio.run(client.async_execute())
    cpu_s = float(_printed(running.cells.pop()))
    for i, cell in texts.items():
        cell.source = _filled(cell.source, json.loads(_printed(running.cells[i])))
        running.cells[i] = cell
    _say_nothing_twice(running)
    return Chapter(source.stem, running, time.perf_counter() - started, cpu_s)


def _evaluating(cell: Any) -> Any:
    """A code cell that prints what the placeholders of a text stand for."""
    import nbformat

    values = ", ".join(f"format({value}, {form!r})" for value, form in PLACEHOLDER.findall(cell.source))
    return nbformat.v4.new_code_cell(f"import json as _json\nprint(_json.dumps([{values}]))")


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def _filled(text: str, values: list[str]) -> str:
    left = iter(values)
    return PLACEHOLDER.sub(lambda _: next(left), text)


def _say_nothing_twice(notebook: Any) -> None:
    """Joins what a cell printed in pieces, and drops what depends on the hour of the day."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            texts = [o for o in cell.outputs if o.output_type == "stream" and o.name == "stdout"]
            for other in texts[1:]:
                texts[0].text += other.text
            cell.outputs = [o for o in cell.outputs if o.output_type != "stream" or o in texts[:1]]


def groups(notebook: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yields (tag, cells): neighbours that are folded together, and each other cell by itself with the tag ""."""
    together: list[Any] = []
    for cell in [*notebook.cells, None]:
        tag = "" if cell is None else tag_of(cell)
        if together and (not tag or tag != tag_of(together[0])):
            yield tag_of(together[0]), together
            together = []
        if tag:
            together.append(cell)
        elif cell is not None:
            yield "", [cell]


def pictures(cell: Any) -> list[bytes]:
    """Returns the PNG files that a cell drew."""
    if cell.cell_type != "code":
        return []
    data = [output.data for output in cell.outputs if "data" in output]
    return [base64.b64decode(one["image/png"]) for one in data if "image/png" in one]


def with_mathml(text: str) -> str:
    """Returns Markdown whose formulas are MathML."""
    from latex2mathml.converter import convert

    def shown(found: re.Match[str]) -> str:
        code, displayed, inline = found.groups()
        if code is not None:
            return code
        if displayed is not None:
            return f"\n\n{convert(displayed, display='block')}\n\n"
        return f'<span class="math">{convert(" ".join(inline.split()))}</span>'  # a bare <math> would end a paragraph

    return FORMULA.sub(shown, text)


def as_markdown(cell: Any, figures: list[str]) -> str:
    """Returns a cell as Markdown: text as it is; code, then what it printed, then its figures by these addresses."""
    if cell.cell_type != "code":
        return cell.source
    parts = [f"```python\n{cell.source}\n```"]
    texts = [o.text if o.output_type == "stream" else o.data.get("text/plain", "") for o in cell.outputs if _speaks(o)]
    if words := "\n".join(text.rstrip("\n") for text in texts):
        parts.append(f"```text\n{words}\n```")
    return "\n\n".join([*parts, *(f"![{cell.metadata.get('alt', '')}]({figure})" for figure in figures)])


def _speaks(output: Any) -> bool:
    if output.output_type == "stream":
        return True
    return output.output_type == "execute_result" and "image/png" not in output.data


def folded(tag: str, parts: list[str]) -> str:
    """Returns Markdown that is folded until a reader opens it."""
    body = "\n\n".join(parts)
    return f'<details class="{tag}" markdown="1">\n<summary>{FOLDED[tag]}</summary>\n\n{body}\n\n</details>'


def page(chapter: Chapter, out: Path, links: str) -> str:
    """Writes the figures of a chapter, and returns its page."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for old in (out / "figures").glob(f"{chapter.name}-*.png"):
        old.unlink()
    shown, count = [], 0
    for tag, cells in groups(chapter.notebook):
        parts = []
        for cell in cells:
            names = []
            for png in pictures(cell):
                count += 1
                names.append(f"figures/{chapter.name}-{count}.png")
                (out / names[-1]).write_bytes(png)
            markdown = as_markdown(cell, names)
            parts.append(markdown if cell.cell_type == "code" else with_mathml(markdown))
        shown.append(folded(tag, parts) if tag else parts[0])
    title, rest = shown[0].split("\n", 1)
    return "\n\n".join([f"{title}\n\n{links}\n{rest}", *shown[1:], links]) + "\n"


def to_download(chapter: Chapter) -> Any:
    """Returns the notebook for a student: an empty cell for each attempt, and the solution folded below it.

    Notebooks cannot fold several cells at once in every viewer, so a solution is one text with its code, its output
    and its figures.
    """
    import nbformat

    made = chapter.notebook.copy()
    made.cells = []
    for tag, cells in groups(chapter.notebook):
        if tag != "solution":
            made.cells += cells
            continue
        parts, attached = [], {}
        for cell in cells:
            names = []
            for png in pictures(cell):
                name = f"solution-{len(attached) + 1}.png"
                names.append(f"attachment:{name}")
                attached[name] = {"image/png": base64.b64encode(png).decode()}
            parts.append(as_markdown(cell, names))
        solution = nbformat.v4.new_markdown_cell(folded(tag, parts))
        if attached:
            solution.attachments = attached
        made.cells += [nbformat.v4.new_code_cell("# your attempt\n"), solution]
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # the same in every build
    made.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return made


def link_line(names: list[str], place: int) -> str:
    """Returns the line that leads from a chapter to its neighbours and to its notebook."""
    before = f"[← {int(names[place - 1][:2])}]({names[place - 1]}.md) · " if place else ""
    after = f" · [{int(names[place + 1][:2])} →]({names[place + 1]}.md)" if place + 1 < len(names) else ""
    return f"{before}[The course](index.md) · [Download the notebook]({names[place]}.ipynb){after}\n"


def asked() -> argparse.Namespace:
    """Returns the arguments; exits where they are wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", type=int, help="their numbers; default: all")
    parser.add_argument("--out", type=Path, help="the folder to write to")
    parser.add_argument("--check", action="store_true", help="execute only")
    given = parser.parse_args()
    if given.check == (given.out is not None):
        parser.error("use either --out=FOLDER or --check")
    return given


def tried(source: Path) -> Chapter | None:
    """Executes a chapter and says how long it took; returns None, and says why, where a cell failed."""
    from nbclient.exceptions import CellExecutionError

    try:
        with tempfile.TemporaryDirectory() as folder:
            chapter = execute(source, Path(folder))
    except CellExecutionError as error:
        print(f"{source.stem}: {error}", file=sys.stderr, flush=True)
        return None
    print(f"{chapter.name}: {chapter.seconds:.0f} s, {chapter.cpu_s:.0f} s of CPU", flush=True)
    return chapter


def main() -> int:
    """Executes and writes the chapters; returns the exit code."""
    import nbformat

    given = asked()
    chosen, names = sources(given.chapters), [path.stem for path in sources([])]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    started = time.perf_counter()
    with ThreadPoolExecutor(cores.available()) as pool:
        done = list(pool.map(tried, reversed(chosen)))[::-1]  # the later chapters are the longer ones
    for chapter in filter(None, done if given.out else []):
        given.out.mkdir(parents=True, exist_ok=True)
        links = link_line(names, names.index(chapter.name))
        (given.out / f"{chapter.name}.md").write_text(page(chapter, given.out, links))
        nbformat.write(to_download(chapter), given.out / f"{chapter.name}.ipynb")
    made = [chapter for chapter in done if chapter is not None]
    cpu_s = sum(chapter.cpu_s for chapter in made)
    print(f"{len(made)} chapters: {time.perf_counter() - started:.0f} s, {cpu_s:.0f} s of CPU")
    if failed := [source.stem for source, chapter in zip(chosen, done, strict=True) if chapter is None]:
        print(f"course: a cell failed in {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
