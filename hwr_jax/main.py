"""Trains what a config describes: `python -m hwr_jax.main --config=cnn [--config.seeds=5]`."""

from __future__ import annotations

import json
import time

STARTED = time.perf_counter()  # before the heavy imports: they are part of the run's time

from ml_collections import config_flags

from hwr_jax.cli import command, flags
from hwr_jax.core import errors, xla

USAGE = """\
Trains and evaluates what a config describes, and leaves a run folder. Run the same command again to resume an
interrupted run.

    python -m hwr_jax.main --config=cnn --config.seeds=5 --workdir=runs/cnn5
    python -m hwr_jax.main --config=cnn --help
"""

DETERMINISTIC = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"

FLAGS = flags.Flags()
_CONFIG = flags.config(FLAGS)
_WORKDIR = FLAGS.string("workdir", None, "The run folder; default: runs/NAME of the config.", kind="FOLDER")
_OVERWRITE = FLAGS.boolean("overwrite", "Remove the run that is in the run folder, and start again.")
_RESUME = FLAGS.choice(
    "resume", "same", ["same", "anyway"], "Resume an interrupted run with the code that began it, or with changed code."
)
_DATA_DIR = flags.data_dir(FLAGS)
_DETERMINISTIC = FLAGS.boolean("deterministic", "On GPU: use only kernels that give the same bits every time. Slower.")
_TRACK = FLAGS.names("track", [], "Report the run to these trackers, too: wandb, mlflow; default: none.")
_SUMMARY = FLAGS.boolean("summary", "Only print the network, layer by layer, with parameters and FLOPs.")
FLAGS.begin("Several devices or processes")
_DEVICES = flags.devices(FLAGS)
_SEED_GROUPS = FLAGS.integer(
    "seed_groups",
    1,
    "Split the devices into N groups. Each group trains its share of the seeds; its devices share each batch.",
    at_least=1,
)
_COORDINATOR = FLAGS.string(
    "coordinator",
    "",
    "In a job of several processes: the address on which process 0 listens. Not needed on Slurm, Open MPI and TPU VMs.",
    kind="HOST:PORT",
)
_PROCESSES = FLAGS.integer("processes", 0, "With --coordinator: how many processes share the job.")
_PROCESS = FLAGS.integer("process", -1, "With --coordinator: the number of this process, from 0.")
_JOIN = FLAGS.boolean("join", "Ask JAX for the other processes of the job, if the environment names none (TPU VMs).")
_HEARTBEAT_S = FLAGS.integer(
    "heartbeat_s",
    30,
    "Seconds without a sign of life after which a process counts as dead, and the others exit.",
    at_least=1,
)
_START_S = FLAGS.integer("start_s", 300, "Seconds that the processes wait for each other at the start.", at_least=1)
_WATCHDOG_S = FLAGS.integer(
    "watchdog_s",
    0,
    "Exit after N seconds without progress, and print the stacks of all threads; default: never.",
    at_least=0,
)


def main() -> int:
    """Runs the job; returns the exit code."""
    if _DETERMINISTIC.value:  # before JAX reads them; environment.json records them
        xla.append(DETERMINISTIC)
    from hwr_jax.cli import console
    from hwr_jax.distributed import processes, signals, watchdog
    from hwr_jax.workdir import machine

    machine.spare_threads()
    in_job = (_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    processes.start(*in_job, join=_JOIN.value, heartbeat_s=_HEARTBEAT_S.value, start_s=_START_S.value)
    watchdog.arm(_WATCHDOG_S.value)
    _check_same()
    screen = console.make_console(quiet=not processes.is_main_process())
    with signals.of_this_job() as handlers:
        path, config, dataset = processes.main_process_first(lambda: _prepare(screen.print))
        _check_same_data(config, dataset)
        if _SUMMARY.value:
            from hwr_jax.training import experiment

            screen.print(experiment.layers(config, dataset.classes))
            return errors.DONE
        from hwr_jax.training import job
        from hwr_jax.training.session import Session

        folder = command.folder("workdir", _WORKDIR.value, f"runs/{command.run_name(path)}")
        session = Session(
            folder=folder,
            screen=screen,
            signals=handlers,
            data_dir=_DATA_DIR.value,
            devices=_DEVICES.value,
            seed_groups=_SEED_GROUPS.value,
            track=tuple(_TRACK.value),
            started=STARTED,
        )
        summary = job.run(config, dataset, session, overwrite=_OVERWRITE.value, resume=_RESUME.value).summary
    watchdog.arm(0)
    if not processes.is_main_process():
        return errors.DONE
    console.print_results(screen, summary, folder)
    mean, seeds = summary["test"]["accuracy"]["mean"], len(summary["seeds"])
    last = {"dataset": summary["dataset"], "test_accuracy": mean, "seeds": seeds, "workdir": str(folder)}
    print(json.dumps(last), flush=True)
    return errors.DONE


def _check_same() -> None:
    """Raises an error unless all processes have the same config, code, libraries and devices."""
    from hwr_jax.config import configs
    from hwr_jax.distributed import processes
    from hwr_jax.workdir import machine

    if processes.many():
        from hwr_jax.models import kernel_use
        from hwr_jax.models.kernels import calls

        versions = json.dumps(machine.facts()["versions"])
        devices = f"{_DEVICES.value}, {_SEED_GROUPS.value}"
        text = {"config": configs.to_json(_CONFIG.value), "code": machine.code_digest()}
        processes.check_same(text | {"version of a library": versions, "--devices or --seed_groups": devices})
        if kernel_use.may_be(_CONFIG.value.model):
            calls.available()  # the first call waits for all processes, and here all are


def _check_same_data(config, dataset) -> None:
    """Raises an error unless all processes loaded the same data: one of them may have found none, or other data."""
    from hwr_jax.config import configs
    from hwr_jax.distributed import processes

    if processes.many():
        processes.check_same({"data set": dataset.sha256, "resolved config": configs.to_json(config)})


def _prepare(log):
    """Returns the `Experiment` that --config describes."""
    from hwr_jax.training import experiment

    flag = FLAGS["config"]
    path, given = config_flags.get_config_filename(flag), config_flags.get_override_values(flag)
    return experiment.prepare(path, _CONFIG.value, given, _DATA_DIR.value, log)


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
