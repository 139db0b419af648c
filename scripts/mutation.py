"""How many small faults the tests notice: one operator, number or condition at a time is changed, and tests are run.

    python scripts/mutation.py stats metrics            # in an environment with the extra dev and cosmic-ray==8.7.0
    python scripts/mutation.py data:160                 # 160 of the group's faults, the same ones each time
    python scripts/mutation.py stats --again            # those that were not noticed, after tests were added

The changes are those of cosmic-ray: at each place in the code one of its operators is drawn, with a fixed seed.
Annotations, decorators and the texts of errors are left alone. A fault is noticed when one of the tests that reach its
line fails, or takes too long. build/mutation/ keeps what was tried; experiments/mutation.json gets the counts and the
faults that no test noticed, each with a `class` and a `why` written by hand:

    equivalent  no input tells the two programs apart
    tolerance   a constant that bounds rounding, a search or the cost, and no result
    text        other words for people
    elsewhere   slower tests, which this run leaves out, notice it
    gap         a test is missing

cosmic-ray's own runner starts an interpreter for each fault, which imports JAX for seconds; here each is tried in a
process forked from one that has imported the libraries. (mutmut 3 leaves decorated functions and constants alone.)
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import importlib.machinery
import importlib.util
import itertools
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "mutation.json"
SEED = 0
LIBRARIES = (
    "jax", "flax.linen", "optax", "optax.contrib", "scipy.stats", "scipy.optimize", "scipy.ndimage", "PIL.Image",
    "sklearn.metrics", "sklearn.calibration", "sklearn.datasets", "ml_collections", "requests", "hypothesis", "pytest",
    "statsmodels.stats.contingency_tables", "statsmodels.stats.multitest", "statsmodels.stats.power",
)  # fmt: skip
GROUPS = {  # name -> (files of hwr_jax, tests)
    "stats": (["core/stats.py"], ["core/test_stats.py"]),
    "rng": (["core/rng.py"], ["core/test_rng.py"]),
    "metrics": (
        ["tasks/metrics.py", "tasks/selective.py", "tasks/reliability.py", "tasks/losses.py", "studies/metric.py"],
        ["tasks/test_metrics.py", "tasks/test_selective.py", "tasks/test_reliability.py", "tasks/test_losses.py",
         "studies/test_metric.py"],
    ),
    "optim": (
        ["optim/optimizers.py", "optim/schedules.py", "optim/averages.py"],
        ["optim/test_optimizers.py", "optim/test_schedules.py", "optim/test_averages.py"],
    ),
    "data": (
        ["data/splits.py", "data/subset.py", "data/rows.py", "data/checksums.py", "data/content.py", "data/cache.py",
         "data/folder.py", "data/layouts.py", "data/loading.py", "data/strings.py", "data/formats/idx.py",
         "core/idx.py"],
        ["data/test_cache.py", "data/test_content.py", "data/test_folder.py", "data/test_idx.py",
         "data/test_layouts.py", "data/test_loading.py", "data/test_strings.py", "data/test_subset.py",
         "data/test_digits.py", "data/test_stream.py", "data/test_emnist.py"],
    ),
}  # fmt: skip
SLOW = {"command", "warm", "kernel", "slow", "exhaustive", "browser"}  # fixtures and markers of tests left out
CPU_S = 30  # a test that needs more of them, where all need less without the fault, has noticed it
TESTS_S = 10  # of processor time: the quickest tests, as many as fit
WALL_S = 600  # of the clock: a test that waits for ever
UNNOTICED = ("survived", "not reached")
KEY = ("file", "line", "column", "operator")  # of a fault


class Fault(NamedTuple):
    """A change of one place of a file."""

    file: str  # below hwr_jax
    line: int
    column: int
    operator: str  # of cosmic-ray
    occurrence: int  # of the places in the file that the operator can change

    def source(self) -> str | None:
        """The text of the file with the fault; None where cosmic-ray has none."""
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code

        text = (ROOT / "hwr_jax" / self.file).read_text()
        try:
            changed = mutate_code(text, plugins.get_operator(self.operator)(), self.occurrence)
        except AttributeError:  # cosmic-ray 8.7.0 has no answer to `except module.Error`
            return None
        try:
            ast.parse(changed)
        except SyntaxError:  # the `*` before keywords is no operator
            return None
        return None if changed == text else changed


def faults(file: str) -> list[Fault]:
    """Returns one fault for each place of a file, in their order."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    text = (ROOT / "hwr_jax" / file).read_text()
    left_alone, nodes = spared(ast.parse(text)), list(ast_nodes(get_ast(text)))
    at: dict[Any, list[tuple[str, int]]] = {}
    for name in plugins.operator_names():
        make = plugins.get_operator(name)
        is_identity = name.endswith(("_Is", "_IsNot")) and not name.endswith(("Is_IsNot", "IsNot_Is"))
        if make.arguments() or name == "core/RemoveDecorator" or is_identity:  # == and `is` agree on small numbers
            continue
        operator = make()
        positions = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (begin, _) in enumerate(positions):
            if not any(first <= begin < last for first, last in left_alone):
                at.setdefault(begin, []).append((name, occurrence))
    return [
        Fault(file, *begin, *random.Random(f"{SEED} {file} {begin}").choice(choices))
        for begin, choices in sorted(at.items())
    ]


