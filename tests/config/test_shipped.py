"""The configs that come with hwr_jax: by name, from any folder, and as what other configs import."""

import subprocess
import sys
from pathlib import Path

import pytest

from hwr_jax.config import configs, shipped
from hwr_jax.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
MINE = """from configs import base, cnn

def get_config():
    config = cnn.get_config()
    config.epochs = 3
    {}return config
"""


def loaded_from(folder, path, root=ROOT):
    """The epochs and batch size of a config that a new process loads in `folder`, where only the package is at hand."""
    load = f"from hwr_jax.config import configs; c = configs.load({str(path)!r})"
    code = f"import sys; sys.path.insert(0, {str(root)!r}); {load}; print(c.epochs, c.batch_size, c.data.name)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def installed(tmp_path):
    """A folder with the package as the wheel lays it out: hwr_jax/configs in place of configs/."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "hwr_jax").mkdir()
    for path in (ROOT / "hwr_jax").iterdir():
        (site / "hwr_jax" / path.name).symlink_to(path)
    for name in ("__init__.py", "config"):  # `shipped` looks where it lies, not where a link leads
        (site / "hwr_jax" / name).unlink()
    (site / "hwr_jax" / "__init__.py").write_bytes((ROOT / "hwr_jax" / "__init__.py").read_bytes())
    (site / "hwr_jax" / "config").mkdir()
    for path in (ROOT / "hwr_jax" / "config").glob("*.py"):
        (site / "hwr_jax" / "config" / path.name).write_bytes(path.read_bytes())
    (site / "hwr_jax" / "configs").symlink_to(ROOT / "configs")
    return site


def test_the_names_are_those_of_the_config_files():
    assert shipped.folder() == ROOT / "configs"
    assert shipped.names() == sorted(p.stem for p in (ROOT / "configs").glob("*.py") if p.stem != "base")


@pytest.mark.parametrize("variant", ["", ":smoke"])
def test_a_name_is_the_file_of_the_config(monkeypatch, tmp_path, variant):
    monkeypatch.chdir(ROOT)
    assert shipped.resolve(f"cnn{variant}") == f"configs/cnn.py{variant}"
    monkeypatch.chdir(tmp_path)
    assert shipped.resolve(f"cnn{variant}") == f"{ROOT}/configs/cnn.py{variant}"
    assert configs.load(f"digits{variant}") == configs.load(f"{ROOT}/configs/digits.py{variant}")


def test_a_file_is_preferred_and_a_path_stays(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path in ("configs/cnn.py", "none.py:smoke", f"{tmp_path}/cnn", "./cnn"):
        assert shipped.resolve(path) == path
    (tmp_path / "cnn").write_text("")
    assert shipped.resolve("cnn") == "cnn"


@pytest.mark.parametrize(("name", "hint"), [("cmn", "did you mean cnn?"), ("x:smoke", "use one of accurate, cnn")])
def test_an_unknown_name_is_one_sentence_with_the_nearest(name, hint):
    with pytest.raises(ConfigError, match=f"--config={name} is neither a file nor a config that comes with.*{hint}"):
        shipped.resolve(name)


def test_the_sibling_of_a_config_is_preferred_to_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert shipped.beside(f"{tmp_path}/mine.py:smoke", "digits") == "configs/digits.py"
    (tmp_path / "digits.py").write_text("")
    assert shipped.beside(f"{tmp_path}/mine.py:smoke", "digits") == f"{tmp_path}/digits.py"


@pytest.mark.parametrize("where", ["checkout", "installed"])
def test_a_config_in_an_empty_folder_imports_those_of_hwr_jax(tmp_path, installed, where):
    (tmp_path / "mine.py").write_text(MINE.format(""))
    root = ROOT if where == "checkout" else installed
    assert loaded_from(tmp_path, "mine.py", root) == ["3", "128", "mnist"]
    assert loaded_from(tmp_path, "digits:smoke", root) == ["5", "32", "digits"]


def test_a_folder_named_configs_without_a_base_has_both(tmp_path, installed):
    folder = tmp_path / "work" / "configs"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(MINE.format("config.batch_size = 64\n    "))
    (folder / "more.py").write_text("from configs import mine\n\ndef get_config():\n    return mine.get_config()\n")
    assert loaded_from(folder.parent, "configs/more.py", installed) == ["3", "64", "mnist"]


def test_a_folder_of_configs_with_a_base_of_its_own_is_what_its_files_import(tmp_path, installed):
    (tmp_path / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.py"):
        (tmp_path / "configs" / path.name).write_text(path.read_text().replace("batch_size = 128", "batch_size = 7"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.py").write_text(MINE.format(""))
    assert loaded_from(tmp_path / "deep", "mine.py", installed) == ["3", "7", "mnist"]


def test_an_installed_package_shows_none_of_its_folders_as_a_package_of_its_own(tmp_path, installed):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "from hwr_jax.config import configs, shipped; configs.load('cnn')\n"
        "print([p for p in sys.path if p.endswith('hwr_jax')], shipped.folder())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PATH": ""})
    assert done.stdout.split() == ["[]", f"{installed}/hwr_jax/configs"], done.stderr


def test_a_config_of_the_package_ignores_the_configs_of_the_project_that_its_environment_lies_in(installed, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.py").write_text("raise ValueError('of another project')\n")
    assert loaded_from(tmp_path, "linear", installed) == loaded_from(ROOT, "linear")


def test_configs_of_two_projects_in_one_process_each_import_their_own(tmp_path):
    theirs = (ROOT / "configs" / "base.py").read_text()
    for name, seed in (("a", 77), ("b", 78)):
        (tmp_path / name / "configs").mkdir(parents=True)
        (tmp_path / name / "configs" / "base.py").write_text(
            f"{theirs}\n\n_ours = get_config\n\n\n"
            f"def get_config():\n    config = _ours()\n    config.seed = {seed}\n    return config\n"
        )
        (tmp_path / name / "mine.py").write_text("from configs import base\n\nget_config = base.get_config\n")
    paths = [tmp_path / "a" / "mine.py", "linear", tmp_path / "b" / "mine.py", tmp_path / "a" / "mine.py", "linear"]
    try:
        assert [configs.load(path).seed for path in paths] == [77, 0, 78, 77, 0]
    finally:
        sys.path[:] = [place for place in sys.path if not place.startswith(str(tmp_path))]
