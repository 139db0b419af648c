"""What hwr-read takes of hwr_jax, and the build hook that takes it: there is no second copy of these files.

`python -m hatchling build` in this folder takes the modules from ../hwr_jax, and the wheel holds them as `hwr_read`:
the name `hwr_jax` is replaced where it is code, not where it is text. So both packages can be installed side by side.
The source distribution holds the files as they are, and builds the same wheel.
"""

from __future__ import annotations

import ast
import io
import shutil
import tempfile
import tokenize
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLD, NEW = "hwr_jax", "hwr_read"
UNBUILT = '__version__ = "unbuilt"  # the build writes that of hwr_jax here'
MODULES = {  # each folder is a package with its own docstring and these modules
    "cli": ["ending", "folders", "manual", "scan", "verb"],
    "core": [
        "archives", "blas", "cores", "errors", "files", "idx", "interrupts", "networks", "printable", "together",
        "types",
    ],
    "inference": ["annotate", "light", "listing", "onnx_reader", "pages", "parting", "reader", "scan", "stages"],
    "pictures": [
        "characters", "decode", "documents", "effort", "filters", "ink", "inputs", "marks", "normalise", "page",
        "perspective", "quiet", "rendering", "resample", "rules", "separated", "several", "sheet", "splits", "strokes",
        "tables", "values",
    ],
    "workdir": ["weights"],
}  # fmt: skip
OTHERS = ["py.typed", *(f"pretrained/{name}" for name in (
    "LICENSE", "MODEL_CARD.md", "config.json", "environment.json", "model.safetensors",
))]  # fmt: skip


def taken() -> list[str]:
    """The paths in hwr_jax of all files that are taken from it."""
    modules = [f"{folder}/{name}.py" for folder, names in MODULES.items() for name in ["__init__", *names]]
    return [*modules, *OTHERS]


def home(root: str | Path) -> Path:
    """The folder hwr_jax: beside this one in the repository, inside it in a source distribution."""
    inside = Path(root) / OLD
    return inside if inside.is_dir() else Path(root).parent / OLD


def renamed(source: str) -> str:
    """Python source in which every name `hwr_jax` is `hwr_read`.

    Raises:
      ValueError: one is left, in an f-string (which Python 3.11 does not take apart).
    """
    lines = source.splitlines(keepends=True)
    places = [token.start for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.string == OLD]
    for row, column in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + NEW + line[column + len(OLD) :]
    new = "".join(lines)
    for node in ast.walk(ast.parse(new)):
        if isinstance(node, ast.Name) and node.id == OLD:
            raise ValueError(f"{OLD} is used in the f-string {ast.get_source_segment(new, node)!r}: name it outside")
    return new


def content(path: Path) -> bytes:
    """What the wheel holds of a file: of a module, the renamed one; of a package's __init__.py, its docstring."""
    if path.suffix != ".py":
        return path.read_bytes()
    source = path.read_text(encoding="utf-8")
    if path.name == "__init__.py" and path.parent.name != NEW:  # the others name modules that are not here
        return f'"""{ast.get_docstring(ast.parse(source), clean=False)}"""\n'.encode()
    return renamed(source).encode()


class CustomBuildHook(BuildHookInterface):
    """Adds the files to what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling: called before a build; `version` is "standard" or "editable"."""
        if version == "editable":  # the files of this folder use the hwr_jax beside it
            return
        source = home(self.root)
        if self.target_name == "sdist":
            build_data["force_include"].update({str(source / name): f"{OLD}/{name}" for name in taken()})
            return
        self._made = Path(tempfile.mkdtemp())
        own = {str(path): f"{NEW}/{path.name}" for path in sorted((Path(self.root) / NEW).glob("*.py"))}
        others = {str(source / name): f"{NEW}/{name}" for name in taken()}
        for path, name in (own | others).items():
            new = self._made / name
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content(Path(path)))
            if name == f"{NEW}/__init__.py":
                self._write_version(new)
            build_data["force_include"][str(new)] = name

    def _write_version(self, path: Path) -> None:
        before, found, after = path.read_text(encoding="utf-8").partition(UNBUILT)
        if not found:
            raise ValueError(f"{path.name} lacks the line {UNBUILT}")
        path.write_text(f'{before}__version__ = "{self.metadata.version}"{after}', encoding="utf-8")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """See hatchling: called after a build."""
        if hasattr(self, "_made"):
            shutil.rmtree(self._made)
