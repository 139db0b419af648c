# %% [markdown]
# # 7. Overfitting and regularisation
#
# A network with more parameters than images can learn all images by heart. Then the training loss says nothing about
# new images. This chapter provokes that, measures it, and tries the usual cures with error bars.
#
# The data are scikit-learn's `digits`, and on purpose only 100 of the training images, ten of each class.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREY, ORANGE, show

# %%
import hwr_jax
from hwr_jax.core import stats
from hwr_jax.models import scratch

digits = hwr_jax.data.load("digits", train_examples=100, log=lambda line: None)


def rows(image):
    """Images uint8 or float in 0..255 [N, 28, 28, 1] -> pixels float32 [N, 784], standardised."""
    return ((image.reshape(len(image), -1) / 255 - digits.mean) / digits.std).astype(np.float32)


x, label = rows(digits.train.image), digits.train.label
validation = (rows(digits.validation.image), digits.validation.label)
parameters = 784 * 64 + 64 + 64 * 10 + 10
print(f"{len(x)} training images, {parameters:,} parameters in a network with 64 hidden neurons")

# %% [markdown]
# ## By heart


# %%
def fall(done):
    """The cosine schedule of chapter 6: from 1 to 0 while `done` goes from 0 to 1."""
    return 0.5 + 0.5 * np.cos(np.pi * done)


def train(x, label, *, steps=400, seed=0, rate=0.002, dropout=0.0, l2=0.0, weight_decay=0.0, look=0):
    """Trains on batches of 50 images for a number of steps.

    Returns the parameters, and a line (step, training loss, error, validation loss, error) for every `look` steps.
    """
    optimizer = "adamw" if weight_decay else "adam"
    chosen = scratch.Settings("relu", dropout, 0.0, optimizer, 0.9, 0.9, 0.999, 1e-8, weight_decay, 0.0, l2)
    rng, lines, order = np.random.default_rng(seed), [], []
    params = {
        f"Dense_{i}": {
            "kernel": rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32),
            "bias": np.zeros(b, np.float32),
        }
        for i, (a, b) in enumerate(((784, 64), (64, 10)))
    }
    moments = scratch.zero_moments(params)
    for step in range(steps):
        if len(order) < 50:
            order = rng.permutation(len(x))  # a new epoch
        part, order = order[:50], order[50:]
        params, moments, _, _ = scratch.train_step(
            params, moments, x[part], label[part], seed=seed, step=step, rate=rate * fall(step / steps), settings=chosen
        )
        if look and (step + 1) % look == 0:
            lines.append([step + 1, *measure(params, x, label), *measure(params, *validation)])
    return params, np.array(lines)


def measure(params, x, label):
    """Returns the mean loss in nats, and the error rate."""
    scores = scratch.forward(params, x, "relu")[-1][1]
    return scratch.cross_entropy(scores, np.eye(10)[label]).mean(), np.mean(scores.argmax(1) != label)


# %%
# a quarter of the labels is wrong, as if a tired person had typed them
noisy = hwr_jax.data.load("digits", train_examples=100, label_noise=0.25, log=lambda line: None).train.label
wrong = np.flatnonzero(noisy != label)
_, history = train(x, noisy, look=4)
steps, loss, error, validation_loss, validation_error = history.T
print(f"{len(wrong)} of {len(label)} labels are wrong")
print(f"learnt by heart, wrong labels included: {1 - error[-1]:.0%}")

# %% alt="Left: the training loss falls to almost zero, the validation loss falls and rises again. Right: the training error falls to zero, the validation error does not."
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
left.plot(steps, loss, color=BLUE, label="training")
left.plot(steps, validation_loss, color=ORANGE, label="validation")
lowest = int(steps[validation_loss.argmin()])
left.axvline(lowest, color=GREY, linestyle=":", label=f"lowest: step {lowest}")
left.set(xlabel="step", ylabel="mean loss (nats)")
left.legend()
right.plot(steps, 100 * error, color=BLUE, label="training")
right.plot(steps, 100 * validation_error, color=ORANGE, label="validation")
right.set(xlabel="step", ylabel="error rate (%)")
plt.show()

