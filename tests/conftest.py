"""What every test shares: eight virtual CPU devices, strict promotion, and caches that are not the user's."""

import collections
import fcntl
import functools
import gc
import importlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parent.parent))  # for `configs`
sys.path.insert(0, str(Path(__file__).parent))

import quick_runs

os.environ.update(quick_runs.UNPLACED)

import jax
import jax.numpy as jnp
import package_coverage
import pytest
import warm_python
from quick_runs import LEVEL, QUICK

ROOT = Path(__file__).parent.parent
if os.environ["JAX_PLATFORMS"] == "cpu":
    flags = f"--xla_force_host_platform_device_count=8 {QUICK} --{LEVEL}=0"  # the tests' own programs take few steps
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a shell began in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
package_coverage.start()  # before hwr_jax is imported
machine = importlib.import_module("hwr_jax.workdir.machine")
machine.spare_threads()  # before JAX looks for its devices
sys.dont_write_bytecode = False  # hwr_jax would be compiled again by each of the suite's processes
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    # pytest-xdist hands out whole files (--dist loadfile): the long ones first, so that no worker ends alone.
    seconds = collections.Counter()
    for item in items:
        known = {20: "slow" in item.keywords, 2: "command" in item.fixturenames, 1: "browser" in item.keywords}
        seconds[item.path] += next((cost for cost, applies in known.items() if applies), 0.1)
    items.sort(key=lambda item: -seconds[item.path])  # stable: a file's tests keep their order
    for item in items:
        if "mnist" in item.keywords and not os.environ.get("HWR_MNIST_DIR"):
            item.add_marker(pytest.mark.skip(reason="needs the real MNIST: set HWR_MNIST_DIR"))


def pytest_collection_finish():
    from hwr_jax.cli import command

    gc.collect()
    gc.freeze()  # what is imported by now stays: no search for garbage looks through it
    gc.set_threshold(*command.GARBAGE)


def pytest_terminal_summary(terminalreporter):
    passed = terminalreporter.stats.get("passed", [])
    for marker, title in (("mnist", "MNIST"), ("browser", "browser")):
        ran = sum(marker in report.keywords for report in passed)
        terminalreporter.write_line(f"{title} tests run: {ran}")


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that all workers of pytest-xdist have in common."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def caches(shared):
    """The environment of the suite's processes: caches and data folders of its own, one device, plain promotion.

    They compile quickly; with XLA_FLAGS="" they compile as a user's do.
    """
    other = ("HWR_", "TFDS_", "XLA_", "JAX_", "NPROC", "PYTHONDONTWRITEBYTECODE")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(other) or k == "HWR_COVERAGE"}
    own = {"HWR_CACHE_DIR": str(shared / "hwr"), "TFDS_DATA_DIR": str(shared / "tfds"), "JAX_PLATFORMS": "cpu"}
    _kernels_of_this_process(shared)
    return {**keep, **own, **quick_runs.UNPLACED, "XLA_FLAGS": quick_runs.xla_flags([]), "PYTHONPATH": str(ROOT)}


