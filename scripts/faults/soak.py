"""R19: random faults for a long time, in a loop that restarts the run: it finishes as if nothing had happened."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from faults import injected, processes
from faults.processes import SMALL

minutes = 30.0
FLAGS = (*SMALL, "--config.epochs=40", "--config.steps_per_dispatch=5")
ALONE = ("SIGKILL", "SIGTERM", "file size limit", "damage", "nothing")
TOGETHER = ("SIGKILL of one", "SIGTERM of one", "SIGSTOP of one", "nothing")


def soak(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """Until the time is up: a run of one or two processes, restarted after each fault until it has finished, has the
    state of an uninterrupted one; memory, open files and disk use do not grow."""
    end = time.monotonic() + 60 * minutes
    done: collections.Counter = collections.Counter()
    used: list[tuple[int, int, int]] = []  # memory [kB], open files, size of the run folder [kB]
    references = {}
    for number in (1, 2):
        references[number] = folder / f"whole-{number}"
        codes, errors = processes.ended(_start(references[number], number), 300)
        assert not any(codes), errors
    while time.monotonic() < end:
        number = 1 + done["runs"] % 2
        run = folder / "run"
        while not (run / "summary.json").exists():
            fault = str(rng.choice(ALONE if number == 1 else TOGETHER))
            _once(run, number, fault, rng, used)
            done[fault] += 1
        assert processes.digest(run) == processes.digest(references[number]), f"run {done['runs']}: another state"
        assert processes.metrics(run) == processes.metrics(references[number]), f"run {done['runs']}: other metrics"
        shutil.rmtree(run)
        done["runs"] += 1
    assert not (orphans := processes.left(folder)), orphans
    assert used, "no process was seen running"
    third = max(1, len(used) // 3)
    first, last = (np.median(part, axis=0) for part in (used[:third], used[-third:]))
    assert (last <= 1.2 * first + 20).all(), f"memory, files, disk: {first} at first, {last} at last"
    faults = ", ".join(f"{count} {what}" for what, count in done.most_common())
    return f"{faults}; memory, files, disk: {first.tolist()} at first, {last.tolist()} at last"


def _start(run: Path, number: int, before: str = "") -> list[subprocess.Popen]:
    if number > 1:
        return processes.job(run, *FLAGS, processes=number, heartbeat_s=15)
    return [processes.start("main", *FLAGS, f"--workdir={run}", before=before)]


def _once(run: Path, number: int, fault: str, rng: np.random.Generator, used: list) -> None:
    """Starts the command once, injects a fault at a random moment, and waits for the end."""
    before = injected.file_size_limit(int(rng.integers(2_000, 20_000)))
    started = _start(run, number, before if fault == "file size limit" else "")
    victim = started[int(rng.integers(number))]
    deadline = time.monotonic() + rng.uniform(3, 18)
    while time.monotonic() < deadline and all(p.poll() is None for p in started):
        time.sleep(0.1)
    if victim.poll() is None:
        used.append(_use(victim.pid, run))
        if fault.startswith("SIG"):
            victim.send_signal(signal.Signals[fault.split()[0]])
        if fault == "SIGSTOP of one":
            others = [p for p in started if p is not victim]
            for process in others:
                process.wait(timeout=60)
            victim.kill()
    if fault in ("SIGKILL", "SIGSTOP of one"):
        for process in started:
            process.wait(timeout=60)
    codes, errors = processes.ended(started, 240)
    assert not any("(killed after" in e for e in errors), f"{fault}: a process did not exit: {codes} {errors}"
    allowed = {0, 143} if fault == "SIGTERM" else {0, 74} if fault == "file size limit" else {0}
    if fault in ("SIGTERM", "file size limit", "damage", "nothing"):
        assert set(codes) <= allowed, f"{fault}: {codes} {errors}"
    if not (run / "summary.json").exists():
        assert 0 not in codes, f"{fault}: {codes}, but the run has not finished"
    if fault == "damage":
        _damage(run, rng)


def _use(pid: int, run: Path) -> tuple[int, int, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) if run.exists() else 0
    return memory, len(os.listdir(f"/proc/{pid}/fd")), size // 1000


def _damage(run: Path, rng: np.random.Generator) -> None:
    """Flips a bit in the newest checkpoint of a run, so that it has to train and evaluate again."""
    steps = processes.saved_steps(run)
    if len(steps) < 2:
        return
    files = sorted(p for p in (run / "checkpoints" / str(steps[-1])).rglob("*") if p.is_file() and p.stat().st_size)
    path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1
    path.write_bytes(content)
    (run / "summary.json").unlink(missing_ok=True)
