"""Times the PyTorch twin of one of our networks: training steps and inference (seconds); prints one JSON line.

    python torch_twin.py '{"model": {...}, "batch_size": 128, ...}'     # written by `twin`

Same layers, sizes, batch, loss and optimiser (AdamW, fused), no augmentation; images in channels-last layout. Twice: as
written ("eager") and through `torch.compile` ("compiled"); on a GPU a third time, replayed as CUDA graphs ("graphs"),
and with products in TF32, as JAX computes them there. It imports nothing from hwr_jax, as the Python that has torch may
not have hwr_jax.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": lambda: nn.GELU("tanh")}
LAST = torch.channels_last


class Residual(nn.Module):
    """Normalisation, activation and 3x3 convolution, twice, beside the identity (He et al. 2016, pre-activation)."""

    def __init__(self, inputs: int, features: int, stride: int, activation: Callable[[], nn.Module]):
        super().__init__()
        self.first, self.second, self.act = nn.BatchNorm2d(inputs), nn.BatchNorm2d(features), activation()
        self.narrow = nn.Conv2d(inputs, features, 3, stride, 1, bias=False)
        self.wide = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        other = stride != 1 or inputs != features
        self.beside = nn.Conv2d(inputs, features, 1, stride, bias=False) if other else None

    def forward(self, x):
        """[N, C, H, W] -> [N, D, H', W']."""
        y = self.act(self.first(x))
        if self.beside is not None:
            x = self.beside(y)
        return x + self.wide(self.act(self.second(self.narrow(y))))


class Layer(nn.Module):
    """A pre-norm transformer layer (Dosovitskiy et al. 2021)."""

    def __init__(self, width: int, heads: int, dropout: float, activation: Callable[[], nn.Module]):
        super().__init__()
        self.heads, self.drop = heads, nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width))

    def forward(self, x):
        """[N, T, C] -> [N, T, C]."""
        n, t, c = x.shape
        q, k, v = self.qkv(self.norms[0](x)).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c)
        x = x + self.drop(self.out(y))
        return x + self.drop(self.mlp(self.norms[1](x)))


class Recurrent(nn.Module):
    """Recurrent layers over [N, T, C] -> [N, T, width of all directions]."""

    def __init__(self, inputs: int, model: dict):
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU, "simple": nn.RNN}[model["cell"]]
        options = {"batch_first": True, "bidirectional": model["bidirectional"]}
        self.read = kind(inputs, model["width"], model["layers"], dropout=model["dropout"], **options)

    def forward(self, x):
        """Returns the outputs of the last layer."""
        return self.read(x)[0]

    def second_biases(self, cell: str, width: int) -> int:
        """Counts the parameters that PyTorch's cells have beside Flax's: biases that are added to another one."""
        readers = sum("bias_hh" in name for name, _ in self.read.named_parameters())
        return {"lstm": 4, "gru": 2, "simple": 1}[cell] * width * readers


class Rows(nn.Module):
    """Rows of the image as time; the last output of each direction is classified."""

    def __init__(self, model: dict, width_px: int, classes: int):
        super().__init__()
        self.width, self.both = model["width"], model["bidirectional"]
        self.recurrent = Recurrent(width_px, model)
        self.head = nn.Linear(self.width * (1 + self.both), classes)

    def forward(self, x):
        """[N, 1, H, W] -> [N, K]."""
        out = self.recurrent(x[:, 0])
        last = torch.cat([out[:, -1, : self.width], out[:, 0, self.width :]], -1) if self.both else out[:, -1]
        return self.head(last)


class Lines(nn.Module):
    """Convolutions, then a recurrent network over the columns."""

    def __init__(self, model: dict, height: int, classes: int):
        super().__init__()
        act, layers, inputs = ACTIVATIONS[model["activation"]], [], 1
        for i, (features, size) in enumerate(zip(model["features"], model["kernels_px"], strict=True)):
            pool = (2, 2) if 2**i < model["column_px"] else (2, 1)
            norm = [nn.BatchNorm2d(features)] if model["norm"] == "batch" else []
            layers += [nn.Conv2d(inputs, features, size, padding="same"), nn.MaxPool2d(pool), *norm, act()]
            inputs, height = features, height // 2
        self.see = nn.Sequential(*layers)
        self.dense = nn.Linear(inputs * height, model["dense"])
        self.norm, self.act = nn.BatchNorm1d(model["dense"]) if model["norm"] == "batch" else None, act()
        self.drop = nn.Dropout(model["dropout"])
        self.recurrent = Recurrent(model["dense"], model)
        self.head = nn.Linear(model["width"] * (1 + model["bidirectional"]), classes + 1)

    def forward(self, x):
        """[N, 1, H, W] -> [N, T, K + 1]."""
        x = self.see(x).permute(0, 3, 2, 1).flatten(2)
        x = self.dense(x)
        x = x if self.norm is None else self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.drop(self.recurrent(self.drop(self.act(x)))))


class Patches(nn.Module):
    """Patches as tokens, transformer layers, and the tokens' mean classified."""

    def __init__(self, model: dict, shape: list, classes: int):
        super().__init__()
        side, width, act = model["patch_px"], model["width"], ACTIVATIONS[model["activation"]]
        self.embed = nn.Conv2d(1, width, side, side)
        self.position = nn.Parameter(0.02 * torch.randn(1, shape[0] // side * (shape[1] // side), width))
        self.layers = nn.Sequential(
            *(Layer(width, model["heads"], model["dropout"], act) for _ in range(model["layers"]))
        )
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def forward(self, x):
        """[N, 1, H, W] -> [N, K]."""
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.layers(tokens)).mean(1))


