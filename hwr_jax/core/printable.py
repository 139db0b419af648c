"""Text of unknown origin, such as names of files, made safe for a terminal and for a spreadsheet."""

from __future__ import annotations

import unicodedata

PACKAGE = __name__.partition(".")[0]  # begins each line that a command says about an error
FORMULA = ("=", "+", "-", "@")  # a cell that begins so is computed by a spreadsheet


def line(text: str) -> str:
    r"""Replaces what a terminal would obey, not show: control characters, and bytes that are not UTF-8.

    >>> line("a\x1b[31m.png")
    'a\\x1b[31m.png'
    """
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escaped(c) for c in text)


def cell(text: str) -> str:
    """Returns `line` of a text with an apostrophe in front if a spreadsheet would compute it. A number stays a number.

    >>> cell("=1+1.png"), cell("-7"), cell("3")
    ("'=1+1.png", '-7', '3')
    """
    text = line(text)
    if not text.startswith(FORMULA) or text in FORMULA or text[1:].isdecimal():
        return text
    return f"'{text}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