def spared(tree: ast.AST) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Returns the spans of code that are left alone: annotations, decorators and what is raised or said."""
    nodes: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            nodes += [node.returns] if node.returns else []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            nodes += node.decorator_list
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            nodes += [node.annotation] if node.annotation else []
        if isinstance(node, ast.Raise):
            nodes.append(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("log", "say"):
            nodes.append(node)
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.BinOp, ast.Subscript)):
            nodes += [node.value] if "Callable" in ast.dump(node.value) else []  # an alias of a type
    return [((n.lineno, n.col_offset), (n.end_lineno or n.lineno, n.end_col_offset or 0)) for n in nodes]  # ty: ignore


class Replaced:
    """Finds one module in a text instead of in its file."""

    def __init__(self, fault: Fault, source: str):
        self.path = ROOT / "hwr_jax" / fault.file
        self.name = "hwr_jax." + fault.file.removesuffix(".py").replace("/", ".")
        self.source = source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The spec of the module, None of all others."""
        if name != self.name:
            return None
        loader = importlib.machinery.SourceFileLoader(name, str(self.path))
        loader.get_code = lambda _: compile(self.source, str(self.path), "exec")  # ty: ignore
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


class Watch:
    """A pytest plugin: leaves out tests that start processes, and notes the seconds and the lines of each test."""

    def __init__(self, files: list[str] | None):
        self.files = {str(ROOT / "hwr_jax" / file): file for file in files or []}
        self.seen: dict[str, Any] = {}

    def pytest_collection_modifyitems(self, items):  # noqa: D102
        items[:] = [item for item in items if not SLOW & {*item.fixturenames, *item.keywords}]

    def pytest_runtest_protocol(self, item, nextitem):  # noqa: D102
        if not self.files:
            return
        lines: set[tuple[str, int]] = set()

        def inside(frame, event, _):
            if event == "line":
                lines.add((self.files[frame.f_code.co_filename], frame.f_lineno))
            return inside

        def outside(frame, event, _):
            return inside if frame.f_code.co_filename in self.files else None

        self.lines, self.begin = lines, time.process_time()
        sys.settrace(outside)

    def pytest_runtest_logfinish(self, nodeid, location):  # noqa: D102
        if self.files:
            sys.settrace(None)
            self.seen[nodeid] = {"s": time.process_time() - self.begin, "lines": sorted(self.lines)}


def run_tests(
    tests: list[str], folder: Path, *, fault: Fault | None = None, source: str = "", files: list[str] | None = None
) -> str:
    """Runs tests in a process of its own; returns "killed", "survived" or "too long".

    Args:
      tests: files, or names as pytest has them.
      folder: for what the tests write.
      fault, source: that the process has in its code.
      files: whose lines are noted, test by test, in `folder`/seen.json.
    """
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        with open(folder / "log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        if fault:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 2))
            sys.meta_path.insert(0, Replaced(fault, source))
        code = 2
        try:
            import pytest

            watch = Watch(files)
            stop = ["-x"] if fault else []
            options = ["-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"]
            code = pytest.main([*options, *stop, f"--basetemp={folder / 'tmp'}", *tests], plugins=[watch])
            if files:
                (folder / "seen.json").write_text(json.dumps(watch.seen))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(code))
    begin = time.monotonic()
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if fault and time.monotonic() - begin > WALL_S:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(ended[1])
    if code < 0:
        return "too long"
    if code == 5:
        raise RuntimeError(f"pytest found none of {tests}")
    return "survived" if code == 0 else "killed"


