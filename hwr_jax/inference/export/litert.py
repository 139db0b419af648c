"""A model as a LiteRT file (.tflite), by Google's converter in a Python environment of its own.

`litert-converter` and `ai-edge-litert` pin versions that JAX's other libraries do not take, so `environment` makes a
virtual environment for them in the cache folder, once. The file reads one image a call: with any number, the converter
computes a resnet's shapes anew in each call, which then takes six to nine times as long.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.inference.export import stablehlo
from hwr_jax.inference.export.source import Source

PACKAGES = ("litert-converter==0.5.0", "ai-edge-litert==2.3.0")
MEGABYTES = 530  # what they and theirs need on the disk
PROGRAM = Path(__file__).with_name("litert_program.py")
NOT_POSSIBLE = ("rnn", "crnn")  # the loop over time steps has no counterpart in the converter


def refuse(source: Source) -> None:
    """Raises ConfigError for a network that cannot be converted."""
    if (name := source.network["model"]["name"]) in NOT_POSSIBLE:
        raise ConfigError(
            f"config.model.name={name} cannot be exported to LiteRT, whose converter knows no loop over time steps: "
            "use --format=onnx, which ONNX Runtime Mobile reads"
        )


def environment(cache: Path, log: Callable[[str], None]) -> Path:
    """Returns the Python of the converter's environment in the cache folder; makes it where there is none.

    Raises:
      RunFolderError: it cannot be installed.
    """
    versions = "-".join(package.partition("==")[2] for package in PACKAGES)
    folder = cache / f"litert-{versions}-py{sys.version_info.major}{sys.version_info.minor}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / "ready"
    if ready.is_file():
        return python
    log(f"installing {' and '.join(PACKAGES)} into {folder} (about {MEGABYTES} MB, once)")
    shutil.rmtree(folder, ignore_errors=True)
    _ran([sys.executable, "-m", "venv", str(folder)], "no environment for LiteRT's converter could be made")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    _ran(install, "LiteRT's converter cannot be installed")
    ready.touch()
    return python


def build(source: Source, python: Path, record: dict[str, Any]) -> bytes:
    """Returns the file, with `record` as JSON in its metadata. python: see `environment`."""
    with tempfile.TemporaryDirectory() as place:
        program, made, facts = (Path(place) / name for name in ("program.mlir", "model.tflite", "record.json"))
        program.write_text(stablehlo.exported(source, batch=1).mlir_module())
        facts.write_text(json.dumps(record, sort_keys=True))
        failed = f"LiteRT's converter cannot convert {source.network['model']['name']}"
        _ran([str(python), str(PROGRAM), "convert", str(program), str(facts), str(made)], failed)
        return made.read_bytes()


def run(path: Path, images: np.ndarray, python: Path) -> np.ndarray:
    """Returns what a file computes of images [N, H, W, 1] with grey values 0..255."""
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place) / "images.npy", Path(place) / "probabilities.npy"
        np.save(given, images.astype(np.float32))
        _ran([str(python), str(PROGRAM), "run", str(path), str(given), str(made)], "LiteRT cannot run the file")
        return np.load(made)


def milliseconds(path: Path, images: np.ndarray, python: Path) -> float:
    """Returns the median time of one image on one thread."""
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / "images.npy"
        np.save(given, images.astype(np.float32))
        return float(_ran([str(python), str(PROGRAM), "time", str(path), str(given)], "LiteRT cannot be timed"))


def _ran(line: list[str], failed: str) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RunFolderError(f"{failed}: {said}")
    return done.stdout
