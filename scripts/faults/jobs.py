"""R5, R6, R7, R15: jobs of several processes."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import jax
import numpy as np

from faults import injected, processes
from faults.processes import SMALL

HEARTBEAT_S, WATCHDOG_S = 5, 20


def peer_fails(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R5: SIGKILL, SIGSTOP or an exception in one process: all exit within the heartbeat plus 5 s (exception: 2 s), and
    the same command resumes."""
    fault, victim = ("SIGKILL", "SIGSTOP", "exception")[trial % 3], trial // 3 % 2
    flags = (*SMALL, "--config.epochs=40")
    before = injected.at_the_end_of_epoch(int(rng.integers(1, 9)), "raise RuntimeError('injected')")
    started = processes.job(
        folder, *flags, heartbeat_s=HEARTBEAT_S, before={victim: before} if fault == "exception" else {}
    )
    if fault == "exception":
        assert started[victim].wait(timeout=120) == 70
    else:
        processes.wait_for(folder / "metrics.jsonl", started)
        time.sleep(rng.uniform(0, 2))
        started[victim].send_signal(signal.Signals[fault])
    start = time.monotonic()
    code = started[1 - victim].wait(timeout=60)
    took = time.monotonic() - start
    for process in started:
        process.kill()
        process.communicate()
    assert code != 0, "the other process exited as if nothing had happened"
    assert took <= (2 if fault == "exception" else HEARTBEAT_S + 5), f"it took {took:.1f} s"
    assert not (orphans := processes.left(folder)), orphans
    code, _, error = processes.run("main", *flags, f"--workdir={folder}")
    assert code == 0, error[-300:]
    epochs = [line["epoch"] for line in processes.metrics(folder) if line["split"] == "validation"]
    assert epochs == list(range(1, 41)), f"epochs {epochs}"
    return f"{fault} of process {victim}, {took:.1f} s"


HANGS = ("missing peer", "port in use", "folder not shared", "different programs", "uneven batches", "asleep")


def hangs(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R6: whatever would wait forever exits in time with a message: a peer that never starts, a port in use, a folder
    that is not shared, another program in one process (with the checks at the start disabled), other batches, a process
    that sleeps and ignores SIGTERM."""
    fault = HANGS[trial % len(HANGS)]
    start = time.monotonic()
    watched = (*SMALL, f"--watchdog_s={WATCHDOG_S}", "--config.epochs=200")
    if fault == "missing peer":
        started = processes.job(folder, *SMALL, "--start_s=6", processes=2)
        started[1].kill()
        started[1].communicate()
        codes, errors = processes.ended(started[:1], 40)
        limit = 6 + 15
    elif fault == "port in use":
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            at = f"--coordinator=127.0.0.1:{taken.getsockname()[1]}"
            more = (at, "--processes=2", "--process=0", "--start_s=6", f"--workdir={folder}")
            codes, errors = processes.ended([processes.start("main", *SMALL, *more)], 40)
        limit = 6 + 15
    elif fault == "folder not shared":
        codes, errors = processes.ended(
            processes.job(folder, *SMALL, of_last=(f"--workdir={folder.with_name(folder.name + '-other')}",)), 60
        )
        limit = 40
        assert any("does not see the folder" in e for e in errors), errors
    elif fault == "asleep":
        started = processes.job(folder, *watched, before={1: injected.at_the_end_of_epoch(2, injected.SLEEP)})
        processes.wait_for(folder / "metrics.jsonl", started, lines=3)
        start = time.monotonic()
        codes, errors = processes.ended(started, 60)
        limit = WATCHDOG_S + 5
        assert any("Thread 0x" in e or "Current thread" in e for e in errors), errors
    elif fault == "uneven batches":
        codes, errors = processes.ended(processes.job(folder, *watched, of_last=("--config.batch_size=16",)), 60)
        limit = 40
        assert codes == [64, 64], f"{codes} {errors}"
    else:
        unchecked = dict.fromkeys((0, 1), injected.NOTHING_IS_CHECKED)
        other = ("--config.model.dense=40",)
        codes, errors = processes.ended(processes.job(folder, *watched, of_last=other, before=unchecked), 90)
        limit = 30 + WATCHDOG_S + 5
        expected = ("Thread 0x", "Current thread", "hwr_jax:", "distributed collective mismatch")
        assert all(any(word in e for word in expected) for e in errors), errors
    took = time.monotonic() - start
    assert 0 not in codes, f"{fault}: {codes}"
    assert took <= limit, f"{fault}: it took {took:.1f} s"
    return f"{fault}, {took:.1f} s, codes {codes}"


LAYOUTS = [(1, 2), (1, 4), (1, 8), (2, 1), (2, 2)]  # processes, devices
# Smooth networks: with ReLU, a value on the other side of 0 (in max-pooling, another maximum) changes a step by a whole
# gradient.
SMOOTH = {
    "cnn": (
        "--config.model.norm=batch", "--config.model.activation=tanh",
        "--config.model.pools=(False, False)", "--config.model.strides_px=(2, 2)",
    ),
    "rnn": ("--config.model.name=rnn",),
}  # fmt: skip
LAID_OUT = [(network, layout) for network in SMOOTH for layout in LAYOUTS]


def layouts(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R7: SGD on one device, on several, and in several processes: equal parameters to 1e-6 after 100 steps."""
    from hwr_jax.inference import predictor

    network, layout = LAID_OUT[trial]
    flags = (*SMALL, "--config.epochs=3", *SMOOTH[network])
    one = folder.parent / f"one-{network}"
    code, _, error = processes.run("main", *flags, f"--workdir={one}")
    assert code == 0, error
    started = (
        processes.job(folder, *flags, processes=layout[0], devices=layout[1])
        if layout[0] > 1
        else [processes.start("main", *flags, f"--workdir={folder}", devices=layout[1])]
    )
    codes, errors = processes.ended(started, 240)
    assert not any(codes), f"{codes} {errors}"
    params = [predictor.load(where, log=lambda line: None).params for where in (one, folder)]
    apart = max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, params), strict=True))
    assert apart <= 1e-6, f"{network} {layout}: {apart:.2g} apart"
    return f"{network} {layout}: {apart:.2g}"


DIFFERENT = {
    "config": ("--config.epochs=7", ""),
    "seed": ("--config.seed=3", ""),
    "learning rate": ("--config.optim.learning_rate=0.2", ""),
    "devices": ("--devices=2", ""),
    "code": ("--config.epochs=5", injected.OTHER_CODE),
    "version of a library": ("--config.epochs=5", injected.OTHER_VERSION),
}


def different(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R15: config, seed, learning rate, devices, code or a version differ in one process: all refuse."""
    what, (flag, before) = list(DIFFERENT.items())[trial % len(DIFFERENT)]
    flags = (*SMALL, "--config.epochs=5")
    codes, errors = processes.ended(processes.job(folder, *flags, of_last=(flag,), before={1: before}), 60)
    assert codes == [64, 64], f"{what}: {codes} {errors}"
    assert all("process 1 of 2 has another" in e for e in errors), errors
    assert not (folder / "metrics.jsonl").exists()
    return what
