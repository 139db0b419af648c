# %% [markdown]
# # 6. Optimisers as trajectories
#
# The gradient says which way is down *here*. How far to go, and whether to remember where we came from, is the
# business of the *optimiser*. Networks have thousands of parameters, but the important effects show already in two.
# So this chapter draws maps and walks on them.
#
# The walks use `scratch.update`, the package's optimisers in NumPy; the last part trains on scikit-learn's `digits`.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREEN, GREY, ORANGE, RED

# %%
import hwr_jax
from hwr_jax.models import scratch


def settings(name, **changes):
    """The settings of an optimiser, with the package's defaults."""
    plain = {"momentum": 0.9, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "l1": 0.0, "l2": 0.0}
    return scratch.Settings("relu", 0.0, 0.0, name, **{**plain, **changes})


def walk(gradient, start, steps, rate, chosen):
    """Returns the places [steps + 1, 2] that an optimiser visits from `start`."""
    params = {"Dense_0": {"bias": np.array(start, float)}}
    moments, places = scratch.zero_moments(params), [np.array(start, float)]
    for step in range(steps):
        grads = {"Dense_0": {"bias": gradient(params["Dense_0"]["bias"])}}
        params, moments = scratch.update(params, moments, grads, step=step, rate=rate, settings=chosen)
        places.append(params["Dense_0"]["bias"])
    return np.array(places)


# %% [markdown]
# ## A long valley
#
# The loss of our map is steep across and flat along:
#
# $$L(u, v) = \tfrac12 (u^2 + 25 v^2), \qquad \nabla L = (u,\ 25 v).$$
#
# The minimum is at (0, 0). The ratio of the curvatures, 25, is the *condition number*. Real losses look like this
# in many directions at once, with far larger ratios.


# %%
def valley(place):
    return 0.5 * (place[..., 0] ** 2 + 25 * place[..., 1] ** 2)


def valley_gradient(place):
    return place * np.array([1.0, 25.0])


def draw_map(panel, loss, across, along, levels):
    u, v = np.meshgrid(np.linspace(*across, 200), np.linspace(*along, 200))
    panel.contour(u, v, loss(np.stack([u, v], axis=-1)), levels=levels, colors=GREY, linewidths=0.6)
    panel.set(xlim=across, ylim=along, xlabel="$u$", ylabel="$v$")
    panel.grid(False)


# %% [markdown]
# ## Gradient descent and its learning rate
#
# Plain gradient descent: $w \leftarrow w - \eta\, g$, with the gradient $g$. Along $v$ a step multiplies $v$ by
# $1 - 25\eta$. That is a shrinking only if $|1 - 25\eta| < 1$, which means $\eta < 2/25 = 0.08$: **the steepest
# direction limits the learning rate**. Along $u$ the factor is $1 - \eta$, which for so small an $\eta$ is nearly 1:
# **the flattest direction sets the time**.

# %% alt="Three walks of gradient descent in the valley: a small rate creeps, a middle one zigzags to the minimum, a rate above 0.08 leaves the map."
start = (-9.0, 1.2)
figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.7), sharey=True)
ends = {}
for panel, rate, words in zip(panels, (0.01, 0.07, 0.081), ("creeps", "zigzags", "diverges"), strict=True):
    draw_map(panel, valley, (-10, 3), (-2.2, 2.2), np.array([0.5, 2, 5, 10, 20, 35, 55]))
    places = walk(valley_gradient, start, 40, rate, settings("sgd"))
    ends[rate] = valley(places[-1])
    panel.plot(*places.T, color=BLUE, marker=".", markersize=4, linewidth=0.8)
    panel.plot(0, 0, marker="*", color=RED, markersize=10)
    panel.set_title(f"rate {rate}: {words}")
for panel in panels[1:]:
    panel.set_ylabel("")
plt.show()
print("loss after 40 steps:", {rate: f"{loss:.3g}" for rate, loss in ends.items()})