# %% [markdown]
# The network reproduces {{100 * (1 - error[-1]):.0f}} % of the training labels, the wrong ones too. On the 200
# validation images the loss falls until step {{lowest}} and then *rises*: from there on the network learns these
# 100 images, not digits. That is *overfitting*. It is visible only because we kept images back.
#
# **Early stopping** is the first cure: keep the parameters of the step with the lowest validation loss. In the
# package, `config.eval.checkpoint = "best"` and `config.eval.patience_epochs` do that.
#
# ## Cures
#
# All cures make memorising harder than understanding. The usual ones:
#
# | cure | idea | formula or key |
# |---|---|---|
# | L2 penalty | large weights are needed to bend around single images: make them expensive | add $\lambda w$ to the gradient |
# | weight decay | the same, outside of the optimiser's scaling | $w \leftarrow w - \eta\,\lambda\, w$ |
# | dropout | switch off random neurons in training, so that none can rely on another | multiply by 0 or $1/(1-r)$ |
# | augmentation | more images: the same digits shifted, turned, stretched | `config.augment` |
# | more data | the best cure, and the most expensive | |
#
# Augmentation needs a decision about the world: which changes leave the label alone? A 3 that is turned by 10 degrees
# is a 3. A 6 that is turned by 180 degrees is a 9.

# %% alt="Three digits, each followed by seven random versions of it: shifted, turned, stretched a little."
import jax
import jax.numpy as jnp

from configs import base
from hwr_jax.transforms.augment import augment

strength = base.get_config().augment.to_dict()
strength |= {"shift_px": 1.5, "rotate_deg": 10.0, "scale": 0.1, "shear_deg": 8.0}
strength = {key: value for key, value in strength.items() if key not in ("mixup", "cutmix")}
changed = jax.jit(jax.vmap(lambda key, image: augment(key, image, **strength)))


def versions(image, copies, seed):
    """Images uint8 [N, 28, 28, 1] -> float [copies * N, 28, 28, 1] in 0..255, each changed at random."""
    keys = jax.random.split(jax.random.key(seed), copies * len(image))
    many = jnp.tile(jnp.asarray(image, jnp.float32) / 255, (copies, 1, 1, 1))
    return 255 * np.asarray(changed(keys, many))


chosen = digits.train.image[:3]
made = versions(chosen, 7, seed=0).reshape(7, 3, 28, 28)
grid = np.concatenate([np.stack([chosen[i, :, :, 0], *made[:, i]]) for i in range(3)])
show(grid, ["original", *["changed"] * 7] * 3, columns=8)

# %% [markdown]
# ## Do they help? Five seeds each
#
# One run proves little: another seed, another result. So we train each variant with five seeds. The bars are the mean
# validation error and its 95 % interval by Student's $t$, as `hwr_jax.core.stats.summarise` computes it (chapter 10
# explains it). The labels are clean now.

# %%
seeds = range(5)
full = hwr_jax.data.load("digits", log=lambda line: None).train
variants = {
    "nothing": dict(),
    "L2 penalty": dict(l2=0.03),
    "weight decay": dict(weight_decay=1.0),
    "dropout": dict(dropout=0.5),
    "augmentation": dict(),
    "all 1,097 images": dict(),
}
errors = {}
for name, change in variants.items():
    errors[name] = []
    for seed in seeds:
        images, labels = digits.train.image, label
        if name == "augmentation":
            images, labels = versions(images, 40, seed), np.tile(label, 40)
        if name == "all 1,097 images":
            images, labels = full.image, full.label
        params, _ = train(rows(images), labels, seed=seed, **change)
        errors[name].append(100 * measure(params, *validation)[1])
summary = {name: stats.summarise(values, within=(0, 100)) for name, values in errors.items()}
for name, of in summary.items():
    print(f"{name:18s} {of['mean']:5.1f} %   {of['ci95'][0]:5.1f} to {of['ci95'][1]:5.1f}")

# %% alt="Mean validation error with 95 % intervals for the six variants; augmentation lowers it clearly, more data most of all."
plt.figure(figsize=(7, 2.9))
for place, (_name, of) in enumerate(summary.items()):
    plt.plot(of["ci95"], [place, place], color=BLUE, linewidth=2)
    plt.plot(of["mean"], place, "o", color=BLUE)
    plt.plot(of["per_seed"], [place - 0.25] * 5, "|", color=GREY)
plt.yticks(range(len(summary)), list(summary))
plt.gca().invert_yaxis()
plt.xlim(0, None)
plt.xlabel("validation error (%): each seed, mean and 95 % interval")
plt.show()

# %% [markdown]
# Augmentation lowers the error from {{summary["nothing"]["mean"]:.1f}} % to {{summary["augmentation"]["mean"]:.1f}} %
# with the same 100 images and the same number of steps. All 1,097 images reach
# {{summary["all 1,097 images"]["mean"]:.1f}} %. What the penalties and dropout do is small in comparison: with five
# seeds such differences are hard to tell from chance; chapter 10 shows how to compare two variants seed by seed.
#
# That is the typical order: **data, then augmentation, then everything else.**

