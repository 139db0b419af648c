"""The threads of BLAS, which computes NumPy's products of matrices. Owns nothing but their limit."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from hwr_jax.core.together import Together


@functools.cache
def _loaded():
    """What sets the threads of the BLAS that NumPy has loaded."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.cache
def _control() -> ThreadPoolExecutor:
    """The thread that sets the limit and lifts it: threadpoolctl wants both from the same one. Starting one for each
    picture took a quarter of the time of a digit."""
    return ThreadPoolExecutor(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_control.cache_clear)  # the thread is the parent's


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    if all(one.num_threads == 1 for one in _loaded().lib_controllers if one.user_api == "blas"):
        yield
        return
    control = _control()
    limiter = control.submit(lambda: _loaded().limit(limits=1, user_api="blas").__enter__()).result()
    try:
        yield
    finally:
        control.submit(limiter.__exit__, None, None, None).result()


one_thread = Together(_limit)
"""A context in which BLAS computes with one thread. On a machine that is busy with other work its threads wait for each
other, and small products take many times as long."""
