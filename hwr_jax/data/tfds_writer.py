"""Writes a data set to TFDS's folder, without TensorFlow. Owns the builder; reads nothing back (`tfds_reader` does).

The stock builder cannot run here: it reads with TensorFlow's file system, and its image feature encodes arrays with
TensorFlow. This one takes the parsed arrays, hands over encoded PNGs, and borrows the stock builder's description, so
the result has the layout of stock TFDS and `tfds.load` or `tfds.data_source` find it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hwr_jax.core.types import Arrays
from hwr_jax.data.content import Content, original
from hwr_jax.data.formats import png
from hwr_jax.data.progress import track
from hwr_jax.data.sources import Source

FILE_FORMAT = "array_record"  # readable by index and without TensorFlow, unlike TFDS's default, tfrecord


def can_write() -> bool:
    """Whether the writer of ArrayRecord files is installed; Windows has none."""
    try:
        import array_record.python.array_record_module  # noqa: F401
        import tensorflow_datasets  # noqa: F401
    except ImportError:
        return False
    return True


def knows(source: Source) -> bool:
    """Whether tensorflow-datasets has a builder of this name, whose description of the data set `prepare` uses."""
    import tensorflow_datasets as tfds

    return source.family in tfds.list_builders(with_community_datasets=False)


def prepare(source: Source, content: Content, data_dir: Path, *, log: Callable[[str], object]) -> None:
    """Write `<data_dir>/<name>/<version>/` as TFDS does: all or nothing, the examples shuffled by TFDS's hash.

    Args:
        source: a data set that TFDS knows by the same name.
        content: all examples in canonical order.
        data_dir: TFDS's folder.
        log: called with one line.

    Raises:
        OSError: the folder cannot be written.
    """
    import tensorflow_datasets as tfds

    stock = tfds.builder_cls(source.family)
    part = source.name.partition("/")[2] or None

    class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """The data set `source`, from arrays. Not registered: its name belongs to the stock builder."""

        name = source.family
        VERSION = tfds.core.Version(source.version)
        BUILDER_CONFIGS = stock.BUILDER_CONFIGS

        def _info(self) -> tfds.core.DatasetInfo:
            return stock._info(self)

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager  # the files are read and verified already
            return {split: self._generate_examples(split, arrays) for split, arrays in content._asdict().items()}

        def _generate_examples(self, split: str, arrays: Arrays) -> Iterator[tuple[int, dict[str, Any]]]:
            stored = original(source, arrays)
            pairs = zip(stored.image, stored.label, strict=True)
            bar = track(pairs, text=f"{source.name} {split}", total=len(arrays.label), log=lambda line: None)
            for index, (image, label) in enumerate(bar):
                yield index, {"image": png.encode(image), "label": int(label)}

    log(f"Preparing {source.name} for TFDS in {data_dir} (once)")
    tfds.disable_progress_bar()  # TFDS's own bars and lines give way to ours
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            Prepared(data_dir=str(data_dir), config=part, file_format=FILE_FORMAT).download_and_prepare()
    finally:
        tfds.enable_progress_bar()
