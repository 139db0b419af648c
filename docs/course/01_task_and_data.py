# %% [markdown]
# # 1. The task and the data
#
# A person writes a number on a form. A camera turns the form into a table of grey values. A program turns the table
# back into the number. The last step is *handwriting recognition*, and this course builds it from the first pixel to
# the last page.
#
# **Where it is used.** Three classic customers shaped the field:
#
# - **Post.** A sorting machine reads the postcode of a letter as the letter passes. An error costs a detour.
# - **Cheques.** A bank reads the amount. An error costs money, so the machine must know when it is unsure.
#   LeCun and colleagues (1998) describe a system that read several million cheques a day.
# - **Forms.** Tax returns, census sheets, exams, meter readings, laboratory notes: boxes for digits, filled in by hand.
#
# The problem comes in two kinds. *Online* recognition sees the pen move, as on a tablet. *Offline* recognition sees
# only the finished ink, as in a photograph. This course is about the second, and about digits: ten symbols suffice to
# meet every idea that also reads words.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, RED, show

# %% [markdown]
# ## A picture is a table of numbers
#
# The package loads a data set with one call. We use **scikit-learn's handwritten digits**, called `digits`: 1,797
# images of real handwriting that come with a library, so that the course runs without a download. They are few, and
# the numbers in this course are for these images. The larger, more famous set is MNIST (70,000 images); write
# `hwr_jax.data.load("mnist")` instead, and nearly every cell runs unchanged, only longer. (The checks are for these
# images, and exercise 2 would need more than 4 GB.)

# %%
import hwr_jax

digits = hwr_jax.data.load("digits", log=lambda line: None)
print("images:", digits.train.image.shape, digits.train.image.dtype)
print("labels:", digits.train.label.shape, "classes:", digits.classes)

# %% [markdown]
# The shape reads `[N, H, W, 1]`: `N` images, `H` rows, `W` columns, one channel (grey, not colour). Every pixel is a
# whole number from 0 to 255. Here **0 is paper and 255 is full ink**. Many programs store it the other way round;
# mixing up the two is the most common mistake in this field.

# %% alt="Left: a handwritten digit of 28 by 28 pixels, with a square marked. Right: the grey values in that square."
image = digits.train.image[0, :, :, 0]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4))
left.imshow(image)
left.add_patch(plt.Rectangle((9.5, 3.5), 8, 8, fill=False, edgecolor=RED, linewidth=2))
left.set(title=f"label {digits.train.label[0]}: 28 x 28 pixels", xlabel="column", ylabel="row")
part = image[4:12, 10:18]
right.imshow(part, vmin=0, vmax=255)
for (row, column), value in np.ndenumerate(part):
    right.text(column, row, value, ha="center", va="center", fontsize=8, color="white" if value > 128 else "black")
right.set(title="the marked pixels as numbers", xticks=[], yticks=[])
for panel in (left, right):
    panel.grid(False)
plt.show()

# %% [markdown]
# To a program, the two pictures are the same thing. A recogniser is a function from such a table to a label:
#
# $$f:\ \{0,\dots,255\}^{28\times 28} \rightarrow \{0,1,\dots,9\}.$$
#
# Nobody can write $f$ down by hand. We will let data choose it. So the data come first.

# %% alt="Thirty handwritten digits with their labels above them: some are slanted, some have gaps."
show(digits.train.image[:30, :, :, 0], [str(label) for label in digits.train.label[:30]])

# %% [markdown]
# ## Collection
#
# These digits were collected by E. Alpaydin and C. Kaynak (1998). People filled in a preprinted form; the form was
# scanned, and each digit was reduced to 8 x 8 numbers from 0 to 16. The package enlarges these to 28 x 28 pixels and
# sharpens them, so that they look like MNIST's. scikit-learn's 1,797 digits come from 13 people. That sentence has
# three consequences which no algorithm can repair later:
#
# 1. **Who is in the data decides whom the model can read.** Thirteen people are not all people. Somebody who writes a
#    seven with a bar may be missing.
# 2. **How the ink was recorded decides which pictures the model can read.** Nobody photographed these forms with a
#    telephone in a dim kitchen.
# 3. **Examples of one writer resemble each other.** If the same hand appears in training and in the test, the test is
#    easier than reality. These data do not say who wrote what, so we cannot separate the writers. Remember this
#    whenever the course reports an accuracy: it is for *these hands*.
#
# ## Annotation
#
# A *label* is what a person says an image shows. A preprinted form makes that cheap, because it says beforehand which
# digit goes where. Otherwise, people look at images and type. They make mistakes and disagree about ambiguous ink; a
# good project lets two people label a part of the data and reports how often they agree.
#
# Counting the labels is the first check. A class with few examples is learnt badly and barely counts in an average.