# %% tags=["check"]
assert 20 <= len(wrong) <= 30
assert summary["augmentation"]["mean"] < summary["nothing"]["mean"] - 2
assert summary["all 1,097 images"]["mean"] < summary["augmentation"]["mean"]
for cure in ("L2 penalty", "weight decay", "dropout"):
    assert abs(summary[cure]["mean"] - summary["nothing"]["mean"]) < 3
assert error[-1] < 0.02
assert validation_loss[-1] > validation_loss.min() + 0.05

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: the factor in dropout
#
# Dropout with rate $r$ sets a number to 0 with probability $r$, and multiplies it by $1/(1-r)$ otherwise. Show that
# the expected value does not change, and check it with `scratch.dropout_masks`. Why does evaluation need no change?

# %% tags=["solution"]
tiny = {"Dense_0": {"bias": np.zeros(50)}, "Dense_1": {"bias": np.zeros(10)}}
masks = [scratch.dropout_masks(tiny, 100, rate=0.3, seed=(0, step), dtype=np.dtype(float))[0] for step in range(50)]
print(f"mean of the masks: {np.mean(masks):.3f}, share of zeros: {np.mean(np.array(masks) == 0):.3f}")
assert abs(np.mean(masks) - 1) < 0.01

# %% [markdown] tags=["solution"]
# $r \cdot 0 + (1 - r) \cdot \frac{1}{1-r} = 1$. The next layer sees sums of the same size on average, with and without
# dropout, so in evaluation all neurons stay on.

# %% [markdown]
# ### Exercise 2: L1 makes weights vanish
#
# Write softmax regression (no hidden layer) with an L1 penalty, which adds $\lambda \operatorname{sign}(w)$ to the
# gradient. Compare the share of weights below 0.001 in size after 300 steps with all 100 images (rate 0.05) for
# $\lambda = 0$ and $\lambda = 0.01$. What do the templates look like?

# %% alt="Templates of ten digits trained with an L1 penalty: few pixels have a weight." tags=["solution"]
target, shares = np.eye(10)[label], {}
for strength_l1 in (0.0, 0.01):
    weight = np.zeros((784, 10))
    for _step in range(300):
        gradient = x.T @ (scratch.softmax(x @ weight) - target) / len(x) + strength_l1 * np.sign(weight)
        weight -= 0.05 * gradient
    shares[strength_l1] = np.mean(abs(weight) < 0.001)
print("share of weights near zero:", {key: round(float(value), 2) for key, value in shares.items()})
show(weight.T.reshape(10, 28, 28), [str(k) for k in range(10)], cmap="PuOr_r", vmin=-0.2, vmax=0.2)
assert shares[0.01] > shares[0.0] + 0.1

# %% [markdown] tags=["solution"]
# L2 makes large weights smaller but leaves small ones alone; L1 pulls every weight with the same force, so those that
# do not earn it end at zero. The templates keep only the pixels that decide.

# %% [markdown]
# ### Exercise 3: how much is more data worth?
#
# Train without any cure on 50, 100, 200, 400 and 800 images (`train_examples=...`), with the same number of steps,
# and plot the validation error over the number of images on logarithmic axes. Extrapolate: how many would you
# need for half the error of 800?

# %% alt="Validation error over the number of training images on logarithmic axes: roughly a falling straight line." tags=["solution"]
sizes, means = (50, 100, 200, 400, 800), []
for size in sizes:
    part = hwr_jax.data.load("digits", train_examples=size, log=lambda line: None).train
    trained = [train(rows(part.image), part.label, seed=seed)[0] for seed in range(3)]
    means.append(100 * np.mean([measure(params, *validation)[1] for params in trained]))
slope, offset = np.polyfit(np.log(sizes), np.log(means), 1)
plt.figure(figsize=(5, 2.8))
plt.loglog(sizes, means, "o", color=BLUE, label="mean of 3 seeds")
plt.loglog(sizes, np.exp(offset) * np.array(sizes) ** slope, color=GREY, label=f"error ~ images^{slope:.2f}")
plt.minorticks_off()
plt.xticks(sizes, sizes)
plt.yticks((6, 8, 10, 12), (6, 8, 10, 12))
plt.xlabel("training images")
plt.ylabel("validation error (%)")
plt.legend()
plt.show()
print(f"for half the error: {2 ** (-1 / slope):.1f} times as many images")
assert slope < -0.2

# %% [markdown] tags=["solution"]
# The error falls roughly as a power of the number of images: a straight line on logarithmic axes. A steeper line means
# that data are worth more. Such a line is the cheapest way to decide whether to collect more data or to improve the
# model.
