"""R3, R4, R8, R12, R14: runs of one process."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from faults import injected, processes
from faults.processes import SMALL
from hwr_jax.core import files
from hwr_jax.core.errors import RunFolderError
from hwr_jax.inference import predictor

EPOCHS = 12


def _whole_run(folder: Path, *flags: str, devices: int = 1) -> Path:
    """The uninterrupted run with these flags, made once for all trials."""
    whole = folder.parent / ("whole-" + "".join(c for c in "".join(flags) if c.isalnum())[-60:] + f"-{devices}")
    if not (whole / "summary.json").exists():
        code, _, error = processes.run("main", *flags, f"--workdir={whole}", devices=devices)
        assert code == 0, error
    return whole


def _same(whole: Path, folder: Path) -> None:
    assert processes.digest(whole) == processes.digest(folder), "the final states differ"
    assert processes.metrics(whole) == processes.metrics(folder), "the metrics differ"


MOMENTS = ("start", "end of an epoch", "last step", "evaluation", "any")
KILLED = [("cnn", "--config.model.norm=batch")] * 30 + [("rnn", "--config.model.name=rnn")] * 10  # network, its flag


def killed(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R3: SIGKILL at a given moment of the run, and at a random one of the resumed run; the run that is finally allowed
    to finish equals an uninterrupted one."""
    devices, moment, (network, flag) = 1 + trial % 2, MOMENTS[trial % len(MOMENTS)], KILLED[trial]
    flags = (*SMALL, f"--config.epochs={EPOCHS}", flag, "--config.steps_per_dispatch=3")
    whole = _whole_run(folder, *flags, devices=devices)
    steps = files.read_json(whole / "summary.json")["steps"]
    process = processes.start("main", *flags, f"--workdir={folder}", devices=devices)
    if moment in ("start", "any"):
        processes.wait_for(folder / "config.json", [process])
        time.sleep(rng.uniform(0, 0.5 if moment == "start" else 5))
    elif moment == "evaluation":
        processes.wait_until(lambda: (folder / "manifests" / f"{steps}.json").exists(), "the last save", [process])
    else:  # two lines an epoch
        epoch = EPOCHS if moment == "last step" else int(rng.integers(1, EPOCHS))
        processes.wait_for(folder / "metrics.jsonl", [process], lines=2 * epoch - 1)
    _kill(process)
    process = processes.start("main", *flags, f"--workdir={folder}", devices=devices)
    time.sleep(rng.uniform(0.5, 8))
    again = process.poll() is None
    _kill(process)
    code, _, error = processes.run("main", *flags, f"--workdir={folder}", devices=devices)
    assert code == 0, error[-500:]
    _same(whole, folder)
    return f"{network}, {moment}, {1 + again} kills, {devices} devices"


