"""Every network and option as an ONNX graph computes what JAX computes, with random weights of a tiny size."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwr_jax import models
from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.inference.export import networks
from hwr_jax.inference.export.graph import IR_VERSION, OPSET, Graph
from hwr_jax.models import layers
from hwr_jax.models.registry import MODELS

ROOT = Path(__file__).parents[3]
IMAGES = (np.arange(3 * 28 * 28).reshape(3, 28, 28, 1) * 37 % 101 / 101).astype(np.float32)
SMALL = {"model.features": (8, 16), "model.dense": 8, "model.hidden": (16,), "model.width": 8, "model.heads": 2}
CASES = [
    ("linear", {}),
    ("mlp", {}),
    ("scratch", {}),
    ("lenet", {}),
    ("cnn", {}),
    ("resnet", {}),
    ("vit", {"layers": 2}),
    ("rnn", {}),
    ("crnn", {"kernels_px": (3, 3)}),
    *(("mlp", {"norm": norm}) for norm in ("batch", "layer", "group")),
    *(("cnn", {"norm": norm}) for norm in ("batch", "layer", "group")),
    ("crnn", {"kernels_px": (3, 3), "norm": "group"}),
    ("cnn", {"padding": "same", "strides_px": (2, 1), "kernels_px": (4, 3)}),
    ("cnn", {"padding": "valid", "strides_px": (2, 1), "pools": (False, True)}),
    ("cnn", {"dense": 0}),
    ("cnn", {"features": (), "kernels_px": (), "strides_px": (), "pools": ()}),
    *(pytest.param("resnet", {"norm": norm}, marks=pytest.mark.exhaustive) for norm in ("none", "layer", "group")),
    *(
        pytest.param("crnn", {"kernels_px": (3, 3), "norm": norm}, marks=pytest.mark.exhaustive)
        for norm in ("none", "layer")
    ),
    ("cnn", {"convolution": "patches"}),
    ("resnet", {"stride_px": 1, "blocks": 2}),
    ("rnn", {"cell": "gru", "layers": 2}),
    ("rnn", {"cell": "simple", "bidirectional": False, "layers": 2}),
    ("crnn", {"kernels_px": (3, 5), "dense": 0, "cell": "lstm", "layers": 2, "column_px": 2}),
    ("crnn", {"kernels_px": (3, 3), "cell": "simple", "bidirectional": False, "column_px": 1}),
]


def made(name, overrides, *, width=28):
    """The config.model of a tiny network, the network, and random variables: the statistics too."""
    given = {**SMALL, **{f"model.{key}": value for key, value in overrides.items()}}
    config = configs.load(ROOT / "configs" / f"{name}.py", {} if name == "linear" else given)
    model = models.make(config.model, classes=5, shape_px=(28, width))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), (1, 28, width, 1)))
    draw = np.random.default_rng(0)

    def value(path, x):
        drawn = draw.normal(0, 0.3, x.shape).astype(np.float32)
        return 0.5 + np.abs(drawn) if path[-1].key == "var" else drawn

    return config.model, model, jax.tree_util.tree_map_with_path(value, shapes)


def run(graph, given, shape, made):
    """The value y of a graph."""
    (name,) = given
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "test",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
            [numpy_helper.from_array(value, name) for name, value in graph.arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)[0]


def scores(config, variables, images):
    graph = Graph()
    x = graph.add("Transpose", "images", perm=[0, 3, 1, 2])
    of = networks.Layers(variables["params"], variables.get("batch_stats", {}))
    graph.add("Identity", networks.scores(graph, x, of, config.to_dict()), output="y")
    strings = config.name == "crnn"
    shapes = ["N", 28, "W" if strings else 28, 1], ["N", "T", 6] if strings else ["N", 5]
    return run(graph, {"images": images}, *shapes)


@pytest.mark.parametrize(("name", "overrides"), CASES, ids=lambda v: v if isinstance(v, str) else str(list(v.values())))
def test_a_graph_computes_what_the_network_computes(name, overrides, quick_jit):
    config, model, variables = made(name, overrides)
    wanted = quick_jit(model.apply)(variables, jnp.asarray(IMAGES))[0]
    found = scores(config, variables, IMAGES)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)
    assert np.std(found) > 1e-3


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_an_activation_is_that_of_the_networks(name):
    graph, x = Graph(), np.linspace(-6, 6, 49, dtype=np.float32)
    graph.add("Identity", graph.activation(graph.add("Identity", "x"), name), output="y")
    found = run(graph, {"x": x}, ["N"], ["N"])
    np.testing.assert_allclose(found, layers.ACTIVATIONS[name](jnp.asarray(x)), rtol=1e-5, atol=1e-6)


def test_an_activation_that_is_not_known_is_refused_by_its_key():
    with pytest.raises(ConfigError, match=r"^config\.model\.activation=swoosh cannot be exported to ONNX$"):
        Graph().activation("x", "swoosh")


def test_every_network_has_a_graph():
    assert set(networks.NETWORKS) == set(MODELS)


def test_a_reader_of_lines_takes_any_width_and_any_number_of_lines(quick_jit):
    config, _, variables = made("crnn", {"kernels_px": (3, 3)})
    for width, count in ((60, 4), (32, 1)):
        model = models.make(config, classes=5, shape_px=(28, width))
        images = np.resize(IMAGES, (count, 28, width, 1))
        wanted = quick_jit(model.apply)(variables, jnp.asarray(images))[0]
        found = scores(config, variables, images)
        assert found.shape == (count, width // config.column_px, 6)
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_arrays_that_a_graph_leaves_out_are_an_error_that_names_them():
    config, _, variables = made("mlp", {})
    of = networks.Layers(variables["params"] | {"Dense_7": {}}, {"Norm_9": {}})
    with pytest.raises(ValueError, match=r"the exported mlp uses all arrays but Dense_7, Norm_9"):
        networks.scores(Graph(), "x", of, config.to_dict())
