"""Where a data set comes from: what the user named, then the cache, then the usual places. Owns their order; reads no
format itself.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from hwr_jax.core.errors import ConfigError, DataError, DataMissing
from hwr_jax.core.idx import File
from hwr_jax.data import cache, digits, download, tfds_reader, tfds_writer
from hwr_jax.data.checksums import registered
from hwr_jax.data.content import Content, verify
from hwr_jax.data.formats import idx
from hwr_jax.data.sources import Source

Say = Callable[[str], object]
TORCH = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist": "EMNIST"}  # its folders
KERAS = "mnist.npz"


class Places(NamedTuple):
    """Where the user wants a data set to be looked for and kept; see `load`."""

    data_dir: str | Path | None
    manual_dir: str | Path | None
    cache_dir: str | Path | None


class Files(NamedTuple):
    """The original files in a user's folder."""

    paths: dict[str, Path]  # by key of IDX_FILES; of an archive all are the same
    kind: str  # idx, zip, npz
    verified: bool  # is there a registered checksum, of the files or of the content?


def find(source: Source, places: Places, *, log: Say) -> tuple[Content, str]:
    """Returns a data set, and the digest of its content.

    A folder that the user named is read, whatever the cache holds. Else the places are the cache, the TFDS folder, the
    manual folder of the environment, and the download. What is found is kept in the cache and, unless it was there, in
    the TFDS folder.

    Args:
        source: the data set.
        places: as the user gave them.
        log: called with one line of text for the user at a time.

    Raises:
        ConfigError: a folder was named for a data set that has no files.
        DataMissing: it is nowhere.
        DataError: it is somewhere, but damaged; or not in the folder that was named.
    """
    folder, tfds_dir = cache.folder(places.cache_dir, source), tfds_reader.root(places.data_dir)
    if source.name == "digits":
        if places.manual_dir:
            raise ConfigError(
                f"config.data.manual_dir={places.manual_dir} has no effect: digits comes with scikit-learn; for your "
                "own pictures use config.data.name=folder"
            )
        return cache.read_or_make(folder, source, lambda: digits.make(source), log=log)
    if places.manual_dir:
        files = _files(source, Path(places.manual_dir).expanduser())
        return _named(
            source, folder, _origin(files.paths.values()), lambda: _manual(source, files, tfds_dir, log), files, log
        )
    there = tfds_reader.folder(tfds_dir, source)
    if places.data_dir and there.exists():
        paths = [path for path in there.iterdir() if path.is_file()]
        return _named(source, folder, _origin(paths), lambda: tfds_reader.read(tfds_dir, source, log=log), None, log)
    found = cache.read_or_make(folder, source, lambda: _anywhere(source, folder, places, tfds_dir, log), log=log)
    if places.data_dir and not there.exists():  # it was in the cache
        _keep(found[0], source, tfds_dir, log)
    return found


def _named(
    source: Source, folder: Path, origin: str, read: Callable[[], Content], files: Files | None, log: Say
) -> tuple[Content, str]:
    """The data set in files that the user named. The cache spares reading them, if it knows these very files."""
    if files is not None and not files.verified:
        _say_unverified(source, next(iter(files.paths.values())).parent, log)
        folder = folder.with_name(f"{folder.name}-unverified-{origin[:12]}")
        return cache.read_or_make(folder, source, read, log=log)
    known = origin in cache.origins(folder)
    made: list[Content] = []

    def make() -> Content:
        made.append(read())
        return made[0]

    data, sha256 = cache.read_or_make(folder, source, make, log=log, origin=origin)
    if known or made:
        return data, sha256
    fresh = read()
    found = verify(source, fresh, where=source.name)
    if found != sha256:
        log(f"{source.name} differs from what is in the cache, which stays as it is")
        return fresh, found
    cache.add_origin(folder, origin)
    return data, sha256


def _say_unverified(source: Source, place: Path, log: Say) -> None:
    log(f"{source.name} in {place} is used unverified: no checksum is registered for these files")


def _origin(paths) -> str:
    """What identifies files on this machine: their places, sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(set(paths)):
        about = path.stat()
        digest.update(repr((str(path.resolve()), about.st_size, about.st_mtime_ns, about.st_ctime_ns)).encode())
    return digest.hexdigest()


def _anywhere(source: Source, cached: Path, places: Places, tfds_dir: Path, log: Say) -> Content:
    """The data set from the TFDS folder, the manual folder of the environment, or the download."""
    tried = [f"cache {cached}: not there"]
    for place in (
        lambda: tfds_reader.read(tfds_dir, source, log=log),
        lambda: _of_environment(source, tfds_dir, log),
        lambda: _keep(_downloaded(source, cache.root(places.cache_dir) / "downloads", log), source, tfds_dir, log),
    ):
        try:
            return place()
        except DataMissing as missing:
            tried += missing.tried
    raise DataMissing(source.name, tried)


def _of_environment(source: Source, tfds_dir: Path, log: Say) -> Content:
    named = os.environ.get(variable(source))
    if not named:
        raise DataMissing(source.name, [f"manual folder {variable(source)}: not set"])
    folder = Path(named).expanduser()
    if (name := missing(source, folder)) is not None:
        raise DataMissing(source.name, [f"manual folder {folder} ({variable(source)}): no {name}"])
    files = _files(source, folder)
    if not files.verified:
        _say_unverified(source, folder, log)
    return _manual(source, files, tfds_dir, log)


def variable(source: Source) -> str:
    """The environment variable that names the manual folder of a data set: HWR_MNIST_DIR, or HWR_EMNIST_DIR."""
    return f"HWR_{re.sub('[^A-Z0-9]', '_', source.family.upper())}_DIR"


def missing(source: Source, folder: Path) -> str | None:
    """Returns the name of the first original file that a user's folder lacks; None if it has all."""
    found, lacking = _located(source, folder)
    return None if found else lacking


