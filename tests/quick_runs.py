"""What a test of the things around a training trains, and how XLA compiles it: in a third of the time of a smoke run.

A smoke run costs a command twelve seconds of a processor, of which four run Python that traces its programs, and six
compile them. A tiny one costs four.
"""

from importlib import metadata

# In one piece, and by XLA's older emitters, a step compiles in half the time.
QUICK = "--xla_cpu_parallel_codegen_split_count=1"
if metadata.version("jaxlib").startswith("0.10."):  # 0.12 does not know the flag
    QUICK += " --xla_cpu_use_fusion_emitters=false"
# Of LLVM. A step at 1 runs as fast as at 3; at 0 it compiles three times faster.
LEVEL = "xla_backend_optimization_level"
FASTEST = f"{QUICK} --{LEVEL}=0"

# A program carries no lines of Python for its operations: it is traced and lowered in a tenth less time.
UNPLACED = {"JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0"}

NETWORK = {"model.name": "mlp", "model.hidden": (16,)}  # its programs compile quickly
UNCHANGED = {"augment.shift_px": 0.0, "augment.rotate_deg": 0.0, "augment.scale": 0.0, "augment.shear_deg": 0.0}
SMALL = {key.replace(".", "__"): value for key, value in {**NETWORK, **UNCHANGED}.items()}  # for the fixture `smoke`
TINY = tuple(f"--config.{key}={value}" for key, value in {**NETWORK, **UNCHANGED}.items())


def xla_flags(arguments: list[str]) -> str:
    """XLA_FLAGS of a command: a tiny network computes fast enough as it is compiled fastest."""
    return FASTEST if set(TINY) <= set(arguments) else f"{QUICK} --{LEVEL}=1"
