"""Exports a trained model to one file: `python -m hwr_jax.export --format=onnx --out=FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, printable

USAGE = """\
Writes a model as one file: for ONNX Runtime or LiteRT, which need no JAX, for JAX without this package (stablehlo), or
for hwr_jax.load (safetensors); and beside it config.json, environment.json, MODEL_CARD.md and LICENSE. Except in
safetensors, standardising and the mean over several seeds are part of the file. Before it gets its name, it is compared
with JAX on the whole test set: the same answer for every image, probabilities within 1e-5. A quantised file is compared
by its accuracy. If a comparison fails, the command writes nothing and exits with 1. The page (web) is always the same,
and compared by the tests of this package alone.

    python -m hwr_jax.export --format=onnx --out=exported                  (the model that comes with hwr_jax)
    python -m hwr_jax.export --workdir=runs/cnn --format=onnx --quantize=int8 --out=exported/cnn
    python -m hwr_jax.export --workdir=runs/cnn --seed=0 --format=safetensors --out=exported/cnn
    python -m hwr_jax.export --format=web --out=page       (the page that reads in a browser: open page/index.html)
"""

FLAGS = flags.Flags()
NOT_OF_WEB = ["workdir", "checkpoint", "seed", "quantize", "licence", "watts", "data_dir", "manual_dir"]
FORMATS = ["safetensors", "stablehlo", "onnx", "litert", "web"]
_FORMAT = FLAGS.choice("format", None, FORMATS, "What to write.", required=True)
_OUT = FLAGS.string(
    "out", None, "Where to write; it may hold other formats of the model.", kind="FOLDER", required=True
)
_WORKDIR = flags.workdir(FLAGS, without="the model that comes with hwr_jax")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Export one seed of the run; default: the mean probability of all.")
_QUANTIZE = FLAGS.choice("quantize", None, ["int8", "float16"], "Keep the weights of onnx in fewer bits.")
_MAX_DROP = FLAGS.number(
    "max_drop", 0.05, "Percentage points of test accuracy that --quantize may cost.", at_least=0, kind="POINTS"
)
_LICENCE = FLAGS.string(
    "licence", None, "Text file with the licence of the weights; default: that of hwr_jax's own model.", kind="FILE"
)
_WATTS = FLAGS.number(
    "watts", None, "Mean power of the machine while training, to estimate the energy in the card; default: none.",
    at_least=0, kind="WATTS",
)  # fmt: skip
_DATA_DIR = flags.data_dir(FLAGS)
_MANUAL_DIR = FLAGS.string(
    "manual_dir", "", "Folder with the original files of the test set; default: that of the run.", kind="FOLDER"
)


def main() -> int:
    """Exports a model; returns the exit code."""
    kind, out, licence = _asked()
    if kind == "web":
        return _write_page(out)
    folder = None if _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    from hwr_jax.cli import console
    from hwr_jax.data import cache
    from hwr_jax.inference import packaged
    from hwr_jax.inference.export import making, parity, source
    from hwr_jax.steps import compile_cache

    compile_cache.cache_compilations(cache.default_cache_dir())
    screen = console.make_console()
    model = source.open_source(folder, which=_CHECKPOINT.value or "", seed=_SEED.value, log=screen.print)
    screen.print(f"{packaged.said_of(model.model, folder)}; {model.in_words()}")
    try:
        made = making.make(
            model,
            kind,
            out,
            quantize=_QUANTIZE.value,
            test=lambda: parity.test_set(
                model, data_dir=_DATA_DIR.value, manual_dir=_MANUAL_DIR.value, log=screen.print
            ),
            max_drop=_MAX_DROP.value,
            licence=licence,
            cache=cache.default_cache_dir(),
            log=screen.print,
            watts=_WATTS.value,
        )
    except parity.NotTheSame as found:
        print(f"hwr_jax: nothing was written to {out}: {printable.line(str(found))}", file=sys.stderr)
        return errors.DIFFERENT
    screen.print(parity.in_words(made.parity, quantised=_QUANTIZE.value is not None))
    if made.dropped:
        screen.print(f"left out of the records, as it is about the machine: {'; '.join(made.dropped)}")
    screen.print(f"{made.path}: {made.size / 1e3:,.0f} kB{' (replaced)' if made.replaced else ''}")
    return errors.DONE


def _write_page(out: Path) -> int:
    """Writes the page that reads in a browser. Raises ConfigError: the folder holds something else."""
    from hwr_jax.web import page_files

    is_new = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not is_new and not page_files.is_page(out):
        raise errors.ConfigError(f"--out={out} holds other files than the page: name a new folder")
    written = page_files.write(out)
    size = sum(path.stat().st_size for path in written)
    replaced = "" if is_new else " (replaced)"
    print(f"{out}: {len(written)} files, {size / 1e3:,.0f} kB{replaced}; open {out / 'index.html'}")
    return errors.DONE


def _asked() -> tuple[str, Path, Path | None]:
    """Returns the format, the folder and the licence. Raises ConfigError if the flags do not fit each other."""
    if _FORMAT.value is None:
        raise errors.ConfigError(f"--format is missing: use one of {', '.join(FORMATS)}")
    if _FORMAT.value == "web":
        others = [name for name in NOT_OF_WEB if FLAGS[name].present]
        if others:
            raise errors.ConfigError(
                f"--{others[0]} does not apply to --format=web, which has the model of the package: leave it out"
            )
    if _QUANTIZE.value is not None and _FORMAT.value != "onnx":
        raise errors.ConfigError(f"--quantize={_QUANTIZE.value} applies to --format=onnx, not to {_FORMAT.value}")
    if FLAGS["max_drop"].present and _QUANTIZE.value is None:
        raise errors.ConfigError("--max_drop applies to --quantize: leave it out")
    licence = None if _LICENCE.value is None else Path(_LICENCE.value).expanduser()
    if licence is not None and not licence.is_file():
        raise errors.ConfigError(f"--licence={licence} is not a file: name a text file")
    if licence is not None and _WORKDIR.value is None:
        raise errors.ConfigError("--licence applies to a run of yours; the package's model has MIT's: leave it out")
    if FLAGS["watts"].present and _WORKDIR.value is None:
        raise errors.ConfigError("--watts applies to a run of yours, whose training it is about: leave it out")
    if _WATTS.value == 0:
        raise errors.ConfigError("--watts=0 is not a power: use more than 0, or leave it out")
    return _FORMAT.value, command.folder("out", _OUT.value), licence


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