def _located(source: Source, place: Path) -> tuple[Files | None, str]:
    """The original files at a place, as they are published, unpacked, or as torchvision and Keras leave them; and the
    name of the first one that is missing."""
    checked = registered(source.name)
    if place.is_file():
        folders, single = [], [place]
    else:
        torch = TORCH.get(source.family, source.family)
        folders = [place / more for more in ("", "gzip", "raw", torch, f"{torch}/raw", f"{torch}/raw/gzip")]
        single = [place / name for name in (source.archive, KERAS) if name]
    lacking = source.archive or next(iter(source.file_names().values()))
    for path in single:
        if not path.is_file():
            continue
        if source.archive and path.suffix == ".zip":
            return Files(dict.fromkeys(source.file_names(), path), "zip", source.archive in checked), ""
        if source.name == "mnist" and path.suffix == ".npz" and not _in_folder(source, place):
            return Files(dict.fromkeys(source.file_names(), path), "npz", True), ""
    for folder in folders:
        paths = _in_folder(source, folder)
        if len(paths) == len(source.file_names()):
            gzipped = all(path.name in checked for path in paths.values())
            return Files(paths, "idx", source.sha256 is not None or gzipped), ""
        if paths and not source.archive:
            lacking = next(name for key, name in source.file_names().items() if key not in paths)
    return None, lacking


def _in_folder(source: Source, folder: Path) -> dict[str, Path]:
    """Those of the four files that a folder has, gzipped or not, with a dash or a dot: train-images.idx3-ubyte."""
    found = {}
    for key, name in source.file_names().items():
        plain = name.removesuffix(".gz")
        dotted = re.sub(r"-(idx\d-ubyte)$", r".\1", plain)
        forms = [form for one in (plain, dotted) for form in (f"{one}.gz", one, f"{one}/{one}")]
        path = next((folder / form for form in forms if (folder / form).is_file()), None)
        if path is not None:
            found[key] = path
    return found


def _files(source: Source, place: Path) -> Files:
    """The original files in a place that the user named. Raises DataError if one is missing."""
    found, lacking = _located(source, place)
    if found is None:
        what = "has no" if place.is_dir() else "is not a folder with"
        raise DataError(
            f"the manual folder {place} {what} {lacking}: for your own pictures use config.data.name=folder, or "
            "--dataset=folder of evaluate"
        )
    return found


def _manual(source: Source, files: Files, tfds_dir: Path, log: Say) -> Content:
    """The content of original files, which is kept in the TFDS folder if it could be verified."""
    path = next(iter(files.paths.values()))
    if files.kind == "zip":
        content = _read(_in_archive(path, source), source)
    elif files.kind == "npz":
        content = idx.read_keras(path, source)
        verify(source, content, where=str(path))
    else:
        content = _read(files.paths, source)
    return _keep(content, source, tfds_dir, log) if files.verified else content


def _downloaded(source: Source, folder: Path, log: Say) -> Content:
    """The original files, downloaded now or before."""
    files = registered(source.name)
    if not files:
        raise DataMissing(source.name, [f"download: tensorflow-datasets registers no address of {source.name}"])
    own = folder / source.family
    fetch = functools.partial(download.fetch, wanted={"archive": source.archive}) if source.archive else download.fetch
    cache.remove_leftovers(own)
    try:
        return _of_download(fetch(source.name, files, own, log=log), source)
    except PermissionError as error:
        log(f"The download is not kept: {own} cannot be written ({error.strerror})")
    with tempfile.TemporaryDirectory(prefix="hwr_jax-") as temporary:
        return _of_download(fetch(source.name, files, Path(temporary), log=log), source)


def _of_download(paths: Mapping[str, Path], source: Source) -> Content:
    if source.archive:
        return _read(_in_archive(paths["archive"], source), source)
    return _read(paths, source)


def _in_archive(path: Path, source: Source) -> dict[str, File]:
    """The original files within a zip archive that has the registered checksum."""
    expected = registered(source.name).get(source.archive)
    if expected is not None and (found := download.sha256_of(path)) != expected.sha256:
        raise DataError(f"{path} has SHA-256 {found}, expected {expected.sha256}")
    try:
        inside = zipfile.Path(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip archive: {error}") from error
    paths: dict[str, File] = {key: inside / "gzip" / name for key, name in source.file_names().items()}
    for file in paths.values():
        if not file.is_file():
            raise DataError(f"{path} does not hold gzip/{file.name}")
    return paths


def _read(paths: Mapping[str, File], source: Source) -> Content:
    content = idx.read(paths, source, registered(source.name))
    if source.sha256 is None and not source.archive and any(path.suffix != ".gz" for path in paths.values()):
        raise DataError(
            f"{paths['train_image'].parent}: files of {source.name} can be verified only as .gz; "
            "to use them unverified set config.data.name=folder"
        )
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
