"""Puts a table between its two markers in README.md or another page, or checks that the page has it."""

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def put(name: str, script: str, lines: list[str], *, check: bool, page: Path = README) -> int:
    """Writes the lines between `<!-- NAME: scripts/SCRIPT -->` and `<!-- /NAME -->`; with `check` changes nothing.

    Returns:
      The exit code: 1 where the markers are missing or, with `check`, where the page would change.
    """
    begin, end = f"<!-- {name}: scripts/{script} -->", f"<!-- /{name} -->"
    old = page.read_text()
    if begin not in old or end not in old:
        print(f"{page} has no {begin} ... {end}", file=sys.stderr)
        return 1
    block = "\n".join([begin, *lines, end])
    new = re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: block, old, flags=re.DOTALL)
    if check:
        return int(new != old)
    page.write_text(new)
    return 0