# %% [markdown]
# ## Momentum
#
# A heavy ball does not zigzag: what points up and down in turns cancels, what points along adds up. *Momentum* keeps a
# running sum of the gradients and walks along it:
#
# $$m \leftarrow \mu\, m + g, \qquad w \leftarrow w - \eta\, m.$$
#
# A gradient is remembered for about $1/(1-\mu)$ steps: ten for the usual $\mu = 0.9$, three for the $\mu = 0.7$ that
# suits this small map.
#
# ## A scale for each parameter
#
# *Adam* (Kingma and Ba, 2015) keeps two running means for each parameter: of the gradient and of its square,
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2,$$
#
# and divides one by the root of the other:
#
# $$w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat s} + \epsilon}.$$
#
# The hats correct for the start: the running means begin at 0, so after $t$ steps they are too small by the factors
# $1 - \beta_1^t$ and $1 - \beta_2^t$, and are divided by them. The quotient hardly depends on the size of the
# gradient. A steep and a flat direction get steps of the same size: Adam makes the valley round. *RMSprop* is Adam
# without $m$ and without the hats.

# %% alt="Four walks from the same start in the valley: gradient descent zigzags, momentum swings past the minimum and returns, RMSprop and Adam walk almost diagonally."
rates = {"sgd": 0.07, "momentum": 0.05, "rmsprop": 0.3, "adam": 0.5}
colours = dict(zip(rates, (BLUE, ORANGE, GREEN, RED), strict=True))
figure, panels = plt.subplots(2, 2, figsize=(7.5, 4.6), sharex=True, sharey=True)
walks = {}
for panel, (name, rate) in zip(panels.flat, rates.items(), strict=True):
    chosen = settings(name, momentum=0.7, b2=0.9 if name == "rmsprop" else 0.999)
    walks[name] = walk(valley_gradient, start, 60, rate, chosen)
    draw_map(panel, valley, (-10, 5), (-2.2, 2.2), np.array([0.5, 2, 5, 10, 20, 35, 55]))
    panel.plot(*walks[name].T, color=colours[name], marker=".", markersize=4, linewidth=0.8)
    panel.plot(0, 0, marker="*", color="black", markersize=9)
    panel.set_title(f"{name}, rate {rate}")
    panel.label_outer()
plt.show()

# %% alt="Loss over 60 steps on a logarithmic scale for the four optimisers."
plt.figure(figsize=(7, 2.8))
for name, places in walks.items():
    plt.semilogy(valley(places), color=colours[name], label=name)
plt.xlabel("step")
plt.ylabel("loss")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
print("loss after 60 steps:", {name: f"{valley(places[-1]):.1e}" for name, places in walks.items()})

# %% [markdown]
# On this smooth map gradient descent needs patience along $u$, and momentum is the best of the four:
# {{valley(walks["momentum"][-1]):.0e}} after 60 steps against {{valley(walks["sgd"][-1]):.0e}}. RMSprop and Adam walk
# along the flat direction as briskly as along the steep one. Adam then swings past the minimum, because $m$ remembers
# the way down; it settles in the end, because $s$ remembers the large first gradients. RMSprop with its short memory
# does not come to rest: the size of its steps does not shrink with the gradient. That is what a *schedule* is for.
#
# ## Schedules
#
# Large steps first, small steps last. The package's schedules give the learning rate at each step as a share of the
# highest:

# %% alt="Five learning-rate schedules over 20 epochs: constant, step, exponential, cosine and one cycle, which first rises."
from configs import base
from hwr_jax.optim import schedules

plt.figure(figsize=(7, 2.8))
shares = {}
for name, style in zip(
    ("constant", "step", "exponential", "cosine", "one_cycle"), ("-", "--", "-.", "-", "-"), strict=True
):
    config = base.get_config().schedule
    config.name, config.step_epochs = name, 4.0
    schedule = schedules.make_schedule(config, peak=1.0, epochs=20, steps_per_epoch=10)
    shares[name] = np.array([float(schedule(step)) for step in range(200)])
    plt.plot(np.arange(200) / 10, shares[name], style, label=name)
