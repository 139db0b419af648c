"""The parts of a benchmark by name, in the order in which they run."""

from hwr_jax.benchmarks import against, ours, twin

PARTS = {  # name -> function of the plan; its result goes to benchmark.json, None: the part was skipped
    "limits": ours.limits,
    "accuracy": ours.accuracy,
    "training": ours.training,
    "inference": ours.inference,
    "scaling": ours.scaling,
    "convolution": ours.convolution,
    "peers": against.against_peers,
    "pytorch": against.against_pytorch,
    "twin": twin.against_twin,
}
