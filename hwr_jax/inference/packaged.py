"""The model that comes with the package, and `load`, which opens it or a run. Imports no jax for the former."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import hwr_jax
from hwr_jax.cli import console
from hwr_jax.core.errors import ConfigError
from hwr_jax.inference import light, onnx_reader
from hwr_jax.inference.reader import Reader

if TYPE_CHECKING:
    import numpy as np

    from hwr_jax.core.errors import DataError
    from hwr_jax.inference.scan import Page
    from hwr_jax.pictures.decode import PictureFile

FOLDER = Path(hwr_jax.__file__).parent / "pretrained"


@functools.cache
def model() -> light.LightReader:
    """Returns the model that comes with the package, which is loaded once. See its MODEL_CARD.md."""
    return light.load(FOLDER)


def load(
    workdir: str | Path | None = None,
    *,
    which: str = "",
    seed: int | None = None,
    reading: Mapping[str, int | None] | None = None,
    threads: int | None = None,
    log=print,
) -> Reader:
    """Loads the newest checkpoint of a run that verifies; without a run, the model that comes with the package.

    A folder that `python -m hwr_jax.export` wrote is a run too, and where it holds nothing but model.onnx, that is
    read, without JAX.

    >>> import numpy as np
    >>> model = load()
    >>> model.predict(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 11)
    >>> model.classes[-1]  # what is no digit
    'none'

    threads: that compute, at most, where JAX does not; None: as many as there are cores.

    See `predictor.load` for the other arguments and the errors.
    """
    if workdir is None and not which and seed is None and not reading:
        return model() if threads is None else dataclasses.replace(model(), threads=threads)
    if workdir is not None and onnx_reader.is_exported(Path(workdir)):
        if which or seed is not None or reading:
            raise ConfigError(f"{workdir} is an exported {onnx_reader.NAME}: it takes no other state, seed or reading")
        return onnx_reader.load(workdir, threads=threads)
    from hwr_jax.inference import predictor

    return predictor.load(workdir or FOLDER, which=which, seed=seed, reading=reading, log=log)


def open_for_pictures(
    folder: Path | None, *, which: str, seed: int | None, log: Callable[[str], object], threads: int | None = None
) -> Reader:
    """Loads what a command reads pictures with (see `load`), with the programs that earlier commands have compiled."""
    if folder is not None and not onnx_reader.is_exported(folder):
        from hwr_jax.data import cache
        from hwr_jax.steps import compile_cache

        compile_cache.cache_compilations(cache.default_cache_dir())
    return load(folder, which=which, seed=seed, threads=threads, log=log)


def said_of(model: Reader, folder: Path | None) -> str:
    """Returns the line that says what reads."""
    if folder is None:
        return f"hwr_jax {hwr_jax.__version__}'s own model, trained on {model.facts['name']} and drawn digits"
    return f"{folder}: {console.trained_on(model.facts['name'])}"


def scan(picture: PictureFile | np.ndarray, *, model: Reader | None = None, mode: str = "auto") -> Page:
    """Reads all digits in a picture with `model`, or with the one that comes with the package.

    >>> import numpy as np
    >>> picture = np.full((120, 200), 235, np.uint8)
    >>> picture[30:90, 40:48] = picture[30:90, 120:128] = 40
    >>> scan(picture).text
    '11'

    See `inference.scan.scan` for the arguments and errors.
    """
    from hwr_jax.inference import scan

    return scan.scan(load() if model is None else model, picture, mode=mode)


def scan_pages(picture: PictureFile, *, model: Reader | None = None, mode: str = "auto") -> Iterator[Page | DataError]:
    """Reads a TIFF or PDF of several pages, one after the other. What cannot be read comes as the error that says why.

    >>> import io
    >>> from PIL import Image
    >>> pages = [Image.new("L", (200, 120), 235) for _ in range(2)]
    >>> for left in (40, 120):
    ...     pages[1].paste(40, (left, 30, left + 8, 90))
    >>> file = io.BytesIO()
    >>> pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    >>> [page.text for page in scan_pages(file.getvalue())]
    ['', '11']

    See `inference.scan.pages_of` for the arguments and errors.
    """
    from hwr_jax.inference import scan

    return scan.pages_of(load() if model is None else model, picture, mode=mode)