plt.xlabel("epoch")
plt.ylabel("share of the highest rate")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% alt="Two walks with noisy gradients: at a constant rate the walk ends in a cloud around the minimum, with a cosine schedule it comes to rest there."
figure, panels = plt.subplots(1, 2, figsize=(7.5, 2.7), sharey=True)
rest = {}
for panel, name in zip(panels, ("constant", "cosine"), strict=True):
    rng, places, params = np.random.default_rng(0), [np.array(start)], {"Dense_0": {"bias": np.array(start)}}
    moments = scratch.zero_moments(params)
    for step, share in enumerate(shares[name]):
        noisy = valley_gradient(places[-1]) + rng.normal(0, 3, 2)  # a batch shows the gradient with noise
        params, moments = scratch.update(
            params, moments, {"Dense_0": {"bias": noisy}}, step=step, rate=0.06 * share, settings=settings("sgd")
        )
        places.append(params["Dense_0"]["bias"])
    rest[name] = np.mean([valley(place) for place in places[-20:]])
    draw_map(panel, valley, (-10, 5), (-2.2, 2.2), np.array([0.5, 2, 5, 10, 20, 35, 55]))
    panel.plot(*np.array(places).T, color=BLUE, marker=".", markersize=3, linewidth=0.6)
    panel.set_title(f"noisy gradients, {name} rate")
panels[1].set_ylabel("")
plt.show()
print("mean loss of the last 20 of 200 steps:", {name: f"{value:.2g}" for name, value in rest.items()})

# %% [markdown]
# With noisy gradients, and those of batches always are, a constant rate ends in a cloud around the minimum. The
# cosine schedule lets the cloud shrink: the mean loss of the last steps is {{rest["cosine"]:.2g}} instead of
# {{rest["constant"]:.2g}}.
#
# ## On digits
#
# Now the real thing: 784 x 32 x 10 parameters, batches of 64, ten epochs, a constant rate for each optimiser that was
# chosen among four values by the validation loss.

# %%
digits = hwr_jax.data.load("digits", log=lambda line: None)


def rows(split):
    """Returns pixels float32 [N, 784], standardised as in chapter 1."""
    return ((split.image.reshape(len(split.image), -1) / 255 - digits.mean) / digits.std).astype(np.float32)


x, label = rows(digits.train), digits.train.label
validation_x, validation_target = rows(digits.validation), np.eye(10)[digits.validation.label]


def train(name, rate, epochs=10, seed=0):
    """Returns the training loss of each epoch, and the validation loss at the end."""
    rng, history, step = np.random.default_rng(seed), [], 0
    params = {
        f"Dense_{i}": {
            "kernel": rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32),
            "bias": np.zeros(b, np.float32),
        }
        for i, (a, b) in enumerate(((784, 32), (32, 10)))
    }
    moments = scratch.zero_moments(params)
    for _epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for first in range(0, len(x), 64):
            chosen = order[first : first + 64]
            params, moments, loss, _ = scratch.train_step(
                params, moments, x[chosen], label[chosen], seed=0, step=step, rate=rate, settings=settings(name)
            )
            losses.append(loss.mean())
            step += 1
        history.append(np.mean(losses))
    scores = scratch.forward(params, validation_x, "relu")[-1][1]
    return np.array(history), scratch.cross_entropy(scores, validation_target).mean()


# %%
tried = {"sgd": (0.003, 0.01, 0.03, 0.1), "momentum": (0.001, 0.003, 0.01, 0.03)}
tried |= {"rmsprop": (0.0001, 0.0003, 0.001, 0.003), "adam": (0.0003, 0.001, 0.003, 0.01)}
best, curves = {}, {}
for name, candidates in tried.items():
    results = {rate: train(name, rate) for rate in candidates}
    best[name] = min(results, key=lambda rate: results[rate][1])
    curves[name] = results[best[name]][0]