def plain(model: dict, shape: list, classes: int) -> nn.Module:
    """Returns the twin of `cnn`."""
    act, side = ACTIVATIONS[model["activation"]], list(shape)
    norm = model["norm"] == "batch"
    layers, inputs = [], 1
    plan = zip(model["features"], model["kernels_px"], model["strides_px"], model["pools"], strict=True)
    for features, size, stride, pool in plan:
        padding = 0 if model["padding"] == "valid" else (size - 1) // 2
        layers.append(nn.Conv2d(inputs, features, size, stride, padding))
        side = [(s + 2 * padding - size) // stride + 1 for s in side]
        if pool:
            layers.append(nn.MaxPool2d(2))
            side = [s // 2 for s in side]
        layers += [nn.BatchNorm2d(features)] * norm + [act()]
        inputs = features
    layers.append(nn.Flatten())
    inputs *= side[0] * side[1]
    if model["dense"]:
        layers += [nn.Dropout(model["dropout"]), nn.Linear(inputs, model["dense"])]
        layers += [nn.BatchNorm1d(model["dense"])] * norm + [act()]
        inputs = model["dense"]
    return nn.Sequential(*layers, nn.Dropout(model["dropout"]), nn.Linear(inputs, classes))


def residual(model: dict, classes: int) -> nn.Module:
    """Returns the twin of `resnet`, with batch normalisation."""
    act, inputs = ACTIVATIONS[model["activation"]], model["features"][0]
    layers: list[nn.Module] = [nn.Conv2d(1, inputs, 3, model["stride_px"], 1, bias=False)]
    for stage, features in enumerate(model["features"]):
        for block in range(model["blocks"]):
            layers.append(Residual(inputs, features, 2 if stage and not block else 1, act))
            inputs = features
    layers += [nn.BatchNorm2d(inputs), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(model["dropout"])]
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def lenet(model: dict, classes: int) -> nn.Module:
    """Returns the twin of `lenet`, for 28x28 pixels."""
    act = ACTIVATIONS[model["activation"]]
    see = (nn.Conv2d(1, 6, 5, padding=2), act(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), act(), nn.AvgPool2d(2))
    return nn.Sequential(
        *see, nn.Flatten(), nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, classes)
    )


def perceptron(model: dict, shape: list, classes: int) -> nn.Module:
    """Returns the twin of `mlp`."""
    act, norm, inputs = ACTIVATIONS[model["activation"]], model["norm"] == "batch", shape[0] * shape[1]
    layers: list[nn.Module] = [nn.Flatten()]
    for width in model["hidden"]:
        layers += [nn.Linear(inputs, width), *[nn.BatchNorm1d(width)] * norm, act(), nn.Dropout(model["dropout"])]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def twin(model: dict, shape: list, classes: int) -> nn.Module:
    """Returns the network of `config.model` for images of `shape` H, W."""
    return {
        "mlp": lambda: perceptron(model, shape, classes),
        "cnn": lambda: plain(model, shape, classes),
        "resnet": lambda: residual(model, classes),
        "lenet": lambda: lenet(model, classes),
        "rnn": lambda: Rows(model, shape[1], classes),
        "vit": lambda: Patches(model, shape, classes),
        "crnn": lambda: Lines(model, shape[0], classes),
    }[model["name"]]()


def parameters(net: nn.Module, model: dict) -> int:
    """Counts the parameters, without the second biases of PyTorch's recurrent cells."""
    more = sum(m.second_biases(model["cell"], model["width"]) for m in net.modules() if isinstance(m, Recurrent))
    return sum(p.numel() for p in net.parameters()) - more


def train_seconds(net: nn.Module, wanted: dict, pixels, labels) -> float:
    """Returns the seconds of one training step: the median of `repeats` stretches of `steps` steps each."""
    optimizer = torch.optim.AdamW(net.parameters(), wanted["learning_rate"], fused=True)
    total = torch.zeros((), device=pixels.device)
    batch = wanted["batch_size"]

    def step(at):
        nonlocal total
        image = ((pixels[at].float() / 255 - 0.1307) / 0.3081).contiguous(memory_format=LAST)
        scores = net(image)
        if wanted["model"]["name"] == "crnn":
            logs, label = scores.log_softmax(-1).transpose(0, 1), labels[at]
            full = torch.full((batch,), logs.shape[0])
            loss = functional.ctc_loss(
                logs, label, full, torch.full((batch,), label.shape[1]), blank=scores.shape[-1] - 1
            )
        else:
            loss = functional.cross_entropy(scores, labels[at])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if wanted["clip_norm"]:
            nn.utils.clip_grad_norm_(net.parameters(), wanted["clip_norm"])
        optimizer.step()
        total = total + loss.detach()

    def stretch():
        order = torch.randperm(len(pixels), device=pixels.device)[: wanted["steps"] * batch].reshape(-1, batch)
        total.item()  # the device is idle
        start = time.perf_counter()
        for at in order:
            step(at)
        total.item()  # waits for the device
        return (time.perf_counter() - start) / wanted["steps"]

    net.train()
    stretch()
    return statistics.median(stretch() for _ in range(wanted["repeats"]))


def infer_seconds(net: nn.Module, pixels, calls: int) -> float:
    """Returns the median of the seconds from bytes in the host's memory to probabilities there."""
    net.eval()
    device = next(net.parameters()).device
    times = []
    with torch.inference_mode():
        for turn in range(calls + 3):
            start = time.perf_counter()
            image = ((pixels.to(device).float() / 255 - 0.1307) / 0.3081).contiguous(memory_format=LAST)
            torch.softmax(net(image), -1).cpu().numpy()
            if turn >= 3:
                times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(wanted: dict) -> None:
    """Measures what is wanted, and prints the line."""
    torch.manual_seed(0)
    model, shape, classes = wanted["model"], wanted["shape"], wanted["classes"]
    count = wanted["steps"] * wanted["batch_size"]
    device = wanted["device"]
    pixels = torch.randint(0, 256, (count, 1, *shape), dtype=torch.uint8, device=device)
    length = (wanted["label_length"],) if model["name"] == "crnn" else ()
    labels = torch.randint(0, classes, (count, *length), device=device)
    torch.backends.cuda.matmul.allow_tf32 = True
    modes = {"eager": None, "compiled": "default", **({"graphs": "reduce-overhead"} if device == "cuda" else {})}
    found: dict = {"seconds": {}, "failed": {}}
    for how, mode in modes.items():
        net = twin(model, shape, classes).to(device, memory_format=LAST)
        found["parameters"] = parameters(net, model)
        run = net if mode is None else torch.compile(net, mode=mode)
        try:
            speeds = {"training": train_seconds(run, wanted, pixels, labels)}
            for batch, calls in wanted["calls"].items():
                some = torch.randint(0, 256, (int(batch), 1, *shape), dtype=torch.uint8)
                speeds[f"inference {batch}"] = infer_seconds(run, some, calls)
        except Exception as error:  # torch.compile asks for a compiler, and knows not every layer
            found["failed"][how] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
            continue
        found["seconds"][how] = speeds
    where = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "device": where, **found}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
