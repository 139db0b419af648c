"""The two commands of the README, the lock files, and scripts/run.py's own logic."""

import ast
import compileall
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TRAIN = "python3 scripts/run.py -m hwr_jax.main --config=configs/cnn.py"
TEST = "python3 scripts/run.py -m pytest"
LOCKS = sorted(ROOT.glob("requirements*.txt"))
IMPORTED_AS = {
    "absl-py": "absl",
    "orbax-checkpoint": "orbax",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("run_script", ROOT / "scripts" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path, script):
    for name in ("pyproject.toml", script.BUILD, "requirements.txt", "requirements-py312.txt"):
        (tmp_path / name).write_text("first\n")
    return tmp_path


@pytest.fixture
def environment(tmp_path, script, monkeypatch):
    """An environment that is not installed yet, in which an installation only notes its extras."""
    installations = []
    monkeypatch.setattr(script.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(script, "install", lambda extras, held: installations.append(sorted(extras)))
    return installations


def pins(path):
    return re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", [TRAIN, TEST])
def test_the_first_screen_of_the_readme_holds_both_commands(command):
    first_screen = (ROOT / "README.md").read_text().splitlines()[:40]
    assert any(line.strip().removeprefix("$ ").startswith(command) for line in first_screen)


def test_ci_runs_the_test_command_of_the_readme():
    assert re.search(rf"^{re.escape(TEST)}( |$)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_contributing_and_the_hooks_name_every_check_of_ci():
    lint = (ROOT / ".ci/run").read_text().partition('\nstep "lint, ')[2].partition("\nstep ")[0]
    checks = re.findall(r"^python3 scripts/run.py ((?:-m )?\S+)", lint, re.MULTILINE)
    assert len(checks) == 6
    for page in ("CONTRIBUTING.md", ".pre-commit-config.yaml"):
        assert [check for check in checks if f"python3 scripts/run.py {check}" not in (ROOT / page).read_text()] == []


@pytest.mark.parametrize("name", [".ci/run", "scripts/lock.sh", "scripts/try_pythons.sh"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permission")
def test_the_shell_scripts_can_be_run_and_stop_at_the_first_error(name):
    assert (ROOT / name).stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in (ROOT / name).read_text()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_is_pinned_and_hashed(path):
    packages = re.split(r"\n(?=\S)", path.read_text().strip())
    assert len(packages) > 5
    for package in packages:
        assert re.match(r"[a-z0-9][\w.-]*==\S+ ", package), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_names_no_index_no_address_and_no_local_path(path):
    assert not re.search(r"--(extra-)?index-url|--find-links|://|file:|^-|^\.|^/", path.read_text(), re.MULTILINE)


def test_the_locks_hold_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = [line for line in extras["dev"] if line.startswith("hwr_jax[")]
    also = [name for line in ours for name in re.search(r"\[(.*)\]", line)[1].split(",")]
    assert set(also) == set(extras) - {
        "cuda",
        "tpu",
        "dev",
        "tensorboard",
    }  # what is optional is tested; that only shows files
    wanted = project["dependencies"] + [line for name in ("dev", *also) for line in extras[name] if line not in ours]
    direct = {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in wanted}
    for name in ("requirements.txt", "requirements-py312.txt"):
        assert direct <= {package for package, _ in pins(ROOT / name)}


def test_the_locks_span_the_versions_of_jax_that_are_allowed():
    jax = {path.name: dict(pins(path)).get("jax") for path in LOCKS}
    assert jax["requirements.txt"].startswith("0.10.")
    assert jax["requirements-py312.txt"].startswith("0.12.")


def test_every_dependency_is_imported_or_says_why_it_is_there():
    text = (ROOT / "pyproject.toml").read_text()
    imported = set()
    for path in (ROOT / "hwr_jax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    for line in tomllib.loads(text)["project"]["dependencies"]:
        name = re.match(r"[\w-]+", line)[0]
        module = IMPORTED_AS.get(name, name.replace("-", "_"))
        commented = re.search(rf'"{re.escape(line)}", #', text)
        assert module in imported or commented, f"{name} is neither imported in hwr_jax nor commented in pyproject.toml"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ((3, 11, 7), "requirements.txt"),
        ((3, 12, 1), "requirements-py312.txt"),
        ((3, 13, 0), "requirements-py312.txt"),
        ((3, 14, 0), "requirements-py312.txt"),
    ],
)
def test_each_python_has_its_lock_file(script, version, name):
    assert script.requirements_file(version) == name
    assert (ROOT / name).is_file()


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (((3, 10, 13), "cpython", "linux", "x86_64", 2**63 - 1), "needs CPython 3.11 or newer, not cpython 3.10"),
        (((3, 11, 13), "pypy", "linux", "x86_64", 2**63 - 1), "needs CPython 3.11 or newer, not pypy 3.11"),
        (((3, 11, 7), "cpython", "darwin", "x86_64", 2**63 - 1), "does not run on Intel Macs"),
        (((3, 11, 7), "cpython", "linux", "i686", 2**31 - 1), "needs a 64-bit Python"),
    ],
)
def test_an_unsupported_machine_is_told_so_in_a_sentence(script, machine, sentence):
    assert sentence in script.unsupported(*machine)


@pytest.mark.parametrize(
    ("system", "processor"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "")]
)
def test_the_supported_machines_are_let_through(script, system, processor):
    assert script.unsupported((3, 11, 0), "cpython", system, processor, 2**63 - 1) is None


def test_an_old_python_ends_with_exit_code_64_and_a_sentence(script, monkeypatch, capsys):
    monkeypatch.setattr(script.sys, "version_info", (3, 9, 18))
    assert script.main(["-m", "pytest"]) == 64
    assert "hwr_jax needs CPython 3.11 or newer, not cpython 3.9" in capsys.readouterr().err


def test_the_script_keeps_to_the_syntax_that_an_old_python_can_read():
    ast.parse((ROOT / "scripts" / "run.py").read_text(), feature_version=(3, 7))


def test_the_script_uses_the_standard_library_only():
    tree = ast.parse((ROOT / "scripts" / "run.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt", "pyproject.toml"])
def test_the_stamp_changes_with_what_decides_the_installation(script, checkout, name):
    before = script.stamp_key(str(checkout), (3, 11, 7))
    assert script.stamp_key(str(checkout), (3, 11, 7)) == before
    (checkout / name).write_text("second\n")
    assert script.stamp_key(str(checkout), (3, 11, 7)) != before


def test_the_stamp_differs_between_pythons_and_between_checkouts(script, checkout):
    keys = {script.stamp_key(str(checkout), version) for version in [(3, 11, 7), (3, 11, 8), (3, 12, 7)]}
    keys |= {script.stamp_key(str(ROOT), (3, 11, 7))}
    assert len(keys) == 4


def test_a_missing_lock_file_is_an_error_with_its_name(script, checkout):
    (checkout / "requirements.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"requirements\.txt"):
        script.stamp_key(str(checkout), (3, 11, 7))


def test_the_second_call_installs_nothing(script, environment):
    script.prepare(set())
    script.prepare(set())
    assert environment == [[]]


def test_an_extra_is_added_once_and_kept(script, environment):
    for extras in (set(), {"cuda"}, set(), {"cuda"}):
        script.prepare(extras)
    assert environment == [[], ["cuda"]]


def test_an_interrupted_installation_is_done_again_without_its_halves(script, environment, tmp_path, monkeypatch):
    half, whole = tmp_path / "jax-1.dist-info", tmp_path / "numpy-1.dist-info"
    for folder in (half, whole):
        folder.mkdir()
    (whole / "INSTALLER").write_text("pip\n")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    script.write_stamp(str(tmp_path), script.UNFINISHED, {"cuda"})
    script.prepare(set())
    assert environment == [["cuda"]]
    assert whole.exists()
    assert not half.exists()


def test_a_failed_installation_leaves_no_valid_stamp(script, environment, tmp_path, monkeypatch):
    def fail(extras, held):
        raise OSError("pip failed: no network")

    monkeypatch.setattr(script, "install", fail)
    with pytest.raises(OSError, match="no network"):
        script.prepare(set())
    assert script.read_stamp(str(tmp_path)) == (script.UNFINISHED, set())


def test_the_output_of_a_failing_pip_is_in_the_error(script):
    with (ROOT / "LICENSE").open() as held, pytest.raises(OSError, match="pip failed:\nno such package\n"):
        script.run_pip([sys.executable, "-c", "print('no such package'); raise SystemExit(1)"], held.fileno())


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        (["-m", "pytest"], "", (["-m", "pytest"], set())),
        (["--extra=cuda", "-m", "pytest"], "", (["-m", "pytest"], {"cuda"})),
        (["-m", "pytest"], "cuda", (["-m", "pytest"], {"cuda"})),
        (["-m", "pytest", "--extra=cuda"], "", (["-m", "pytest", "--extra=cuda"], set())),
    ],
)
def test_the_extra_is_a_first_argument_or_a_variable(script, arguments, variable, expected):
    assert script.split_extra(arguments, variable) == expected