print("chosen rates:", best)

# %% alt="Training loss over ten epochs for four optimisers, each at its chosen learning rate; all fall, and end close together."
plt.figure(figsize=(7, 2.9))
for name, history in curves.items():
    plt.semilogy(range(1, 11), history, color=colours[name], marker=".", label=f"{name}, {best[name]}")
plt.xlabel("epoch")
plt.ylabel("mean training loss (nats)")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Each optimiser learns, once its rate fits; and the fitting rates differ
# by a factor of {{max(best.values()) / min(best.values()):.0f}}. **A comparison of optimisers at one common learning rate compares
# nothing.** The package's study `experiments/optimizers` compares ten of them on MNIST with ten seeds, tuned rates and
# error bars.

# %% tags=["check"]
assert ends[0.081] > valley(np.array(start)) > ends[0.01] > ends[0.07]
assert valley(walks["momentum"][-1]) < valley(walks["sgd"][-1])
assert rest["cosine"] < rest["constant"] / 3
assert all(history[-1] < history[0] / 3 for history in curves.values())
assert max(best.values()) / min(best.values()) >= 10

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: the edge
#
# At which rates does gradient descent diverge on $L = \frac12 (u^2 + 100 v^2)$? Compute the limit, then walk 200 steps
# just below and just above it.

# %% tags=["solution"]
limit = 2 / 100
for rate in (0.99 * limit, 1.01 * limit):
    places = walk(lambda place: place * np.array([1.0, 100.0]), start, 200, rate, settings("sgd"))
    print(f"rate {rate:.4f}: |v| goes from {abs(places[0, 1]):.2f} to {abs(places[-1, 1]):.3g}")
    assert (abs(places[-1, 1]) < abs(places[0, 1])) == (rate < limit)

# %% [markdown]
# ### Exercise 2: Adam's first step
#
# How long is Adam's first step, if the gradient is $g$? Work it out from the formulas ($m$ and $s$ begin at 0), and
# check it for $g = 10^{-4}$ and $g = 10^{4}$. What would it be without the hats?

# %% tags=["solution"]
for g in (1e-4, 1e4):
    places = walk(lambda place, g=g: np.array([g, -g]), (0.0, 0.0), 1, 0.5, settings("adam"))
    print(f"g = {g:g}: step {places[1].round(3)}")
    assert np.allclose(abs(places[1]), 0.5, atol=1e-3)
print(f"without the hats: {0.5 * (1 - 0.9) / np.sqrt(1 - 0.999):.2f}")

# %% [markdown] tags=["solution"]
# After one step $\hat m = g$ and $\hat s = g^2$, so the step is $\eta\, g/|g|$: the learning rate, whatever the
# gradient. Without the hats it would be $\eta\,(1-\beta_1)/\sqrt{1-\beta_2} \approx 3.2\,\eta$: too long, as $s$ needs
# a thousand steps to fill up and $m$ only ten.

# %% [markdown]
# ### Exercise 3: a saddle
#
# $L = \frac12(u^2 - v^2)$ falls without end along $v$, but its gradient at $v = 0$ is zero along $v$. Start at
# $(1, 10^{-6})$. How many steps do gradient descent (rate 0.1) and Adam (rate 0.1) need until $|v| > 1$? Why?

# %% tags=["solution"]
needed = {}
for name in ("sgd", "adam"):
    places = walk(lambda place: place * np.array([1.0, -1.0]), (1.0, 1e-6), 300, 0.1, settings(name))
    needed[name] = int(np.argmax(abs(places[:, 1]) > 1))
print("steps:", needed)
assert needed["adam"] * 5 < needed["sgd"]

# %% [markdown] tags=["solution"]
# Gradient descent multiplies $v$ by 1.1 in each step, and $\ln 10^6 / \ln 1.1$ is about 145. Adam walks with steps of
# 0.1 from the beginning, because it divides the tiny gradient by its own tiny size.
