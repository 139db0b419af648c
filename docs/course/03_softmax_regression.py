# %% [markdown]
# # 3. Softmax regression
#
# One neuron answers yes or no. Ten neurons side by side, one for each digit, make a reader of all ten digits. We only
# have to turn ten numbers into ten probabilities, and to say what it costs to be wrong. The result is *softmax
# regression*: the last layer of every classifier in this package.
#
# The data are scikit-learn's `digits` (1,097 training images).

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREY, ORANGE, show

# %%
import hwr_jax
from hwr_jax.models import scratch

digits = hwr_jax.data.load("digits", log=lambda line: None)


def rows(split):
    """Returns pixels float [N, 784], standardised as in chapter 1."""
    return (split.image.reshape(len(split.image), -1) / 255 - digits.mean) / digits.std


x, label = rows(digits.train), digits.train.label
print("x:", x.shape, "label:", label.shape)

# %% [markdown]
# ## Ten sums at once
#
# Neuron $k$ has the weights $w_k$ (784 numbers) and the bias $b_k$. Put the weights side by side as the columns of a
# matrix $W$, and one product computes all sums of all images:
#
# $$Z = X W + b$$
#
# | symbol | what | shape |
# |---|---|---|
# | $X$ | images, one per row | $[N, 784]$ |
# | $W$ | weights, one column per digit | $[784, 10]$ |
# | $b$ | biases | $[10]$ |
# | $Z$ | *scores* (or *logits*), one row per image | $[N, 10]$ |
#
# That is $784 \cdot 10 + 10 = 7{,}850$ parameters.
#
# ## From scores to probabilities
#
# Scores can be any numbers. Probabilities must be positive and add up to 1. The exponential makes them positive, the
# division makes them add up:
#
# $$p_k = \operatorname{softmax}(z)_k = \frac{e^{z_k}}{\sum_{j} e^{z_j}}.$$

# %% alt="Left: five scores as bars, some negative. Right: their softmax, the largest score has most of the probability."
scores = np.array([[2.0, -1.0, 0.5, 3.0, -2.0]])
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.6))
left.bar(range(5), scores[0], color=GREY)
left.set(title="scores $z$", xlabel="class")
right.bar(range(5), scratch.softmax(scores)[0], color=BLUE)
right.set(title="probabilities softmax($z$)", xlabel="class", ylim=(0, 1))
plt.show()
print("probabilities:", scratch.softmax(scores)[0].round(3), "sum:", scratch.softmax(scores).sum().round(6))

# %% [markdown]
# Two properties are worth remembering. Adding the same number to all scores changes nothing, as it cancels in the
# quotient; the package subtracts the largest score first, so that no exponential overflows. And the order is kept:
# the largest score has the largest probability.
#
# ## The loss
#
# As in chapter 2, the loss of an image is minus the logarithm of the probability that the *right* class gets. Write
# the label as a *one-hot* row $y$: 1 at the right class, 0 elsewhere. Then
#
# $$L = -\sum_{k} y_k \ln p_k.$$

# %%
target = scratch.one_hot(label, 10, smoothing=0.0, dtype=x.dtype)
print("label", label[0], "-> one-hot", target[0].astype(int))
print("loss if the right class has probability 0.9, 0.1, 0.001:", -np.log([0.9, 0.1, 0.001]).round(2), "nats")

# %% [markdown]
# ## The gradient
#
# Softmax and cross-entropy look complicated together, and then almost everything cancels:
#
# $$\frac{\partial L}{\partial z_k} = p_k - y_k.$$
#
# To see why, write $L = -z_r + \ln \sum_j e^{z_j}$, where $r$ is the right class. The first term gives $-1$ for
# $k = r$, which is $-y_k$. The derivative of the second is $e^{z_k} / \sum_j e^{z_j}$, which is $p_k$.
#
# It is *error times input* again. For $N$ images, with the mean loss:
#
# $$\frac{\partial L}{\partial W} = \frac{1}{N} X^\top (P - Y), \qquad
#   \frac{\partial L}{\partial b} = \frac{1}{N} \sum_{\text{images}} (P - Y).$$
#
# The shapes fit: $[784, N] \cdot [N, 10] = [784, 10]$, the shape of $W$. Checking shapes catches half of all mistakes
# in such formulas.
#
# ## Training in batches
#
# The mean over all images is exact, but one needs many steps, and each costs a pass over the data. A random *batch* of
# 64 images gives a noisy estimate of the same gradient for a fraction of the work. One pass over all batches is an
# *epoch*. This is *stochastic gradient descent*.

# %%
weight, bias, rate, batch = np.zeros((784, 10)), np.zeros(10), 0.02, 64
rng = np.random.default_rng(0)
history = []
for _epoch in range(30):
    order = rng.permutation(len(x))
    for first in range(0, len(x), batch):
        chosen = order[first : first + batch]
        error = scratch.softmax(x[chosen] @ weight + bias) - target[chosen]  # [B, 10]
        weight -= rate * x[chosen].T @ error / len(chosen)
        bias -= rate * error.mean(axis=0)
    losses = [
        scratch.cross_entropy(rows(s) @ weight + bias, np.eye(10)[s.label]).mean()
        for s in (digits.train, digits.validation)
    ]
    history.append(losses)


def accuracy(split):
    return np.mean((rows(split) @ weight + bias).argmax(axis=1) == split.label)


