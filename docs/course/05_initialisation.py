# %% [markdown]
# # 5. Initialisation
#
# Training starts somewhere. All zeros does not work, too small fades away, too large explodes. The right size follows
# from one short calculation, and it decides whether a deep network learns at all.
#
# The data are scikit-learn's `digits`.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREEN, GREY, RED

# %%
import hwr_jax
from hwr_jax.models import scratch

digits = hwr_jax.data.load("digits", log=lambda line: None)


def rows(split):
    """Returns pixels float [N, 784], standardised as in chapter 1."""
    return (split.image.reshape(len(split.image), -1) / 255 - digits.mean) / digits.std


x, label = rows(digits.train), digits.train.label
target = scratch.one_hot(label, 10, smoothing=0.0, dtype=x.dtype)

# %% [markdown]
# ## Not zero
#
# Suppose all weights are equal, say zero. Then all neurons of a layer compute the same, get the same gradient, and
# stay the same forever. A layer of 32 neurons is then worth one. Random weights *break the symmetry*.


# %%
import itertools


def network(widths, std, seed=0):
    """Returns parameters with normal weights: std(inputs, outputs) is their standard deviation."""
    rng = np.random.default_rng(seed)
    return {
        f"Dense_{i}": {"kernel": rng.normal(0, 1, (a, b)) * std(a, b), "bias": np.zeros(b)}
        for i, (a, b) in enumerate(itertools.pairwise(widths))
    }


def train(params, epochs, activation="relu", rate=0.05, batch=64):
    """Returns the trained parameters and the mean training loss of each epoch."""
    settings = scratch.Settings(activation, 0.0, 0.0, "sgd", 0.9, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.0)
    moments, rng, history, step = scratch.zero_moments(params), np.random.default_rng(1), [], 0
    for _epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for first in range(0, len(x), batch):
            chosen = order[first : first + batch]
            params, moments, loss, _ = scratch.train_step(
                params, moments, x[chosen], label[chosen], seed=0, step=step, rate=rate, settings=settings
            )
            losses.append(loss.mean())
            step += 1
        history.append(np.mean(losses))
    return params, np.array(history)


constant = network((784, 32, 10), lambda a, b: 0.0)
for layer in constant.values():
    layer["kernel"] += 0.01  # every weight the same
same, _ = train(constant, 5)
random, _ = train(network((784, 32, 10), lambda a, b: np.sqrt(2 / a)), 5)
different = [len(np.unique(p["Dense_0"]["kernel"].round(9), axis=1).T) for p in (same, random)]
print(
    "different hidden neurons after five epochs:", different[0], "from equal weights,", different[1], "from random ones"
)

# %% [markdown]
# ## How large?
#
# A neuron of a deep network adds up $n$ products $w_i x_i$. Take weights with mean 0 and variance
# $\operatorname{Var}(w)$, independent of the inputs. Variances of independent terms add up, so
#
# $$\operatorname{Var}(z) = n \cdot \operatorname{Var}(w) \cdot \overline{x^2},$$
#
# where $\overline{x^2}$ is the mean square of the inputs. After the rectifier, the half of $z$ that was negative is
# gone, so $\overline{x^2}$ of the *next* layer is $\frac12 \operatorname{Var}(z)$. From layer to layer, then, the
# mean square is multiplied by
#
# $$\tfrac12\, n \operatorname{Var}(w).$$
#
# If this factor is below 1, the signal fades; above 1, it explodes; after 20 layers even a factor of 2 makes a
# million. To keep it at 1:
#
# $$\operatorname{Var}(w) = \frac{2}{n} \qquad \text{(He and colleagues, 2015)}.$$
#
# For a bend like $\tanh$, which leaves small numbers as they are, there is no half, and the variance is
# $2/(n_\text{in} + n_\text{out})$, a compromise between the forward and the backward sweep (Glorot and Bengio, 2010;
# often called *Xavier*).
#
# Does the calculation hold? We send 500 images through 20 layers of 100 neurons:

