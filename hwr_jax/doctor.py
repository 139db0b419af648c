"""Says what works on this machine: `python -m hwr_jax.doctor`."""

from __future__ import annotations

import json

from absl import flags

from hwr_jax.cli import command
from hwr_jax.core import errors

USAGE = """\
Tries what a run needs, each in a small size: Python, packages, devices, exchange between devices, cache, checkpoints in
the current folder, data. Says how to mend what does not work. Ends with 1 if something does not.

    python -m hwr_jax.doctor
"""

FLAGS = flags.FlagValues()
_FORMAT = flags.DEFINE_enum("format", "table", ["table", "json"], "How the findings are printed.", flag_values=FLAGS)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of tensorflow-datasets; default: TFDS_DATA_DIR or its own.", flag_values=FLAGS
)


def main(argv: list[str]) -> int:
    """Prints the findings; returns the exit code."""
    if argv:
        raise errors.ConfigError(f"{argv[0]!r} is no flag: a flag is --name=value")
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
