"""The threads of BLAS, which computes NumPy's products of matrices. Owns nothing but their limit."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from hwr_jax.core.together import Together


@functools.cache
def _loaded():
    """What sets the threads of the BLAS that NumPy has loaded."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    if all(one.num_threads == 1 for one in _loaded().lib_controllers if one.user_api == "blas"):
        yield
        return
    with ThreadPoolExecutor(1) as control:  # threadpoolctl wants the limit lifted by the thread that set it
        limiter = control.submit(lambda: _loaded().limit(limits=1, user_api="blas").__enter__()).result()
        try:
            yield
        finally:
            control.submit(limiter.__exit__, None, None, None).result()


one_thread = Together(_limit)
"""A context in which BLAS computes with one thread. On a machine that is busy with other work its threads wait for each
other, and small products take many times as long."""
