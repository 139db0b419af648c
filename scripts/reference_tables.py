"""Writes what docs/ has from the code: every config key, the help of every command, the exit codes, the data sheets.

python scripts/reference_tables.py            # writes docs/config-keys.md, commands.md, exit-codes.md, data-sheets.md
python scripts/reference_tables.py --check    # changes nothing; exit code 1 if a page would change
"""

import argparse
import importlib
import re
import sys
from pathlib import Path

import readme_table

from hwr_jax import __main__ as hwr
from hwr_jax.cli import command
from hwr_jax.config import check, defaults
from hwr_jax.core import errors
from hwr_jax.data import sheets

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BASE = ROOT / "configs" / "base.py"
LINE = re.compile(r"    config\.(?P<key>[\w.]+) = (?P<value>.*?)(?:  # (?P<words>.*))?")
WORDS: dict[type, str] = {bool: "True, False", int: "a whole number", float: "a number", str: "text"}


def commented() -> dict[str, str]:
    """Returns the comment of every key and group of configs/base.py, in the order of the file; "": it has none."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in BASE.read_text().partition("config.lock()")[0].splitlines():
        if line.startswith("    # "):
            above.append(line.removeprefix("    # "))
        elif match := LINE.fullmatch(line):
            found[match["key"]] = " ".join(filter(None, [*above, match["words"]]))
            above = []
        else:
            above = []
    return found


def allowed(key: str, default: object) -> str:
    """Returns the values that a key may have, in words."""
    if key in check.CHOICES:
        return ", ".join(f"`{name}`" if name else "empty" for name in check.CHOICES[key])
    if key in check.RANGES:
        return check.RANGES[key].words
    if isinstance(default, list):
        return f"a list; each element {WORDS[type(default[0])]}"
    return WORDS[type(default)]


def cell(text: str) -> str:
    """Returns a text that a cell of a Markdown table may hold."""
    return text.replace("|", "\\|").replace("*", "\\*")


def keys() -> list[str]:
    """Returns the table of all config keys."""
    known, lines = defaults.of_base(), ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for key, words in commented().items():
        if key in known:
            shown = tuple(known[key]) if isinstance(known[key], list) else known[key]
            lines.append(f"| `{key}` | `{shown!r}` | {cell(allowed(key, known[key]))} | {cell(words)} |")
        else:
            lines.append(f"| **{key}** | | | {cell(words)} |")
    return lines


def commands() -> list[str]:
    """Returns the help of every command."""
    lines = []
    for name, path in hwr.verbs().items():
        module = importlib.import_module(f"hwr_jax.{path.stem}")
        takes = re.search(r'arguments="(.*?)"', path.read_text())
        text = command.answer([path.name, "--help"], module.FLAGS, module.USAGE, takes[1] if takes else "")
        lines += [f"## {name}", "", "```text", *text.splitlines(), "```", ""]
    return lines[:-1]


def codes() -> list[str]:
    """Returns the table of the exit codes."""
    verbs = re.compile(rf"(?<=\()({'|'.join(hwr.verbs())})(?=\))")
    rows = [f"| {code} | {verbs.sub(lambda verb: f'`{verb[0]}`', words)} |" for code, words in errors.MEANING.items()]
    return ["| code | meaning |", "|---|---|", *rows]


PAGES = {
    "config-keys.md": ("keys", keys),
    "commands.md": ("commands", commands),
    "exit-codes.md": ("codes", codes),
    "data-sheets.md": ("sheets", lambda: list(sheets.page())[:-1]),
}


def main() -> int:
    """Writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a page would change")
    options = parser.parse_args()
    found = [
        readme_table.put(name, Path(__file__).name, make(), check=options.check, page=DOCS / page)
        for page, (name, make) in PAGES.items()
    ]
    return max(found)


if __name__ == "__main__":
    sys.exit(main())
