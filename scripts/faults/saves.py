"""R1, R2, R9, R10, R11: saving and reading checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import launch_local
import numpy as np

from faults import injected, processes
from faults.processes import SMALL
from faults.saver import state
from hwr_jax.core import files
from hwr_jax.workdir import checkpoint


def _newest(folder: Path, said: list[str]) -> tuple[int | None, dict | None]:
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state(0))
    with checkpoint.Checkpoints(folder, read_only=True) as checkpoints:
        step = checkpoints.newest(said.append)
        return step, None if step is None else checkpoints.restore(step, like)


def _is_that_of(step: int, found: dict | None) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state(step)), strict=True))


OF_ONE = 50  # trials with one process; the others have two


def killed_while_saving(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R1: SIGKILL at a random moment of a process that saves without a pause; then once more, on what it left."""
    inside = []
    many = 2 if trial >= OF_ONE else 1
    for _ in range(2):
        port = launch_local.free_port()
        savers = []
        for process in range(many):
            script = str(Path(__file__).with_name("saver.py"))
            line = [sys.executable, "-u", script, str(folder), str(port), str(many), str(process)]
            env = {**os.environ, "PYTHONPATH": str(processes.ROOT), **processes.SHARED}
            savers.append(subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=env, cwd=processes.ROOT))
        out = savers[0].stdout
        assert out is not None
        said = [next(line for line in out if line.startswith("done"))]
        time.sleep(rng.uniform(0, 0.6))
        for saver in rng.permutation(many):
            savers[saver].send_signal(signal.SIGKILL)
        said += savers[0].communicate()[0].splitlines()
        for saver in savers[1:]:
            saver.communicate()
        acknowledged = max(int(line.split()[1]) for line in said if line.startswith("done"))
        inside.append(said[-1].startswith("begin"))
        step, found = _newest(folder, [])
        assert step is not None, "no checkpoint survived"
        assert step >= acknowledged, f"step {acknowledged} was acknowledged, but {step} is the newest"
        assert _is_that_of(step, found), f"step {step} was restored with other values"
    return f"{sum(inside)} of 2 inside a save, {many} processes"


FAULTS = ("flip a bit", "truncate", "zero", "delete", "empty step folder", "half of the files", "damage the manifest")


