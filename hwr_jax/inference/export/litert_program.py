"""Converts a StableHLO program to LiteRT, runs and times it: run by the Python of `litert`'s own environment.

    python litert_program.py convert PROGRAM.mlir RECORD.json MODEL.tflite
    python litert_program.py run MODEL.tflite IMAGES.npy PROBABILITIES.npy
    python litert_program.py time MODEL.tflite IMAGES.npy    (prints the median of one image, milliseconds, one thread)

Imports nothing of hwr_jax, which that environment does not have.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 300
METADATA = "hwr_jax"  # as in an ONNX file


def convert(program: str, record: str, out: str) -> None:
    """Writes the LiteRT file of a StableHLO program in text, with a JSON file as its metadata `hwr_jax`."""
    from litert_converter import converter_api_ext as api
    from litert_converter.mlir import ir, passmanager

    context = ir.Context()
    api.prepare_mlir_context(context)
    module = ir.Module.parse(Path(program).read_text(), context)
    api.run_convert_to_tfl_passes(module, passmanager.PassManager(context=context), api.ConvertToTFLConfig())
    made = api.export_flatbuffer_to_bytes(module.operation)
    Path(out).write_bytes(_with_metadata(made, Path(record).read_bytes()))


def run(model: str, images: str, out: str) -> None:
    """Writes what a LiteRT file computes of images float32 [N, H, W, 1]."""
    interpreter = _interpreter(model)
    np.save(out, np.concatenate([_called(interpreter, image[None]) for image in np.load(images)]))


def measure(model: str, images: str) -> None:
    """Prints the median time of one image."""
    one, interpreter, seconds = np.load(images)[:1], _interpreter(model), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        _called(interpreter, one)
        seconds.append(time.perf_counter() - start)
    print(1e3 * statistics.median(seconds))


def _interpreter(model: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_path=model, num_threads=1)
    made.allocate_tensors()
    return made


def _called(interpreter: Any, images: np.ndarray) -> np.ndarray:
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(made["index"]).copy()


def _with_metadata(model: bytes, content: bytes) -> bytes:
    import flatbuffers
    from litert_converter import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry.name, entry.buffer = METADATA, len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    {"convert": convert, "run": run, "time": measure}[sys.argv[1]](*sys.argv[2:])
