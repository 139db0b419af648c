"""Faults from within: Python code that a process runs before the command, to make one of its functions fail."""

from __future__ import annotations

AT_THE_END_OF_EPOCH = """
from hwr_jax.workdir import logs
write, calls = logs.Timing.write, []
def faulty(self, *args, **kwargs):
    calls.append(1)
    if len(calls) > {epoch} + 1:  # the first call is at the start
        {what}
    return write(self, *args, **kwargs)
logs.Timing.write = faulty
"""
SLEEP = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"


def at_the_end_of_epoch(epoch: int, what: str) -> str:
    """Runs a statement, such as `raise RuntimeError('x')`, when an epoch has ended."""
    return AT_THE_END_OF_EPOCH.format(epoch=epoch, what=what)


def file_size_limit(limit: int) -> str:
    """Limits every file to `limit` bytes, which looks like a full disk."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"


def not_finite(place: str, step: int) -> str:
    """Makes the images ('data'), the loss or the gradient ('grads') of one step NaN."""
    return f"""
import jax
import jax.numpy as jnp
from hwr_jax.steps import gradient, train_step
update, of_batch, now = train_step.update, gradient.of_batch, []
def bad(x):
    return jnp.where(now[0], jnp.nan, x)
def faulty_update(recipe, state, batch, **options):
    now[:] = [state.step == {step}]
    if {place!r} == "data":
        batch = batch._replace(image=bad(batch.image))
    return update(recipe, state, batch, **options)
def faulty_gradient(recipe, *args, **options):
    if {place!r} == "loss":
        loss = recipe.loss
        recipe = recipe._replace(loss=lambda *arrays: bad(loss(*arrays)))
    grads, sums, model_state = of_batch(recipe, *args, **options)
    return jax.tree.map(bad, grads) if {place!r} == "grads" else grads, sums, model_state
train_step.update, gradient.of_batch = faulty_update, faulty_gradient
"""


NOTHING_IS_CHECKED = "from hwr_jax.distributed import processes; processes.check_same = lambda what: None"
OTHER_CODE = "from hwr_jax.workdir import machine; machine.code_digest = lambda: 'other'"
OTHER_VERSION = """
from hwr_jax.workdir import machine
facts = machine.facts
machine.facts = lambda: facts() | {'versions': {'jax': '0.0.1'}}
"""
