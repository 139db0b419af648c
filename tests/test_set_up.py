"""scripts/run.py, which makes the environment: when it installs, by what, and what it says."""

import ast
import compileall
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted(ROOT.glob("requirements*.txt"))
NOTES = {"INSTALLER", "RECORD", "REQUESTED", "uv_cache.json"}  # of an installer, about a package


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
        assert script.count_packages(path.name) == len(
            re.findall(r"^[a-z0-9][\w.-]*==", path.read_text(), re.MULTILINE)
        )


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


def test_the_set_up_shows_what_uv_is_at(script, capsys, monkeypatch):
    times = iter(range(0, 1000, 11))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    list(
        script.show(
            ["Resolved 2 packages in 9ms\n", "Downloading ray (75.6MiB)\n", " Downloaded ray\n", " + ray==2.5\n"]
        )
    )
    assert capsys.readouterr().err.splitlines() == ["hwr_jax:   Downloading ray (75.6MiB)", "hwr_jax:   Downloaded ray"]


@pytest.mark.parametrize("ahead", [True, False])
def test_the_set_up_says_which_step_it_is_at_and_how_long_it_took(script, capsys, monkeypatch, tmp_path, ahead):
    ran = []
    monkeypatch.setattr(script.sys, "dont_write_bytecode", ahead)  # Python will not keep what it compiles
    monkeypatch.setattr(script, "find_pip", lambda: ["pip"])
    monkeypatch.setattr(script, "run_pip", lambda command, held, packages=0: ran.append((command[-1], packages)))
    monkeypatch.setattr(script, "uv_installs", lambda options, pip, held: ran.append((options[-1], None)))
    compile_dir = compileall.compile_dir  # by this process: a fork of it would be one of JAX's threads too
    monkeypatch.setattr("compileall.compile_dir", lambda *a, **how: compile_dir(*a, **{**how, "workers": 1}))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    (tmp_path / "package.py").write_text("x = 1\n")
    (tmp_path / "template.py").write_text("{{ x }} = no module\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_package.py").write_text("x = 1\n")
    script.install(set(), 0)
    lock = script.requirements_file(sys.version_info)
    packages = [script.count_packages(name) for name in (script.BUILD, lock)]
    assert ran == [(script.BUILD, packages[0]), (lock, None), (lock, packages[1]), (".", 0)]
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if " of 3" in line] == [
        f"hwr_jax: step 1 of 3: what installs and builds packages ({packages[0]} packages)",
        f"hwr_jax: step 2 of 3: JAX and all that hwr_jax needs ({packages[1]} packages)",
        "hwr_jax: step 3 of 3: hwr_jax itself",
    ]
    assert said[-1].startswith("hwr_jax: installed in ")
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["package"] * ahead


@pytest.mark.parametrize(
    ("configuration", "variables", "others"),
    [
        ([], {}, []),
        (
            ["global.index-url='https://a/simple'", "install.index-url='https://b/simple'", "download.proxy='c:1'"],
            {"UV_DEFAULT_INDEX": "https://b/simple"},
            [],
        ),
        (
            [":env:.find-links='/a'", "global.find-links='/b'", "global.extra-index-url='https://a\\nhttps://b'"],
            {"UV_FIND_LINKS": "/a", "UV_INDEX": "https://a https://b"},
            [],
        ),
        (["user.find-links='/a'", "global.find-links='/a /b'", ":env:.retries='3'"], {"UV_FIND_LINKS": "/a,/b"}, []),
        (["global.proxy='a:1'", ":env:.cert='/c'", "install.no-binary=':all:'"], None, ["no-binary", "proxy"]),
    ],
)
def test_uv_gets_the_settings_of_pip_or_pip_installs(script, monkeypatch, capsys, configuration, variables, others):
    pip = [sys.executable, "-c", "import sys; assert sys.argv[-2:] == ['config', 'list']; print(sys.argv[1])"]
    calls = []
    monkeypatch.setattr(script, "run_installer", lambda *a, variables: (calls.append(variables) or 0, []))
    assert script.uv_installs(["-r", "lock"], [*pip, "\n".join(configuration)], 0) == (variables is not None)
    assert calls == ([] if variables is None else [variables])
    said = f"pip's configuration has {', '.join(others)}, unknown to uv: pip installs instead"
    assert (said in capsys.readouterr().err) == bool(others)