def _kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def terminated(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R4: SIGTERM at a random moment (with two processes, to one of them): exit code 143 after saving, no step is lost,
    and the same command finishes as if nothing had happened. A second SIGTERM exits at once."""
    dispatch, ranks = (1, 10, 100)[trial % 3], (1, 2)[trial // 3 % 2]
    flags = (*SMALL, f"--config.epochs={EPOCHS}", f"--config.steps_per_dispatch={dispatch}")
    start = time.monotonic()
    if ranks == 1:
        started = [processes.start("main", *flags, f"--workdir={folder}")]
    else:
        started = processes.job(folder, *flags, processes=ranks)
    processes.wait_for(folder / ("metrics.jsonl" if trial % 2 else "config.json"), started)
    started_s = time.monotonic() - start
    time.sleep(rng.uniform(0, 0.5 if trial % 2 else 6))
    alive = all(process.poll() is None for process in started) and not (folder / "summary.json").exists()
    started[int(rng.integers(ranks))].send_signal(signal.SIGTERM)
    sent = time.monotonic()
    if twice := ranks == 1 and trial % 4 == 3:
        time.sleep(rng.uniform(0, 0.3))
        started[0].send_signal(signal.SIGTERM)
    codes, errors = processes.ended(started, 60)
    took = time.monotonic() - sent
    if codes == [0] * ranks and (not alive or took < 1):  # in its last moments
        return f"ended before the signal ({ranks} processes)"
    where = "twice" if twice else "training" if any("saved step" in e for e in errors) else "elsewhere"
    if ranks == 1 or where == "training":
        assert codes == [143] * ranks, f"{codes} {errors}"
    else:  # outside the loop only the process that received the signal knows
        assert 143 in codes, f"{codes} {errors}"
        assert 0 not in codes, f"{codes} {errors}"
    assert took <= (2 if twice else 10 + started_s), f"it took {took:.1f} s"
    code, _, error = processes.run("main", *flags, f"--workdir={folder}")
    assert code == 0, error[-500:]
    if ranks == 1:
        _same(_whole_run(folder, *flags), folder)
    lines = [line["epoch"] for line in processes.metrics(folder) if line["split"] == "validation"]
    assert lines == list(range(1, EPOCHS + 1)), f"epochs {lines}"
    return f"{ranks} processes, {dispatch} steps a dispatch, {where}, {took:.1f} s"


REPEATED = ("cnn", "lenet", "mlp", "resnet") * 5 + ("rnn", "vit") * 2  # networks


def repeated(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R8: two seeds of a network, in three processes with 2, 4 and 8 threads: the same bits; in a fourth process,
    `verify` finds one of them bit-identical; in a fifth, the second seed alone gives its bits."""
    network = REPEATED[trial]
    flags = ("--config=configs/digits.py", "--config.epochs=2", f"--config.model.name={network}")
    flags = (*flags, f"--config.optim.learning_rate={rng.uniform(5e-4, 5e-3):.5f}")
    folders = {threads: folder.with_name(f"{folder.name}-{threads}") for threads in (2, 4, 8)}
    for threads, own in folders.items():  # each with its own cache, so that none runs what another has compiled
        env = {"NPROC": str(threads), "HWR_CACHE_DIR": str(folder / f"cache-{threads}")}
        code, _, error = processes.run("main", *flags, "--config.seeds=2", f"--workdir={own}", env=env)
        assert code == 0, error
        _same(folders[2], own)
    code, out, error = processes.run("verify", f"--workdir={folders[(2, 4, 8)[trial % 3]]}")
    assert code == 0, error
    found = json.loads(out.splitlines()[-1])
    assert (found["sentence"], found["state"], found["differences"]) == ("bit-identical", "the same", []), found
    single = folder.with_name(folder.name + "-single")
    code, _, error = processes.run(
        "main", *flags, "--config.seed=1", f"--workdir={single}", env={"NPROC": str((4, 8, 2)[trial % 3])}
    )
    assert code == 0, error
    for many, alone in zip(processes.metrics(folders[2]), processes.metrics(single), strict=True):
        for name, values in alone["per_seed"].items():
            assert many["per_seed"][name][1] == values[0], f"{name} of seed 1 differs"
    return network


def not_finite(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R12: NaN in images, loss or gradient of the first, a middle or the last step: halt exits with 65 and saves no
    NaN; skip skips exactly that update; a learning rate that overflows exits with 65 under every policy."""
    place, when = ("data", "loss", "grads")[trial % 3], ("first", "middle", "last")[trial // 3 % 3]
    flags, epochs = (*SMALL, "--config.steps_per_dispatch=3"), 4
    steps = files.read_json(_whole_run(folder, *flags, f"--config.epochs={epochs}") / "summary.json")["steps"]
    step = {"first": 0, "middle": int(rng.integers(1, steps - 1)), "last": steps - 1}[when]
    for policy, expected in (("halt", 65), ("skip", 0)):
        own = folder / policy
        more = (f"--config.epochs={epochs}", f"--config.nonfinite.policy={policy}", f"--workdir={own}")
        code, _, error = processes.run("main", *flags, *more, before=injected.not_finite(place, step))
        assert code == expected, f"{policy}: {code} {error[-300:]}"
        assert "Traceback" not in error
        for saved in processes.saved_steps(own):
            state = processes.saved(own, saved)
            assert all(np.isfinite(x).all() for x in state), f"{policy}: step {saved} was saved"
        if policy == "skip":
            skipped = files.read_json(own / "summary.json")["skipped_updates"]
            assert skipped == [1], f"{skipped} updates were skipped"
    rate = f"--config.optim.learning_rate={10.0 ** float(rng.uniform(20, 30))}"
    policy = ("halt", "skip", "rollback")[trial % 3]
    own = folder / "rate"
    code, _, error = processes.run("main", *SMALL, rate, f"--config.nonfinite.policy={policy}", f"--workdir={own}")
    assert code == 65, f"{policy}: {code} {error[-300:]}"
    assert not processes.saved_steps(own), f"{policy}: a state was saved"
    return f"{place} of the {when} step; {policy} with a large rate"


def at_the_same_time(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R14: a second trainer in a run folder is refused, readers do no harm, and a killed trainer leaves no lock."""
    flags = (*SMALL, "--config.epochs=80", "--config.checkpoint.keep=1", f"--workdir={folder}")
    first = processes.start("main", *flags)
    processes.wait_for(folder / "metrics.jsonl", [first])
    second = processes.start("main", *flags)
    readings, early, late = 0, 0, 0
    while first.poll() is None or readings < 200:
        try:
            predictor.load(folder, log=lambda line: None)
        except RunFolderError:
            if early == readings:  # before the first checkpoint
                early += 1
            else:
                late += 1
        readings += 1
    [code], [error] = processes.ended([second], 60)
    assert code == 74, f"{code} {error[-300:]}"
    assert "another process is training in" in error
    [code], [error] = processes.ended([first], 240)
    assert code == 0, error[-300:]
    assert files.read_json(folder / "summary.json")["epochs"] == 80
    assert not late, f"{late} of {readings} readings found no checkpoint"
    again = (*flags, "--overwrite")
    second = processes.start("main", *again)
    processes.wait_for(folder / "metrics.jsonl", [second])
    second.send_signal(signal.SIGKILL)
    processes.ended([second], 10)
    code, _, error = processes.run("main", *flags)
    assert code == 0, error[-300:]
    return f"{readings} readings, {early} of them before the first checkpoint"
