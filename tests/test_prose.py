"""scripts/prose.py: a bad sentence is found where it stands, a good one is not, and code is no prose."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STYLE = tomllib.loads((ROOT / "scripts/prose.toml").read_text(encoding="utf-8"))


@pytest.fixture
def check(findings):
    """Returns check(path, text): what is found in a page of this text."""

    def run(path, text):
        path.write_text(text, encoding="utf-8")
        return findings("prose", path)

    return run


def test_bad_sentences_are_found_at_their_line_and_column(check, tmp_path):
    page = tmp_path / "page.md"
    bad = [
        ("It is a very good result.", 9, "weasel_words.very"),
        ("We utilize the seeds.", 4, "words"),
        ("Optimizers are compared.", 1, "words"),
        ("The rank is told which shard it holds.", 10, "words"),
        ("The result of the the run.", 15, "lexical_illusions"),
        ("A price of $5 is very good, and not $6.", 18, "weasel_words.very"),
    ]
    ends = "It waits in\norder to end.\n\nA `tick.\n\nvery` often\n"
    code, lines = check(page, "\n\n".join(["# Title", *(sentence for sentence, _, _ in bad), ends]))
    found = {tuple(line.removeprefix(f"{page}:").split(":")[:2]) + (line.rpartition("[")[2],) for line in lines[:-1]}
    assert code == 1
    assert found >= {(str(3 + 2 * at), str(column), f"{rule}]") for at, (_, column, rule) in enumerate(bad)}
    assert ("15", "10", "words]") in found  # a phrase over the end of a line
    assert ("20", "1", "weasel_words.very]") in found  # no code reaches over an empty line


def test_good_sentences_code_and_addresses_pass(check, tmp_path):
    page = """# Resume

Run the same command again to resume a run: `utilize` is [a name](https://example.org/utilize) and the `the` a word.

    optimizer = leverage(utilize)

```python
color = behavior(in order to)
```

The sum is $a + very$, and the price $5.

The bracket [[resume]] holds 28 x 28 "pixels" ... <!-- not run: very -->
"""
    assert check(tmp_path / "page.md", page) == (0, ["1 pages: nothing to fix"])
    assert check(tmp_path / "empty.md", "") == (0, ["1 pages: nothing to fix"])


def test_of_a_chapter_the_markdown_cells_are_read(check, tmp_path):
    chapter = "# %% [markdown]\n# A {} network.\n\n# %%\n# very much code\nutilize = 'very'\n"
    assert check(tmp_path / "chapter.py", chapter.format("small"))[0] == 0
    code, lines = check(tmp_path / "chapter.py", chapter.format("very small"))
    assert code == 1
    assert lines[0].startswith(f"{tmp_path / 'chapter.py'}:2:5: ")


@pytest.mark.parametrize("words", STYLE["allow"])
def test_what_the_style_allows_occurs(words):
    forms = ("*.md", "docs/**/*.md", "experiments/**/*.md", "docs/course/*.py")
    assert any(words in page.read_text(encoding="utf-8") for form in forms for page in ROOT.glob(form))