def test_pip_installs_what_uv_cannot(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    half = tmp_path / "jax-1.dist-info"
    half.mkdir()
    lines = ["Resolved 2 packages\n", "error: Request failed\n", "  cause: no network\n", "  cause: (os error 1)\n"]
    monkeypatch.setattr(script, "run_installer", lambda *a, **how: (2, lines))
    assert not script.uv_installs([], [sys.executable, "-c", ""], 0)
    assert "uv failed (error: Request failed; cause: no network): pip installs instead" in capsys.readouterr().err
    assert not half.exists()


def write_wheel(folder, name):
    """Writes a wheel of one module, and returns its line of a lock file."""
    info, path = f"{name}-1.dist-info", folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "x = 1\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*wheel.namelist(), f"{info}/RECORD"]))
    return f"{name}==1 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def made(script, tmp_path, monkeypatch):
    """Returns a function that makes an environment with uv, for the script to run in, and returns its packages."""
    uv = importlib.util.find_spec("uv")
    assert uv is not None, "requirements-build.txt has uv"
    get_path = sysconfig.get_path
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_NO_INDEX": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)

    def make(name):
        venv.create(tmp_path / name, symlinks=sys.platform != "win32")
        python = script.python_of(str(tmp_path / name))
        packages = Path(get_path("purelib", scheme="venv", vars={"base": str(tmp_path / name)}))
        (packages / "uv.pth").write_text(str(Path(uv.origin).parent.parent))
        monkeypatch.setattr(script.sys, "executable", python)
        monkeypatch.setattr("sysconfig.get_path", lambda *a, **how: get_path(*a, **how) if how else str(packages))
        return packages

    return make


def contents(packages):
    """The files of an environment, without byte code and what the installers write about themselves."""
    paths = (path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(packages)): path.read_text() for path in paths if path.name not in NOTES}


def test_uv_installs_what_pip_installs_and_finishes_what_was_cut_off(script, made, tmp_path, capsys):
    (tmp_path / "lock.txt").write_text("".join(write_wheel(tmp_path, name) for name in ("first", "second")))
    options = ["--require-hashes", "-r", str(tmp_path / "lock.txt")]
    by_pip = made("by_pip")
    with script.lock() as held:
        script.run_pip([*script.find_pip(), "install", "--no-compile", *options], held.fileno())
        by_uv, pip = made("by_uv"), script.find_pip()
        assert script.uv_installs(options, pip, held.fileno()), capsys.readouterr().err
        assert (by_uv / "first-1.dist-info" / "INSTALLER").read_text() == "uv"
        assert contents(by_uv) == contents(by_pip)
        (by_uv / "first-1.dist-info" / "INSTALLER").unlink()  # uv writes it late, as pip does
        (by_uv / "first.py").unlink()
        script.remove_unfinished()
        assert script.uv_installs(options, pip, held.fileno())
        assert contents(by_uv) == contents(by_pip)


def test_uv_refuses_a_wheel_with_another_hash(script, made, tmp_path, capsys):
    write_wheel(tmp_path, "first")
    (tmp_path / "lock.txt").write_text(f"first==1 --hash=sha256:{'0' * 64}\n")
    configured = f"print(\":env:.find-links={str(tmp_path)!r}\\n:env:.no-index='1'\")"
    packages, pip = made("environment"), [sys.executable, "-c", configured]
    with script.lock() as held:
        assert not script.uv_installs(["--require-hashes", "-r", str(tmp_path / "lock.txt")], pip, held.fileno())
    assert re.search(r"uv failed \(error: .*Hash mismatch.*\): pip installs instead", capsys.readouterr().err)
    assert set(contents(packages)) == {"uv.pth"}
