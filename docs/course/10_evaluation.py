# %% [markdown]
# # 10. Evaluation
#
# "98 % accuracy" is an answer to a question nobody asked precisely. On which images? Plus or minus what? Which
# mistakes? And does the model know when it is wrong? This chapter takes one small study apart, number by number.
#
# The data are scikit-learn's `digits`: 500 test images. To have some errors to study, we train a small dense network (the
# package's `mlp:smoke`, five epochs) with eight seeds.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREY

# %%
import hwr_jax
from hwr_jax.core import stats
from hwr_jax.tasks import metrics, selective

digits = hwr_jax.data.load("digits", log=lambda line: None)
settings = {"seeds": 8, "data.name": "digits", "data.validation_examples": 200, "batch_size": 32, "epochs": 5}
run = hwr_jax.train("mlp:smoke", "runs/course-eval", overrides=settings, quiet=True)
outputs = run.predictor.outputs(digits.test)  # one for each seed: loss, pred, prob, confidence
label, one = digits.test.label, outputs[0]
accuracies = [float(np.mean(o.pred == label)) for o in outputs]
print("accuracy of each seed:", [f"{a:.1%}" for a in accuracies])

# %% [markdown]
# ## Which mistakes
#
# The *confusion matrix* counts, for each label (row), what was read (column). Everything on the diagonal is right.

# %% alt="Confusion matrix of seed 0: large counts on the diagonal, a few mistakes beside it, coloured."
confusion = metrics.confusion_matrix(label, np.asarray(one.pred), 10)
mistakes = confusion * (1 - np.eye(10, dtype=int))
plt.figure(figsize=(4.6, 4.4))
plt.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(4, mistakes.max()))
for (row, column), count in np.ndenumerate(confusion):
    if count:
        dark = mistakes[row, column] > 0.6 * mistakes.max()
        plt.text(column, row, count, ha="center", va="center", fontsize=9, color="white" if dark else "black")
plt.xticks(range(10))
plt.yticks(range(10))
plt.xlabel("read as")
plt.ylabel("label")
plt.grid(False)
plt.show()

# %% [markdown]
# For one class, say 8, the counts give two different rates:
#
# - **precision**: of the images *read as* 8, which share is an 8? (down the column)
# - **recall**: of the images that *are* an 8, which share is read as 8? (along the row)
#
# With TP (true positives) for 8s read as 8, FP (false positives) for others read as 8, and FN (false negatives) for 8s
# read as something else:
#
# $$\text{precision} = \frac{TP}{TP + FP}, \qquad \text{recall} = \frac{TP}{TP + FN}, \qquad
#   F_1 = \frac{2\, TP}{2\, TP + FP + FN}.$$
#
# $F_1$ is their harmonic mean: it is high only if both are. Which of the two matters depends on the use. A bank cares
# for precision (an amount that is read must be right); an archive search cares for recall (nothing may be missed).

# %%
scores = metrics.per_class(confusion)
tp = confusion[8, 8]
fp, fn = confusion[:, 8].sum() - tp, confusion[8].sum() - tp
print(f"8: TP {tp}, FP {fp}, FN {fn}; precision {tp / (tp + fp):.3f}, recall {tp / (tp + fn):.3f}")
print("class     ", *[f"{k:6d}" for k in range(10)])
for name in ("precision", "recall", "f1"):
    print(f"{name:10s}", *[f"{value:6.3f}" for value in scores[name]])
print(f"macro F1 (mean over the classes): {scores['f1'].mean():.3f}")

# %% [markdown]
# ## Plus or minus what: the test images
#
# With $N$ test images and the true accuracy $p$, the number of right answers is like that of $N$ tosses of a biased
# coin. The accuracy that we see has the standard error
#
# $$\sqrt{\frac{p\,(1 - p)}{N}}.$$
#
# Near 100 % the plain "$\pm 2$ standard errors" can leave the range. Wilson's interval (1927) does not:

# %%
from scipy.stats import binomtest

right = int(np.sum(one.pred == label))
low, high = binomtest(right, len(label)).proportion_ci(0.95, method="wilson")
error = np.sqrt(accuracies[0] * (1 - accuracies[0]) / len(label))
print(f"seed 0: {accuracies[0]:.1%}, standard error {100 * error:.2f} points, 95 % interval {low:.1%} to {high:.1%}")

