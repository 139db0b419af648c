"""What the help and the first look at a command line need to know of a verb's flags, whatever library parses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

REQUIRED = "Required flags"  # the heading of those without which a verb does nothing


class Verb(Protocol):
    """The flags of a verb by name; each has `help`, `default` and `boolean`."""

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> Any: ...

    def kind(self, name: str) -> str:
        """Returns what stands for a flag's value in the help; "": it takes none."""
        ...

    def heading(self, name: str) -> str:
        """Returns the heading under which the help lists a flag."""
        ...

    def config_names(self) -> list[str]:
        """Returns the names of the configs that --config takes."""
        ...

    def config_keys(self) -> list[str]:
        """Returns the keys that a config may have."""
        ...
