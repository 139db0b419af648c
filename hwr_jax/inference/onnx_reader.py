"""Reads with an exported `model.onnx` and onnxruntime: no JAX, no run folder, and nothing but that one file.

The strings of a network that reads lines are found by the same prefix beam search as `tasks.ctc.beam_search`, here in
NumPy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core import cores
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.inference.reader import BEAM, Reader, doubt_of_length
from hwr_jax.pictures.normalise import Normalised
from hwr_jax.workdir import weights

NAME = "model.onnx"
METADATA = "hwr_jax"  # the key of the metadata that holds the record
INPUT, OUTPUT = "images", "probabilities"
FORM = 1  # of the record; a reader refuses later ones
IMAGES_PER_CALL = 500  # bounds the memory of a call


@dataclass(frozen=True)
class OnnxReader(Reader):
    """A model in an ONNX file. It never changes: threads may share it."""

    record: dict[str, Any]  # what the exporter wrote: labels, shape, licence, versions, ...
    session: Any  # onnxruntime.InferenceSession

    @property
    def reads_strings(self) -> bool:
        """Whether the model reads strings, not one class per image."""
        return self.record["reads"] == "strings"

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See `Reader.predict`."""
        if self.reads_strings:
            raise ValueError("this model reads strings, which have no probability per class: use read")
        return self.probabilities(self.checked(images))

    def read(self, images: np.ndarray, *, best: int = 4) -> list[list[tuple[str, float]]]:
        """See `Reader.read`."""
        if not self.reads_strings:
            return super().read(images, best=best)
        width = max(BEAM, best, self.record["beam"])
        found = (beam_search(np.log(np.maximum(p, 1e-30)), width) for p in self.probabilities(self.checked(images)))
        return [
            [("".join(self.classes[k] for k in string), float(np.exp(score))) for string, score in strings[:best]]
            for strings in found
        ]

    def judged(self, found: Normalised) -> Normalised:
        """Adds the doubt about a line with more characters than any that the model was trained on."""
        return doubt_of_length(found, self.record["longest"]) if self.reads_strings else found

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns what the file computes of images [N, H, W, 1] with grey values 0..255: float32 [N, K], or
        [N, T, K + 1] of a model that reads strings, the blank last."""
        grey = np.asarray(images, np.float32)
        if not len(grey):  # onnxruntime fails on some networks then, and aborts the process on recurrent ones
            return self.probabilities(np.zeros((1, *grey.shape[1:]), np.float32))[:0]
        firsts = range(0, len(grey), IMAGES_PER_CALL)
        parts = [self.session.run([OUTPUT], {INPUT: grey[first : first + IMAGES_PER_CALL]})[0] for first in firsts]
        return np.concatenate(parts)


def is_exported(folder: Path) -> bool:
    """Whether a folder holds a model.onnx and no weights that JAX could read."""
    there = (folder / NAME).is_file()
    return there and not ((folder / weights.NAME).is_file() or (folder / "checkpoints").is_dir())


def load(path: str | Path, *, threads: int | None = None) -> OnnxReader:
    """Opens an exported file, or the folder that holds it.

    Args:
      path: `model.onnx`, or its folder.
      threads: of onnxruntime; None: as many as there are cores.

    Raises:
      ConfigError: there is no such file, onnxruntime is not installed, or a later hwr_jax wrote it.
      RunFolderError: it is damaged, or hwr_jax did not write it.
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"{path} does not exist: name a file that `python -m hwr_jax.export --format=onnx` wrote")
    session = open_session(path, threads=threads)
    try:
        record = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    except KeyError:
        raise RunFolderError(f"{path} was not written by hwr_jax: its metadata has no {METADATA!r}") from None
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: its metadata is not JSON ({error})") from None
    if record.get("form") != FORM:
        raise ConfigError(
            f"{path} has the form {record.get('form')} and this hwr_jax reads {FORM}: install a newer one"
        )
    return OnnxReader(record["facts"], record, session)


def open_session(path: Path, *, threads: int | None = None) -> Any:
    """Opens any ONNX file with onnxruntime on the CPU. Raises as `load`."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f"{path} needs onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores.available()
    options.log_severity_level = 3  # errors come as exceptions
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own types differ between its versions
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RunFolderError(f"{path} cannot be read by onnxruntime {onnxruntime.__version__}: {first}") from None


def beam_search(log_prob: np.ndarray, width: int) -> list[tuple[tuple[int, ...], float]]:
    """Returns the most probable strings of one line and their log probabilities, the most probable first.

    The algorithm is that of `tasks.ctc.beam_search`: prefix beam search (Hannun et al. 2014).

    Args:
      log_prob: float [T, K + 1], the blank last.
      width: prefixes kept after each step.
    """
    log_prob = np.asarray(log_prob, np.float64)
    blank = log_prob.shape[1] - 1
    never = -np.inf
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, never)}  # -> paths that end in a blank, in a label
    for now in log_prob:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(prefix: tuple[int, ...], in_blank: float, in_label: float, grown: dict = grown) -> None:
            before = grown.get(prefix, (never, never))
            grown[prefix] = (float(np.logaddexp(before[0], in_blank)), float(np.logaddexp(before[1], in_label)))

        for prefix, (in_blank, in_label) in beams.items():
            both = np.logaddexp(in_blank, in_label)
            add(prefix, both + now[blank], in_label + now[prefix[-1]] if prefix else never)
            for label in range(blank):
                repeats = bool(prefix) and prefix[-1] == label
                add((*prefix, label), never, (in_blank if repeats else both) + now[label])
        ranked = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))
        beams = dict(ranked[:width])
    scored = [(prefix, float(np.logaddexp(*of))) for prefix, of in beams.items()]
    return [one for one in sorted(scored, key=lambda item: -item[1]) if one[1] > never]