# %% [markdown]
# So from 500 images alone, an accuracy of {{100 * accuracies[0]:.1f}} % could be anything from {{100 * low:.1f}} % to
# {{100 * high:.1f}} % on other images of the same kind.
#
# ## Plus or minus what: the training
#
# The second source of chance is the training itself. Other random first weights, another order of the images, another
# result. With $S$ seeds, the mean has the 95 % interval of Student's $t$:
#
# $$\bar a \pm t_{0.975,\,S-1} \frac{s}{\sqrt{S}},$$
#
# where $s$ is the standard deviation over the seeds. The factor $t$ is 2.36 for eight seeds and 12.7 for two: two
# seeds say almost nothing.

# %%
summary = stats.summarise(accuracies, within=(0, 1))
low_s, high_s = summary["ci95"]
print(f"mean of {len(accuracies)} seeds: {summary['mean']:.2%}, s = {100 * summary['std']:.2f} points, "
      f"95 % interval {low_s:.2%} to {high_s:.2%}")  # fmt: skip

# %% [markdown]
# ## Is B better than A?
#
# Train both with the *same* seeds and look at the differences, seed by seed. Much of the chance is common to both and
# cancels. If there were no effect, each difference would be as likely as its negative; so flip the signs in all $2^S$
# ways, and count how often the sum is at least as extreme as the real one. That share is the *p value* of the
# sign-flip test (Fisher, 1935). Here B is trained for eight epochs instead of five:

# %% alt="Accuracies of eight seeds, trained for five and for eight epochs, joined by a line for each seed."
longer = hwr_jax.train("mlp:smoke", "runs/course-eval8", overrides=settings | {"epochs": 8}, quiet=True)
b = np.array(longer.summary["test"]["accuracy"]["per_seed"])
difference = b - np.array(accuracies)
p = float(stats.sign_flip_p(difference))
plt.figure(figsize=(4.5, 3))
for first, second in zip(accuracies, b, strict=True):
    plt.plot([0, 1], [100 * first, 100 * second], "o-", color=BLUE, alpha=0.7)
plt.xticks([0, 1], ["A: 5 epochs", "B: 8 epochs"])
plt.xlim(-0.3, 1.3)
plt.ylabel("test accuracy (%)")
plt.show()
print(f"B - A: {100 * difference.mean():+.2f} points, p = {p:.3f}")

# %% [markdown]
# The difference is {{100 * difference.mean():+.2f}} points with $p = {{p:.3f}}$. With eight seeds the smallest possible
# $p$ is $2/2^8 = {{2 / 2**8:.4f}}$; with four it would be $0.125$, and no result could ever be "significant at 5 %".
# Count your seeds before you start. (We compared on the test images, as an illustration. To *choose* between A and B,
# use validation.)
#
# ## Does it know when it is wrong?
#
# The largest probability of an answer is its *confidence*. A model is *calibrated* if of the answers with 90 %
# confidence, 90 % are right. Sort the answers into bins by confidence and compare. The mean gap, weighted by the
# number of answers in the bin, is the *expected calibration error* (ECE):
#
# $$\text{ECE} = \sum_{\text{bins}} \frac{n_\text{bin}}{N}\, \big|\text{accuracy}_\text{bin} - \text{confidence}_\text{bin}\big|.$$