# %% alt="Bar chart: training images of each digit, nearly as many of each."
counts = np.bincount(digits.train.label, minlength=10)
plt.figure(figsize=(7.5, 2.4))
plt.bar(range(10), counts, color=BLUE)
plt.xticks(range(10))
plt.xlabel("label")
plt.ylabel("training images")
plt.show()
print("fewest:", counts.min(), "most:", counts.max(), "together:", counts.sum())

# %% [markdown]
# The classes are balanced: each has between {{counts.min()}} and {{counts.max()}} of the {{counts.sum():,}} training
# images.
#
# ## Preparation
#
# A photograph is not a 28 x 28 table. Between the two lie steps that look dull and decide much: find the ink, cut it
# out, scale it so that the longer side has 20 pixels, and put its centre of mass in the middle. These are MNIST's
# conventions (LeCun et al. 1998). The package has **one** function for this, `to_mnist`. The training digits here went
# through it, and so does every picture that is read (`digit_from_picture` for a file, `digit_from_grey` for grey
# values), after its ink has been found. A model that is trained on one preparation and used on another fails silently.
#
# To see it work, we need a photograph. The package's page composer writes digits on paper and photographs it, with a
# shadow, blur and noise:

# %% alt="Left: a grey photograph of a digit on paper, darker towards one side. Right: the digit of 28 by 28 pixels made of it."
from hwr_jax.data import pages
from hwr_jax.pictures.normalise import digit_from_grey

three = np.flatnonzero(digits.train.label == 3)[:1]
photo = pages.compose(
    np.random.default_rng(1),
    digits.train.image[three, :, :, 0],
    digits.train.label[three],
    [1],
    digit_px=120,
    shadow=0.4,
    noise=6.0,
)
prepared = digit_from_grey(photo.grey)
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4))
left.imshow(photo.grey, cmap="gray", vmin=0, vmax=255)
left.set_title(f"photograph: {photo.grey.shape[0]} x {photo.grey.shape[1]} pixels, 0 is black")
right.imshow(prepared)
right.set_title(f"prepared: {prepared.shape[0]} x {prepared.shape[1]} pixels, 0 is paper")
for panel in (left, right):
    panel.axis("off")
plt.show()

# %% [markdown]
# Paper and shadow became exactly 0, the ink was turned round to high values, and the digit sits where every other
# digit sits.
#
# One step is left. Networks learn best from numbers around zero, so each pixel $x$ (on the scale 0 to 1) is
# *standardised* with the mean $\mu$ and the standard deviation $\sigma$ of all **training** pixels:
#
# $$x' = \frac{x - \mu}{\sigma}.$$


# %%
def standardise(image):
    """Images uint8 [N, 28, 28, 1] -> float [N, 784]: each image is one row."""
    return (image.reshape(len(image), -1) / 255 - digits.mean) / digits.std


x = standardise(digits.train.image)
print(f"mu = {digits.mean:.3f}, sigma = {digits.std:.3f}")
print(f"rows: {x.shape}, mean {x.mean():.3f}, standard deviation {x.std():.3f}")

# %% [markdown]
# The values $\mu$ and $\sigma$ belong to the model from now on. They are computed from the training images alone: a
# peek at the test images, however small, is a leak.
#
# ## Three heaps: training, validation, test
#
# A student who knows the exam questions beforehand proves nothing. So the images are dealt into three heaps:
#
# | heap | used for | how often |
# |---|---|---|
# | training | choosing the parameters of the model | every step |
# | validation | choosing between models and settings | often |
# | test | the number that we report | once, at the end |

