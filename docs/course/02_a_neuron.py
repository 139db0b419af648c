# %% [markdown]
# # 2. A neuron
#
# The smallest part of every network is a weighted sum followed by a bent line. One such *neuron* can already tell two
# digits apart. It also contains everything that a large network needs to learn: a loss, a gradient, a step.
#
# The task of this chapter: is a digit a **0** or a **1**? The data are scikit-learn's `digits`, as in chapter 1.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREEN, ORANGE

# %% [markdown]
# ## Two numbers instead of 784
#
# To draw what happens, we first describe each image by only two numbers, its *features*:
#
# - $x_1$: the mean ink of the whole image, on the scale 0 to 1;
# - $x_2$: the mean ink of the 6 x 6 pixels in the middle. A 1 has its stroke there, a 0 has its hole.

# %% alt="Scatter plot of two features: zeros at the lower right, ones at the upper left, hardly overlapping."
import hwr_jax

digits = hwr_jax.data.load("digits", log=lambda line: None)


def zeros_and_ones(split):
    """Returns images float [N, 28, 28] in 0..1 and targets [N]: 0 or 1."""
    chosen = split.label < 2
    return split.image[chosen, :, :, 0] / 255, split.label[chosen].astype(float)


image, y = zeros_and_ones(digits.train)
x = np.stack([image.mean(axis=(1, 2)), image[:, 11:17, 11:17].mean(axis=(1, 2))], axis=1)  # [N, 2]


def scatter():
    for value, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        plt.scatter(*x[y == value].T, s=14, color=colour, marker=marker, label=f"digit {value}")
    plt.xlabel("$x_1$: mean ink of the image (share)")
    plt.ylabel("$x_2$: mean ink in the middle (share)")
    plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))


plt.figure(figsize=(6.5, 3.4))
scatter()
plt.show()
print("images:", len(y), "of which ones:", int(y.sum()))

# %% [markdown]
# ## The neuron
#
# A neuron has a *weight* for each input and one *bias*. It computes a sum, and squeezes it into the range 0 to 1:
#
# $$z = w_1 x_1 + w_2 x_2 + b, \qquad a = \sigma(z) = \frac{1}{1 + e^{-z}}.$$
#
# The function $\sigma$ is the *sigmoid*. We read $a$ as the probability that the digit is a 1. A weight says how
# strongly, and in which direction, its input speaks for a 1; the bias says what to think when all inputs are zero.

# %% alt="The sigmoid function: an S from 0 to 1, which is one half at z = 0."
from hwr_jax.models import scratch

sigmoid, _ = scratch.ACTIVATIONS["sigmoid"]  # the package's own, in NumPy
z = np.linspace(-6, 6, 200)
plt.figure(figsize=(5, 2.6))
plt.plot(z, sigmoid(z), color=BLUE)
plt.xlabel("z")
plt.ylabel(r"$a = \sigma(z)$")
plt.show()

# %% [markdown]
# The neuron is undecided ($a = 1/2$) where $z = 0$. In the plane of the features, $w_1 x_1 + w_2 x_2 + b = 0$ is a
# straight line. **A neuron cuts the space of its inputs with one straight cut.** The weights turn the line, the bias
# moves it.
#
# ## How wrong is it?
#
# To learn, we need one number that says how bad the current weights are: the *loss*. If the neuron gives the right
# answer the probability $p$, its loss for this image is $-\ln p$: 0 for $p = 1$, growing without limit for
# $p \to 0$. With the target $y$ (0 or 1) both cases fit into one line:
#
# $$L = -\big[\,y \ln a + (1 - y) \ln(1 - a)\,\big].$$
#
# This is the *cross-entropy*. Its unit is the nat. The loss of the neuron is the mean of $L$ over the training images.


# %%
def loss(weight, bias):
    """The mean cross-entropy over the training images, in nats."""
    a = sigmoid(x @ weight + bias)  # [N, 2] @ [2] -> [N]
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


start = loss(np.zeros(2), 0.0)
print(f"loss with all weights zero: {start:.4f} nats")

