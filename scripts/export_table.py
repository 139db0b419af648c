"""Measures exports of every network in every format, and writes the table of docs/export.md between its markers.

    python scripts/export_table.py cnn=runs/cnn rnn=runs/rnn shipped   # measures these, and adds them to the figures
    python scripts/export_table.py                                     # writes the table again
    python scripts/export_table.py --check                             # fails if the page differs from the figures

The first seed of a run is exported; `shipped` is the model that comes with hwr_jax. The figures are kept in
experiments/exports.json. Everything runs on one core: the process is bound to it before JAX starts.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import readme_table

ROOT = Path(__file__).resolve().parent.parent
PAGE, FIGURES = ROOT / "docs" / "export.md", ROOT / "experiments" / "exports.json"
COLUMNS = {  # heading -> (--format, --quantize)
    "onnx": ("onnx", None),
    "onnx, float16": ("onnx", "float16"),
    "onnx, int8": ("onnx", "int8"),
    "litert": ("litert", None),
    "stablehlo": ("stablehlo", None),
    "safetensors": ("safetensors", None),
}
ORDER = ("linear", "mlp", "lenet", "cnn", "resnet", "vit", "rnn", "crnn", "shipped")
CALLS = 300


def measure(name: str, folder: Path | None) -> dict[str, Any]:
    """Exports a model in every format; returns for each its bytes, milliseconds, difference and lost points."""
    from hwr_jax.core.errors import ConfigError
    from hwr_jax.data import cache
    from hwr_jax.inference.export import making, parity, source
    from hwr_jax.workdir import run_folder

    seed = None if folder is None else run_folder.read_config(folder).seed
    model = source.open_source(folder, which="", seed=seed, log=print)
    test = parity.test_set(model, data_dir=None, manual_dir="", log=print)
    found: dict[str, Any] = {}
    for column, (kind, quantize) in COLUMNS.items():
        with tempfile.TemporaryDirectory() as out:
            try:
                made = making.make(
                    model, kind, Path(out), quantize=quantize, test=lambda: test, max_drop=100, licence=None,
                    cache=cache.default_cache_dir(), log=print,
                )  # fmt: skip
            except ConfigError as error:
                found[column] = {"refused": str(error)}
                continue
            found[column] = {
                "bytes": made.size,
                "ms": latency(made.path, kind, test[1].image[:1]),
                "largest_difference": made.parity.largest_difference,
                "lost_points": made.parity.lost_points,
            }
        print(f"{name}, {column}: {cell(found[column])}", flush=True)
    return {"accuracy": made.parity.accuracy_of_jax, "checked_on": made.parity.images, "formats": found}


def latency(path: Path, kind: str, image: Any) -> float:
    """Returns the median time of a call with one image, in milliseconds."""
    from hwr_jax.data import cache
    from hwr_jax.inference import onnx_reader, predictor
    from hwr_jax.inference.export import litert

    if kind == "litert":
        return litert.milliseconds(path, image, litert.environment(cache.default_cache_dir(), print))
    if kind == "onnx":
        reader = onnx_reader.load(path, threads=1)
        return median_ms(lambda: reader.probabilities(image))
    if kind == "safetensors":
        model = predictor.load(path.parent)
        return median_ms(lambda: model.read(image))
    import jax
    import numpy as np
    from jax import export

    call, grey = jax.jit(export.deserialize(bytearray(path.read_bytes())).call), image.astype(np.float32)
    return median_ms(lambda: np.asarray(call(grey)))


def median_ms(call: Callable[[], Any]) -> float:
    """Returns the median time of a call after a few that do not count."""
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[CALLS // 10 :])


def cell(found: dict[str, Any]) -> str:
    """Returns one cell of the table."""
    if "refused" in found:
        return "not possible"
    change = f", accuracy {-found['lost_points'] + 0:+.2f}" if found["largest_difference"] > 1e-5 else ""
    return f"{found['bytes'] / 1e3:,.0f} kB, {found['ms']:.2f} ms, {found['largest_difference']:.0e}{change}"


def rows(figures: dict[str, Any]) -> list[str]:
    """Returns the lines of the table."""
    lines = [f"| model | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for name in sorted(figures, key=ORDER.index):
        lines.append(f"| {name} | {' | '.join(cell(figures[name]['formats'][column]) for column in COLUMNS)} |")
    return lines


def main() -> int:
    """Measures, writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="NAME=RUN FOLDER, or shipped")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if the page would change")
    args = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if args.models and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for given in args.models:
        name, _, folder = given.partition("=")
        figures[name] = measure(name, Path(folder) if folder else None)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    return readme_table.put("exports", Path(__file__).name, rows(figures), check=args.check, page=PAGE)


if __name__ == "__main__":
    sys.exit(main())
