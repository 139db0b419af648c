"""The course: every chapter has what it promises. `.ci/run` executes them all (scripts/course.py)."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "course"
CHAPTERS = sorted(FOLDER.glob("[0-9]*.py"))
CELL = re.compile(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.$])\d[\d,]*(?:\.\d+)?(?: %|(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d))(?![\w.])")
CHOSEN = {  # numbers that a text defines or quotes; what the code computed is a placeholder
    "95 %", "90 %", "98 %", "99 %", "100 %", "5 %", "99.5 %", "99.43 %", "99.38 %",
    "0.6", "0.36", "0.1", "0.2", "0.8", "0.9", "0.99", "0.999", "0.001", "0.01", "0.03", "0.05", "0.10", "1.1", "1.5",
    "2.36", "12.7", "0.64", "0.125", "0.5", "0.08",
}  # fmt: skip


def cells(chapter):
    """The cells of a chapter: (head, text), where the head says the kind and the tags."""
    return [(head.strip(), text) for head, text in CELL.findall(chapter.read_text())]


def prose(chapter):
    """The text of a chapter, without formulas, code, links and placeholders."""
    texts = [text for head, text in cells(chapter) if "[markdown]" in head]
    plain = "\n".join(line.removeprefix("#").removeprefix(" ") for text in texts for line in text.splitlines())
    return re.sub(r"\{\{.+?\}\}|\$\$.+?\$\$|\$[^$]+?\$|`[^`]*`", "", plain, flags=re.DOTALL)


@pytest.fixture
def course(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("course")


def test_there_are_twelve_chapters_in_order():
    assert [path.name[:2] for path in CHAPTERS] == [f"{number:02}" for number in range(1, 13)]


def test_the_index_lists_every_chapter_by_its_title():
    listed = re.findall(r"\[(\d+\. [^\]]+)\]\((\w+)\.md\)", (FOLDER / "index.md").read_text())
    titles = [(re.search(r"^# # (.+)$", path.read_text(), re.MULTILINE)[1], path.stem) for path in CHAPTERS]
    assert listed == titles


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_figures_that_are_described(chapter):
    drawing = [head for head, text in cells(chapter) if re.search(r"^plt\.show\(|^show\(", text, re.MULTILINE)]
    assert len(drawing) >= 3
    for head in drawing:
        described = re.search(r'alt="([^"]{20,})"', head)
        assert described, f"the figure of {head!r} has no description"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_three_exercises_each_with_a_solution_that_checks_itself(chapter):
    text = chapter.read_text()
    _, *exercises = re.split(r"^# ### Exercise \d: .+$", text, flags=re.MULTILINE)
    assert re.findall(r"^# ### Exercise (\d): ", text, re.MULTILINE) == ["1", "2", "3"]
    for exercise in exercises:
        solution = [body for head, body in CELL.findall(exercise) if "solution" in head and "[markdown]" not in head]
        assert solution
        assert "assert " in solution[-1]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_checks_its_claims(chapter):
    checks = [text for head, text in cells(chapter) if 'tags=["check"]' in head]
    assert len(checks) == 1
    assert checks[0].count("assert ") >= 5


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_no_measured_number_is_typed_into_a_text(chapter):
    typed = sorted(set(NUMBER.findall(prose(chapter))) - CHOSEN)
    assert not typed, f"{chapter.name} quotes {typed}: write {{{{expression:format}}}}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_the_set_up_is_the_same_in_every_chapter(chapter):
    (text,) = (text for head, text in cells(chapter) if 'tags=["setup"]' in head)
    assert "from look import " in text
    assert all(line.startswith(("import ", "from ")) for line in text.splitlines() if line)


def test_a_notebook_needs_no_file_beside_it(course):
    cells = course.read(CHAPTERS[0]).cells
    assert [c.source for c in cells if "setup" in c.metadata.get("tags", [])] == [course.LOOK.read_text().strip()]
    assert not any("from look" in c.source for c in cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_cell_is_short(chapter):
    for head, text in cells(chapter):
        assert len(text.splitlines()) <= 45, f"{chapter.name}: {text[:60]!r}"
        assert "[markdown]" in head or max(map(len, text.splitlines()), default=0) <= 120


SOURCE = """# %% [markdown]
# # 1. A title
#
# The area is $x^2$, `not $this$`.

# %%
value = 2 / 3
print("printed")

# %% [markdown]
# It is {{value:.2f}}, {{"a:b"}} and {{[value, 1][1:2]}}.
#
# $$y = \\frac{1}{2}$$

# %% tags=["check"]
assert value < 1

# %% alt="A line from left to right." tags=["solution"]
import matplotlib.pyplot as plt

plt.plot([0, 1])
plt.show()

# %% [markdown] tags=["solution"]
# In words.
"""


def test_a_chapter_becomes_a_page_and_a_notebook(course, tmp_path):
    source = tmp_path / "01_title.py"
    source.write_text(SOURCE)
    chapter = course.execute(source, tmp_path)
    page = course.page(chapter, tmp_path, course.link_line(["01_title", "02_next"], 0))
    assert page.startswith("# 1. A title\n\n[The course](index.md) · [Download the notebook](01_title.ipynb) · [2 →]")
    assert "```text\nprinted\n```" in page
    assert "It is 0.67, a:b and [1]." in page
    assert "`not $this$`" in page
    assert '<span class="math"><math' in page
    assert 'display="block"' in page
    assert page.count("<details") == page.count("</details>") == 2
    assert "![A line from left to right.](figures/01_title-1.png)" in page
    assert (tmp_path / "figures" / "01_title-1.png").read_bytes().startswith(b"\x89PNG")
    notebook = course.to_download(chapter)
    *_, attempt, solution = notebook.cells
    assert attempt.source == "# your attempt\n"
    assert solution.cell_type == "markdown"
    assert "<summary>Solution</summary>" in solution.source
    assert "In words." in solution.source
    assert "attachment:solution-1.png" in solution.source
    assert list(solution.attachments) == ["solution-1.png"]
    assert "$x^2$" in notebook.cells[0].source


def test_a_chapter_with_a_failing_cell_is_named(course, tmp_path, monkeypatch, capsys):
    (tmp_path / "01_wrong.py").write_text("# %%\nassert 1 == 2\n")
    monkeypatch.setattr(course, "SOURCES", tmp_path)
    monkeypatch.setattr(sys, "argv", ["course.py", "--check"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert course.main() == 1
    assert "a cell failed in 01_wrong" in capsys.readouterr().err


def test_an_unknown_chapter_is_refused(course):
    with pytest.raises(SystemExit, match="there is no chapter 13: use numbers from 1 to 12"):
        course.sources([13])
