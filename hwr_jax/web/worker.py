"""A process that reads pictures for the server: it can be stopped where a thread could not, and crashes alone.

It trusts no byte of a picture; whatever is wrong with one becomes a sentence. Owns the JSON of a reading, which is that
of `predict --format=json` and `scan --format=json`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hwr_jax.core.errors import DataError
from hwr_jax.web import frames
from hwr_jax.web.limits import NO_MEMORY

if TYPE_CHECKING:
    from hwr_jax.inference.reader import Reader

TICK_S = 0.1  # between two signs of life
WARM = (1, 2, 4, 8, 16, 32, 64)  # images: a model that compiles does so for each, before the server is ready
Item = tuple[int, bool, bytes]  # index of the picture; whether it was read; JSON


class Named(io.BytesIO):
    """The bytes of a picture, which messages call by its name."""

    def __init__(self, content: bytes, name: str):
        super().__init__(content)
        self.name = name


def items(
    model: Reader, kind: str, options: dict[str, Any], pictures: list[tuple[str, bytes]], limits: dict[str, int]
) -> Iterator[list[Item]]:
    """Reads pictures; yields what is read as it comes, and an empty list before each picture.

    Args:
      model: what reads.
      kind: "predict" or "scan".
      options: {"best"} of predict; {"mode", "reject_below"} of scan.
      pictures: names and contents.
      limits: {"pixels", "pages"}.
    """
    return (_predicted if kind == "predict" else _scanned)(model, options, pictures, limits)


def _predicted(model, options, pictures, limits) -> Iterator[list[Item]]:
    import numpy as np

    from hwr_jax.inference import rows
    from hwr_jax.pictures import decode, normalise, small

    line = tuple(model.facts["shape"][:2]) if model.reads_strings else None
    greys: dict[int, np.ndarray] = {}  # by the index of the picture
    found: dict[int, normalise.Normalised] = {}
    for i, (name, content) in enumerate(pictures):
        yield []
        try:
            _, content = decode.content_of(Named(content, name))
            grey = decode.grey_of(content, name, limits["pixels"])
            if line or not small.is_small(grey.shape):
                found[i] = normalise.normalised(grey, line=line)
            else:
                greys[i] = grey
        except (DataError, MemoryError) as error:
            yield [_failed(i, name, error)]
    try:
        together = small.normalised_together(list(greys.values()))
    except MemoryError:
        together = [None] * len(greys)  # each on its own may find room
    for i, one in zip(greys, together, strict=True):
        yield []
        try:
            found[i] = one or normalise.normalised(greys[i])
        except (DataError, MemoryError) as error:
            yield [_failed(i, pictures[i][0], error)]
    yield []
    if found:
        found = dict(sorted(found.items()))
        judged = [model.judged(one) for one in found.values()]
        likely = model.read(np.stack([one.image for one in judged]), best=options["best"])
        made = rows.read_out([pictures[i][0] for i in found], likely, judged)
        yield [(i, True, json.dumps(row).encode()) for i, row in zip(found, made, strict=True)]


def _scanned(model, options, pictures, limits) -> Iterator[list[Item]]:
    from hwr_jax.inference import scan
    from hwr_jax.pictures import documents

    for i, (name, content) in enumerate(pictures):
        yield []
        read = 0
        try:
            for one in documents.pages(Named(content, name), max_pixels=limits["pixels"]):
                if read == limits["pages"]:
                    left = f"the first {read} of {one.count} pages were read: split the file"
                    yield [_failed(i, name, DataError(left), one.number)]
                    break
                read += 1
                if isinstance(one.grey, DataError):
                    yield [_failed(i, name, one.grey, one.number)]
                    continue
                page = scan.read_page(model, one.grey, one, name, options["mode"])
                page = page.rejecting(options["reject_below"])
                yield [(i, True, json.dumps(page.to_json()).encode())]
        except (DataError, MemoryError) as error:
            yield [_failed(i, name, error)]


def _failed(index: int, name: str, error: Exception, page: int | None = None) -> Item:
    words = NO_MEMORY if isinstance(error, MemoryError) else str(error)
    said = {"image": name} | ({} if page is None else {"page": page})
    words = words if name in words else f"{name}: {words}"
    return index, False, json.dumps(said | {"error": words}).encode()


def serve(model: Reader, stdin: BinaryIO, stdout: BinaryIO, limits: dict[str, int]) -> None:
    """Answers requests until there are no more."""

    def send(head: dict[str, Any], blobs: list[bytes]) -> None:
        stdout.write(frames.packed(head, blobs))
        stdout.flush()

    facts = {"classes": list(model.classes), "reads_strings": model.reads_strings, "data": model.facts["name"]}
    send({"ready": facts}, [])
    while (message := frames.read(stdin)) is not None:
        head, contents = message
        pictures = [(name, content) for (name, _), content in zip(head["pictures"], contents, strict=True)]
        told = time.monotonic()
        for made in items(model, head["kind"], head["options"], pictures, limits):
            if made or time.monotonic() - told > TICK_S:  # at once: the next page may be given up
                send({"items": [[i, ok, len(text)] for i, ok, text in made], "done": False}, [one[2] for one in made])
                told = time.monotonic()
        send({"items": [], "done": True}, [])


def limit_memory(more_bytes: int) -> None:
    """Lets this process, where the system can, have at most this much more memory; 0: no limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not Linux
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0]) if more_bytes else 0
        if pages:
            limit = pages * os.sysconf("SC_PAGE_SIZE") + more_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def opened(options: dict[str, Any]) -> Reader:
    """Loads the model and reads once with it, so that the first request finds everything imported and compiled."""
    import numpy as np
    from scipy import ndimage

    from hwr_jax.inference import packaged, scan

    del ndimage  # imported now, not by the first picture
    folder = options["workdir"] and Path(options["workdir"])
    which, seed, threads = (options[name] for name in ("checkpoint", "seed", "threads"))
    model = packaged.open_for_pictures(folder, which=which, seed=seed, log=_say, threads=threads)
    for count in WARM if folder else WARM[:1]:
        model.read(np.zeros((count, *model.facts["shape"][:2]), np.uint8))
    if not model.reads_strings:
        grey = np.full((64, 64), 235, np.uint8)
        grey[16:48, 30:34] = 40
        scan.read_grey(model, grey)
    return model


def _say(words: str) -> None:
    print(f"hwr_jax: {words}", file=sys.stderr)


def main() -> int:
    """Reads {"workdir", "checkpoint", "seed", "threads", "pixels", "pages", "memory_bytes"} from its first argument;
    serves standard input and output from then on. Returns the exit code."""
    from hwr_jax.cli import command

    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints
    try:
        options = json.loads(sys.argv[1])
        model = opened(options)
        limit_memory(options["memory_bytes"])
        serve(model, stdin, stdout, options)
    except Exception as error:
        return command.report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
