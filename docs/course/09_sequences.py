# %% [markdown]
# # 9. Sequences: recurrent networks and CTC
#
# A postcode is not a digit. It is a *sequence* of unknown length, and nobody marked where one digit ends and the next
# begins. This chapter reads whole lines: a recurrent network walks over the columns of the picture, and CTC turns its
# answers, one for each column, into a string.
#
# The strings are composed by the package from scikit-learn's `digits`; each split uses only its own digits.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREEN, RED

# %%
import jax.numpy as jnp

import hwr_jax
from hwr_jax.tasks import ctc, metrics

# %% [markdown]
# ## A network with memory
#
# A *recurrent network* reads $x_1, x_2, \dots, x_T$ one after the other and keeps a *state* $h_t$:
#
# $$h_t = \tanh(x_t W + h_{t-1} U + b).$$
#
# | symbol | what | shape |
# |---|---|---|
# | $x_t$ | the input at step $t$, here a column of pixels | $[C]$ |
# | $h_t$ | the state | $[D]$ |
# | $W$, $U$, $b$ | the same at every step | $[C, D]$, $[D, D]$, $[D]$ |
#
# It is a deep network, one layer for each step, whose layers share their weights. So it has the trouble of chapter 5:
# on its way back through $n$ steps, the gradient is multiplied $n$ times by $U^\top$ (and by the slope of $\tanh$,
# which is at most 1). The largest *singular value* of $U$ is the most by which it stretches any vector. If it is below
# 1, the gradient must vanish; if it is above 1, the gradient can explode. With a $U$ that stretches all vectors alike:

# %% alt="Size of the gradient over the number of steps back: for a stretch of 0.8 it vanishes, for 1 it stays, for 1.2 it explodes."
rng = np.random.default_rng(0)
rotation, _ = np.linalg.qr(rng.normal(size=(32, 32)))  # stretches every vector by exactly 1
plt.figure(figsize=(6.5, 2.9))
after = {}
for stretch, colour in ((0.8, BLUE), (1.0, GREEN), (1.2, RED)):
    gradient, sizes = rng.normal(size=32), []
    for _step in range(60):
        sizes.append(np.linalg.norm(gradient))
        gradient = gradient @ (stretch * rotation).T
    after[stretch] = sizes[-1] / sizes[0]
    plt.semilogy(np.array(sizes) / sizes[0], color=colour, label=f"stretch {stretch}")
plt.xlabel("steps back in time")
plt.ylabel("size of the gradient (now = 1)")
plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# A plain recurrent network forgets within some ten steps. The remedies are *gates*. A gated recurrent unit (GRU, Cho and
# colleagues, 2014) computes a gate $z_t$ between 0 and 1 for each number of the state, and mixes old and new:
#
# $$h_t = (1 - z_t) \odot \tilde h_t + z_t \odot h_{t-1}.$$
#
# Where $z_t = 1$, the state passes unchanged, and so does its gradient. The LSTM (Hochreiter and Schmidhuber, 1997)
# does the same with three gates. A *bidirectional* network has a second one that reads from right to left, so that
# each column knows both of its sides.
#
# ## From columns to a string
#
# Let the network give, at each of $T$ steps, probabilities for ten digits and for an eleventh symbol, the *blank*, written `-`,
# which means "nothing new here". A *path* is one symbol for each step. It spells a string by two rules:
#
# 1. merge repeats: `11-22` becomes `1-2`;
# 2. drop blanks: `1-2` becomes `12`.


# %%
def spell(path):
    """'11--2' -> '12'."""
    merged = [symbol for i, symbol in enumerate(path) if i == 0 or symbol != path[i - 1]]
    return "".join(symbol for symbol in merged if symbol != "-")


for path in ("11--2", "1-1-2", "1112-", "-----"):
    print(path, "->", repr(spell(path)))

# %% [markdown]
# The blank between two equal digits keeps them apart: `1-1` is 11, `111` is 1.
#
# Many paths spell the same string. Its probability is the **sum over all of them**, and the *CTC loss* (connectionist
# temporal classification; Graves and colleagues, 2006) is minus the logarithm of that sum. With $T = 4$ steps and the
# symbols 1, 2 and blank, we can still list all $3^4$ paths:

# %%
import itertools

logits = np.random.default_rng(2).normal(0, 1.5, (4, 3))  # [T, symbols], the blank last
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
totals = {}
for path in itertools.product(range(3), repeat=4):
    string = spell("".join("12-"[k] for k in path))
    totals[string] = totals.get(string, 0) + np.prod([p[t, k] for t, k in enumerate(path)])
