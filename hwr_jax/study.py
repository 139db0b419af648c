"""Runs a study and writes its report: `python -m hwr_jax.study --study=experiments/initialisation [--dry_run]`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from hwr_jax.cli import command, flags
from hwr_jax.core import errors

USAGE = """\
Trains every variant of a study with the same seeds, appends a line per trial to results.jsonl, and writes report.md and
figures. Run it again to train only what is missing. `python -m pydoc hwr_jax.studies.spec` describes the study file.

    python -m hwr_jax.study --study=experiments/initialisation/study.py --dry_run
    python -m hwr_jax.study --study=experiments/initialisation/study.py --only=zeros,default --seeds=20
"""

FLAGS = flags.Flags()
_STUDY = FLAGS.string("study", None, "The study: a study.py, or its folder.", kind="FILE", required=True)
_ONLY = FLAGS.names("only", [], "Train only these variants; default: all.", kind="VARIANT,...")
_SEEDS = FLAGS.integer("seeds", 0, "Number of seeds of each variant; default: as in the study.", at_least=0)
_DRY_RUN = FLAGS.boolean("dry_run", "Only list the missing trials, and what they would cost.")
_REPORT = FLAGS.boolean("report", "Train nothing, and write the report from the existing results.")
_OUT = flags.out(FLAGS, "Folder of the results and the report; default: that of the study.")
_DATA_DIR = flags.data_dir(FLAGS)
FLAGS.begin("Where the trials run")
_DEVICES = flags.devices(FLAGS)
_BLOCK = FLAGS.integer(
    "block",
    0,
    "How many trials are trained at once; default: one on CPU, all of a shape on accelerators, 5 in a task of Ray.",
    at_least=0,
)
_ENGINE = FLAGS.choice(
    "engine", "local", ["local", "ray"], "Where the trials run: in this process, or on Ray's workers."
)
_RAY_ADDRESS = FLAGS.string(
    "ray_address",
    "",
    "With --engine=ray: the address of a running cluster, or auto for that of this machine; default: start one here.",
    kind="ADDRESS",
)
_WORKERS = FLAGS.integer(
    "workers", 0, "With --engine=ray: processes of the cluster started here; default: one per processor.", at_least=0
)


def main() -> int:
    """Runs the study; returns the exit code. Raises ConfigError for flags that do not fit."""
    if not _STUDY.value:
        raise errors.ConfigError("--study is missing: name one, such as --study=experiments/initialisation/study.py")
    from hwr_jax.studies import spec

    study = spec.load(_STUDY.value)
    for name in _ONLY.value:
        if name not in study.variants:
            raise errors.ConfigError(f"--only={name} is not a variant: use some of {', '.join(study.variants)}")
    folder = command.folder("out", _OUT.value, str(study.folder))
    if _ENGINE.value == "ray" and _DEVICES.value:
        raise errors.ConfigError(f"--devices={_DEVICES.value} needs --engine=local: Ray gives each task one device")
    spec.check_values(study)
    from hwr_jax.cli import console
    from hwr_jax.studies import comparison, live, report, results, verdict

    screen = console.make_console()
    if _REPORT.value:
        records = results.read(study, folder)
        if not records:
            raise errors.ConfigError(f"{folder} has no {results.FILE}: train the study first, without --report")
        report.write(study, records, folder)
        screen.print(f"Report: {folder / 'report.md'}")
        return errors.DONE
    with contextlib.nullcontext() if _DRY_RUN.value else results.locked(folder):
        records = results.read(study, folder)
        jobs = _missing(study, records)
        if _DRY_RUN.value:
            _print_costs(jobs, records, screen)
            return errors.DONE
        if any(job.seeds for job in jobs):
            records = _train(study, jobs, records, folder, screen)
        else:
            screen.print(f"{folder / results.FILE} is complete: nothing was trained")
        report.write(study, records, folder)
    rows = comparison.compare(study, records)
    screen.print(live.results_table(study, rows))
    screen.print(verdict.verdict(study, rows))
    for note in verdict.notes(study, records, rows):
        screen.print(f"Note: {note}")
    screen.print(f"Report: {folder / 'report.md'}")
    return errors.DONE


def _missing(study, records: list[dict[str, Any]]) -> list:
    """The trials without a record, variant by variant."""
    from hwr_jax.studies import local

    trained = {(r["variant"], r["seed"]) for r in records}
    first = study.configs[study.baseline].seed
    seeds = range(first, first + (_SEEDS.value or study.seeds))
    return [
        local.VariantJob(name, study.configs[name], [seed for seed in seeds if (name, seed) not in trained])
        for name in dict.fromkeys(_ONLY.value) or study.variants
    ]


def _train(study, jobs: list, records: list[dict[str, Any]], folder: Path, screen) -> list[dict[str, Any]]:
    """Runs the jobs, appends their records, and returns all records."""
    from hwr_jax.distributed.signals import Signals
    from hwr_jax.studies import live, results
    from hwr_jax.workdir import machine

    machine.spare_threads()
    others = {r["code"]["sha256"] for r in records} - {machine.code_digest()}
    if others:
        screen.print("Note: the existing records were made by another version of the code; the report will say so.")
    try:
        with Signals() as signals, live.board(study, jobs, records, screen) as show:
            for variant, record in _trained(jobs, signals, screen):
                results.append(folder, variant, record)
                show(variant, record)
    except errors.Stopped as stopped:
        words = f"stopped: finished trials are in {folder / results.FILE}; run the same command again to resume"
        raise stopped.reworded(words) from None
    return results.read(study, folder)


def _trained(jobs: list, signals, screen):
    """Yields (variant, record) from the engine."""
    from hwr_jax.data import configured
    from hwr_jax.studies import local, ray_cluster

    load = configured.Loader(_DATA_DIR.value, quiet=False)
    where = {"block": _BLOCK.value, "data_dir": _DATA_DIR.value, "log": screen.print}
    if _ENGINE.value == "ray":
        load = load._replace(quiet=True)
        return ray_cluster.run(jobs, load, signals, address=_RAY_ADDRESS.value, workers=_WORKERS.value, **where)
    return local.run(jobs, load, signals, devices=_DEVICES.value, **where)


def _print_costs(jobs: list, records: list[dict[str, Any]], screen) -> None:
    """Prints the missing trials and their cost: from a variant's records if it has any, else by timing a few steps."""
    from hwr_jax.data import configured
    from hwr_jax.studies import live, local

    known = live.mean_seconds(records)
    unknown = [job for job in jobs if job.seeds and job.variant not in known]
    timed = local.expected(unknown, configured.Loader(_DATA_DIR.value, quiet=False)) if unknown else {}
    costs = {name: (cost.seconds, cost.compile_seconds) for name, cost in timed.items()}
    costs |= {name: (seconds, 0.0) for name, seconds in known.items()}
    screen.print(live.costs_table(jobs, costs))
    total = sum(len(job.seeds) * costs[job.variant][0] + costs[job.variant][1] for job in jobs if job.seeds)
    trials = sum(len(job.seeds) for job in jobs)
    steps = " (without evaluation for variants not trained yet)" if timed else ""
    cost = f"about {live.duration(total)} on {os.cpu_count()} cores{steps}"
    screen.print(f"{trials} trials to train, {cost}; nothing was trained.")


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
