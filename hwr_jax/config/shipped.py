"""The configs that come with hwr_jax: where they are, their names, and how every config file imports them.

In a checkout they are the top-level configs/; in an installed package they are hwr_jax/configs.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from types import ModuleType

from hwr_jax.core.errors import ConfigError

PACKAGE = Path(__file__).parents[1]
NAME = "configs"  # of the folder, and of the package that config files import from


def folder() -> Path:
    """Returns the folder of the configs that come with hwr_jax."""
    installed = PACKAGE / NAME
    return installed if installed.is_dir() else PACKAGE.parent / NAME


def names() -> list[str]:
    """Returns the names that --config accepts, sorted."""
    return sorted(path.stem for path in folder().glob("*.py") if path.stem not in ("base", "__init__"))


def resolve(path: str | Path) -> str:
    """Returns the path of a config that is given by name: configs/cnn.py of cnn, configs/cnn.py:smoke of cnn:smoke.

    A path is returned unchanged, also where a file has the name of a config.

    Raises:
      ConfigError: it is a name, but not of a config that comes with hwr_jax.
    """
    name, colon, variant = str(path).partition(":")
    if not name.isidentifier() or Path(name).is_file():
        return str(path)
    found = folder() / f"{name}.py"
    if not found.is_file():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names())}, or name a file"
        raise ConfigError(f"--config={path} is neither a file nor a config that comes with hwr_jax: {hint}")
    here = Path.cwd()
    return str(found.relative_to(here) if found.is_relative_to(here) else found) + colon + variant


def beside(path: str | Path, name: str) -> str:
    """Returns the config `name` in the folder of the config file `path`, or else the one that comes with hwr_jax."""
    sibling = Path(str(path).partition(":")[0]).parent / f"{name}.py"
    return str(sibling) if sibling.is_file() else resolve(name)


def allow_imports(path: str | Path) -> None:
    """Lets the config file `path` import other configs: `from configs import base`.

    They are those of the nearest folder above it that holds a configs/base.py (it comes first on the import path), or
    else those that come with hwr_jax, after the file's own neighbours if it lies in a folder named configs. A config
    that comes with hwr_jax imports its own neighbours, wherever hwr_jax is installed. What a config of another place
    has imported as `configs` is forgotten.
    """
    parents, own = Path(path).resolve().parents, folder().resolve()
    root = next((p for p in parents if p != PACKAGE and (p / NAME / "base.py").is_file()), None)
    if parents[0] == own:
        places = [own]
    elif root is not None:
        places = [root / NAME]
    else:
        places = [*(p for p in parents[:1] if p.name == NAME), own]
    known = [Path(place).resolve() for place in getattr(sys.modules.get(NAME), "__path__", [])]
    if known[: len(places)] == places:
        return
    for name in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
        del sys.modules[name]
    if root is not None and places == [root / NAME]:
        sys.path[:] = [str(root), *(place for place in sys.path if place != str(root))]
    else:
        package = sys.modules[NAME] = ModuleType(NAME)
        package.__path__ = [str(place) for place in places]