def _kernels_of_this_process(shared):
    """Our kernels take ten seconds to build: once for the tests of all workers, and for their commands."""
    from hwr_jax.data import cache
    from hwr_jax.models.kernels import build

    with open(shared / "kernels.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = cache.default_cache_dir() / "kernels"
        if build.kernel().library is not None and not (shared / "hwr").exists():
            (shared / "hwr").mkdir()
            (shared / "hwr" / "kernels").symlink_to(built)


@pytest.fixture
def without_data(caches, tmp_path):
    """The environment of a machine that has neither data nor a network, but whatever the suite has compiled."""
    own = tmp_path / "cache"
    own.mkdir()
    for name in ("kernels", "xla"):
        compiled = Path(caches["HWR_CACHE_DIR"]) / name
        compiled.mkdir(parents=True, exist_ok=True)
        (own / name).symlink_to(compiled)
    return {"HTTPS_PROXY": "http://127.0.0.1:9", "TFDS_DATA_DIR": str(tmp_path), "HWR_CACHE_DIR": str(own)}


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory):
    """A program that several tests compile is compiled once; not shared, for JAX does not write whole files at once."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_remove_custom_partitioning_ptr_from_cache_key", True)  # as compile_cache does
    jax.devices()  # now: a test that sets XLA_FLAGS for a while could be the first to ask for them


@pytest.fixture(scope="session")
def digits(caches):
    """The embedded data set: 1,097 / 200 / 500 images."""
    from hwr_jax import data

    return data.load("digits", cache_dir=caches["HWR_CACHE_DIR"], log=lambda line: None)


@pytest.fixture(scope="session")
def kernel():
    """The compiled convolution of this machine; a machine without a C++ compiler skips the test."""
    from hwr_jax.models.kernels import build

    if not os.environ.get("CXX") and not any(map(shutil.which, build.COMPILERS)):
        pytest.skip("no C++ compiler is installed")
    from hwr_jax.models.kernels import calls

    found = build.kernel()
    assert found.library is not None, found.what
    assert calls.available()
    return found


@pytest.fixture(scope="session")
def warm(caches):
    """Pythons that have imported the libraries, for commands."""
    pool = warm_python.Pool(caches)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def command(caches, warm):
    """Returns run(verb, *arguments): the finished process of `python -m hwr_jax.<verb>`.

    `fresh` starts an interpreter of its own, which costs three seconds of imports. Without `figures`, none is drawn.
    """

    def run(verb, *arguments, timeout=240, env=None, cwd=ROOT, fresh=False, figures=False):
        module, arguments = f"hwr_jax.{verb}", [str(a) for a in arguments]
        env = {**caches, "XLA_FLAGS": quick_runs.xla_flags(arguments), **(env or {})}
        if warm.fits(env) and not fresh:
            return warm.run(module, arguments, env=env, cwd=cwd, timeout=timeout, figures=figures)
        line = [sys.executable, "-m", module, *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=env)

    return run


@pytest.fixture
def findings():
    """Returns findings(script, path): the exit code of a check in scripts/ for a path, and the lines it printed."""

    def run(script, path):
        command = [sys.executable, f"scripts/{script}.py", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    return run


@pytest.fixture
def start(caches, warm):
    """Returns start(verb, *arguments): a command that runs, for a test to watch and signal: `warm_python.Process`."""
    started = []

    def run(verb, *arguments, env=None):
        arguments = [str(a) for a in arguments]
        env = {**caches, "XLA_FLAGS": quick_runs.xla_flags(arguments), **(env or {})}
        assert warm.fits(env)
        started.append(warm.start(f"hwr_jax.{verb}", arguments, env=env, cwd=ROOT))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def two_seeds(shared, command):
    """(run folder, standard output) of a finished smoke run with two seeds: made once for all workers: copy it."""
    folder, output = shared / "two_seeds", shared / "two_seeds.txt"
    with open(shared / "two_seeds.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            line = ["--config=configs/digits.py:smoke", "--config.seeds=2", f"--workdir={folder}"]
            done = command("main", *line, figures=True)
            assert done.returncode == 0, done.stderr
            output.write_text(done.stdout)
    return folder, output.read_text()


@pytest.fixture(scope="session")
def hook():
    """reader/modules.py, with which hwr-read is built."""
    spec = importlib.util.spec_from_file_location("modules", ROOT / "reader" / "modules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def quick_jit():
    """`jax.jit` that compiles quickly rather than well: for what runs once, and of which no bit is promised."""
    return functools.partial(jax.jit, compiler_options={LEVEL: 0})


@pytest.fixture
def optimised(monkeypatch):
    """`jax.jit` compiles as for a command: for tests that compare the bits of two programs, which level 0 changes."""
    monkeypatch.setattr(jax, "jit", functools.partial(jax.jit, compiler_options={LEVEL: 1}))


@pytest.fixture(scope="session")
def initial(quick_jit):
    """Returns initial(recipe): the state before the first step; `shape` is that of an image."""
    from hwr_jax.steps import train_step

    def make(recipe, *, seed=0, shape=(28, 28, 1)):
        return quick_jit(lambda seed: train_step.init_state(recipe, seed, shape))(jnp.int32(seed))

    return make


@pytest.fixture
def here(caches, monkeypatch):
    """What a command has, for what is trained in this process: the suite's caches, and the promotion of optax."""
    for key, value in caches.items():
        monkeypatch.setenv(key, value)
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def experiment(tmp_path):
    """Returns write(name, text): the path of a new experiments/rates/NAME.py, beside a copy of configs/."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    folder = tmp_path / "experiments" / "rates"
    folder.mkdir(parents=True)

    def write(name, text):
        (folder / name).write_text(text)
        return folder / name

    return write


@pytest.fixture
def smoke():
    """Returns make(**overrides): the checked config configs/digits.py:smoke with flat overrides."""
    from hwr_jax.config import check, configs

    def make(**overrides):
        made = configs.load(
            ROOT / "configs" / "digits.py:smoke", {k.replace("__", "."): v for k, v in overrides.items()}
        )
        check.check(made)
        return made

    return make


@pytest.fixture
def begun(tmp_path, smoke, digits):
    """A run folder of the smoke config that was begun."""
    from hwr_jax.workdir import claim, run_folder

    folder = tmp_path / "run"
    with run_folder.locked(folder):
        assert claim.claim(folder, smoke(), digits, overwrite=False) == "new"
        run_folder.begin(folder, smoke(), run_folder.environment(smoke(), digits, over_seeds="map"))
    return folder