def test_a_folder_whose_python_is_gone_is_no_usable_environment(script, tmp_path):
    assert not script.usable(str(tmp_path))
    (tmp_path / "pyvenv.cfg").write_text("home = /nowhere\n")
    assert not script.usable(str(tmp_path))
    python = Path(script.python_of(str(tmp_path)))
    python.parent.mkdir()
    python.touch()
    assert script.usable(str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks by another call")
def test_two_installations_at_once_wait_for_each_other(script):
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import run; run.lock(); print('locked')"
    with script.lock():
        other = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert other.stderr is not None
        assert other.stderr.readline() == "hwr_jax: waiting for another installation to end\n"
        assert other.poll() is None
    assert other.communicate(timeout=30) == ("locked\n", "")


def test_the_packages_of_a_lock_file_are_counted(script):
    for path in LOCKS:
        assert script.count_packages(path.name) == len(pins(path))


def test_the_set_up_says_at_which_package_of_how_many_it_is(script, capsys, monkeypatch):
    times = iter(range(0, 1000, 11))  # seconds: every line is due
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    lines = [
        "Collecting numpy==2.4.6\n",
        "  Downloading numpy.whl\n",
        "Collecting jax\n",
        "Noise\n",
        "Installing collected\n",
    ]
    assert list(script.show(lines, 103)) == lines
    assert capsys.readouterr().err.splitlines() == [
        "hwr_jax:   package 1 of 103: Collecting numpy==2.4.6",
        "hwr_jax:   package 1 of 103: Downloading numpy.whl",
        "hwr_jax:   package 2 of 103: Collecting jax",
        "hwr_jax:   unpacking 2 packages: the longest part, without news",
    ]


def test_the_set_up_says_which_step_it_is_at_and_how_long_it_took(script, capsys, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(script, "find_pip", lambda: ["pip"])
    monkeypatch.setattr(script, "run_pip", lambda command, held, packages=0: ran.append((command[-1], packages)))
    compile_dir = compileall.compile_dir  # by this process: a fork of it would be one of JAX's threads too
    monkeypatch.setattr("compileall.compile_dir", lambda *a, **how: compile_dir(*a, **{**how, "workers": 1}))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    (tmp_path / "package.py").write_text("x = 1\n")
    (tmp_path / "template.py").write_text("{{ x }} = no module\n")
    script.install(set(), 0)
    lock = script.requirements_file(sys.version_info)
    packages = [len(pins(ROOT / name)) for name in (script.BUILD, lock)]
    assert ran == [(script.BUILD, packages[0]), (lock, packages[1]), (".", 0)]
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if " of 3" in line] == [
        f"hwr_jax: step 1 of 3: what builds packages ({packages[0]} packages)",
        f"hwr_jax: step 2 of 3: JAX and all that hwr_jax needs ({packages[1]} packages)",
        "hwr_jax: step 3 of 3: hwr_jax itself",
    ]
    assert said[-1].startswith("hwr_jax: installed in ")
    assert [path.name.partition(".")[0] for path in (tmp_path / "__pycache__").iterdir()] == ["package"]
