"""Random keys are the written-down function of (seed, stream, step), and every example has its own."""

import jax
import numpy as np
import pytest
from jax import shard_map
from jax.sharding import PartitionSpec

from hwr_jax.core import rng


def same(a, b):
    return np.array_equal(jax.random.key_data(a), jax.random.key_data(b))


def test_a_key_folds_the_number_of_the_stream_and_then_the_step_into_the_seed():
    root = rng.root(7)
    assert same(root, jax.random.key(7, impl="threefry2x32"))
    expected = jax.random.fold_in(jax.random.fold_in(root, rng.STREAMS["augment"]), 3)
    assert same(rng.stream(root, "augment", 3), expected)
    assert same(rng.stream(root, "augment"), rng.stream(root, "augment", 0))


def test_the_numbers_of_the_streams_are_those_of_every_run_until_now():
    assert rng.STREAMS == {"init": 0, "order": 1, "augment": 2, "dropout": 3, "figures": 4, "mix": 5}


def test_the_key_of_an_example_depends_on_its_position_alone():
    key = rng.stream(rng.root(0), "augment", 5)
    whole = rng.per_example(key, rng.batch_position(8, None))
    assert len(np.unique(jax.random.key_data(whole), axis=0)) == 8
    assert same(whole[5:], rng.per_example(key, np.arange(5, 8, dtype=np.int32)))
    assert same(whole[2], jax.random.fold_in(key, 2))


@pytest.mark.parametrize("devices", [1, 4])
def test_the_positions_of_all_devices_are_those_of_the_whole_batch(devices):
    mesh = jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices])
    parts = shard_map(lambda: rng.batch_position(3, "data"), mesh=mesh, in_specs=(), out_specs=PartitionSpec("data"))()
    assert parts.dtype == np.int32
    np.testing.assert_array_equal(parts, rng.batch_position(3 * devices, None))