def tests_of(fault: Fault, seen: dict[str, Any]) -> list[str]:
    """Returns the tests that reach a fault, the quickest first: for a default, those of its function; for what acts at
    import, those of the test files that reach its file."""
    tree = ast.parse((ROOT / "hwr_jax" / fault.file).read_text())
    every: list[Any] = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    nodes = [node for node in every if node.lineno <= fault.line <= node.end_lineno]
    innermost = max(nodes, key=lambda node: node.lineno)
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    lines = {fault.line, innermost.lineno}
    if isinstance(innermost, ast.FunctionDef):
        lines = set(range(innermost.lineno, innermost.end_lineno + 1))
    if not functions:
        lines = set(range(1, 10_000))
    reach = [name for name, test in seen.items() if any(file == fault.file and i in lines for file, i in test["lines"])]
    if not functions:  # a test that only reads a constant runs no line
        files = {name.partition("::")[0] for name in reach}
        reach = [name for name in seen if name.partition("::")[0] in files]
    reach = sorted(reach, key=lambda name: seen[name]["s"])
    spent = itertools.accumulate(seen[name]["s"] for name in reach)
    return [name for name, total in zip(reach, spent, strict=True) if total < TESTS_S] or reach[:1]


def reached(tests: list[str], files: list[str], folder: Path) -> dict[str, Any]:
    """Returns {test: {"s", "lines"}}; test files that have not changed are not run again."""
    seen: dict[str, Any] = {}
    for test in tests:
        kept, path = folder / f"{test.replace('/', '-')}.json", ROOT / "tests" / test
        if not kept.exists() or kept.stat().st_mtime < path.stat().st_mtime:
            begin = time.monotonic()
            if run_tests([f"tests/{test}"], folder, files=files) != "survived":
                sys.exit(f"{test} fails without a fault: {folder / 'log'}")
            (folder / "seen.json").replace(kept)
            print(f"{test} in {time.monotonic() - begin:.0f} s", flush=True)
        seen |= json.loads(kept.read_text())
    return seen


def changed_line(fault: Fault, source: str) -> dict[str, str]:
    """Returns the line that a fault changes, before and after."""
    old, new = (ROOT / "hwr_jax" / fault.file).read_text().splitlines(), source.splitlines()
    first = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), fault.line - 1)
    return {"was": old[first].strip(), "became": new[first].strip()}


def main() -> None:
    """Tries the faults of groups of files, and writes the counts and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "groups", nargs="+", help=f"{', '.join(GROUPS)}; GROUP:N tries N of its faults, drawn at random"
    )
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument("--list", action="store_true", help="only count the places")
    options = parser.parse_args()
    sizes = {name: int(size) if size else None for name, _, size in (group.partition(":") for group in options.groups)}
    every = {file: faults(file) for group in sizes for file in GROUPS[group][0]}
    for file, found in every.items():
        print(f"{len(found):5} places  {file}", flush=True)
    if options.list:
        return
    folder = ROOT / "build" / "mutation"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # importing them takes longer than most tests
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    log = folder / "tried.jsonl"
    for group, size in sizes.items():
        files, tests = GROUPS[group]
        seen = reached(tests, files, folder)
        places = [fault for file in files for fault in every[file]]
        random.Random(SEED).shuffle(places)  # the first ones are a sample
        chosen = places[:size]
        tried = {tuple(note[key] for key in KEY): note["result"] for note in notes(log)}
        for fault in chosen:
            old = tried.get((fault.file, fault.line, fault.column, fault.operator))
            if (old and not (options.again and old in UNNOTICED)) or (source := fault.source()) is None:
                continue
            names = tests_of(fault, seen)
            result = run_tests(names, folder, fault=fault, source=source) if names else "not reached"
            with log.open("a") as file:
                file.write(json.dumps({**fault._asdict(), **changed_line(fault, source), "result": result}) + "\n")
        counted = {fault[:4] for fault in chosen}
        mine = [note for note in notes(log) if tuple(note[key] for key in KEY) in counted]
        write({file: len(every[file]) for file in files}, mine)


def notes(log: Path) -> list[dict[str, Any]]:
    """Returns what was tried, in order."""
    return list(map(json.loads, log.read_text().splitlines())) if log.exists() else []


def write(places: dict[str, int], tried: list[dict[str, Any]]) -> None:
    """Writes the last result of each fault into experiments/mutation.json; what was written there by hand stays."""
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    by_hand = {(file, s["was"], s["became"]): s for file, old in record.items() for s in old["unnoticed"]}
    for file, count in places.items():
        last = {tuple(note[key] for key in KEY): note for note in tried if note["file"] == file}
        unnoticed = [note for _, note in sorted(last.items()) if note["result"] in UNNOTICED]
        record[file] = {
            "places": count,
            "tried": len(last),
            "noticed": len(last) - len(unnoticed),
            "unnoticed": [
                {"was": n["was"], "became": n["became"]}
                | {k: by_hand.get((file, n["was"], n["became"]), {}).get(k, "") for k in ("class", "why")}
                for n in unnoticed
            ],
        }
    RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