# %%
for name in ("train", "validation", "test"):
    split = getattr(digits, name)
    print(f"{name:10s} {len(split.label):5d} images")

# %% [markdown]
# ## A first recogniser
#
# Before anything clever comes a *baseline*: the simplest method that does something. Average all training images of
# each digit. To read a new image, choose the digit whose average is nearest (smallest sum of squared differences).

# %% alt="The ten average images of the digits: blurred, but each can be recognised."
means = np.stack([x[digits.train.label == k].mean(axis=0) for k in range(10)])  # [10, 784]
show(means.reshape(10, 28, 28), [str(k) for k in range(10)])


# %%
def nearest_mean(rows):
    """Rows [N, 784] -> labels [N]."""
    distance = ((rows[:, None, :] - means[None]) ** 2).sum(axis=2)  # [N, 10]
    return distance.argmin(axis=1)


test_x, test_label = standardise(digits.test.image), digits.test.label
baseline = np.mean(nearest_mean(test_x) == test_label)
print(f"right: {baseline:.1%} of {len(test_label)} test images")

# %% [markdown]
# The baseline is right for {{100 * baseline:.1f}} % of the test images, where guessing would get about one in ten.
# No network was involved. Whatever we build next has to beat this number to be worth its trouble.
#
# We used the test heap just now, although we said *once*. The baseline had no setting to choose, so nothing could be
# tuned to the test. In the following chapters we choose on validation.

# %% tags=["check"]
assert len(digits.train.label) + len(digits.validation.label) + len(digits.test.label) == 1797
assert digits.train.image.shape[1:] == (28, 28, 1)
assert digits.train.image.min() == 0
assert digits.train.image.max() == 255
assert prepared.min() == 0
assert counts.min() > 0.9 * counts.max()  # "balanced"
assert abs(x.mean()) < 1e-3
assert abs(x.std() - 1) < 1e-3
assert 0.8 < baseline < 0.95

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: the lazy recogniser
#
# A recogniser ignores the image and always answers with the most frequent training label. How often is it right on
# the test images? What would its accuracy be if 95 of 100 letters went to the same town?

# %% tags=["solution"]
favourite = counts.argmax()
lazy = np.mean(test_label == favourite)
print(f"always {favourite}: {lazy:.1%}")
assert lazy < 0.15

# %% [markdown] tags=["solution"]
# About one in ten, as the classes are balanced. With 95 of 100 letters to one town, the lazy recogniser is right for
# 95 % without looking. So an accuracy means little without the class frequencies; chapter 10 returns to this.

# %% [markdown]
# ### Exercise 2: the nearest neighbour
#
# Replace the ten averages by all training images: answer with the label of the *nearest training image*. How accurate
# is that? What does it cost in memory and time, compared with ten averages?

# %% tags=["solution"]
squares = (test_x**2).sum(1)[:, None] + (x**2).sum(1)[None] - 2 * test_x @ x.T  # [500, 1097]
neighbour = digits.train.label[squares.argmin(axis=1)]
print(f"nearest neighbour: {np.mean(neighbour == test_label):.1%}; comparisons per image: {len(x)} instead of 10")
assert np.mean(neighbour == test_label) > baseline + 0.03

# %% [markdown] tags=["solution"]
# Much better, because a class may have several shapes (two kinds of seven) that an average smears together. But the
# method keeps and searches every training image for each answer: about a hundred times the work here, and 6,000 times
# with MNIST. A network will be both better and cheaper.

# %% [markdown]
# ### Exercise 3: preparation matters
#
# Move each test image three pixels to the right (`np.roll(image, 3, axis=2)`), and measure the baseline again. Which
# step of the preparation protects us from this?

# %% tags=["solution"]
shifted = np.roll(digits.test.image, 3, axis=2)
moved = np.mean(nearest_mean(standardise(shifted)) == test_label)
print(f"centred: {baseline:.1%}, three pixels to the right: {moved:.1%}")
assert moved < baseline - 0.2

# %% [markdown] tags=["solution"]
# To a person nothing changed; the baseline collapses, because it compares pixel by pixel. Putting the centre of mass
# into the middle removes the problem before the recogniser sees the image. Chapter 8 builds a network that needs this
# help less.
