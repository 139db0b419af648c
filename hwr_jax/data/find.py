"""Where a data set comes from when it is not in the cache. Owns the order of the places; reads no format itself."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.data import cache, digits, download, tfds_reader, tfds_writer
from hwr_jax.data.checksums import registered
from hwr_jax.data.content import Content, verify
from hwr_jax.data.formats import idx
from hwr_jax.data.sources import Source

Say = Callable[[str], object]


def find(
    source: Source,
    cached: Path,
    *,
    data_dir: str | Path | None,
    manual_dir: str | Path | None,
    cache_dir: str | Path | None,
    log: Say,
) -> Content:
    """Try the TFDS folder, the manual folder and the download, in this order.

    Data from a manual folder or the download is written to the TFDS folder too.

    Args:
        source: the data set.
        cached: where the cache would have been.
        data_dir, manual_dir, cache_dir, log: as in `load`.

    Raises:
        DataMissing: it is nowhere.
        DataError: it is somewhere, but damaged.
    """
    if source.name == "digits":
        return digits.make(source)
    tfds_dir = tfds_reader.root(data_dir)
    tried = [f"cache {cached}: not there"]
    places = (
        lambda: tfds_reader.read(tfds_dir, source, log=log),
        lambda: _keep(_manual(source, manual_dir, log), source, tfds_dir, log),
        lambda: _keep(_downloaded(source, cache.root(cache_dir) / "downloads", log), source, tfds_dir, log),
    )
    for place in places:
        try:
            return place()
        except DataMissing as missing:
            tried += missing.tried
    raise DataMissing(source.name, tried)


def variable(source: Source) -> str:
    """The environment variable that names the manual folder of a data set: HWR_MNIST_DIR, or HWR_EMNIST_DIR."""
    return f"HWR_{re.sub('[^A-Z0-9]', '_', source.family.upper())}_DIR"


def missing(source: Source, folder: Path) -> str | None:
    """Returns the name of the first original file that a user's folder lacks; None if it has all."""
    if source.archive and (folder / source.archive).is_file():
        return None
    for name in source.file_names().values():
        if not any((folder / each).is_file() for each in (name, name.removesuffix(".gz"))):
            return source.archive or name
    return None


def _manual(source: Source, manual_dir: str | Path | None, log: Say) -> Content:
    """The original files in a user's folder, which must be complete only if it was given as an argument."""
    named = manual_dir or os.environ.get(variable(source))
    if not named:
        raise DataMissing(source.name, [f"manual folder {variable(source)}: not set"])
    folder = Path(named).expanduser()
    if source.archive and (folder / source.archive).is_file():
        return _read(_in_archive(folder / source.archive, source), source)
    paths: dict[str, idx.File] = {}
    for key, name in source.file_names().items():
        path = next((folder / each for each in (name, name.removesuffix(".gz")) if (folder / each).is_file()), None)
        if path is None and manual_dir:
            raise DataError(f"the manual folder {folder} has no {source.archive or name}")
        if path is None:
            raise DataMissing(
                source.name, [f"manual folder {folder} ({variable(source)}): no {source.archive or name}"]
            )
        paths[key] = path
    if source.archive:
        log(f"{source.name} in {folder} is used unverified: only {source.archive} has a registered checksum")
    return _read(paths, source)


def _downloaded(source: Source, folder: Path, log: Say) -> Content:
    """The original files, downloaded now or before."""
    files = registered(source.name)
    if not files:
        raise DataMissing(source.name, [f"download: tensorflow-datasets registers no address of {source.name}"])
    own = folder / source.family
    if not source.archive:
        return _read(download.fetch(source.name, files, own, log=log), source)
    paths = download.fetch(source.name, files, own, log=log, wanted={"archive": source.archive})
    return _read(_in_archive(paths["archive"], source), source)


def _in_archive(path: Path, source: Source) -> dict[str, idx.File]:
    """The original files within a zip archive that has the registered checksum."""
    expected = registered(source.name).get(source.archive)
    if expected is not None and (found := download.sha256_of(path)) != expected.sha256:
        raise DataError(f"{path} has SHA-256 {found}, expected {expected.sha256}")
    try:
        inside = zipfile.Path(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip archive: {error}") from error
    paths: dict[str, idx.File] = {key: inside / "gzip" / name for key, name in source.file_names().items()}
    for file in paths.values():
        if not file.is_file():
            raise DataError(f"{path} does not hold gzip/{file.name}")
    return paths


def _read(paths: Mapping[str, idx.File], source: Source) -> Content:
    content = idx.read(paths, source, registered(source.name))
    if source.sha256 is None and not source.archive and any(path.suffix != ".gz" for path in paths.values()):
        raise DataError(f"{paths['train_image'].parent}: files of {source.name} can be verified only as .gz")
    verify(source, content, where=str(paths["train_image"].parent))
    return content


def _keep(content: Content, source: Source, data_dir: Path, log: Say) -> Content:
    """Write the content to the TFDS folder if possible; log one line if not."""
    folder = tfds_reader.folder(data_dir, source)
    if folder.exists():
        log(f"The TFDS folder {folder} cannot be read here and is left as it is.")
    elif not tfds_writer.can_write():
        log(f"Not left in the TFDS folder {folder}: ArrayRecord cannot be written on this machine.")
    elif not tfds_writer.knows(source):
        log(f"Not left in the TFDS folder: tensorflow-datasets has no builder of {source.name}.")
    else:
        try:
            tfds_writer.prepare(source, content, data_dir, log=log)
        except OSError as error:
            if not folder.exists():  # else another process was faster, which is as good
                log(f"Not left in the TFDS folder {folder}: {str(error.strerror or error).rstrip('.')}.")
    return content
