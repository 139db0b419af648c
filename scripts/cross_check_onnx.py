"""Compares model.onnx of our own exporter with the file that jax2onnx makes of the same model.

    uv venv xcheck && echo 'orbax-checkpoint>=0.12' > override.txt
    uv pip install -p xcheck/bin/python --override override.txt jax2onnx==0.17.1 -e '.[export]'
    xcheck/bin/python scripts/cross_check_onnx.py cnn=runs/cnn resnet=runs/resnet shipped

The first seed of a run is compared. jax2onnx has to live in an environment of its own: it asks for an older
orbax-checkpoint. It cannot convert rnn and crnn, whose loop over time steps it does not know, which is printed. Exits
with 1 if two files differ by more than 1e-5.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from hwr_jax.inference.export import onnx_model, parity, source
from hwr_jax.workdir import run_folder

IMAGES = 1000
LIMIT = 1e-5


def theirs(model: source.Source) -> bytes:
    """Returns the file that jax2onnx makes."""
    from jax2onnx import to_onnx

    height, width = model.facts["shape"][:2]
    made = to_onnx(source.probabilities(model), inputs=[("N", height, width, 1)], model_name="theirs")
    del made.graph.value_info[:]  # wrong for some networks (resnet), and of no use here
    return made.SerializeToString()


def computed(content: bytes, images: np.ndarray) -> np.ndarray:
    """Returns what a file computes of images [N, H, W, 1]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images.astype(np.float32)})[0])


def main() -> int:
    """Compares; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="NAME=RUN FOLDER, or shipped")
    code = 0
    for given in parser.parse_args().models:
        name, _, folder = given.partition("=")
        seed = run_folder.read_config(Path(folder)).seed if folder else None
        model = source.open_source(Path(folder) if folder else None, which="", seed=seed, log=print)
        images = parity.test_set(model, data_dir=None, manual_dir="", log=print)[1].image[:IMAGES]
        built = onnx_model.build(model)
        ours = computed(built.SerializeToString(), images)
        try:
            other = theirs(model)
        except Exception as error:  # whatever stops jax2onnx is a result
            print(f"{name}: jax2onnx cannot convert it ({type(error).__name__})", flush=True)
            continue
        difference = float(np.abs(ours - computed(other, images)).max())
        sizes = f"{built.ByteSize() / 1e3:,.0f} and {len(other) / 1e3:,.0f} kB"
        print(f"{name}: {sizes}, probabilities within {difference:.1e} on {len(images):,} images", flush=True)
        code |= not difference <= LIMIT
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
