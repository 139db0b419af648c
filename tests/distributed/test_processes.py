"""Jobs of several real processes on the loopback interface: compared with one process, and with faults."""

import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from quick_runs import TINY as NETWORK
from quick_runs import UNCHANGED, xla_flags

from hwr_jax.core.errors import ConfigError, Stopped
from hwr_jax.distributed import processes as distributed
from hwr_jax.distributed import signals
from hwr_jax.inference import predictor
from hwr_jax.steps import train_step
from hwr_jax.steps.run import make_run, on_device
from hwr_jax.workdir import run_folder

ROOT = Path(__file__).parents[2]
SGD = ("--config=configs/digits.py:smoke", "--config.optim.name=sgd", "--config.optim.learning_rate=0.1")
# Sums in another order differ in the last bit. With ReLU that puts a value on the other side of 0 now and then (with
# max-pooling another one becomes the largest), and the next step differs by a whole gradient: 0.03 in a weight was
# seen. In a smooth network it stays small.
SMOOTH = (
    *SGD, "--config.model.activation=tanh", "--config.model.pools=(False, False)", "--config.model.strides_px=(2, 2)",
    "--config.model.norm=batch", "--config.epochs=3", "--config.optim.learning_rate=0.03",
    *(f"--config.{key}={value}" for key, value in UNCHANGED.items()),
)  # fmt: skip
TINY = (*SGD, *NETWORK)
CODES = {"refused": 64, "terminated": 143}

_spec = importlib.util.spec_from_file_location("launch_local", ROOT / "scripts" / "launch_local.py")
launch_local = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(launch_local)


class Job:
    """The processes of a job; `of_one`: the last one's further flags, or the environment of one of them, by number."""

    def __init__(self, start, folder, *arguments, processes=2, devices=1, of_one=(), env=None):
        common = [f"--coordinator=127.0.0.1:{launch_local.free_port()}", f"--processes={processes}", "--heartbeat_s=5"]
        flags = f"{xla_flags(arguments)} --xla_force_host_platform_device_count={devices}"
        env = {**(env or {}), "XLA_FLAGS": flags}
        self.processes = []
        for i in range(processes):
            more = of_one if isinstance(of_one, list) and i == processes - 1 else []
            replaced = {flag.partition("=")[0] for flag in more}
            own = [*common, f"--process={i}", f"--workdir={folder}"]
            own = [*arguments, *(flag for flag in own if flag.partition("=")[0] not in replaced), *more]
            special = of_one.get(i, {}) if isinstance(of_one, dict) else {}
            self.processes.append(start("main", *own, env={**env, **special}))

    def wait(self, timeout=240):
        """Returns the exit codes, and what each printed to standard output and error."""
        try:
            said = [p.communicate(timeout=timeout) for p in self.processes]
        finally:
            self.kill()
        return [p.returncode for p in self.processes], said

    def until(self, path, timeout=120):
        """Waits for a file."""
        deadline = time.monotonic() + timeout
        while not (path.exists() and path.stat().st_size):
            assert time.monotonic() < deadline
            assert all(p.poll() is None for p in self.processes), self.wait()
            time.sleep(0.02)

    def kill(self):
        for p in self.processes:
            p.kill()


@pytest.fixture
def job(start):
    """Returns a `Job` of these arguments, which ends with the test."""
    return functools.partial(Job, start)


