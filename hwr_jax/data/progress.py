"""Progress: a bar on a terminal, one plain line everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(
    items: Iterable[T],
    *,
    text: str,
    total: int,
    log: Callable[[str], object],
    size: Callable[[T], int] = lambda item: 1,
) -> Iterator[T]:
    """Yields `items` and shows the progress.

    Args:
        items: what is processed.
        text: what is being done.
        total: the sum of `size` over all items.
        log: called with the plain line.
        size: how much one item counts.
    """
    if not sys.stderr.isatty():
        log(text)
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        for item in items:
            yield item
            bar.advance(task, size(item))
