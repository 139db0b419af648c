"""One export from beginning to end: the file is made, checked against JAX, and only then put into its folder."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.inference import onnx_reader, predictor
from hwr_jax.inference.export import litert, onnx_model, parity, quantise, records, stablehlo
from hwr_jax.inference.export.parity import Parity
from hwr_jax.inference.export.source import Source, reference
from hwr_jax.workdir import weights

NAMES = {  # --format -> the file that it makes
    "safetensors": weights.NAME,
    "stablehlo": "model.stablehlo",
    "onnx": onnx_reader.NAME,
    "litert": "model.tflite",
}


NEEDS = {"onnx": ("onnx", "onnxruntime"), "stablehlo": ("flatbuffers",)}  # --format -> packages of the extra `export`


class Made(NamedTuple):
    """An exported file."""

    path: Path
    size: int  # bytes
    parity: Parity
    dropped: list[str]  # keys of the records that were left out
    replaced: bool  # there was a file of this name before


def make(
    source: Source,
    kind: str,
    out: Path,
    *,
    quantize: str | None,
    test: Callable[[], tuple[str, Arrays]],
    max_drop: float,
    licence: Path | None,
    cache: Path,
    log: Callable[[str], None],
    watts: float | None = None,
) -> Made:
    """Makes `out`/NAMES[kind] and the files beside it.

    Args:
      source: the model.
      kind: a key of NAMES.
      out: the folder; it may hold other formats of the same model.
      quantize: one of `quantise.KINDS`, or None. Only for onnx.
      test: returns what the file is checked on (see `parity.test_set`); called once it is clear that it can be made.
      max_drop: percentage points of accuracy that quantising may cost.
      licence: a text file; None: see `records.licence_of`.
      cache: where the converter of LiteRT is installed.
      log: called with a line of news.
      watts: mean power of the machine while training, for the card's estimate of the energy; None: see `records.write`.

    Raises:
      ConfigError: the model has an option that the format cannot express, `out` belongs to something else, or a package
        is missing.
      NotTheSame: the check failed; nothing was written.
      OSError: a file cannot be written, or LiteRT's converter cannot be installed.
    """
    if missing := [name for name in NEEDS.get(kind, ()) if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"--format={kind} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    records.require_place(out, source)
    terms = records.licence_of(source, licence, out, NAMES[kind])
    record = records.of_file(source, kind, quantize, terms)
    if kind == "litert":
        litert.refuse(source)
    elif kind == "onnx":
        onnx_model.refuse(source)
    images_of, (images, label) = test()
    wanted = reference(source.model, images)
    python = litert.environment(cache, log) if kind == "litert" else None
    with tempfile.TemporaryDirectory() as place:
        staged = Path(place) / NAMES[kind]
        if kind == "safetensors":
            weights.write(Path(place), source.model.params, source.model.model_state)
            records.write(Path(place), source, {}, terms)
        elif kind == "stablehlo":
            staged.write_bytes(stablehlo.build(source))
        elif python is not None:
            staged.write_bytes(litert.build(source, python, record))
        else:
            model = onnx_model.build(source)
            model = quantise.quantised(model, quantize) if quantize else model
            staged.write_bytes(onnx_model.with_metadata(model, record))
        found = parity.compare(_computed(staged, kind, images, python), wanted, label=label, images_of=images_of)
        parity.require(found, quantised=bool(quantize), max_drop=max_drop)
        out.mkdir(parents=True, exist_ok=True)
        final = out / NAMES[kind]
        replaced = final.exists()
        files.write_atomic(final, staged.read_bytes())
        dropped = records.write(out, source, {NAMES[kind]: record | {"check": found._asdict()}}, terms, watts)
    return Made(final, final.stat().st_size, found, dropped, replaced)


def _computed(staged: Path, kind: str, images: np.ndarray, python: Path | None) -> np.ndarray:
    """What the file computes, read back as its users do."""
    if kind == "safetensors":
        return reference(predictor.load(staged.parent), images)
    if kind == "stablehlo":
        return stablehlo.run(staged, images)
    if python is not None:
        return litert.run(staged, images, python)
    return onnx_reader.load(staged).probabilities(images)
