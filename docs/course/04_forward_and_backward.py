# %% [markdown]
# # 4. Forward and backward by hand
#
# One straight cut per neuron is not enough (chapter 2, exercise 3). Put neurons in *layers*, with a bent function
# between them, and the network can draw any border. The price: a weight in the first layer acts on the loss only
# through all later layers, so its gradient takes more than one line. *Back-propagation* is the bookkeeping that gets
# all gradients in one sweep. This chapter does it by hand, and then proves it right with numbers.
#
# The code runs beside `hwr_jax/models/scratch.py`, the package's network in plain NumPy. Open that file next to this
# page: it is short. `forward` and `backward` are explained here, its optimisers in chapter 6, dropout and the penalties
# in chapter 7. The data are scikit-learn's `digits`.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREEN, GREY, ORANGE, show

# %%
import hwr_jax
from hwr_jax.models import scratch

digits = hwr_jax.data.load("digits", log=lambda line: None)


def rows(split):
    """Returns pixels float64 [N, 784], standardised as in chapter 1."""
    return (split.image.reshape(len(split.image), -1) / 255 - digits.mean) / digits.std


# %% [markdown]
# ## A network that fits on a page
#
# Exclusive or: four points, two inputs, two hidden neurons, one output. First without any learning: we choose the
# weights. Hidden neuron 1 fires when *at least one* input is on, hidden neuron 2 when *both* are. The output is
# "at least one, but not both". The bend between the layers is the *rectifier*, $\operatorname{ReLU}(z) = \max(z, 0)$.

# %%
points = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
W1, b1 = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])
W2, b2 = np.array([1.0, -2.0]), 0.0
hidden = np.maximum(points @ W1 + b1, 0)  # [4, 2]
print("inputs:", points.astype(int).tolist())
print("hidden:", hidden.astype(int).tolist())
print("output:", (hidden @ W2 + b2).astype(int).tolist())

# %% alt="Left: the four points; no straight line separates the two classes. Right: the same points as the hidden layer sees them; a line separates them."
answer = np.array([0, 1, 1, 0])
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3))
for panel, where, names in zip(panels, (points, hidden), (("$x_1$", "$x_2$"), ("$h_1$", "$h_2$")), strict=True):
    for value, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        panel.scatter(*where[answer == value].T, s=80, color=colour, marker=marker, label=f"target {value}")
    panel.set(xlabel=names[0], ylabel=names[1], xlim=(-0.3, 2.3), ylim=(-0.3, 1.3))
panels[0].set_title("inputs")
panels[1].set_title("hidden layer")
panels[1].plot([0.3, 2.3], [-0.3 + 0.2, 0.9], color=GREEN, label="a cut")
panels[1].legend(loc="upper left")
plt.show()

# %% [markdown]
# The hidden layer *moves the points* so that one straight cut suffices. That is all that hidden layers ever do:
# they re-describe the input until the last layer's job is easy. Without the bend this would fail, because two
# linear maps in a row are again one linear map: $(XW_1)W_2 = X(W_1W_2)$.
#
# ## Forward
#
# The network of `scratch.py` has any number of layers. Layer $l$ takes $X_l$ and computes
#
# $$Z_l = X_l W_l + b_l, \qquad X_{l+1} = f(Z_l),$$
#
# and the last layer's $Z$ are the scores, which go through softmax and cross-entropy as in chapter 3. For a batch of
# $B$ images and the widths $784 \to 32 \to 10$:
#
# | | shape |
# |---|---|
# | $X_1$, the images | $[B, 784]$ |
# | $W_1$, $b_1$ | $[784, 32]$, $[32]$ |
# | $Z_1$, $X_2 = f(Z_1)$ | $[B, 32]$ |
# | $W_2$, $b_2$ | $[32, 10]$, $[10]$ |
# | $Z_2$, the scores | $[B, 10]$ |

# %%
rng = np.random.default_rng(0)
params = {
    "Dense_0": {"kernel": rng.normal(0, np.sqrt(2 / 784), (784, 32)), "bias": np.zeros(32)},
    "Dense_1": {"kernel": rng.normal(0, np.sqrt(2 / 32), (32, 10)), "bias": np.zeros(10)},
}
x, label = rows(digits.train)[:20], digits.train.label[:20]
target = scratch.one_hot(label, 10, smoothing=0.0, dtype=x.dtype)

