"""Checkpoints: exact, and a damaged one is never used."""

import asyncio
import gc
import json
import logging
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.core.errors import RunFolderError
from hwr_jax.steps import compiled, train_step
from hwr_jax.steps.recipe import make_recipe
from hwr_jax.steps.run import shapes
from hwr_jax.workdir import checkpoint

# After a failed save or restore orbax closes its event loop, and tensorstore's threads complain about that.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def state(quick_jit):
    """A state with a leading seed axis of two."""
    from hwr_jax.config import configs

    made = configs.load(Path(__file__).parents[2] / "configs" / "digits.py:smoke", {"model.norm": "batch"})
    recipe = make_recipe(made, examples=100, classes=10, mean=0.1, std=0.3)
    init = quick_jit(compiled.over_seeds(lambda seed: train_step.init_state(recipe, seed, (28, 28, 1)), "map"))
    return init(jnp.array([0, 1]))


def save(folder, state, numbers, keep=5):
    with checkpoint.Checkpoints(folder, keep=keep) as checkpoints:
        for number in numbers:
            checkpoints.save(number, state._replace(step=jnp.full(2, number, jnp.int32)))
        checkpoints.wait()


def like(state):
    return shapes(state, jax.tree.leaves(state)[0].sharding)


def newest(folder, said=None):
    with checkpoint.Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.newest((said if said is not None else []).append)


def same(a, b):
    data = [jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in (a, b)]
    return a.dtype == b.dtype and np.array_equal(*map(np.asarray, data))


def test_writers_that_fail_after_the_first_are_silent(tmp_path, caplog):
    async def fail():
        raise ValueError("the disk is full")

    async def lose():
        await asyncio.wait([asyncio.create_task(fail())])

    logging.getLogger("asyncio").setLevel(logging.NOTSET)
    asyncio.run(lose())
    gc.collect()
    assert [record.name for record in caplog.records] == ["asyncio"]
    caplog.clear()
    newest(tmp_path)
    asyncio.run(lose())
    gc.collect()
    assert caplog.records == []


def test_a_state_comes_back_to_the_bit(tmp_path, state):
    save(tmp_path, state, [7])
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        back = checkpoints.restore(7, like(state))
    assert type(back) is type(state)
    expected = state._replace(step=jnp.full(2, 7, jnp.int32))
    assert all(jax.tree.leaves(jax.tree.map(same, back, expected)))


def test_only_the_last_steps_are_kept(tmp_path, state):
    save(tmp_path, state, [1, 2, 3, 4], keep=2)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["3", "4"]
    assert sorted(p.name for p in (tmp_path / "manifests").iterdir()) == ["3.json", "4.json"]
    assert newest(tmp_path) == 4


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a flipped bit": lambda files, step: flip(max(files, key=lambda p: p.stat().st_size)),
    "a truncated file": lambda files, step: files[0].write_bytes(files[0].read_bytes()[:-1]),
    "a missing file": lambda files, step: files[0].unlink(),
    "one more file": lambda files, step: (step / "more").write_text(""),
    "no manifest": lambda files, step: (step.parent.parent / "manifests" / "2.json").unlink(),
    "a torn manifest": lambda files, step: (step.parent.parent / "manifests" / "2.json").write_text('{"fil'),
    "an empty manifest": lambda files, step: (step.parent.parent / "manifests" / "2.json").write_text('{"files": {}}'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_step_is_said_and_the_one_before_it_used(tmp_path, state, damage):
    save(tmp_path, state, [1, 2])
    step = tmp_path / "checkpoints" / "2"
    damage(sorted(p for p in step.rglob("*") if p.is_file()), step)
    said = []
    assert newest(tmp_path, said) == 1
    assert len(said) == 1
    assert said[0].startswith("checkpoint 2 of ")


def test_every_single_file_is_guarded(tmp_path, state):
    save(tmp_path, state, [1])
    step = tmp_path / "checkpoints" / "1"
    for path in sorted(p for p in step.rglob("*") if p.is_file() and p.stat().st_size):
        content = path.read_bytes()
        flip(path)
        assert newest(tmp_path) is None, path
        path.write_bytes(content)
    assert newest(tmp_path) == 1


def test_a_step_that_does_not_verify_is_put_aside_and_can_be_written_again(tmp_path, state):
    save(tmp_path, state, [1, 2])
    (tmp_path / "manifests" / "2.json").unlink()
    with checkpoint.Checkpoints(tmp_path, keep=5) as checkpoints:
        checkpoints.drop_after(checkpoints.newest(lambda line: None))
        checkpoints.save(2, state)
        checkpoints.wait()
    assert newest(tmp_path) == 2
    assert (tmp_path / "quarantine" / "2").is_dir()


def test_a_folder_without_checkpoints_has_no_newest(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    assert newest(tmp_path) is None


def test_a_state_of_another_shape_is_refused(tmp_path, state):
    save(tmp_path, state, [1])
    other = like(jax.tree.map(lambda x: x[:1], state))
    with (
        checkpoint.Checkpoints(tmp_path) as checkpoints,
        pytest.raises(RunFolderError, match="checkpoint 1 .* cannot be read by this version"),
    ):
        checkpoints.restore(1, other)


def test_a_folder_that_vanished_is_an_error_not_a_silent_loss(tmp_path, state):
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        shutil.rmtree(tmp_path / "manifests")
        checkpoints.save(1, state)
        with pytest.raises(RunFolderError, match="checkpoint 1 could not be written"):
            checkpoints.wait()


def test_a_full_disk_gives_an_error_before_anything_is_written(tmp_path, state, monkeypatch):
    save(tmp_path, state, [1])
    usage = type(shutil.disk_usage(tmp_path))(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with (
        checkpoint.Checkpoints(tmp_path, keep=5) as checkpoints,
        pytest.raises(RunFolderError, match=r"the disk is full: .* has 0\.0 MB left and a checkpoint needs \d"),
    ):
        checkpoints.save(2, state)
    assert newest(tmp_path) == 1


def test_the_manifest_lists_every_file_with_its_sum(tmp_path, state):
    save(tmp_path, state, [1])
    listed = json.loads((tmp_path / "manifests" / "1.json").read_text())["files"]
    step = tmp_path / "checkpoints" / "1"
    assert set(listed) == {p.relative_to(step).as_posix() for p in step.rglob("*") if p.is_file()}
    assert all(len(digest) == 64 for digest in listed.values())


def test_a_reader_finds_the_new_step_if_the_one_it_reads_is_removed(tmp_path, state, monkeypatch):
    save(tmp_path, state, [1, 2])
    kept = tmp_path / "kept"
    for name in ("checkpoints/2", "manifests/2.json"):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tmp_path / name, kept / name)
    verify, said = checkpoint.verify_manifest, []

    def while_the_trainer_saves(step_folder, manifest):
        if step_folder.name == "1" and step_folder.exists():
            shutil.rmtree(step_folder)
            for name in ("checkpoints/2", "manifests/2.json"):
                shutil.move(kept / name, tmp_path / name)
        return verify(step_folder, manifest)

    monkeypatch.setattr(checkpoint, "verify_manifest", while_the_trainer_saves)
    with checkpoint.Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.newest(said.append) == 2
    assert said == []
