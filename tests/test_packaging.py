"""The two commands of the README, the lock files and the dependencies."""

import ast
import re
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