def corrupted(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R2: the newest of two checkpoints is damaged in some way: the older one is used, and a message says so."""
    whole = folder.parent / "whole"  # made once, for all trials
    if not (whole / "manifests" / "2.json").exists():
        whole.mkdir(exist_ok=True)
        with checkpoint.Checkpoints(whole, keep=3) as checkpoints:
            for step in (1, 2):
                checkpoints.save(step, state(step))
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    fault = FAULTS[trial % len(FAULTS)]
    step_folder, manifest = folder / "checkpoints" / "2", folder / "manifests" / "2.json"
    files = sorted(p for p in step_folder.rglob("*") if p.is_file())
    path = manifest if fault == "damage the manifest" else files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    if fault in ("flip a bit", "damage the manifest"):
        at = rng.integers(len(content)) if content else 0
        content[at : at + 1] = bytes([content[at] ^ (1 << int(rng.integers(8)))]) if content else b"x"
        path.write_bytes(content)
    elif fault == "truncate":
        path.write_bytes(content[: int(rng.integers(len(content)))] if content else b"x")
    elif fault == "zero":
        path.write_bytes(bytes(len(content)) if any(content) else b"x")
    elif fault == "delete":
        path.unlink()
    elif fault == "empty step folder":
        shutil.rmtree(step_folder)
        step_folder.mkdir()
    else:
        for one in files[::2]:
            one.unlink()
    said: list[str] = []
    step, found = _newest(folder, said)
    if fault == "damage the manifest" and step == 2:  # white space, or a key that nobody reads
        assert _is_that_of(2, found), "a wrong value was loaded"
        return f"{fault}: harmless"
    assert step == 1, f"{fault} of {path.name}: step {step} is used"
    assert _is_that_of(1, found), "the older checkpoint was restored with other values"
    assert any("checkpoint 2" in line for line in said), "no message"
    return fault


LAYOUTS = [(1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (2, 2)]  # processes, devices


def elastic(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R9: a layout of processes and devices resumes from what another one has saved, with the same values."""
    pairs = [(a, b) for a in LAYOUTS for b in LAYOUTS if a != b]
    before, after = pairs[trial * 7 % len(pairs)]
    flags = (*SMALL, "--config.batch_size=32")
    for layout, epochs in ((before, 2), (after, 2)):
        if layout == after:  # the state must come back as it was
            first = processes.metrics(folder)
            (folder / "summary.json").unlink()
        started = (
            processes.job(folder, *flags, f"--config.epochs={epochs}", processes=layout[0], devices=layout[1])
            if layout[0] > 1
            else [
                processes.start("main", *flags, f"--config.epochs={epochs}", f"--workdir={folder}", devices=layout[1])
            ]
        )
        codes, errors = processes.ended(started, 240)
        assert not any(codes), f"{layout}: {codes} {errors}"
    second = processes.metrics(folder)
    for a, b in zip(first, second, strict=True):
        assert a["step"] == b["step"]
        np.testing.assert_allclose(a["per_seed"]["loss"], b["per_seed"]["loss"], rtol=1e-5)
    return f"{before} -> {after}"


def storage(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R10: the disk is full, or checkpoints cannot be written or are gone: the run exits with 74, and resumes later."""
    fault = ("file size limit", "checkpoints cannot be written", "checkpoints are gone")[trial % 3]
    flags = (*SMALL, "--config.epochs=12", f"--workdir={folder}")
    if fault == "file size limit":
        before = injected.file_size_limit(int(rng.integers(2_000, 20_000)))
        returncode, _, error = processes.run("main", *flags, before=before)
    else:
        process = processes.start("main", *flags)
        processes.wait_for(folder / "metrics.jsonl", [process])
        time.sleep(rng.uniform(0, 1.0))
        target = folder / "checkpoints"
        if fault == "checkpoints are gone":
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.rename(folder / "aside")
            target.write_text("no folder")
        [returncode], [error] = processes.ended([process], 120)
        if target.is_file():
            target.unlink()
            (folder / "aside").rename(target)
    if fault == "checkpoints are gone" and returncode == 0:  # removed between two saves: the later ones are complete
        steps = files.read_json(folder / "summary.json")["steps"]
        problem = checkpoint.verify_manifest(
            folder / "checkpoints" / str(steps), folder / "manifests" / f"{steps}.json"
        )
        assert problem is None, f"{fault}, exit code 0, and the last step {problem}"
        return f"{fault}, and written again"
    assert returncode == 74, f"{fault}: exit code {returncode}: {error[-500:]}"
    assert "Traceback" not in error, error
    code, _, error = processes.run("main", *flags)
    assert code == 0, f"it did not resume: {error[-500:]}"
    return fault


ENDS = {
    "end": (0, ""),
    "SIGINT": (130, ""),
    "SIGTERM": (143, ""),
    "loss not finite": (65, ""),
    "exception": (70, injected.at_the_end_of_epoch(4, "raise RuntimeError('injected')")),
    "sys.exit": (74, injected.at_the_end_of_epoch(4, "import sys; sys.exit(0)")),
}


def clean_exit(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R11: however a run ends, its last step is committed, no temporary folder is left, and no failure exits with 0."""
    how, (expected, before) = list(ENDS.items())[trial % len(ENDS)]
    flags = [*SMALL, "--config.epochs=8", f"--workdir={folder}"]
    if how == "loss not finite":
        flags.append("--config.optim.learning_rate=1e30")
    process = processes.start("main", *flags, before=before)
    if how.startswith("SIG"):
        processes.wait_for(folder / "metrics.jsonl", [process])
        process.send_signal(signal.Signals[how])
    [code], [error] = processes.ended([process], 120)
    assert code == expected, f"{how}: exit code {code}: {error[-500:]}"
    steps = processes.saved_steps(folder)
    assert bool(steps) == (how != "loss not finite"), f"{how}: saved {steps}"
    left = [p.name for p in (folder / "checkpoints").iterdir() if not p.name.isdecimal()]
    assert not left, f"{how}: left {left}"
    assert sorted(int(p.name) for p in (folder / "checkpoints").iterdir()) == steps, f"{how}: a step has no manifest"
    if how == "end":
        assert json.loads((folder / "summary.json").read_text())["steps"] == steps[-1]
    return how
