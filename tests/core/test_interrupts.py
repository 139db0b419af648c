"""Ctrl-C is never lost: during the imports it ends a command at once, later it is raised, or sent again."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwr_jax.core import interrupts
from hwr_jax.core.errors import Stopped
from hwr_jax.distributed.signals import Signals

ROOT = Path(__file__).parents[2]
# Python imports this first. It interrupts the process when a certain module is about to be imported.
CUSTOMIZE = """
import gc, os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            sys.meta_path.remove(self)
            interrupt = lambda *_: os.kill(os.getpid(), signal.SIGINT)
            if os.environ["HOW"] == "collecting":
                def once(*_):
                    gc.callbacks.remove(once)
                    interrupt()
                gc.callbacks.append(once)
                gc.collect()
            else:
                interrupt()

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("how", ["plainly", "collecting"])
@pytest.mark.parametrize("module", ["ml_collections", "jax", "hwr_jax.training.experiment"])
def test_ctrl_c_during_the_imports_is_one_line_and_130(caches, tmp_path, module, how):
    (tmp_path / "sitecustomize.py").write_text(CUSTOMIZE)
    env = {**caches, "PYTHONPATH": f"{tmp_path}:{ROOT}", "INTERRUPTED_AT": module, "HOW": how}
    line = [sys.executable, "-m", "hwr_jax.main", "--config=digits:smoke", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert done.stderr in ("hwr_jax: interrupted\n", "hwr_jax: SIGINT: stopped\n")
    assert not (tmp_path / "run" / "config.json").exists()


def interrupt_while_collecting(number):
    """Sends a signal in a callback of the garbage collector, which drops what the handler raises."""

    def once(*_):
        gc.callbacks.remove(once)
        os.kill(os.getpid(), number)

    gc.callbacks.append(once)
    gc.collect()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_python_drops_is_raised_again(number):
    def wait():
        for _ in range(500):
            time.sleep(0.01)

    before = sys.unraisablehook
    with Signals() as signals:
        interrupt_while_collecting(number)
        assert signals.pending  # nothing was raised
        with pytest.raises(Stopped, match=f"{number.name}: stopped"):
            wait()
    assert sys.unraisablehook is before


def test_a_stop_that_is_dropped_while_signals_are_deferred_is_only_noted():
    with Signals() as signals:
        signals.deferred = True
        interrupt_while_collecting(signal.SIGTERM)
        time.sleep(3 * interrupts.AGAIN_S)
        with pytest.raises(Stopped, match="SIGTERM: saved"):
            signals.raise_pending("saved")


def test_a_program_that_imports_the_package_keeps_its_own_handler():
    code = (
        "import signal, hwr_jax\nassert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "from hwr_jax.core import interrupts\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "interrupts.handle_from_now()\nassert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
