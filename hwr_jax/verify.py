"""Trains a recorded run again and compares the results: `python -m hwr_jax.verify --workdir=runs/cnn [--quick]`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Trains a recorded run again, from its config.json, in a temporary folder, and compares the metrics of every epoch and
the digest of the final weights. Exits with 0 if the run is reproduced: bit-identical in the same environment, or equal
within chance in another one, with a list of what changed. Exits with 1 if not.

    python -m hwr_jax.verify --workdir=runs/cnn --quick
"""

FLAGS = flags.Flags()
_WORKDIR = flags.workdir(FLAGS)
_QUICK = FLAGS.boolean("quick", "Check only the first epoch.")
_DEVICES = flags.devices(FLAGS, "as in the run")
_DATA_DIR = flags.data_dir(FLAGS)


def main() -> int:
    """Reruns and compares; returns the exit code. Raises ConfigError for a run that has not finished an epoch."""
    folder = command.folder("workdir", _WORKDIR.value)
    from hwr_jax.workdir import machine, run_folder

    config = run_folder.read_config(folder)
    env = run_folder.read_environment(folder)
    if "threads" in env:  # XLA reads it only when it starts
        os.environ.setdefault(machine.THREADS, str(env["threads"]))
    import jax

    from hwr_jax.checks import reproduction
    from hwr_jax.cli import console
    from hwr_jax.config import check
    from hwr_jax.data import configured
    from hwr_jax.distributed.signals import Signals
    from hwr_jax.training import job
    from hwr_jax.training.session import Session

    recorded = reproduction.last_epoch(folder)
    if not recorded:
        raise errors.ConfigError(f"{folder} has not finished an epoch yet, so there is nothing to verify")
    check.check_recorded(config, folder)
    screen = console.make_console()
    dataset = configured.load_of_run(config, env["dataset"], _DATA_DIR.value, screen.print)
    epochs = 1 if _QUICK.value else recorded
    used, groups = _DEVICES.value or min(env.get("mesh_devices", 1), jax.device_count()), env.get("seed_groups", 1)
    whole = not _QUICK.value and (folder / "summary.json").exists()
    with (
        Signals() as signals,
        _with_its_own_message(),
        tempfile.TemporaryDirectory(prefix="hwr_jax-verify-") as temporary,
    ):
        again = Path(temporary)
        session = Session(
            folder=again,
            screen=screen,
            signals=signals,
            data_dir=_DATA_DIR.value,
            devices=used,
            seed_groups=math.gcd(groups, used),
        )
        job.train_claimed(config, dataset, session, resume=False, last_epoch=None if whole else epochs)
        differences = reproduction.surroundings(env, run_folder.read_environment(again))
        verdict = reproduction.compare(folder, again, epochs=epochs, differences=differences)
    screen.print(f"\n{folder}, {epochs} of {config.epochs} epochs, rerun: {verdict.sentence}")
    screen.print(f"Final state: {verdict.state}" if whole else "Final state: not compared")
    screen.print("What changed in its environment (then -> now):" if differences else "Its environment is the same.")
    for difference in differences:
        screen.print(f"  {difference}")
    if several := console.several_codes(run_folder.codes(env)):
        screen.print(several)
    last = {"workdir": str(folder), "epochs": epochs, "differences": differences, **verdict._asdict()}
    print(json.dumps(last), flush=True)
    return errors.DONE if verdict.reproduced else errors.DIFFERENT


@contextlib.contextmanager
def _with_its_own_message() -> Iterator[None]:
    """Says of a signal that nothing was verified, since the folder of the rerun is temporary."""
    try:
        yield
    except errors.Stopped as stopped:
        raise errors.Stopped(stopped.code, "stopped: nothing was verified, and the run is unchanged") from None


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
