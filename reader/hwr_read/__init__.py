"""hwr_read: reads handwritten digits in photographs and scans, as hwr_jax does, with NumPy, SciPy and Pillow alone.

>>> import io, hwr_read
>>> from PIL import Image
>>> picture = Image.new("L", (200, 120), 235)
>>> for left in (40, 120):
...     picture.paste(40, (left, 30, left + 8, 90))
>>> file = io.BytesIO()
>>> picture.save(file, "PNG")
>>> page = hwr_read.scan(file.getvalue())  # or a path, a binary file, grey values [h, w]
>>> page.text, page.digits[0].label, page.digits[0].box
('11', '1', (40, 30, 8, 60))

Importing it costs nothing: NumPy and the model are loaded when they are first used.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hwr_jax.core import errors
from hwr_jax.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from hwr_jax.inference.reader import Reader
    from hwr_jax.inference.scan import Page
    from hwr_jax.pictures.decode import PictureFile

__all__ = ["ConfigError", "DataError", "__version__", "digit_from_picture", "load", "scan", "scan_pages"]
__version__ = "unbuilt"  # the build writes that of hwr_jax here

FOLDER = Path(errors.__file__).parents[1] / "pretrained"


@functools.cache
def _own() -> Reader:
    from hwr_jax.inference import light

    return light.load(FOLDER)


def load(folder: str | Path | None = None) -> Reader:
    """Loads the model that comes with the package (once), or an exported one.

    Args:
      folder: with model.onnx (which needs onnxruntime), or with config.json, environment.json and model.safetensors of
        a `resnet`. Where both are, model.onnx is taken.

    Raises:
      ConfigError: no such folder, another network, files that do not fit together, or no onnxruntime.
      OSError: damaged weights, or a file that cannot be read.
    """
    return _own() if folder is None else _opened(Path(folder))


def _opened(folder: Path) -> Reader:
    import numpy as np

    from hwr_jax.inference import light, onnx_reader

    try:
        is_onnx = (folder / onnx_reader.NAME).is_file()
        model = onnx_reader.load(folder) if is_onnx else light.load(folder)
        if not model.reads_strings:
            model.predict(np.zeros((1, 28, 28), np.uint8))
    except (ConfigError, OSError):
        raise
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{folder} holds no model that can be used: its files do not fit together ({why})") from None
    return model


def digit_from_picture(picture: PictureFile) -> np.ndarray:
    """Returns what a model sees of a picture of one digit: uint8 [28, 28], 0 = paper, 255 = ink, as in MNIST.

    Raises:
      DataError: not an accepted picture, or no ink in it.
      OSError: the path cannot be read.
    """
    from hwr_jax.pictures import normalise

    return normalise.digit_from_picture(picture)


def scan(picture: PictureFile | np.ndarray, *, model: Reader | None = None, mode: str = "auto") -> Page:
    """Reads all digits in a picture of any size. A blank one has no lines.

    Args:
      picture: path, bytes or binary file object; or grey values [h, w] in 0..255, 0 = black, 255 = white.
      model: from `load`; None: the one that comes with the package.
      mode: what it shows: "page", "line" (all digits form one), "digit" (all ink is one) or "auto": a page, of which
        one or two marks may be a single digit, if that is read more surely.

    Raises:
      ConfigError: an unknown mode.
      DataError: not an accepted picture, or a file of several pages: see `scan_pages`.
      OSError: the path cannot be read.
    """
    from hwr_jax.inference import scan

    return scan.scan(model or load(), picture, mode=mode)


def scan_pages(picture: PictureFile, *, model: Reader | None = None, mode: str = "auto") -> Iterator[Page | DataError]:
    """Reads a TIFF or PDF of several pages, one after the other. What cannot be read comes as the error that says why.

    Arguments and errors: as of `scan`.
    """
    from hwr_jax.inference import scan

    return scan.pages_of(model or load(), picture, mode=mode)