def records(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {(line["epoch"], line["split"]): line["per_seed"] for line in lines}


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory):
    """The run folder of one process with one device."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    done = command("main", *SMOOTH, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def over_a_mesh(config, dataset, devices):
    """The parameters [1, ...] after training on a mesh of `devices` devices of this process."""
    run = make_run(config, dataset, devices=devices)
    arrays, seeds = on_device(run, dataset.train), run.seed_array()
    state = run.programs.init(seeds)
    for epoch in range(config.epochs):
        state = run.programs.steps(state, arrays, run.programs.order(seeds, epoch), run.recipe.steps_per_epoch)
    return jax.device_get(state.params)


def under_pmap(config, dataset):
    """The same under `jax.pmap` on eight devices."""
    recipe = make_run(config, dataset, devices=1).recipe
    step = jax.pmap(functools.partial(train_step.train_step, recipe, axis_name="data"), "data", in_axes=(None, 0))
    state = jax.jit(lambda: train_step.init_state(recipe, config.seed, dataset.train.image.shape[1:]))()
    for epoch in range(config.epochs):
        for rows in np.asarray(train_step.epoch_order(recipe, config.seed, epoch, len(dataset.train.label))):
            parts = jax.tree.map(lambda x, rows=rows: x[rows].reshape(8, -1, *x.shape[1:]), dataset.train)
            state = jax.tree.map(lambda x: x[0], step(state, parts))
    return jax.tree.map(lambda x: np.asarray(x)[None], state.params)


def apart(alone, params):
    """The largest difference between the weights of a run and others."""
    expected = jax.tree.leaves(predictor.load(alone).params)
    return max(np.abs(a - b).max() for a, b in zip(expected, jax.tree.leaves(params), strict=True))


@pytest.mark.exhaustive
@pytest.mark.parametrize("layout", ["pmap", *"1248"])
def test_every_layout_of_the_devices_of_a_process_trains_the_same_parameters(alone, digits, layout):
    config = run_folder.read_config(alone)
    assert config.epochs * (1097 // config.batch_size) >= 100  # steps
    trained = under_pmap(config, digits) if layout == "pmap" else over_a_mesh(config, digits, int(layout))
    assert apart(alone, trained) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_two_processes_train_the_same_parameters_and_one_reads_what_they_wrote(job, alone, tmp_path, command, devices):
    run = tmp_path / "run"
    codes, said = job(run, *SMOOTH, devices=devices).wait()
    assert codes == [0, 0], said
    # Gloo's threads write a line and its end apart, so that the ends of two lines can follow each other
    spoken = [line for line in said[1][0].splitlines() if line and not line.startswith("[Gloo]")]
    assert spoken == []  # only the main process prints
    assert json.loads((run / "environment.json").read_text())["mesh_devices"] == 2 * devices
    assert not list(run.glob(".shared-*"))
    assert apart(alone, predictor.load(run).params) <= 1e-6
    for key, metrics in records(alone).items():
        found = records(run)[key]
        np.testing.assert_allclose(found["loss"], metrics["loss"], rtol=2e-4)
        np.testing.assert_allclose(found["accuracy"], metrics["accuracy"], atol=0.0021)  # one image of 500
    done = command("evaluate", f"--workdir={run}", "--format=json")  # one process reads what many wrote
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(done.stdout)["accuracy"]["per_seed"] == summary["test"]["accuracy"]["per_seed"]
    (run / "summary.json").unlink()  # a job with only the evaluation left
    codes, said = job(run, *SMOOTH, devices=devices).wait()
    assert codes == [0, 0], said
    assert json.loads((run / "summary.json").read_text())["state_sha256"] == summary["state_sha256"]


@pytest.mark.exhaustive
def test_two_processes_that_share_the_seeds_train_those_of_one_process(job, command, tmp_path):
    flags = (*SMOOTH, "--config.seeds=2", "--config.epochs=1")
    one, two = tmp_path / "one", tmp_path / "two"
    assert command("main", *flags, f"--workdir={one}").returncode == 0
    codes, said = job(two, *flags, "--seed_groups=2").wait()
    assert codes == [0, 0], said
    env = json.loads((two / "environment.json").read_text())
    assert (env["mesh_devices"], env["seed_groups"]) == (2, 2)
    params = [jax.tree.leaves(predictor.load(folder).params) for folder in (one, two)]
    assert max(np.abs(a - b).max() for a, b in zip(*params, strict=True)) <= 1e-6
    found, expected = records(two), records(one)
    assert found.keys() == expected.keys()
    for key, metrics in expected.items():
        np.testing.assert_allclose(found[key]["loss"], metrics["loss"], rtol=1e-5)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_after_saving_and_one_process_resumes(job, command, tmp_path):
    run = tmp_path / "run"
    flags = (*TINY, "--config.epochs=12")
    started = job(run, *flags)
    started.until(run / "metrics.jsonl")
    started.processes[1].send_signal(signal.SIGTERM)
    codes, said = started.wait(timeout=60)
    assert codes == [CODES["terminated"]] * 2, said
    assert "SIGTERM: saved step" in said[0][1]
    saved = max(int(path.stem) for path in (run / "manifests").iterdir())
    assert 0 < saved < 12 * 34
    done = command("main", *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    assert f"resuming from step {saved}" in done.stdout
    lines = records(run)
    assert [epoch for epoch, split in lines if split == "validation"] == list(range(1, 13))  # none twice, none missing


@pytest.mark.parametrize(
    ("different", "words"),
    [
        (["--config.optim.learning_rate=0.2"], "process 1 of 2 has another config than process 0"),
        (["--config.seed=3"], "process 1 of 2 has another config than process 0"),
    ],
)
def test_all_processes_refuse_what_differs_between_them(job, tmp_path, different, words):
    codes, said = job(tmp_path / "run", *SGD, of_one=different).wait(timeout=60)
    assert codes == [CODES["refused"]] * 2, said
    assert words in said[0][1]
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize(("fault", "victim"), [(signal.SIGKILL, 1), (signal.SIGSTOP, 0)])
def test_when_a_process_is_killed_or_frozen_the_others_exit_and_the_same_command_resumes(job, tmp_path, fault, victim):
    run = tmp_path / "run"
    flags = (*TINY, "--config.epochs=60")
    started = job(run, *flags)
    started.until(run / "manifests" / "34.json")
    start = time.monotonic()
    started.processes[victim].send_signal(fault)
    survivor = started.processes[1 - victim]
    assert survivor.wait(timeout=30) != 0
    assert time.monotonic() - start <= 5 + 5 + 1  # the heartbeat, five seconds, and this loop
    started.kill()
    started = job(run, *flags)
    deadline = time.monotonic() + 60
    while '"step"' not in (run / "environment.json").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    resumed = json.loads((run / "environment.json").read_text())["resumed"]
    assert resumed[0]["step"] >= 34


@pytest.mark.slow
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.exhaustive), 1])
def test_a_process_that_fails_takes_the_others_with_it(job, tmp_path, rank):
    """The cache of one of them is in the home of somebody who does not exist: the others do not wait forever."""
    start = time.monotonic()
    started = job(tmp_path / "run", *SGD, of_one={rank: {"HWR_CACHE_DIR": "~nobody-at-all/cache"}})
    codes, said = started.wait(timeout=60)
    assert codes[rank] == 64, said
    assert codes[1 - rank] != 0
    assert time.monotonic() - start < 60


def test_the_others_do_not_wait_forever_for_a_missing_process(job, tmp_path):
    start = time.monotonic()
    started = job(tmp_path / "run", *SGD, "--start_s=4", processes=1, of_one=["--processes=2", "--process=0"])
    [code], said = started.wait(timeout=60)
    assert code not in (0, CODES["refused"]), said
    assert time.monotonic() - start >= 4


@pytest.mark.parametrize(
    "flags",
    [
        ["--processes=2"],
        ["--coordinator=127.0.0.1:1", "--processes=2"],
        ["--coordinator=127.0.0.1:1", "--processes=2", "--process=2"],
    ],
)
def test_flags_that_do_not_fit_together_give_an_error(command, tmp_path, flags):
    done = command("main", *SGD, *flags, f"--workdir={tmp_path / 'run'}")
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "do not fit together: give all three" in done.stderr


def test_an_address_in_use_gives_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"--coordinator={address} cannot be listened on: Address already in use"):
            distributed.start(address, 2, 0)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, False),
        ({"SLURM_STEP_NUM_TASKS": "1"}, False),
        ({"SLURM_NTASKS": "4"}, False),  # an allocation, but not a step of many: salloc, or a batch script without srun
        ({"SLURM_STEP_NUM_TASKS": "4"}, True),
        ({"TPU_PROCESS_ADDRESSES": "one:1,two:1"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "one"}, False),
        ({"TPU_WORKER_HOSTNAMES": "one,two"}, True),
    ],
)
def test_the_environment_shows_a_job_of_many_processes(env, expected):
    assert distributed.in_cluster(env) is expected


def test_devices_that_leave_out_a_process_give_an_error(job, tmp_path):
    codes, said = job(tmp_path / "run", *SGD, "--devices=1").wait(timeout=60)
    assert codes == [64, 64], said
    assert "--devices=1 leaves one of the 2 processes without a device" in said[0][1]


@pytest.mark.exhaustive
def test_many_processes_begin_with_the_weights_of_another_run(job, command, tmp_path):
    begin = ("--config=configs/transfer.py:smoke", f"--config.init_from={tmp_path / 'source'}", "--config.epochs=2")
    done = command(
        "main", "--config=configs/transfer.py:smoke", "--config.epochs=2", f"--workdir={tmp_path / 'source'}"
    )
    assert done.returncode == 0, done.stderr
    codes, said = job(tmp_path / "run", *begin).wait(timeout=120)
    assert codes == [0, 0], said
    source, run = (json.loads((tmp_path / f / "summary.json").read_text()) for f in ("source", "run"))
    before = run["transfer"]["digits"]["before"]
    assert before == pytest.approx(source["test"]["accuracy"]["per_seed"], abs=0.0021)


@pytest.fixture
def agreed(monkeypatch):
    """`signals.Agreed`, entered and deferred, of a job whose other processes have received what `others` returns."""
    handlers = signals.Agreed()
    handlers.deferred = True
    with handlers:
        yield handlers, lambda others: monkeypatch.setattr(distributed, "highest", lambda own: max(own, others()))


def test_a_signal_that_arrives_while_the_others_are_asked_is_not_lost(agreed):
    handlers, others = agreed
    others(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0)
    assert not handlers.pending  # too late for this question
    others(lambda: 0)
    assert handlers.pending
    with pytest.raises(Stopped, match="SIGTERM: saved"):
        handlers.raise_pending("saved")


def test_a_processs_first_signal_after_all_agreed_does_not_exit_at_once(agreed):
    handlers, others = agreed
    others(lambda: int(signal.SIGTERM))
    assert handlers.pending
    os.kill(os.getpid(), signal.SIGTERM)  # Slurm signals every process: this one's own signal arrives a little later
    others(lambda: 0)
    assert handlers.pending  # still agreed


def test_a_single_process_waits_for_nobody():
    assert not distributed.many()
    assert distributed.is_main_process()
    assert distributed.from_main_process(7) == 7
    assert distributed.main_process_first(lambda: "done") == "done"
    distributed.barrier("nobody")
    distributed.check_same({"x": "y"})
    distributed.end()


def test_the_watchdog_ends_a_process_that_hangs_with_its_stacks():
    code = (
        "import time, signal; from hwr_jax.distributed import watchdog; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    )
    code += "watchdog.arm(6); time.sleep(3); watchdog.alive(); time.sleep(4); print('alive', flush=True)\n"
    code += "time.sleep(60)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert 9 <= time.monotonic() - start < 25
    assert (done.returncode, done.stdout) == (1, "alive\n")
    assert "Timeout" in done.stderr
    assert "most recent call first" in done.stderr


def test_a_disarmed_watchdog_ends_nothing():
    code = "import time; from hwr_jax.distributed import watchdog; watchdog.arm(0.3); watchdog.arm(0); time.sleep(0.8)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30, env=os.environ).returncode == 0


@pytest.fixture
def joined(monkeypatch):
    """The arguments with which JAX is asked to join a job, instead of joining it."""
    asked = {}
    monkeypatch.delenv(distributed.BIND, raising=False)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **arguments: asked.update(arguments))
    monkeypatch.setattr(jax.config, "update", lambda *of: None)
    return asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_the_coordinator_listens_on_the_named_address_alone(joined, host):
    address = f"{host}:{launch_local.free_port()}"
    distributed.start(address, 2, 0)
    assert joined["coordinator_bind_address"] == joined["coordinator_address"] == address


def test_the_environment_may_name_another_address_to_listen_on(joined, monkeypatch):
    monkeypatch.setenv(distributed.BIND, "0.0.0.0:1")
    distributed.start("192.0.2.1:1", 2, 0)
    assert joined["coordinator_bind_address"] is None  # JAX reads the variable


def test_an_address_of_another_machine_gives_an_error(joined):
    with pytest.raises(ConfigError, match="--coordinator=192.0.2.1:1234 is not an address of this machine"):
        distributed.start("192.0.2.1:1234", 2, 0)
    distributed.start("192.0.2.1:1234", 2, 1)  # whoever connects to it need not have it
    assert joined["process_id"] == 1


def test_a_name_that_means_this_machine_alone_is_told(joined, monkeypatch, capsys):
    """As the own host name does on Debian: others cannot connect to 127.0.1.1."""
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *of, **more: found("127.0.1.1", *of, **more))
    distributed.start(f"myhost:{launch_local.free_port()}", 2, 0)
    assert capsys.readouterr().err.startswith("hwr_jax: myhost is 127.0.1.1 here, where only processes of this machine")