z1 = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
x2 = np.maximum(z1, 0)
z2 = x2 @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
loss = scratch.cross_entropy(z2, target).mean()
print(f"loss of 20 images: {loss:.4f} nats")

# %% [markdown]
# ## Backward
#
# Write $\delta_l = \partial L / \partial Z_l$ for the error signal at layer $l$. It has the shape of $Z_l$. We know it
# at the end, from chapter 3:
#
# $$\delta_2 = \frac{1}{B}(P - Y).$$
#
# Three rules lead from there to everything else. Each follows from the chain rule, and each can be rebuilt from the
# shapes alone:
#
# 1. **weights**: $\partial L/\partial W_l = X_l^\top \delta_l$ (input times error, summed over the batch);
# 2. **biases**: $\partial L/\partial b_l = $ the sum of $\delta_l$ over the batch;
# 3. **one layer back**: $\delta_{l-1} = (\delta_l W_l^\top) \odot f'(Z_{l-1})$.
#
# Rule 3 says: send the error back through the same weights, and let it pass only where the bend has a slope. The sign
# $\odot$ multiplies number by number. For the rectifier, $f'(z)$ is 1 for $z > 0$ and 0 otherwise: a neuron that was
# silent gets no blame.

# %%
delta2 = (scratch.softmax(z2) - target) / len(x)  # [B, 10]
grad_W2, grad_b2 = x2.T @ delta2, delta2.sum(axis=0)
delta1 = (delta2 @ params["Dense_1"]["kernel"].T) * (z1 > 0)  # [B, 32]
grad_W1, grad_b1 = x.T @ delta1, delta1.sum(axis=0)
for name, value in (("W1", grad_W1), ("b1", grad_b1), ("W2", grad_W2), ("b2", grad_b2)):
    print(f"gradient of {name}: shape {value.shape}")

# %% [markdown]
# Four lines, and they are the whole of back-propagation. `scratch.backward` is the same in a loop over the layers:

# %%
trace = scratch.forward(params, x, "relu")
grads = scratch.backward(params, trace, target, "relu")
same = max(
    abs(grads["Dense_0"]["kernel"] - grad_W1).max(),
    abs(grads["Dense_0"]["bias"] - grad_b1).max(),
    abs(grads["Dense_1"]["kernel"] - grad_W2).max(),
    abs(grads["Dense_1"]["bias"] - grad_b2).max(),
)
print(f"largest difference between our lines and scratch.backward: {same:.1e}")

# %% [markdown]
# ## Is it right? The gradient check
#
# A wrong gradient often still learns a little, which makes it a nasty bug. There is an independent test. The
# derivative is the slope of the loss, and a slope can be measured: move *one* weight by a small $\varepsilon$ up and
# down, and see how the loss changes:
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\varepsilon}.$$
#
# This is far too slow for training, as it computes the network twice for each weight. For a check of a few hundred
# weights it is perfect.


# %%
def loss_of(params, activation="relu"):
    return scratch.cross_entropy(scratch.forward(params, x, activation)[-1][1], target).mean()


def measured_slope(array, place, step):
    """The slope of the loss along one number of the parameters, which is put back afterwards."""
    before = array[place]
    array[place] = before + step
    above = loss_of(params)
    array[place] = before - step
    below = loss_of(params)
    array[place] = before
    return (above - below) / (2 * step)


def relative_error(measured, computed):
    return np.linalg.norm(measured - computed) / (np.linalg.norm(measured) + np.linalg.norm(computed))


where = [("Dense_1", "kernel", place) for place in np.ndindex(32, 10)]
where += [("Dense_0", "bias", (place,)) for place in range(32)]
where += [("Dense_0", "kernel", (row, unit)) for row in range(300, 320) for unit in range(4)]
computed = np.array([grads[layer][key][place] for layer, key, place in where])
measured = np.array([measured_slope(params[layer][key], place, 1e-6) for layer, key, place in where])
error = relative_error(measured, computed)
print(f"{len(where)} weights and biases: relative error {error:.1e}")