# %% alt="Reliability diagram: share of right answers over confidence for all eight seeds together, with the diagonal."
confidence = np.concatenate([np.asarray(o.confidence) for o in outputs])  # [8 * 500]
correct = np.concatenate([np.asarray(o.pred) == label for o in outputs])
edges = np.array([0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
place = np.digitize(confidence, edges[1:-1])
plt.figure(figsize=(4.8, 3.4))
plt.plot([0.3, 1], [0.3, 1], color=GREY, linestyle=":", label="calibrated")
for i in range(len(edges) - 1):
    inside = place == i
    if inside.sum() >= 10:
        share = correct[inside].mean()
        bar = 1.96 * np.sqrt(max(share * (1 - share), 1e-4) / inside.sum())
        plt.errorbar(confidence[inside].mean(), share, bar, fmt="o", color=BLUE, capsize=3)
plt.xlabel("mean confidence of the bin")
plt.ylabel("share of right answers")
plt.legend()
plt.show()
ece = metrics.expected_calibration_error(confidence, correct)
print(f"ECE: {ece:.3f}; mean confidence {confidence.mean():.3f}, accuracy {correct.mean():.3f}")

# %% [markdown]
# Points below the diagonal are overconfident, points above it too modest. One number, the temperature of chapter 3
# (exercise 2), chosen on validation images, often removes most of the gap.
#
# ## Saying "I do not know"
#
# With a useful confidence, a reader may *reject*: hand the doubtful images to a person. Accept only answers above a
# threshold; the share that is accepted is the *coverage*, the error rate among them the *risk*:

# %% alt="Risk over coverage: the error rate of the accepted answers falls to zero as more of the doubtful ones are rejected."
order = np.argsort(-confidence, kind="stable")
risk = np.cumsum(~correct[order]) / np.arange(1, len(order) + 1)
plt.figure(figsize=(6, 2.8))
plt.plot(100 * np.arange(1, len(order) + 1) / len(order), 100 * risk, color=BLUE)
plt.xlabel("coverage: accepted answers (%)")
plt.ylabel("risk: wrong among them (%)")
plt.show()
rejected, threshold = selective.rejected_at(confidence, correct, 0.99)
print(f"for 99 % right: reject {rejected:.1%}, accept from confidence {threshold:.3f}")

# %% [markdown]
# To have 99 % of the accepted answers right, {{100 * rejected:.1f}} % of the images go to a person. (In use, choose the
# threshold on validation images; here both are the test images, so the number is a little too good.) This curve, not
# the accuracy, decides whether a bank can use the reader.

# %% tags=["check"]
assert len(label) == 500
assert confusion.sum() == 500
assert abs(scores["precision"][8] - tp / (tp + fp)) < 1e-12
assert abs(scores["f1"][8] - 2 * tp / (2 * tp + fp + fn)) < 1e-12
from scipy.stats import t as student

assert round(student.ppf(0.975, 7), 2) == 2.36
assert round(student.ppf(0.975, 1), 1) == 12.7
assert low < accuracies[0] < high
assert low_s < summary["mean"] < high_s
assert float(stats.sign_flip_p(np.ones(4))) == 0.125
assert difference.mean() > 0
assert 0 < rejected < 0.8
assert risk[len(risk) // 4] < risk[-1] / 2

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: by hand
#
# A reader looked at 100 images: 10 are a 7. It read 12 as 7, of which 9 are right. Compute precision, recall and $F_1$
# for 7. What accuracy would a reader have that never says 7 and is right otherwise?

# %% tags=["solution"]
tp7, fp7, fn7 = 9, 12 - 9, 10 - 9
print(f"precision {tp7 / 12:.2f}, recall {tp7 / 10:.2f}, F1 {2 * tp7 / (2 * tp7 + fp7 + fn7):.3f}; without 7: 90 %")
assert abs(2 * tp7 / (2 * tp7 + fp7 + fn7) - 9 / 11) < 1e-12

# %% [markdown] tags=["solution"]
# The reader without any 7 still has 90 % accuracy, but a recall of 0 for class 7. This is why rare classes need their
# own numbers.

# %% [markdown]
# ### Exercise 2: how many test images?
#
# You expect an accuracy near 99 %. How many test images are needed so that the 95 % interval is 0.2 points wide on
# each side? And how many does MNIST have?

# %% tags=["solution"]
needed = 1.96**2 * 0.99 * 0.01 / 0.002**2
print(f"{needed:,.0f}; with MNIST's 10,000: +- {100 * 1.96 * np.sqrt(0.99 * 0.01 / 10_000):.2f} points")
assert 9_000 < needed < 10_000

# %% [markdown] tags=["solution"]
# About as many as MNIST has. Whoever reports 99.43 % against 99.38 % on MNIST from one run each reports noise.

# %% [markdown]
# ### Exercise 3: the same images
#
# Two models that read the *same* test images can be compared image by image: count those that only one of them gets
# right, and use `stats.mcnemar_p`. Do it for seed 0 of A and of B. Why is that sharper than comparing two intervals?

# %% tags=["solution"]
first = np.asarray(one.pred) == label
second = np.asarray(longer.predictor.outputs(digits.test)[0].pred) == label
only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
print(f"only A right: {only_first}, only B right: {only_second}, p = {stats.mcnemar_p(only_first, only_second):.1g}")
assert 0 < stats.mcnemar_p(only_first, only_second) <= 1

# %% [markdown] tags=["solution"]
# Images that both read, or that neither reads, say nothing about the difference and drop out. What is left is a coin
# that should be fair if the models are equally good. The test still says nothing about training: another seed is
# another model. For that, use seeds, as above.
