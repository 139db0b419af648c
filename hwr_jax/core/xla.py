"""What XLA is told before it starts: one flag, without which jaxlib computes some sums on CPU wrong, silently.

jaxlib 0.10.2 and 0.12.0.1 hand some reductions to YNNPACK, which returns wrong numbers or NaN (jax issue 39103): 7,200
of 40,000 rows of a small `vmap`, and the softmax of a network with constant weights. Its matrix products are right, and
are kept.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

NAME = "--xla_cpu_experimental_ynn_fusion_type"
FLAG = f"{NAME}=-reduce"


def keep_reductions_right() -> None:
    """Appends the flag to XLA_FLAGS, unless the user has set it to some value. Imports no jax.

    Warns where it comes too late (JAX has started already), or where XLA_FLAGS names a file, which is the user's.
    """
    given = os.environ.get("XLA_FLAGS", "").strip()
    is_file = bool(given) and not given.startswith("-")
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
        os.environ["XLA_FLAGS"] = f"{given} {FLAG}".strip()


def _content(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""  # XLA will say so


def _started() -> bool:
    """Whether JAX has chosen its devices in this process: XLA reads its flags then, and never again."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bridge.backends_are_initialized()
