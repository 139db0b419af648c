"""Reading an exported file: without JAX, strings by the same search as JAX, and one sentence for a bad file."""

import numpy as np
import onnx
import pytest

from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.inference import onnx_reader
from hwr_jax.tasks import ctc


@pytest.mark.parametrize("width", [1, 8, 40])
def test_the_beam_search_finds_what_jax_finds(width, quick_jit):
    logits = np.random.default_rng(0).normal(0, 2, (6, 9, 5)).astype(np.float32)
    log_prob = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    strings, scores = quick_jit(ctc.beam_search, static_argnames="width")(logits, width)
    for rows, expected, of in zip(np.asarray(strings), np.asarray(scores), log_prob, strict=True):
        found = onnx_reader.beam_search(of, width)
        assert [string for string, _ in found] == [tuple(map(int, row[row >= 0])) for row in rows]
        np.testing.assert_allclose([score for _, score in found], expected, atol=1e-4)


def plain(metadata):
    """A file that onnxruntime opens, and its metadata."""
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["images"], ["probabilities"])],
        "test",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N"])],
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["N"])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    if metadata is not None:
        onnx.helper.set_model_props(made, {"hwr_jax": metadata})
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"not a model", RunFolderError, r"model\.onnx cannot be read by onnxruntime \d"),
        (plain(None), RunFolderError, r"model\.onnx was not written by hwr_jax: its metadata has no 'hwr_jax'"),
        (plain("{"), RunFolderError, r"model\.onnx is damaged: its metadata is not JSON"),
        (plain('{"form": 2}'), ConfigError, r"has the form 2 and this hwr_jax reads 1: install a newer one"),
        (None, ConfigError, r"model\.onnx does not exist: name a file that"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, content, error, words):
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        onnx_reader.load(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