paths_of_12 = sum(spell("".join("12-"[k] for k in path)) == "12" for path in itertools.product(range(3), repeat=4))
print(f"{3**4} paths spell {len(totals)} strings, together {sum(totals.values()):.6f}")
print(f"'12' has {paths_of_12} paths and the probability {totals['12']:.4f}")
package = float(ctc.loss(jnp.asarray(logits[None], jnp.float32), jnp.array([[0, 1]]))[0])
print(f"-ln of it: {-np.log(totals['12']):.4f}; ctc.loss of the package: {package:.4f}")

# %% [markdown]
# ## Without listing
#
# For 30 steps and 11 symbols there would be $11^{30}$ paths. But they share their beginnings, so the sum can be built
# up from left to right. Write the string with blanks around and between: `-1-2-`. Let $\alpha_t(s)$ be the
# probability of all beginnings of length $t$ that stand at place $s$ of this row. A path may stay, go one place on, or
# skip a blank between *different* digits:
#
# $$\alpha_t(s) = p_t(\text{symbol at } s)\cdot\big[\alpha_{t-1}(s) + \alpha_{t-1}(s-1) + \alpha_{t-1}(s-2)\big],$$
#
# with the last term only where the skip is allowed. A path begins at the first blank or at the first digit, so
# $\alpha_1$ is $p_1$ at these two places and 0 elsewhere. The work grows with $T$ times the length of the string, not
# exponentially.


# %%
def forward(p, string, blank):
    """Returns alpha [T, 2 L + 1] of a string of symbols."""
    row = [blank]
    for symbol in string:
        row += [symbol, blank]
    alpha = np.zeros((len(p), len(row)))
    alpha[0, :2] = p[0, row[:2]]
    for t in range(1, len(p)):
        for s, symbol in enumerate(row):
            before = alpha[t - 1, max(0, s - 1) : s + 1].sum()
            if s >= 2 and symbol != blank and symbol != row[s - 2]:
                before += alpha[t - 1, s - 2]
            alpha[t, s] = p[t, symbol] * before
    return alpha


# %% alt="Table of the forward probabilities for the string 12: steps from left to right, the places - 1 - 2 - from top to bottom."
alpha = forward(p, [0, 1], blank=2)
total = alpha[-1, -2:].sum()
plt.figure(figsize=(5.5, 3))
plt.imshow(alpha.T, cmap="Blues", aspect="auto", vmin=0, vmax=1)
for (t, s), value in np.ndenumerate(alpha):
    plt.text(t, s, f"{value:.3f}", ha="center", va="center", color="white" if value > 0.5 else "black", fontsize=9)
plt.xticks(range(4), [f"step {t + 1}" for t in range(4)])
plt.yticks(range(5), ["-", "1", "-", "2", "-"])
plt.grid(False)
plt.show()
print(f"sum of the last two places: {total:.4f}")

# %% [markdown]
# A path may end at the last digit or at the blank after it, so the probability is the sum of the two: {{total:.4f}},
# the same as by listing.
#
# ## Reading lines
#
# Now all together, in a small version of the package's `crnn`: convolutions (chapter 8) describe the picture column by
# column, a bidirectional GRU reads the columns, CTC is the loss. The strings have one to three digits and are 32 x 64
# pixels; every four columns make a step, so $T = 16$.

# %%
run = hwr_jax.train(
    "crnn:smoke",
    "runs/course-crnn",
    overrides={
        "data.strings.glyphs": "digits", "data.validation_examples": 200, "data.strings.train": 1500,
        "augment.shift_px": 0.0, "augment.rotate_deg": 0.0, "augment.scale": 0.0, "augment.shear_deg": 0.0,
        "batch_size": 32, "epochs": 6, "eval.beam": 1, "checkpoint.every_epochs": 6,
    },
    quiet=True,
)  # fmt: skip
test = run.summary["test"]
exact, cer = test["accuracy"]["mean"], test["cer"]["mean"]
print(f"{run.summary['parameters']:,} parameters; whole strings right: {exact:.1%}, character error rate: {cer:.1%}")

# %% [markdown]
# Of 200 test strings, {{100 * exact:.1f}} % are read without any mistake; {{100 * cer:.1f}} % of the characters are
# wrong (chapter 11 says how they are counted). Nobody told the network where a digit is. It found that out from pairs of
# a picture and a string.
#
# What does it say at each step?

# %% alt="Three lines of digits, and below each a heat map: probability of each digit and of the blank over the columns. Digits are short spikes, blanks fill the rest."
from hwr_jax.data import configured
from hwr_jax.workdir import run_folder

