"""The limit on the threads of BLAS."""

import subprocess
import sys

FORKED = """
import os, signal
import numpy
from hwr_jax.core import blas
with blas.one_thread:
    pass
child = os.fork()
if child == 0:
    signal.alarm(20)
    with blas.one_thread:
        pass
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_a_limit_of_its_own():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"OPENBLAS_NUM_THREADS": "2"})
    assert (done.returncode, done.stderr) == (0, "")