# %% alt="Root mean square of the activations over 20 layers for three sizes of the weights: too small fades to a millionth, too large explodes, He's stays level."
depth = 20
widths = (784, *[100] * depth, 10)
sizes = {
    "half of He's": (lambda a, b: 0.5 * np.sqrt(2 / a), BLUE, "v"),
    "He: $\\sqrt{2/n}$": (lambda a, b: np.sqrt(2 / a), GREEN, "o"),
    "twice He's": (lambda a, b: 2.0 * np.sqrt(2 / a), RED, "^"),
}
plt.figure(figsize=(7, 3.2))
last = {}
for name, (std, colour, marker) in sizes.items():
    trace = scratch.forward(network(widths, std), x[:500], "relu")
    rms = [np.sqrt((a**2).mean()) for _, _, a in trace[:-1]]
    last[name] = rms[-1] / rms[0]
    plt.semilogy(range(1, depth + 1), rms, color=colour, marker=marker, label=name)
plt.xticks(range(2, depth + 1, 2))
plt.xlabel("layer")
plt.ylabel("root mean square activation")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
for name, ratio in last.items():
    print(f"{name:20s} layer 20 / layer 1: {ratio:.1e}")

# %% [markdown]
# Half of He's standard deviation halves the signal in each layer, and $2^{-19} = {{2.0**-19:.1e}}$; twice doubles it,
# and $2^{19} = {{2.0**19:.1e}}$. The measured ratios are about half of that, as is He's own: layers of 100 neurons
# stray a little from the average. Over twelve orders of magnitude, the prediction holds.
#
# ## The gradient fades, too
#
# Rule 3 of chapter 4 multiplies the error signal by the weights in each layer on its way back, so the same happens to
# the gradient. Compare the size of the gradient in each layer, relative to the last one:

# %% alt="Root mean square of the error signal at each layer, relative to the last hidden one: it fades, stays or explodes towards the first layer."
plt.figure(figsize=(7, 3.2))
first_gradient = {}
for name, (std, colour, marker) in sizes.items():
    params = network(widths, std)
    delta, signal = (scratch.softmax(scratch.forward(params, x[:500], "relu")[-1][1]) - target[:500]) / 500, []
    trace = scratch.forward(params, x[:500], "relu")
    for i in range(depth, 0, -1):
        delta = (delta @ params[f"Dense_{i}"]["kernel"].T) * (trace[i - 1][1] > 0)
        signal.append(np.sqrt((delta**2).mean()))
    first_gradient[name] = signal[-1] / signal[0]
    plt.semilogy(range(depth, 0, -1), np.array(signal) / signal[0], color=colour, marker=marker, label=name)
plt.xticks(range(2, depth + 1, 2))
plt.xlabel("layer")
plt.ylabel("error signal (layer 20 = 1)")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# With half of He's size the first layer hears {{first_gradient["half of He's"]:.0e}} of what the last one hears. It
# will not move. This is the *vanishing gradient*; chapter 9 meets it again in time.
#
# ## Does it matter for learning?
#
# A network of eight hidden layers, trained for 15 epochs from each start:

# %% alt="Training loss over 15 epochs: with He's size it falls, with a third of it it stays near ln 10."
sizes_here = {
    "third of He's": (lambda a, b: np.sqrt(2 / a) / 3, BLUE, "v"),
    "He": (lambda a, b: np.sqrt(2 / a), GREEN, "o"),
    "twice He's": (lambda a, b: 2 * np.sqrt(2 / a), RED, "^"),
}
plt.figure(figsize=(7, 3))
final = {}
for name, (std, colour, marker) in sizes_here.items():
    with np.errstate(over="ignore", invalid="ignore"):
        _, losses = train(network((784, *[64] * 8, 10), std), 15, rate=0.02)
    final[name] = losses[-1]
    name += "" if np.isfinite(losses).all() else " (overflows)"
    plt.plot(range(1, 16), losses, color=colour, marker=marker, label=name)
plt.axhline(np.log(10), color=GREY, linestyle=":", label="guessing, ln 10")
plt.ylim(0, 4)
plt.xlabel("epoch")
plt.ylabel("mean training loss (nats)")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print({name: round(float(loss), 3) for name, loss in final.items()})

# %% [markdown]
# From He's start the loss falls to {{final["He"]:.2f}} nats. From a third of it, the network is still guessing after
# 15 epochs. From twice He's, the scores grow so large that the computation overflows, and the loss is `nan`, *not a
# number*. Same network, same data, same optimiser; only the size of the first random numbers differs.
#
# ## In the package
#
# `config.model.initializer` takes these names. They are standard deviations (or widths of uniform distributions) that
# follow from the calculation above:

# %%
import jax

from hwr_jax.models import layers

