"""Times PyTorch's inference and convolution on this machine (p50, seconds); prints one JSON line. Needs torch.

    python torch_peer.py PEERS_DIR      # the network is `Fast` of PEERS_DIR/pytorch_peers.py, in channels-last layout

`hwr_jax.benchmark` runs it. It imports nothing from hwr_jax, as the Python that has torch may not have hwr_jax.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

CALLS = {1: 400, 32: 200, 1024: 20}  # batch -> timed calls
CONVOLUTIONS = {"first": ((256, 1, 28, 28), (24, 1, 5, 5)), "second": ((256, 24, 12, 12), (32, 24, 3, 3))}


def seconds(call, calls: int) -> float:
    """Returns the median of the seconds that a call takes, after three that are not counted."""
    times = []
    for turn in range(calls + 3):
        start = time.perf_counter()
        call()
        if turn >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(peers_dir: str) -> None:
    """Measures and prints the line."""
    import torch

    sys.path.insert(0, peers_dir)
    from pytorch_peers import Fast

    torch.manual_seed(0)
    last = torch.channels_last
    net = Fast().to(memory_format=last).eval()
    found = {}
    for batch, calls in CALLS.items():
        pixels = torch.randint(0, 256, (batch, 1, 28, 28), dtype=torch.uint8)

        def predict(pixels=pixels):
            with torch.inference_mode():
                image = ((pixels.float() / 255 - 0.1307) / 0.3081).contiguous(memory_format=last)
                return torch.softmax(net(image), 1).numpy()

        found[f"inference {batch}"] = seconds(predict, calls)
    for name, (shape, kernel) in CONVOLUTIONS.items():
        image = torch.randn(shape).contiguous(memory_format=last).requires_grad_()
        weights = torch.randn(kernel).contiguous(memory_format=last).requires_grad_()

        def both(image=image, weights=weights):
            out = torch.nn.functional.conv2d(image, weights)
            torch.autograd.grad(out, (image, weights), out.detach())

        found[f"convolution {name}"] = seconds(both, 40)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "seconds": found}))


if __name__ == "__main__":
    main(sys.argv[1])
