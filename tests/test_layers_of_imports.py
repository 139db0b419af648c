"""The architecture: an ordered list of folders, each importing only from those before it; homes of heavy libraries."""

import ast
import functools
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hwr_jax

PACKAGE = Path(hwr_jax.__file__).parent
FOLDERS = [
    "core", "distributed", "pictures", "data", "transforms", "models", "optim", "tasks", "config", "cli", "workdir",
    "steps", "inference", "drawing", "training", "benchmarks", "studies", "tuning", "checks", "web", "pretrained",
]  # fmt: skip
VERBS = [
    "benchmark", "compare", "doctor", "evaluate", "export", "figures", "main", "predict", "scan", "search", "serve",
    "study", "verify",
]  # fmt: skip
HOMES = {  # of heavy libraries: path or folder of the files that may import them
    "flax": "models/",
    "orbax": "workdir/checkpoint.py",
    "tensorflow_datasets": "data/",
    "onnx": "inference/export/",
    "optuna": "tuning/",
    "ray": "studies/ray_cluster.py",
    "wandb": "workdir/wandb_writer.py",
    "mlflow": "workdir/mlflow_writer.py",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def place(path):
    """Where a module stands in the order of imports: that of its folder; the verbs are last, __init__.py first."""
    parts = path.relative_to(PACKAGE).parts
    if len(parts) > 1:
        return FOLDERS.index(parts[0])
    return -1 if path.name == "__init__.py" else len(FOLDERS)


@functools.cache
def imports(path):
    """Every module that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def test_the_listing_is_the_architecture():
    assert sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__") == sorted(FOLDERS)
    assert sorted(p.stem for p in PACKAGE.glob("*.py")) == sorted(["__init__", "__main__", *VERBS])


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_from_folders_before_its_own(path):
    own = path.relative_to(PACKAGE).parts[0]
    for name in imports(path):
        target = name.split(".")[1] if name.startswith("hwr_jax.") else ""
        if target in FOLDERS and target != own and path.name != "__init__.py":
            assert FOLDERS.index(target) < place(path), f"{path.name} imports {name}, which comes later"
        assert target not in VERBS, f"{path.name} imports the verb {name}"


def test_no_import_closes_a_circle():
    files = {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): p for p in MODULES}
    files = {name: p for name, p in files.items() if p.name != "__init__.py"}
    uses = {
        name: {i if i in files else i.rpartition(".")[0] for i in imports(p)} & set(files) for name, p in files.items()
    }
    order = list(graphlib.TopologicalSorter(uses).static_order())  # raises CycleError with the files of a circle
    assert len(order) == len(files) > 100


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_says_what_it_is_and_what_it_holds(name):
    face = importlib.import_module(f"hwr_jax.{name}")
    assert face.__doc__.count(".") >= 1
    assert all(getattr(face, name, None) or importlib.import_module(f"{face.__name__}.{name}") for name in face.__all__)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_library_is_imported_only_where_it_belongs(path):
    where = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        library = name.split(".")[0]
        assert where.startswith(HOMES.get(library, where)), f"{where} imports {name}"
        assert library != "matplotlib" or path.name in ("canvas.py", "figures.py"), f"{where} imports {name}"
        assert not name.startswith("flax.nnx")


@pytest.mark.parametrize("path", sorted((PACKAGE.parent / "configs").glob("*.py")), ids=lambda p: p.name)
def test_a_config_imports_ml_collections_and_configs_alone(path):
    assert all(name.split(".")[0] in ("ml_collections", "configs") for name in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_has_one_idea(path):
    assert len(path.read_text().splitlines()) <= 400


def test_a_command_imports_no_heavy_library_before_it_knows_its_flags():
    code = (
        "import importlib, sys\n"
        f"[importlib.import_module(f'hwr_jax.{{verb}}') for verb in {VERBS}]\n"
        "print([m for m in ('jax', 'numpy', 'matplotlib', 'orbax', 'tensorflow_datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