# %% [markdown]
# The two agree to a relative error of about {{error:.0e}}. As a rule, below $10^{-6}$ is right and above $10^{-3}$ is
# a bug.
#
# Why not choose $\varepsilon$ as small as possible? Because two errors fight each other. A large $\varepsilon$ measures
# the slope of a chord instead of a tangent; a tiny one subtracts two nearly equal numbers and keeps only their rounding:

# %% alt="Relative error of the measured gradient over the step: it falls to a valley in the middle and rises again at both ends."
steps = 10.0 ** np.arange(-13, 0)
errors = []
for step in steps:
    slopes = [measured_slope(params[layer][key], place, step) for layer, key, place in where[:60]]
    errors.append(relative_error(np.array(slopes), computed[:60]))
plt.figure(figsize=(6, 3))
plt.loglog(steps, errors, color=BLUE, marker="o")
plt.xlabel(r"step $\varepsilon$")
plt.ylabel("relative error of the slope")
plt.annotate("rounding", (steps[0], errors[0]), (20, -5), textcoords="offset points", color=GREY)
plt.annotate("chord, not tangent", (steps[-1], errors[-1]), (-125, 0), textcoords="offset points", color=GREY)
plt.show()

# %% [markdown]
# ## A third opinion
#
# JAX differentiates programs by itself. The rest of the package relies on that; here we use it as a referee.

# %%
import jax
import jax.numpy as jnp


def loss_in_jax(params):
    z = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    z = jnp.maximum(z, 0) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
    return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(z), axis=1))


by_jax = jax.grad(loss_in_jax)(params)
gap = relative_error(np.asarray(by_jax["Dense_0"]["kernel"]), grad_W1)
print(f"relative difference to JAX, first layer: {gap:.1e} (JAX computes in 32 bits here)")

# %% [markdown]
# ## Learning
#
# Forward, backward, a small step: that is training. The package's `train_step` does exactly this, with the choice of
# an optimiser (chapter 6) and of dropout (chapter 7).
#
# To see what a hidden layer is good for, we choose a task that templates are bad at: **is the digit odd?** The shapes
# 1, 3, 5, 7, 9 have nothing in common that 0, 2, 4, 6, 8 lack, so no single template fits them all. It is like
# exclusive or, in 784 dimensions. Our two rivals are a network with 32 hidden neurons and a network with none (chapter
# 3).

# %%
settings = scratch.Settings(
    activation="relu", dropout=0.0, label_smoothing=0.0, optimizer="sgd",
    momentum=0.9, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0, l1=0.0, l2=0.0,
)  # fmt: skip


def error_rate(params, split):
    scores = scratch.forward(params, rows(split), "relu")[-1][1]
    return np.mean(scores.argmax(axis=1) != split.label % 2)


def train(params, epochs, rate, batch=64):
    """Returns the trained parameters, and error rates [epochs, 2] on training and validation."""
    moments, history, step = scratch.zero_moments(params), [], 0
    x, odd, rng = rows(digits.train), digits.train.label % 2, np.random.default_rng(1)
    for _epoch in range(epochs):
        order = rng.permutation(len(x))
        for first in range(0, len(x), batch):
            chosen = order[first : first + batch]
            params, moments, _, _ = scratch.train_step(
                params, moments, x[chosen], odd[chosen], seed=0, step=step, rate=rate, settings=settings
            )
            step += 1
        history.append([error_rate(params, split) for split in (digits.train, digits.validation)])
    return params, np.array(history)


start = {
    "Dense_0": {"kernel": rng.normal(0, np.sqrt(2 / 784), (784, 32)), "bias": np.zeros(32)},
    "Dense_1": {"kernel": rng.normal(0, np.sqrt(2 / 32), (32, 2)), "bias": np.zeros(2)},
}
trained, history = train(start, 30, rate=0.03)
_, linear = train({"Dense_0": {"kernel": np.zeros((784, 2)), "bias": np.zeros(2)}}, 30, rate=0.01)
print(f"error on validation: 32 hidden neurons {history[-1, 1]:.1%}, none {linear[-1, 1]:.1%}")

