"""Checks the prose of the pages: `python scripts/prose.py [FILE ...]`, by default every Markdown page and the course.

proselint's rules find clichés, weasel words and the like; `scripts/prose.toml` says which of them are off and why, and
has this project's own words to avoid. Code, commands and addresses are not prose and are left out. Exits with 1 if a
sentence has to be fixed.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from proselint import checks
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, Padding, types
from proselint.tools import LintFile, LintResult

ROOT = Path(__file__).parent.parent
STYLE = tomllib.loads((ROOT / "scripts/prose.toml").read_text(encoding="utf-8"))
PAGES = ("*.md", "docs/course/*.py")
NOT_PROSE = re.compile(
    r"^ *(?P<fence>```+|~~~+)[\s\S]*?^ *(?P=fence) *$"  # fenced code
    r"|(?:(?<=\n\n)|\A)(?: {4}.*\n+)+"  # indented code
    r"|<!--[\s\S]*?-->|</?[a-z][^>]*>"  # comments and tags
    r"|(?P<ticks>`+)(?:(?!\n\s*\n)[\s\S])+?(?P=ticks)"  # code in a sentence
    r"|(?<=\])\([^)]*\)|https?://\S+|\b\w+/[\w/]+\.\w+"  # addresses and paths
    r"|\$\$[\s\S]+?\$\$|\$(?!\s)[^$\n]*?(?<!\s)\$(?!\d)",  # formulas
    re.MULTILINE,
)


def prose(text: str) -> str:
    """Returns a Markdown text without what is not prose: blocks are blank, and in a sentence stand backticks.

    No position moves, and no two words come to stand side by side.
    """

    def blank(match: re.Match) -> str:
        return re.sub(".", " " if "\n" in match[0] and not match["ticks"] else "`", match[0])

    return NOT_PROSE.sub(blank, text)


def markdown_of_chapter(source: str) -> str:
    """Returns the Markdown cells of a chapter of the course (jupytext's percent format); no position moves."""
    lines, inside = [], False
    for line in source.split("\n"):
        if line.startswith("# %%"):
            inside = "[markdown]" in line
            lines.append("")
        else:
            lines.append(re.sub("^# ?", lambda match: " " * len(match[0]), line) if inside else "")
    return "\n".join(lines)


def register() -> None:
    """Adds proselint's rules and this project's words to proselint's registry."""
    words = {f"(?:{word})".replace(" ", r"\s+"): better for word, better in STYLE["words"].items()}
    own = Check(types.PreferredForms(words, Padding.WORDS_IN_TEXT), path="words", message="'{1}': write {0}.")
    CheckRegistry().register_many((*checks.__register__, own))


def findings(name: str, text: str) -> list[LintResult]:
    """Returns what to fix in a Markdown text, or in a chapter if `name` ends with .py; `register` comes first.

    A finding that spans an empty line does not count, since no phrase does, nor does one that the style allows.
    """
    page = LintFile(name, prose(markdown_of_chapter(text) if name.endswith(".py") else text) or "\n")
    rules = dict.fromkeys(STYLE["off"], False) | {"words": True} | DEFAULT["checks"]
    found = page.lint({"max_errors": 1000, "checks": rules})
    return [one for one in found if not allowed(page.content[slice(*one.check_result.span)].strip())]


def allowed(words: str) -> bool:
    """Returns whether the words of a finding may stand."""
    return words in STYLE["allow"] or re.search(r"\n\s*\n", words) is not None


def main(names: list[str]) -> int:
    """Prints a line for each finding, and returns the exit code."""
    if not names:
        listed = subprocess.run(["git", "ls-files", "--", *PAGES], cwd=ROOT, capture_output=True, text=True, check=True)
        names = listed.stdout.split()
    register()
    found = [(name, one) for name in names for one in findings(name, (ROOT / name).read_text(encoding="utf-8"))]
    for name, one in found:
        message = " ".join(one.check_result.message.split())
        print(f"{name}:{one.pos[0]}:{one.pos[1]}: {message} [{one.check_result.check_path}]")
    print(f"{len(names)} pages, {len(found)} sentences to fix" if found else f"{len(names)} pages: nothing to fix")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