validation, test = accuracy(digits.validation), accuracy(digits.test)
print(f"after 30 epochs: loss {history[-1][0]:.3f} nats; right: {validation:.1%} of validation, {test:.1%} of test")

# %% alt="The loss on training and validation images over 30 epochs: both fall, the validation loss stays higher."
plt.figure(figsize=(6, 2.8))
for i, (name, colour) in enumerate((("training", BLUE), ("validation", ORANGE))):
    plt.plot(range(1, 31), [pair[i] for pair in history], color=colour, label=name)
plt.yscale("log")
plt.xlabel("epoch")
plt.ylabel("mean loss (nats)")
plt.legend()
plt.show()

# %% [markdown]
# {{100 * test:.1f}} % of the test images are right. Chapter 1's averages were templates, too; these templates were
# *learnt*, and they know about each other. Look at them:

# %% alt="Ten templates, one for each digit: orange where ink speaks for the digit, purple where it speaks against it."
limit = abs(weight).max()
show(weight.T.reshape(10, 28, 28), [str(k) for k in range(10)], cmap="PuOr_r", vmin=-limit, vmax=limit)

# %% [markdown]
# Orange pixels speak for the digit, purple ones against it. The template of 0 is purple in the middle: ink there is
# the best evidence *against* a zero. An average could not say that; averages only know what is there, not what ought
# to be absent.
#
# ## What it gets wrong

# %% alt="Eight test digits that were misread, each with its label and what was read instead."
probability = scratch.softmax(rows(digits.test) @ weight + bias)
read = probability.argmax(axis=1)
wrong = np.flatnonzero(read != digits.test.label)
show(
    digits.test.image[wrong[:8], :, :, 0],
    [f"{digits.test.label[i]} as {read[i]}\n{probability[i].max():.0%} sure" for i in wrong[:8]],
    columns=8,
)
print(len(wrong), "of", len(read), "test images are misread")

# %% [markdown]
# ## The same in the package
#
# The package's config `linear` is this model. Every run in the package starts like this, be it a matrix or a deep
# network: a config says *what*, `hwr_jax.train` does it and leaves a run folder.

# %%
run = hwr_jax.train(
    "linear",
    "runs/course-linear",
    overrides={"data.name": "digits", "data.validation_examples": 200, "data.fallback": "none", "batch_size": 64},
    quiet=True,
)
package = run.summary["test"]["accuracy"]["mean"]
print(f"the package: {package:.1%} of test, {run.summary['parameters']:,} parameters")

# %% tags=["check"]
assert weight.size + bias.size == 7850 == run.summary["parameters"]
assert history[-1][0] < history[-1][1] < history[0][1]
assert test > 0.9
assert abs(package - test) < 0.03
assert weight.reshape(28, 28, 10)[12:16, 13:15, 0].mean() < 0  # the middle speaks against a zero

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: the loss of a beginner
#
# What is the loss of softmax regression before the first step, when all weights are zero? Compute it first in your
# head, then with the data. Why is it a useful number to know?

# %% tags=["solution"]
beginner = scratch.cross_entropy(x @ np.zeros((784, 10)), target).mean()
print(f"{beginner:.4f} nats; ln 10 = {np.log(10):.4f}")
assert abs(beginner - np.log(10)) < 1e-9

# %% [markdown] tags=["solution"]
# All scores are 0, every class gets the probability 1/10, and the loss is $\ln 10$. A training run of ten classes
# that starts far above this has wrongly scaled weights or inputs; one that stays at it learns nothing.

# %% [markdown]
# ### Exercise 2: temperature
#
# Divide the scores by a *temperature* $T$ before the softmax: $\operatorname{softmax}(z / T)$. What happens to the
# probabilities for $T = 0.1$ and for $T = 10$? Do any answers change?

# %% tags=["solution"]
for temperature in (0.1, 1.0, 10.0):
    print(f"T = {temperature:4}: {scratch.softmax(scores / temperature)[0].round(3)}")
logits = rows(digits.test) @ weight + bias
assert np.array_equal(scratch.softmax(logits / 10).argmax(1), scratch.softmax(logits).argmax(1))

# %% [markdown] tags=["solution"]
# A low temperature pushes all probability to the largest score, a high one evens the classes out. The order, and so
# every answer, stays the same. Chosen well, $T$ makes probabilities honest without touching the accuracy (chapter 10).

# %% [markdown]
# ### Exercise 3: two classes
#
# Show that softmax with two classes is the sigmoid of chapter 2: $\operatorname{softmax}(z_0, z_1)_1 =
# \sigma(z_1 - z_0)$. First on paper, then for random scores.

# %% tags=["solution"]
pairs = np.random.default_rng(1).normal(0, 3, (1000, 2))
sigmoid, _ = scratch.ACTIVATIONS["sigmoid"]
difference = abs(scratch.softmax(pairs)[:, 1] - sigmoid(pairs[:, 1] - pairs[:, 0])).max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-12

# %% [markdown] tags=["solution"]
# $\dfrac{e^{z_1}}{e^{z_0} + e^{z_1}} = \dfrac{1}{1 + e^{-(z_1 - z_0)}}$: divide numerator and denominator by
# $e^{z_1}$. Only the difference of the two scores counts, so one neuron is enough for two classes.
