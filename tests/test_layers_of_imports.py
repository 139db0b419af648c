"""The architecture: imports point down, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hwr_jax

PACKAGE = Path(hwr_jax.__file__).parent
LAYERS = [
    {"digests", "distributed", "errors", "files", "power_law", "rng", "stats", "types", "watchdog", "xla"},
    {
        "augment", "averages", "checkpoint", "claim", "comparison", "config", "config_check", "console", "ctc", "data",
        "framing", "ink", "live", "logs", "losses", "machine", "marks", "metrics", "models", "optim", "peers",
        "picture", "plots", "preprocess", "reference", "report", "report_tables", "results", "run_folder", "schedules",
        "search_file", "search_report", "search_storage", "sharding",
        "signals", "study_file", "torch_speed", "views",
    },
    {"gradient", "programs", "recipe", "reference_programs", "steps", "tasks"},
    {
        "beginning", "benchmark_parts", "cluster", "engine", "evaluation", "feeding", "health", "job", "loop",
        "measure", "nonfinite", "predictor", "reproduction", "run", "searching", "summary", "train", "transfer",
        "trial", "trial_scores",
    },
    {"benchmark", "command", "doctor", "evaluate", "main", "predict", "search", "study", "verify"},
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def top(path):
    """The module's name below the package, e.g. 'data' of data/idx.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_a_layer():
    assert {top(p) for p in MODULES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    for name in imports(path):
        if name.startswith("hwr_jax.") and top(path) in LEVEL:
            target = name.split(".")[1]
            if target in LEVEL:
                assert LEVEL[target] <= LEVEL[top(path)], f"{path.name} imports {name}, of a higher layer"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_library_is_imported_only_where_it_belongs(path):
    home = {"flax": "models", "orbax": "checkpoint", "tensorflow_datasets": "data", "matplotlib": "plots"}
    for name in imports(path):
        library = name.split(".")[0]
        assert home.get(library, top(path)) == top(path), f"{path.name} imports {name}"
        assert not name.startswith("flax.nnx")


@pytest.mark.parametrize("path", sorted((PACKAGE.parent / "configs").glob("*.py")), ids=lambda p: p.name)
def test_a_config_imports_ml_collections_and_configs_alone(path):
    assert all(name.split(".")[0] in ("ml_collections", "configs") for name in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_has_one_idea(path):
    assert len(path.read_text().splitlines()) <= 250


def test_a_command_imports_no_heavy_library_before_it_knows_its_flags():
    code = (
        "import sys\n"
        "from hwr_jax import benchmark, doctor, evaluate, main, predict, search, study, verify\n"
        "print([m for m in ('jax', 'numpy', 'matplotlib', 'orbax', 'tensorflow_datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