measured = {}
for name, initializer in layers.INITIALIZERS.items():
    kernel = initializer(jax.random.key(0), (784, 256))
    measured[name] = float(kernel.std())
    print(f"{name:16s} standard deviation {measured[name]:.4f}")
print(f"{'sqrt(2 / 784)':16s}                    {np.sqrt(2 / 784):.4f}")

# %% tags=["check"]
assert different[0] == 1
assert different[1] == 32
assert 0.1 < last["half of He's"] / 2.0**-19 < 10
assert 0.1 < last["twice He's"] / 2.0**19 < 10
assert 0.1 < last["He: $\\sqrt{2/n}$"] < 10
assert first_gradient["half of He's"] < 1e-4
assert final["He"] < 0.2
assert final["third of He's"] > 2.25  # still guessing
assert np.isnan(final["twice He's"])
assert abs(measured["he_normal"] - np.sqrt(2 / 784)) < 0.002

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: tanh
#
# Send the images through 20 layers with `"tanh"` instead of `"relu"`, with the variances $2/n$ and
# $2/(n_\text{in} + n_\text{out})$. Which one keeps the signal? What does $\tanh$ do with a signal that is too large?

# %% tags=["solution"]
for name, std in (("2 / n", lambda a, b: np.sqrt(2 / a)), ("Xavier", lambda a, b: np.sqrt(2 / (a + b)))):
    trace = scratch.forward(network(widths, std), x[:500], "tanh")
    rms = [np.sqrt((a**2).mean()) for _, _, a in trace[:-1]]
    print(f"{name:7s} layers 1, 10, 20: {rms[0]:.2f} {rms[9]:.2f} {rms[19]:.2f}")
large = scratch.forward(network(widths, lambda a, b: 10 / np.sqrt(a)), x[:500], "tanh")[9][2]
print(f"ten times: {np.mean(abs(large) > 0.99):.0%} of the neurons of layer 10 are within 0.01 of -1 or 1")
assert np.mean(abs(large) > 0.99) > 0.5

# %% [markdown] tags=["solution"]
# Both stay in a usable range, Xavier's shrinking slowly: unlike the rectifier, $\tanh$ cannot explode, because it is
# bounded. But a signal that is too large *saturates* it: nearly all neurons sit at $\pm 1$, where the slope is almost
# 0, and the gradient vanishes for another reason.

# %% [markdown]
# ### Exercise 2: a leak
#
# The *leaky* rectifier passes negative numbers with the slope 0.2. What factor multiplies the mean square in each
# layer, and which variance keeps it at 1?

# %% tags=["solution"]
slope = 0.2
factor = (1 + slope**2) / 2  # of n Var(w): the positive half counts fully, the negative one by slope squared
std = np.sqrt(1 / factor)
rng, h = np.random.default_rng(0), np.random.default_rng(1).normal(size=(500, 400))
for _layer in range(20):
    z = h @ (rng.normal(size=(400, 400)) * std / np.sqrt(400))
    h = np.where(z > 0, z, slope * z)
print(f"Var(w) = {1 / factor:.3f} / n; mean square after 20 layers: {np.mean(h**2):.2f} (it began at 1)")
assert 0.5 < np.mean(h**2) < 2

# %% [markdown]
# ### Exercise 3: the last layer
#
# At the start, a classifier should not be sure of anything. Compare the loss before the first step for output weights
# of He's size and for output weights of zero (the hidden layers as before). Is zero allowed there, although it is not
# in the hidden layers?

# %% tags=["solution"]
start = network((784, 32, 10), lambda a, b: np.sqrt(2 / a))
he = scratch.cross_entropy(scratch.forward(start, x, "relu")[-1][1], target).mean()
start["Dense_1"]["kernel"][:] = 0
zero = scratch.cross_entropy(scratch.forward(start, x, "relu")[-1][1], target).mean()
after, losses = train(start, 5)
distinct = len(np.unique(after["Dense_0"]["kernel"].round(9), axis=1).T)
print(
    f"loss at the start: He {he:.2f}, zero {zero:.2f} = ln 10; after five epochs {losses[-1]:.2f}; {distinct} distinct"
)
assert abs(zero - np.log(10)) < 1e-9
assert he > zero
assert distinct == 32

# %% [markdown] tags=["solution"]
# Zero is allowed in the last layer. The hidden neurons differ from the start, so each output weight gets a different
# gradient, and the symmetry is broken there. The first step moves only the last layer; from the second on, the error
# reaches the others.