strings = configured.load(run_folder.read_config(run.folder), None, lambda line: None).test
lengths = (np.asarray(strings.label) >= 0).sum(axis=1)
three = np.flatnonzero(lengths == 3)[:3]
some = type(strings)(np.asarray(strings.image)[three], np.asarray(strings.label)[three])
prob = run.predictor.outputs(some)[0].prob  # [3, T, 11], the blank last
figure, panels = plt.subplots(2, 3, figsize=(7.5, 4), height_ratios=(1, 2.4))
for i in range(3):
    panels[0, i].imshow(some.image[i, :, :, 0], aspect="auto")
    panels[0, i].set_title("label " + metrics.text(some.label[i], tuple("0123456789")))
    panels[0, i].axis("off")
    panels[1, i].imshow(prob[i].T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    panels[1, i].set(xlabel="step", yticks=range(11), yticklabels=[*"0123456789", "-"] if i == 0 else [])
    panels[1, i].grid(False)
panels[1, 0].set_ylabel("symbol")
plt.show()

# %% [markdown]
# The answers are spikes: a digit for a step or two, blanks between. The simplest way to read them is the *best path*:
# take the most probable symbol of each step, and spell.

# %%
best = np.asarray(ctc.best_path(jnp.log(jnp.asarray(prob) + 1e-9)))
for i in range(3):
    symbols = "".join([*"0123456789", "-"][k] for k in prob[i].argmax(axis=1))
    print(f"{symbols} -> {spell(symbols)}")

# %% tags=["check"]
assert after[0.8] < 1e-5
assert abs(after[1.0] - 1) < 1e-9
assert after[1.2] > 1e4
assert abs(sum(totals.values()) - 1) < 1e-9
assert abs(total - totals["12"]) < 1e-12
assert abs(package + np.log(total)) < 1e-4
assert prob.shape == (3, 16, 11)
assert exact > 0.7
assert cer < 0.2
for i in range(3):
    symbols = "".join([*"0123456789", "-"][k] for k in prob[i].argmax(axis=1))
    assert spell(symbols) == "".join(str(k) for k in best[i] if k >= 0)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many steps?
#
# How many steps does CTC need at least to spell 12, 11 and 1122? Give the general rule, and check it by listing paths.

# %% tags=["solution"]
for string in ("12", "11", "1122"):
    least = next(T for T in range(1, 9) if any(spell(path) == string for path in itertools.product("12-", repeat=T)))
    repeats = sum(a == b for a, b in itertools.pairwise(string))
    print(f"{string}: {least} steps = {len(string)} characters + {repeats} repeats")
    assert least == len(string) + repeats

# %% [markdown]
# ### Exercise 2: the best path is not always the best string
#
# Two steps, symbols 1 and blank; at each step the blank has the probability 0.6. What does the best path spell? Which
# string is the most probable? Check with `ctc.beam_search`, which adds up the paths of a string.

# %% tags=["solution"]
two = np.log(np.array([[[0.4, 0.6], [0.4, 0.6]]], np.float32))  # [1, T, symbols], the blank last
greedy = np.asarray(ctc.best_path(jnp.asarray(two)))[0]
found, score = ctc.beam_search(jnp.asarray(two), 4)
print("best path:", "".join("1" for k in greedy if k == 0) or "nothing", f"with probability {0.6 * 0.6:.2f}")
print(
    "beam:",
    "".join("1" for k in np.asarray(found)[0, 0] if k == 0),
    f"with probability {np.exp(float(score[0, 0])):.2f}",
)
assert (greedy < 0).all()
assert abs(np.exp(float(score[0, 0])) - 0.64) < 1e-5

# %% [markdown] tags=["solution"]
# The best single path is blank, blank, with 0.36. But three paths spell 1 (`1-`, `-1`, `11`), together
# $0.24 + 0.24 + 0.16 = 0.64$. Beam search keeps several prefixes and adds up their paths.

# %% [markdown]
# ### Exercise 3: a gate that keeps
#
# In a GRU, let $\tilde h_t$ not depend on $h_{t-1}$, and $z$ be the same at all steps. How much of $h_0$ is left in
# $h_{100}$ for $z = 0.9$, $0.99$ and $0.999$? Which $z$ keeps half of it?

# %% tags=["solution"]
for z in (0.9, 0.99, 0.999):
    print(f"z = {z}: {z**100:.3g}")
half = 0.5 ** (1 / 100)
print(f"half: z = {half:.4f}")
assert abs(half**100 - 0.5) < 1e-9

# %% [markdown] tags=["solution"]
# $h_{100}$ contains $z^{100} h_0$. A gate can be as close to 1 as the network wants, and for a thousand steps if need
# be; a plain recurrent network would have to keep the stretch of $U$ at exactly 1 throughout training, and $\tanh$
# still shrinks.
