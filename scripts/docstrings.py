"""Checks the docstrings of public functions: `python scripts/docstrings.py [FOLDER ...]`, by default the package's.

A docstring names every exception that the function raises itself, and gives the shapes of arrays: [N, H, W], "scalar",
"of any shape". A method may leave that to its class, a function to its module, and any of them to another function:
"See `Reader.predict`", "as of `pages`". That there is a docstring is ruff's rule D1. Exits with 1 if one has to be
fixed.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("hwr_jax", "configs", "reader")
ARRAY = re.compile(r"\b(ndarray|Array)\b")
SHAPE = re.compile(r"\[(\w+|\.\.\.)?(,[^\]]*)?\](?!\()|\bscalars?\b|\bshapes?\b")
ELSEWHERE = re.compile(r"\b([Ss]ee|as(\sof)?|[Aa]rgs and errors: as of)\s`")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def raised(node: ast.AST) -> Iterator[str]:
    """Yields the names of the exceptions that leave a function by its own `raise`, not of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(error).rpartition(".")[2]
            if name[0].isupper() and name != "AssertionError":  # not one caught before, nor one that a function makes
                yield name
        if isinstance(child, ast.Try | ast.TryStar):
            types = [ast.unparse(handler.type) if handler.type else "Exception" for handler in child.handlers]
            caught = set(re.findall(r"\w+", " ".join(types)))
            inside = (name for part in child.body for name in raised(ast.Module([part], [])))
            yield from (name for name in inside if not caught & {name, "Exception", "BaseException"})
            yield from (name for part in (*child.handlers, *child.orelse, *child.finalbody) for name in raised(part))
        elif not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield from raised(child)


def takes_arrays(function: Function) -> bool:
    """Returns whether an argument or the result is annotated as an array."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments] + [function.returns]
    return any(one is not None and ARRAY.search(ast.unparse(one)) for one in annotations)


def faults(tree: ast.Module | ast.ClassDef, above: str = "") -> Iterator[tuple[int, str]]:
    """Yields the line and the fault of each public function below a node; `above`: the docstrings around it."""
    above += ast.get_docstring(tree) or ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from faults(node, above)
        if not isinstance(node, Function) or (node.name.startswith("_") and node.name not in ("__init__", "__call__")):
            continue
        own = ast.get_docstring(node) or ""
        if ELSEWHERE.search(own):
            continue
        text = own + above if isinstance(tree, ast.ClassDef) else own
        for name in sorted({name for name in raised(node) if not re.search(rf"\b{name}\b", text)}):
            yield node.lineno, f"{node.name} raises {name}, which its docstring does not name"
        if takes_arrays(node) and not SHAPE.search(own + above):
            yield node.lineno, f"{node.name} has arrays, but its docstring no shapes"


def main(folders: list[str]) -> int:
    """Prints a line for each fault, and returns the exit code."""
    paths = [path for folder in folders or FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [(path, *fault) for path in paths for fault in faults(ast.parse(path.read_text(encoding="utf-8")))]
    for path, line, fault in found:
        print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}: {fault}")
    print(f"{len(paths)} files, {len(found)} docstrings to fix" if found else f"{len(paths)} files: nothing to fix")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
