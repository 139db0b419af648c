"""Shows the doctests of a docstring as code on the documentation site: an extension of griffe (zensical.toml)."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^[ \t]*>>> .*\n?(?:^[ \t]*\S.*\n?)*)", re.MULTILINE)


def fenced(text: str) -> str:
    """Returns a docstring with a fence around each doctest, which Markdown would otherwise take for a quotation."""

    def fence(match: re.Match) -> str:
        lines = match[0].rstrip("\n").split("\n")
        indent = lines[0].partition(">>>")[0]
        return "\n".join([f"{indent}```pycon", *lines, f"{indent}```", ""])

    return EXAMPLE.sub(fence, text)


class DocstringExamples(griffe.Extension):
    """Puts every doctest into a fence."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that griffe has read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
