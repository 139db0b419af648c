"""Starts commands of the package as processes, alone or as a job of several, and reads what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import jax
import jax.numpy as jnp
import launch_local
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--config=configs/digits.py:smoke", "--config.optim.name=sgd", "--config.optim.learning_rate=0.1")
SHARED = {"JAX_PLATFORMS": "cpu"}


def start(
    verb: str, *flags: object, devices: int = 1, env: dict[str, str] | None = None, before: str = ""
) -> subprocess.Popen:
    """Starts `python -m hwr_jax.VERB FLAGS` on `devices` virtual devices, with its output captured. `before`: Python
    code that the process runs first."""
    line = [sys.executable, "-u", "-m", f"hwr_jax.{verb}", *map(str, flags)]
    if before:
        run = f"runpy.run_module('hwr_jax.{verb}', run_name='__main__')"
        code = f"import runpy, sys\nsys.argv[0] = 'main'\n{before}\n{run}"
        line = [sys.executable, "-u", "-c", code, *map(str, flags)]
    own = {**os.environ, **SHARED, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", **(env or {})}
    return subprocess.Popen(line, cwd=ROOT, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(verb: str, *flags: object, timeout_s: float = 300, **options) -> tuple[int, str, str]:
    """Runs a command to its end; returns exit code, standard output and standard error."""
    process = start(verb, *flags, **options)
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, out, err


def job(
    folder: Path,
    *flags: str,
    processes: int = 2,
    devices: int = 1,
    heartbeat_s: int = 30,
    of_last: tuple[str, ...] = (),
    before: Mapping[int, str] = MappingProxyType({}),
) -> list[subprocess.Popen]:
    """Starts a job of several processes on the loopback interface. `of_last`: further flags of the last one. `before`:
    code that a process runs first, by its number."""
    port = launch_local.free_port()
    common = [f"--coordinator=127.0.0.1:{port}", f"--processes={processes}", f"--heartbeat_s={heartbeat_s}"]
    return [
        start(
            "main", *flags, *common, f"--process={i}", f"--workdir={folder}", *(of_last if i == processes - 1 else ()),
            devices=devices, before=before.get(i, ""),
        )
        for i in range(processes)
    ]  # fmt: skip


def ended(started: list[subprocess.Popen], timeout_s: float) -> tuple[list[int], list[str]]:
    """Waits for all processes of a job, kills those still running, and returns exit codes and standard errors."""
    deadline = time.monotonic() + timeout_s
    errors = []
    for process in started:
        try:
            errors.append(process.communicate(timeout=max(0.1, deadline - time.monotonic()))[1])
        except subprocess.TimeoutExpired:
            process.kill()
            errors.append(f"(killed after {timeout_s} s) {process.communicate()[1]}")
    return [p.returncode for p in started], errors


def wait_until(true: Callable[[], object], what: str, started: list[subprocess.Popen], timeout_s: float = 120) -> None:
    """Waits until `true()` is true. Raises AssertionError if a process exits first, or after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s} s"
        assert all(p.poll() is None for p in started), f"a process exited before {what}: {ended(started, 1)}"
        time.sleep(0.02)


def wait_for(path: Path, started: list[subprocess.Popen], lines: int = 1) -> None:
    """Waits for a file with at least `lines` lines."""
    wait_until(
        lambda: path.exists() and path.read_bytes().count(b"\n") >= lines, f"{lines} lines of {path.name}", started
    )


def left(folder: Path) -> list[str]:
    """Returns the command lines of processes that still name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line and path.parent.name != str(os.getpid()):
                found.append(line[:200])
    return found


def metrics(folder: Path) -> list[dict]:
    """Reads metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def digest(folder: Path) -> str:
    """Returns the digest of a finished run's state."""
    return json.loads((folder / "summary.json").read_text())["state_sha256"]


def saved_steps(folder: Path) -> list[int]:
    """Returns the steps that have a manifest."""
    return sorted(int(path.stem) for path in (folder / "manifests").glob("*.json"))


def saved(folder: Path, step: int) -> list[np.ndarray]:
    """Returns the arrays of a saved state."""
    from hwr_jax.inference import predictor
    from hwr_jax.workdir import checkpoint

    shapes = predictor.open_run(folder)[0].state_shapes()
    with checkpoint.Checkpoints(folder, read_only=True) as checkpoints:
        state = checkpoints.restore(step, shapes)
    return [np.asarray(x) for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
