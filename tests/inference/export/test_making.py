"""The exported file as a whole: framing, views and seeds are in it; quantising and the check against JAX."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
import pytest

from hwr_jax.config import check, configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.inference import onnx_reader
from hwr_jax.inference.export import making, onnx_model, parity, quantise, source
from hwr_jax.inference.predictor import Predictor
from hwr_jax.steps.run import bind

ROOT = Path(__file__).parents[3]
FACTS = {
    "name": "digits", "version": "1", "sha256": "0" * 64, "classes": list("0123456789"), "shape": [28, 28, 1],
    "examples": {"train": 1000, "validation": 10, "test": 10}, "mean": 0.13, "std": 0.31,
}  # fmt: skip
IMAGES = (np.arange(5 * 28 * 28).reshape(5, 28, 28, 1) * 37 % 256).astype(np.uint8)
LABEL = np.arange(5, dtype=np.int32)
TINY = {"model.features": (8, 8), "model.dense": 16}


@functools.cache
def untrained(name="cnn.py", seeds=1, **overrides):
    """A source with random weights."""
    config = configs.load(ROOT / "configs" / name, {k.replace("__", "."): v for k, v in overrides.items()})
    config.seeds = seeds
    check.check(config)
    given = {key: FACTS[key] for key in ("mean", "std")}
    bound = bind(config, examples=1000, shape=(28, 28, 1), classes=10, devices=None, **given)
    shapes = bound.state_shapes()
    draw = np.random.default_rng(0)
    params, state = jax.tree.map(
        lambda x: draw.normal(0, 0.1, x.shape).astype(np.float32), (shapes.params, shapes.model_state)
    )
    model = Predictor(FACTS, bound.plan, bound.seeds, bound.programs, params, state)
    environment = {"dataset": FACTS, "code": {"version": "0", "sha256": "0"}, "resumed": [], "command": ["/home/me/x"]}
    return source.Source(Path("runs/none"), config, environment, model, bound.recipe, "last")


def computed(proto, images=IMAGES):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images.astype(np.float32)})[0]


def export(of, out, kind="onnx", **more):
    given = {"quantize": None, "max_drop": 0.05, "licence": None, "cache": out, "log": print, **more}
    return making.make(of, kind, out, test=lambda: ("digits test", Arrays(IMAGES, LABEL)), **given)


@pytest.fixture(autouse=True)
def _promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_the_default_model_is_the_same_in_onnx_and_small(tmp_path):
    model = untrained()
    made = export(model, tmp_path / "full")
    assert made.parity.other_answers == 0
    assert made.parity.largest_difference <= 1e-5
    assert made.size <= 1_000_000
    small = export(model, tmp_path / "int8", quantize="int8", max_drop=100)
    assert small.size <= 300_000
    assert 0 < small.parity.largest_difference < 0.05


def test_a_file_reads_no_images_at_all():
    given = {"name": "vit.py", "model__width": 8, "model__heads": 2, "model__layers": 1}  # onnxruntime fails on none
    proto = onnx_model.build(untrained(**given))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    model = onnx_reader.OnnxReader(FACTS, {"reads": "classes"}, session)
    for count in (0, 1, 3):
        assert model.predict(IMAGES[:count]).shape == (count, 10)


def test_framing_shifted_views_and_the_mean_over_seeds_are_in_the_file():
    more = {"frame__crop_px": 1, "frame__side_px": 20, "eval__shift_px": 1, "model__features": (8, 8)}
    model = untrained(seeds=2, **more)
    proto = onnx_model.build(model)
    np.testing.assert_allclose(computed(proto), source.reference(model.model, IMAGES), atol=1e-6)
    assert {node.name.split("/")[0] for node in proto.graph.node if "Conv" in node.name} == {"seed_0", "seed_1"}
    assert not proto.graph.value_info


@pytest.mark.parametrize(
    ("key", "value"), [("model__precision", "bfloat16"), ("frame__deskew", True), ("frame__centre", True)]
)
def test_what_cannot_be_exported_is_refused_by_its_key(key, value, tmp_path):
    with pytest.raises(
        ConfigError, match=rf"^config\.{key.replace('__', '.')}={value} cannot be exported to ONNX, as "
    ):
        export(untrained("linear.py", **{key: value}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["rnn.py", "crnn.py"])
def test_networks_with_a_loop_are_refused_for_litert(name, tmp_path):
    model = untrained("rnn.py")
    model.network["model"]["name"] = name.removesuffix(".py")
    with pytest.raises(ConfigError, match=r"cannot be exported to LiteRT, .* use --format=onnx"):
        export(model, tmp_path, "litert")
    model.network["model"]["name"] = "rnn"


@pytest.mark.parametrize("kind", quantise.KINDS)
def test_quantised_weights_are_near_the_original_and_take_a_part_of_it(kind):
    proto = onnx_model.build(untrained("rnn.py"))
    small = quantise.quantised(proto, kind)
    ratio = small.ByteSize() / proto.ByteSize()
    assert ratio < {"int8": 0.3, "float16": 0.55}[kind]
    np.testing.assert_allclose(computed(small), computed(proto), atol={"int8": 2e-2, "float16": 1e-3}[kind])


def test_a_weight_of_int8_is_within_half_a_step_of_its_column():
    rows = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32) * np.logspace(-3, 3, 10, dtype=np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "test",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [64, 64])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [64, 10])],
        [onnx.numpy_helper.from_array(rows, "w")],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(quantise.quantised(proto, "int8").SerializeToString())
    found = session.run(None, {"x": np.eye(64, dtype=np.float32)})[0]
    assert (np.abs(found - rows) <= np.abs(rows).max(0) / 127 * 0.5001).all()


def test_a_licence_that_is_not_text_is_refused_by_its_name(tmp_path):
    terms = tmp_path / "terms.txt"
    terms.write_bytes("Libert\u00e9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"terms\.txt is not text in UTF-8 \(.*\): save it as such$"):
        export(untrained(), tmp_path / "out", licence=terms)


def test_a_file_that_differs_from_jax_gets_no_name(tmp_path, monkeypatch):
    model, build = untrained("linear.py"), onnx_model.build

    def wrong(of):
        proto = build(of)
        bias = next(tensor for tensor in proto.graph.initializer if tensor.name == "Dense_0/bias")
        bias.raw_data = np.full(10, 0.5, np.float32).tobytes()
        return proto

    monkeypatch.setattr(onnx_model, "build", wrong)
    with pytest.raises(parity.NotTheSame, match="the file"):
        export(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_check_counts_other_answers_and_refuses_what_is_not_finite():
    wanted = np.array([[0.6, 0.4], [0.1, 0.9]], np.float32)
    compare = functools.partial(parity.compare, wanted=wanted, label=np.array([0, 1]), images_of="x test")
    fine = compare(wanted + np.float32(2e-6))
    parity.require(fine, quantised=False, max_drop=0)
    with pytest.raises(parity.NotTheSame, match=r"differ from JAX's by up to 2\.0e-04 on x test, more than 1e-05"):
        parity.require(compare(wanted + np.float32(2e-4)), quantised=False, max_drop=0)
    turned = compare(wanted[::-1])
    assert (turned.other_answers, turned.accuracy, turned.lost_points) == (2, 0, 100)
    with pytest.raises(parity.NotTheSame, match=r"reads 2 of 2 images of x test differently than JAX does"):
        parity.require(turned, quantised=False, max_drop=0)
    with pytest.raises(parity.NotTheSame, match=r"loses 100\.000 points .*, more than --max_drop=0\.05"):
        parity.require(turned, quantised=True, max_drop=0.05)
    with pytest.raises(parity.NotTheSame, match="not finite for 1 of 2 images"):
        compare(np.array([[np.nan, 0.4], [0.1, 0.9]]))
    with pytest.raises(parity.NotTheSame, match="not finite for 2 of 2"):
        parity.compare(wanted, np.full((2, 2), np.nan), label=np.zeros(2), images_of="x")
    with pytest.raises(parity.NotTheSame, match=r"of the shape \[2, 3\], JAX \[2, 2\]"):
        compare(np.zeros((2, 3)))
    with pytest.raises(parity.NotTheSame, match="no test images"):
        parity.require(fine._replace(images=0), quantised=False, max_drop=0)


def test_the_records_say_nothing_of_the_machine_and_what_was_left_out_is_named(tmp_path):
    made = export(untrained("linear.py"), tmp_path / "out")
    assert made.dropped == ["command of environment.json"]
    texts = [path.read_text() for path in (tmp_path / "out").iterdir() if path.suffix != ".onnx"]
    assert len(texts) == 4
    assert not any("/home" in text for text in texts)
    record = onnx_reader.load(tmp_path / "out").record
    written = json.loads((tmp_path / "out" / "environment.json").read_text())["exported"]["model.onnx"]
    assert {**record, "check": made.parity._asdict()} == written
    assert record["labels"] == FACTS["classes"]
    assert record["licence"].startswith("none stated")
    assert (record["opset"], record["versions"]["onnx"]) == (20, onnx.__version__)
