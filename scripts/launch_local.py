"""Starts one job as several processes on this machine, over the loopback interface: many hosts, to try and to test.

    python scripts/launch_local.py --processes=2 --devices=1 -- --config=configs/digits.py --workdir=runs/two

The flags after -- go to `python -m hwr_jax.main`. The exit code is that of the first process to fail.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

LEAST_S = 30  # time for the others to exit after one has failed


def free_port() -> int:
    """Returns a port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(arguments: list[str], *, processes: int, devices: int, verb: str = "main") -> list[subprocess.Popen]:
    """Starts the processes of a job on CPU, each with `devices` virtual devices."""
    coordinator = f"--coordinator=127.0.0.1:{free_port()}"
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}
    command = [sys.executable, "-m", f"hwr_jax.{verb}", coordinator, f"--processes={processes}", *arguments]
    # Each in its own session: `main` passes a signal on once, instead of the terminal signalling the whole group.
    return [subprocess.Popen([*command, f"--process={i}"], env=env, start_new_session=True) for i in range(processes)]


def wait(started: list[subprocess.Popen], *, grace_s: float) -> int:
    """Waits for all; `grace_s` after one has failed, kills the rest. Returns the first failure's code, or 0."""
    code, deadline = 0, float("inf")
    while any(p.poll() is None for p in started):
        failed = [p.returncode for p in started if p.poll() not in (None, 0)]
        if failed and not code:
            code, deadline = failed[0], time.monotonic() + grace_s
        if time.monotonic() > deadline:
            for p in started:
                p.kill()
        time.sleep(0.05)
    return code or next((p.returncode for p in started if p.returncode), 0)


def main() -> int:
    """Starts the job, passes signals on, and waits; returns the exit code (128 + the signal that killed a process)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="number of processes")
    parser.add_argument("--devices", type=int, default=1, help="virtual devices per process")
    parser.add_argument(
        "--grace_s", type=float, default=LEAST_S, help="seconds for the rest to exit after one has failed"
    )
    parser.add_argument("flags", nargs="*", help="flags of hwr_jax.main, after --")
    args = parser.parse_args()
    started = start(args.flags, processes=args.processes, devices=args.devices)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: [p.send_signal(n) for p in started if p.poll() is None])
    code = wait(started, grace_s=args.grace_s)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