# %% alt="Error rates over 30 epochs: with a hidden layer the validation error falls well below that of the model without one."
plt.figure(figsize=(7, 3))
for values, name, style in ((linear, "no hidden layer", "--"), (history, "32 hidden neurons", "-")):
    plt.plot(range(1, 31), 100 * values[:, 0], style, color=BLUE, label=f"{name}, training")
    plt.plot(range(1, 31), 100 * values[:, 1], style, color=ORANGE, label=f"{name}, validation")
plt.ylim(0, 25)
plt.xlabel("epoch")
plt.ylabel("error rate (%)")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# With 32 hidden neurons {{100 * history[-1, 1]:.1f}} % of the 200 validation images are wrong, without them
# {{100 * linear[-1, 1]:.1f}} %. The model without a hidden layer does not even manage the training images: it is not
# short of data, it is short of bends.
#
# What did the hidden neurons learn? Subtract the random start from the trained weights:

# %% alt="What training added to the weights of twenty hidden neurons, as images: strokes and arcs in orange and purple."
added = (trained["Dense_0"]["kernel"] - start["Dense_0"]["kernel"]).T[:20]
added = added / abs(added).max(axis=1, keepdims=True)  # each on a scale of its own
show(added.reshape(-1, 28, 28), columns=10, cmap="PuOr_r", vmin=-1, vmax=1)

# %% [markdown]
# Some neurons took the shape of one digit, others look for a stroke here and its absence there. None of them knows
# what *odd* is; the last layer adds their votes up.

# %% tags=["check"]
assert (hidden @ W2 + b2).tolist() == [0, 1, 1, 0]
assert same < 1e-12
assert error < 1e-6
assert min(errors) < errors[0] / 100
assert min(errors) < errors[-1] / 100
assert gap < 1e-4
assert history[-1, 1] < 0.75 * linear[-1, 1]
assert history[-1, 0] < 0.5 * linear[-1, 0]
assert linear[-1, 0] > 0.02  # it does not manage the training images

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: catch the bug
#
# Leave out $f'(Z)$ in rule 3: a common mistake. What does the gradient check say for the first layer and for the
# second?

# %% tags=["solution"]
wrong_delta1 = delta2 @ params["Dense_1"]["kernel"].T  # without (z1 > 0)
first = slice(len(where) - 80, None)
wrong = np.array([(x.T @ wrong_delta1)[place] for _, _, place in where[first]])
print(f"first layer: {relative_error(measured[first], wrong):.2f}")
print(f"second layer: {relative_error(measured[:320], computed[:320]):.1e}")
assert relative_error(measured[first], wrong) > 0.1
assert relative_error(measured[:320], computed[:320]) < 1e-6

# %% [markdown] tags=["solution"]
# The first layer's gradient is plainly wrong, the second layer's right: the mistake lies on the way between them. The
# gradient check does not only find bugs, it says where they are.

# %% [markdown]
# ### Exercise 2: another bend
#
# For $f = \tanh$ the derivative is $1 - \tanh^2$. Change rule 3, compute the gradient by hand and compare it with
# `scratch.backward(params, scratch.forward(params, x, "tanh"), target, "tanh")`.

# %% tags=["solution"]
a1 = np.tanh(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
d2 = (scratch.softmax(a1 @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]) - target) / len(x)
d1 = (d2 @ params["Dense_1"]["kernel"].T) * (1 - a1**2)
theirs = scratch.backward(params, scratch.forward(params, x, "tanh"), target, "tanh")
difference = abs(x.T @ d1 - theirs["Dense_0"]["kernel"]).max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# ### Exercise 3: what a step costs
#
# Count the multiplications of the forward sweep for one image (widths 784, 32, 10), and those of the backward sweep.
# How many would the gradient by measuring need?

# %% tags=["solution"]
forward = 784 * 32 + 32 * 10
backward = 784 * 32 + 32 * 10 + 32 * 10  # both gradients of weights, and the error sent back once
parameters = 784 * 32 + 32 + 32 * 10 + 10
print(f"forward {forward:,}, backward {backward:,}; measuring {2 * parameters * forward:,}")
assert backward < 2 * forward
assert 2 * parameters * forward > 10_000 * backward

# %% [markdown] tags=["solution"]
# The backward sweep costs about as much as the forward sweep. Measuring costs two forward sweeps *for each
# parameter*: fifty thousand times as much. Back-propagation is what makes large networks possible.
