"""Checks this machine and suggests fixes: `python -m hwr_jax.doctor`."""

from __future__ import annotations

import json

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Tries everything that a run needs on a small scale: Python, packages, devices, exchange between devices, cache,
checkpoints in the current folder, data. Suggests a fix for what does not work. Exits with 1 if anything does not.

    python -m hwr_jax.doctor
"""

FLAGS = flags.Flags()
_FORMAT = flags.output_format(FLAGS, ["table", "json"])
_DATA_DIR = flags.data_dir(FLAGS)


def main() -> int:
    """Prints the findings; returns the exit code."""
    from hwr_jax.checks import health
    from hwr_jax.cli import console

    screen = console.make_console(stderr=_FORMAT.value == "json")
    found = {}
    for name, finding in health.examine(_DATA_DIR.value):
        found[name] = finding
        if _FORMAT.value == "table":
            screen.print(f"{finding.status:>4}  {name}: {finding.what}")
            if finding.fix:
                screen.print(f"      -> {finding.fix}")
    if _FORMAT.value == "json":
        print(json.dumps({name: finding._asdict() for name, finding in found.items()}, indent=2))
    return errors.DIFFERENT if any(f.status == health.BAD for f in found.values()) else errors.DONE


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
