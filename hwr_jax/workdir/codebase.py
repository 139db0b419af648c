"""The version of the code that computes numbers: a digest of what can change them, and of nothing else. Only reads.

It covers the files that a job imports, as parsed: comments, docstrings and layout do not count. Of kernels in C++ every
byte counts.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = "training/job.py"  # what a job does begins here
# Imported by a job, but no number depends on them: what is printed and drawn, and who may use a folder.
WITHOUT_NUMBERS = (
    "cli/",
    "core/canvas.py",
    "core/errors.py",
    "core/interrupts.py",
    "data/progress.py",
    "distributed/signals.py",
    "distributed/watchdog.py",
    "workdir/claim.py",
    "workdir/codebase.py",
    "workdir/figures.py",
    "workdir/forms.py",
    "workdir/machine.py",
    "workdir/run_folder.py",
)
IMPLIED = ("ctx", "kind", "type_comment", "type_ignores")  # fields of a tree that compute nothing of their own
ABOUT = ("__all__", "__version__")  # names whose value says something about the code, and computes nothing


def digest(package: Path) -> str:
    """Returns the SHA-256 of the code that can change a number, hexadecimal; the same on every Python.

    `package` is the folder of hwr_jax.
    """
    total = hashlib.sha256()
    for name in covered(package):
        tree = _parsed((package / name).read_bytes())[0]
        total.update(f"{name}\0{tree}\0".encode())
    for path in sorted([*package.rglob("*.cc"), *package.rglob("*.h")]):
        total.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def covered(package: Path) -> list[str]:
    """Returns the files that the digest covers, relative to the package, sorted: those that `ROOT` imports, directly or
    through others, inside functions too, without those of `WITHOUT_NUMBERS`."""
    found: set[str] = set()
    left = {ROOT}
    while left:
        name = left.pop()
        found.add(name)
        imported = _parsed((package / name).read_bytes())[1]
        left |= {path for module in imported for path in _files(package, module)} - found
    return sorted(found)


def _files(package: Path, module: str) -> Iterator[str]:
    """Yields the files of the package that importing a dotted name runs, its folders' __init__.py among them."""
    first, *parts = module.split(".")
    if first != package.name:
        return
    for end in range(len(parts) + 1):
        path = "/".join(parts[:end])
        for name in (f"{path}/__init__.py".lstrip("/"), f"{path}.py"):
            if not name.startswith(WITHOUT_NUMBERS) and (package / name).is_file():
                yield name


@functools.cache
def _parsed(source: bytes) -> tuple[str, tuple[str, ...]]:
    """Returns the digest of a file's tree, and the dotted names that it imports when it runs."""
    parts: list[str] = []
    imports: list[str] = []
    _read(ast.parse(source), parts, imports)
    text = "".join(parts).encode(errors="backslashreplace")
    return hashlib.sha256(text).hexdigest(), tuple(imports)


def _read(node: Any, parts: list[str], imports: list[str]) -> None:
    """Appends a tree as text to `parts`, and the names that it imports to `imports`.

    Leaves out absent and empty fields, for later Pythons add some (`type_params`), and what computes nothing.
    """
    if isinstance(node, ast.AST):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports += [f"{node.module}.{alias.name}" for alias in node.names]
        parts.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in IMPLIED:
                parts.append(f" {name}=")
                _read(value, parts, imports)
        parts.append(")")
    elif isinstance(node, list):
        for one in node:
            if not (isinstance(one, ast.stmt) and _is_words(one)):
                _read(one, parts, imports)
                parts.append(",")
    else:
        parts.append(repr(node))


def _is_words(node: ast.stmt) -> bool:
    """Whether a statement computes nothing: a docstring, the version, `pass`, or `if TYPE_CHECKING`."""
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in ABOUT
    return False