# %% [markdown]
# With all weights zero, $a = 1/2$ for every image, and the loss is $-\ln \frac12 = {{start:.4f}}$: the loss of
# someone who tosses a coin.
#
# ## Which way is downhill?
#
# The *gradient* tells how the loss changes when a weight changes a little. By the chain rule,
#
# $$\frac{\partial L}{\partial w_j}
#   = \frac{\partial L}{\partial a}\cdot\frac{\partial a}{\partial z}\cdot\frac{\partial z}{\partial w_j}.$$
#
# The three factors are
#
# $$\frac{\partial L}{\partial a} = \frac{a - y}{a(1-a)}, \qquad
#   \frac{\partial a}{\partial z} = a(1-a), \qquad
#   \frac{\partial z}{\partial w_j} = x_j,$$
#
# and the awkward $a(1-a)$ cancels:
#
# $$\frac{\partial L}{\partial w_j} = (a - y)\, x_j, \qquad \frac{\partial L}{\partial b} = a - y.$$
#
# In words: **error times input**. If the answer was too high ($a > y$), weights of active inputs go down.
#
# *Gradient descent* takes a small step against the gradient, again and again. The size of the step is the *learning
# rate* $\eta$: $\;w \leftarrow w - \eta\, \partial L/\partial w$.

# %%
weight, bias, rate = np.zeros(2), 0.0, 3.0
path = []  # of (weight, bias, loss)
for _step in range(3000):
    path.append((weight, bias, loss(weight, bias)))
    error = sigmoid(x @ weight + bias) - y  # [N]
    weight = weight - rate * error @ x / len(y)
    bias = bias - rate * error.mean()
right = np.mean((x @ weight + bias > 0) == (y == 1))
print(f"weights {weight.round(1)}, bias {bias:.1f}, loss {path[-1][2]:.4f} nats, right {right:.1%}")

# %% alt="Left: the features with the line of the neuron after three numbers of steps; the last one separates the digits. Right: the loss falls, first fast, then slowly."
plt.figure(figsize=(7.5, 3.4))
plt.subplot(1, 2, 1)
scatter()
across = np.array([x[:, 0].min(), x[:, 0].max()])
for step, style in ((2, ":"), (5, "--"), (2999, "-")):
    (w1, w2), b, _ = path[step]
    plt.plot(across, -(w1 * across + b) / w2, style, color=GREEN, label=f"after {step:,} steps")
plt.ylim(-0.05, 1.05)
plt.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
plt.subplot(1, 2, 2)
plt.plot([entry[2] for entry in path], color=BLUE)
plt.xscale("symlog")
plt.xlabel("step")
plt.ylabel("mean loss (nats)")
plt.show()

# %% [markdown]
# After {{len(path):,}} steps the neuron is right for {{100 * right:.1f}} % of the training images. Nobody told it what
# a hole is. It found out that ink in the middle speaks for a 1 (its weight is positive, {{weight[1]:.1f}}) and much
# ink speaks for a 0 ({{weight[0]:.1f}}).
#
# ## All pixels
#
# The formulas do not care how many inputs there are. With 784 of them, the same four lines learn from the raw pixels,
# and nobody has to invent features.

# %%
x = image.reshape(len(image), -1)  # [N, 784]
weight, bias, rate = np.zeros(784), 0.0, 0.1
for _step in range(300):
    error = sigmoid(x @ weight + bias) - y
    weight = weight - rate * error @ x / len(y)
    bias = bias - rate * error.mean()

test_image, test_y = zeros_and_ones(digits.test)
answer = sigmoid(test_image.reshape(len(test_image), -1) @ weight + bias)
test_right = np.mean((answer > 0.5) == (test_y == 1))
print(f"right: {test_right:.1%} of {len(test_y)} test images (all zeros and ones of the test heap)")

# %% alt="The 784 weights as an image: an orange stroke in the middle, surrounded by a purple ring."
limit = abs(weight).max()
plt.figure(figsize=(4, 3.2))
plt.imshow(weight.reshape(28, 28), cmap="PuOr_r", vmin=-limit, vmax=limit)
plt.colorbar(label="weight (orange: speaks for 1)")
plt.axis("off")
plt.show()

# %% [markdown]
# A neuron's weights have the shape of its input, so we can look at them as an image. It is a *template*: an orange
# stroke, which speaks for a 1, in a purple ring, which speaks for a 0. The weighted sum $w \cdot x$ measures how well
# the image fits the template.

