"""The flag that XLA needs before it starts: without it, jaxlib silently computes some sums on CPU wrong.

jaxlib 0.10.2 and 0.12.0.1 hand some reductions to YNNPACK, which returns wrong numbers or NaN (jax issue 39103): in
7,200 of 40,000 rows of a small `vmap`, and in the softmax of a network with constant weights. YNNPACK's matrix products
are correct and stay in use.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from hwr_jax.core.errors import ConfigError

NAME = "--xla_cpu_experimental_ynn_fusion_type"
FLAG = f"{NAME}=-reduce"


def keep_reductions_right() -> None:
    """Appends the flag to XLA_FLAGS, unless the user has set it. Does not import jax.

    Warns if JAX has already started, which is too late, or if XLA_FLAGS names a file, which belongs to the user.
    """
    given, is_file = _given()
    if NAME in (_content(given) if is_file else given):
        return
    if is_file:
        warnings.warn(
            f"add {FLAG} to the file {given} (XLA_FLAGS): some sums on CPU are wrong without it", stacklevel=3
        )
    elif _started():
        warnings.warn(
            f"JAX started before hwr_jax was imported, and some sums on CPU are wrong: import hwr_jax first, or set "
            f"XLA_FLAGS={FLAG}",
            stacklevel=3,
        )
    else:
        append(FLAG)


def append(flags: str) -> None:
    """Appends further flags to XLA_FLAGS. Raises ConfigError if that names a file, which is the user's."""
    given, is_file = _given()
    if is_file:
        raise ConfigError(f"XLA_FLAGS={given} names a file: add {flags} to it")
    os.environ["XLA_FLAGS"] = f"{given} {flags}".strip()


def _given() -> tuple[str, bool]:
    """Returns XLA_FLAGS, and whether it names a file of flags, as XLA tells them apart."""
    given = os.environ.get("XLA_FLAGS", "").strip()
    return given, bool(given) and not given.startswith("-")


def _content(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""  # XLA will report it


def _started() -> bool:
    """Whether JAX has chosen its devices in this process: XLA reads its flags only then."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bridge.backends_are_initialized()
