"""The weights of a released model: as they were, or a sentence."""

import numpy as np
import pytest

from hwr_jax.core.errors import RunFolderError
from hwr_jax.workdir import weights

PARAMS = {"Conv_0": {"kernel": np.arange(12, dtype=np.float32).reshape(1, 3, 4)}, "Dense_0": {"bias": np.ones((1, 2))}}
STATE = {"batch_stats": {"Norm_0": {"BatchNorm_0": {"mean": np.zeros((1, 3), np.float32)}}}}


def leaves(tree, path=""):
    for name, part in sorted(tree.items()):
        yield from leaves(part, f"{path}/{name}") if isinstance(part, dict) else [(f"{path}/{name}", part)]


@pytest.mark.parametrize("state", [STATE, {}])
def test_they_come_back_as_they_were(tmp_path, state):
    weights.write(tmp_path, PARAMS, state)
    for written, read in zip((PARAMS, state), weights.read(tmp_path), strict=True):
        assert [name for name, _ in leaves(written)] == [name for name, _ in leaves(read)]
        for (_, one), (_, other) in zip(leaves(written), leaves(read), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "no sum", "text"])
def test_damage_is_a_sentence(tmp_path, damage):
    weights.write(tmp_path, PARAMS, STATE)
    path = tmp_path / weights.NAME
    data = path.read_bytes()
    changed = {
        "byte": data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        "cut": data[:-8],
        "empty": b"",
        "no sum": data.replace(b"sha256", b"sha257"),
        "text": b"{}" * 100,
    }[damage]
    path.write_bytes(changed)
    with pytest.raises(RunFolderError, match="is damaged"):
        weights.read(tmp_path)