# %% tags=["check"]
assert abs(start - np.log(2)) < 1e-9
assert path[-1][2] < path[99][2] < path[30][2] < path[0][2]
assert right > 0.95
assert path[-1][0][1] > 0 > path[-1][0][0]  # the two features' weights: middle for 1, ink for 0
assert test_right > 0.97
zero, one = image[y == 0].mean(axis=0), image[y == 1].mean(axis=0)  # [28, 28]
template = weight.reshape(28, 28)
assert template[(one > 0.5) & (zero < 0.2)].mean() > 0  # the stroke
assert template[(zero > 0.5) & (one < 0.2)].mean() < 0  # the ring

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: by hand
#
# A neuron has $w = (2, -1)$ and $b = 0.5$. Its input is $x = (1, 3)$ and the target is $y = 1$. Compute $z$, $a$, the
# loss, and $w$ and $b$ after one step with learning rate 1. Is the loss lower afterwards?

# %% tags=["solution"]
w, b, one, target = np.array([2.0, -1.0]), 0.5, np.array([1.0, 3.0]), 1.0
z = w @ one + b
a = sigmoid(z)
before = -np.log(a)
w, b = w - (a - target) * one, b - (a - target)
after = -np.log(sigmoid(w @ one + b))
print(f"z = {z}, a = {a:.3f}, loss = {before:.3f}; then w = {w.round(3)}, b = {b:.3f}, loss = {after:.3f}")
assert z == -0.5
assert after < before

# %% [markdown]
# ### Exercise 2: the learning rate
#
# Train the neuron on the two features for 200 steps with the learning rates 0.03, 3 and 300. Print the loss after 1,
# 2, 5 and 200 steps. What goes wrong at either end? (`x` holds the pixels now: compute the two features again. At rate
# 300 $a$ rounds to 0 or 1, so compute $-\ln\sigma(z)$ as `np.logaddexp(0, -z)`, and $-\ln(1 - \sigma(z))$ as
# `np.logaddexp(0, z)`.)

# %% tags=["solution"]
x = np.stack([image.mean(axis=(1, 2)), image[:, 11:17, 11:17].mean(axis=(1, 2))], axis=1)
losses = {}
for rate in (0.03, 3.0, 300.0):
    weight, bias, losses[rate] = np.zeros(2), 0.0, []
    for _step in range(201):
        z = x @ weight + bias
        losses[rate].append(np.mean(np.logaddexp(0, np.where(y == 1, -z, z))))  # -ln sigma, without overflow
        error = 1 / (1 + np.exp(-np.clip(z, -500, 500))) - y
        weight, bias = weight - rate * error @ x / len(y), bias - rate * error.mean()
    print(f"rate {rate:6}:", {step: round(float(losses[rate][step]), 3) for step in (1, 2, 5, 200)})
assert losses[0.03][200] > 0.5
assert losses[3.0][200] < 0.1
assert max(losses[300.0]) > 10

# %% [markdown] tags=["solution"]
# With 0.03 the loss creeps; 200 steps are not enough. With 300 the first steps jump over the valley to places far
# worse than the start. This problem is so easy that the neuron finds its way back; larger networks often do not.
# Chapter 6 draws
# both.

# %% [markdown]
# ### Exercise 3: what one neuron cannot do
#
# The four points (0, 0), (0, 1), (1, 0), (1, 1) have the targets 0, 1, 1, 0 ("exactly one of the two": *exclusive
# or*). Train a neuron on them. How many of the four can it get right at best, and why?

# %% tags=["solution"]
points, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
grid = np.linspace(-3, 3, 25)
best = 0
for w1 in grid:  # try many lines: no training can do better than the best of them
    for w2 in grid:
        for b in grid:
            best = max(best, int(np.sum((points @ np.array([w1, w2]) + b > 0) == targets)))
weight, bias = np.array([0.3, -0.2]), 0.1
for _step in range(2000):
    error = sigmoid(points @ weight + bias) - targets
    weight, bias = weight - error @ points, bias - error.sum()
print("best of all lines:", best, "of 4; trained:", weight.round(3), round(float(bias), 3))
assert best == 3
assert abs(weight).max() < 1e-3

# %% [markdown] tags=["solution"]
# Three. The two classes lie on opposite corners of a square, and no straight line separates them. Training gives up:
# all weights go to 0 and every answer to 1/2. Two neurons whose outputs feed a third can do it (chapter 4).
