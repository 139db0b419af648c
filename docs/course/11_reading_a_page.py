# %% [markdown]
# # 11. Reading a page
#
# A recogniser of single digits is not yet a reader. Between a photograph and its first digit lie the questions: where
# is the paper, what is ink, which marks are characters, and in which order are they read? Each step can fail, and its
# failure looks like a mistake of the network. This chapter opens up `hwr_jax.scan` and looks at every step.
#
# The pages are made by the package's page composer from scikit-learn's `digits` (test images). The reader is the model
# that comes with the package, which was trained on MNIST and on drawn digits. It has never seen a digit of these
# writers.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, ORANGE

# %%
import hwr_jax
from hwr_jax.data import pages

digits = hwr_jax.data.load("digits", log=lambda line: None)
model = hwr_jax.load()


def page(seed, lengths=(7, 7, 7), **how):
    """Composes a page of digits: `grey` [h, w] with 0 = black and 255 = white, `lines`, `boxes`."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(digits.test.label), sum(lengths), replace=False)
    return pages.compose(rng, digits.test.image[chosen, :, :, 0], digits.test.label[chosen], list(lengths), **how)


photo = page(12, paper="ruled", shadow=0.5, tilt_deg=4.0, desk=True, noise=4.0)
print("a photograph of", photo.grey.shape, "pixels; written on it:", photo.lines)

# %% alt="A photograph of ruled paper with three lines of digits on a dark desk, slightly turned, half of it in shadow."
plt.figure(figsize=(6, 4))
plt.imshow(photo.grey, cmap="gray", vmin=0, vmax=255)
plt.axis("off")
plt.show()

# %% [markdown]
# ## First try: one threshold
#
# Ink is dark, so call everything darker than 128 ink?

# %% alt="The photograph with a single threshold: the desk turns black, and so do the printed lines in the shaded corner."
plt.figure(figsize=(6, 4))
plt.imshow(photo.grey < 128)
plt.axis("off")
plt.show()
print(f"called ink: {np.mean(photo.grey < 128):.0%} of the pixels")

# %% [markdown]
# {{100 * np.mean(photo.grey < 128):.0f}} % of the picture would be ink: the desk, and what lies in shadow. A fixed
# threshold cannot work, because *dark* is relative. The reader of the package goes other ways:
#
# 1. **Sheet.** Find the four corners of the paper, and undo the perspective. Four pairs of points fix a *homography*, a
#    3 x 3 matrix that maps pixels of the sheet to pixels of the picture.
# 2. **Contrast.** Estimate the paper's brightness around each pixel, as if no ink were there, and see by which share the
#    pixel is darker. Shadow is slow, ink is fast, so this removes the shadow.
# 3. **Ink.** Remove printed lines, and measure the contrast in units of the ink around.
# 4. **Marks.** Connected areas of ink.
# 5. **Characters.** Join marks that belong together, drop what is far too small or large, take apart what touches.
# 6. **Digits.** Bring each to 28 x 28 pixels exactly as in training (chapter 1), and ask the network.
#
# `stages.draw` shows the picture after each step:

# %%
from hwr_jax.inference import scan, stages

steps = scan.steps(model, photo.grey)
drawn = stages.draw(steps, model.classes)
print("steps:", list(drawn))

# %% alt="Four pictures: the straightened sheet, its contrast without the shadow, the ink without ruled lines, and the marks, each in a colour of its own."
figure, panels = plt.subplots(2, 2, figsize=(7.5, 5))
for panel, name in zip(panels.flat, ("1-sheet", "2-contrast", "3-ink", "4-marks"), strict=True):
    panel.imshow(drawn[name], cmap="gray", vmin=0, vmax=255)
    panel.set_title(name)
    panel.axis("off")
plt.show()

# %% alt="The sheet with a green box around each digit and its label above it."
plt.figure(figsize=(7.5, 4.4))
plt.imshow(drawn["5-characters"])
plt.axis("off")
plt.show()

# %% alt="The digits as the network sees them, 28 by 28 pixels each, with what each is read as and how surely."
plt.figure(figsize=(7.5, 2.6))
plt.imshow(drawn["6-digits"], cmap="gray")
plt.axis("off")
plt.show()

# %% [markdown]
# ## Lines and order
#
# The packaged model has an eleventh answer, `none`, for what is no digit. A mark whose most probable answer is `none`
# is left out, unless it stands among sure digits and is as high as they are:
# then it is more probably a badly written digit, and stays with its best digit and a low confidence.
#
# Characters whose vertical ranges overlap form a line; lines are read from top to bottom, each from left to right. All
# of it in one call:

# %%
read = hwr_jax.scan(photo.grey)
for line, truth in zip(read.lines, photo.lines, strict=False):
    print(f"read {line.text:8s} written {truth:8s} confidence {line.confidence:.3f}")
print("left out:", read.skipped or "nothing", "| notes:", read.notes)

# %% [markdown]
# ## Measuring a reader
#
# A line can have characters too many, too few or wrong. The *edit distance* counts the fewest insertions, deletions and
# replacements that turn what was read into what is written (Levenshtein, 1966). It is computed with a table: let
# $D_{ij}$ be the distance between the first $i$ characters of one string and the first $j$ of the other. Then
#
# $$D_{ij} = \min\big(D_{i-1,j} + 1,\ \ D_{i,j-1} + 1,\ \ D_{i-1,j-1} + [a_i \neq b_j]\big).$$
#
# Divided by the number of characters written, it is the *character error rate* (CER).


# %%
def edit_distance(a, b):
    """The fewest insertions, deletions and replacements from string a to string b."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            replaced = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, replaced)
    return table[-1, -1]


def error_rate(seeds, **how):
    """The character error rate over pages; a line break counts as a character."""
    edits = characters = 0
    for seed in seeds:
        made = page(seed, **how)
        edits += edit_distance(hwr_jax.scan(made.grey).text, "\n".join(made.lines))
        characters += len("\n".join(made.lines))
    return edits / characters


print("kitten -> sitting:", edit_distance("kitten", "sitting"))
easy = error_rate(range(10))
hard = error_rate(range(10), paper="ruled", shadow=0.5, tilt_deg=4.0, desk=True, noise=4.0)
print(f"CER on 10 plain pages: {easy:.1%}; on 10 photographs with shadow, lines and desk: {hard:.1%}")

# %% [markdown]
# On ten plain pages the error rate is {{100 * easy:.1f}} %, on ten photographs like the one above
# {{100 * hard:.1f}} % (210 digits each).
#
# ## Where it breaks
#
# A single number hides the conditions. Vary one at a time and find the edge. How small may digits be? How blurred?

# %% alt="Two curves of the character error rate: it rises for digits smaller than about 12 pixels, and for strong blur."
sizes, blurs = (6, 8, 12, 16, 24, 32), (0.6, 2, 3, 4, 6)
by_size = [error_rate(range(4), digit_px=size) for size in sizes]
by_blur = [error_rate(range(4), blur_px=blur) for blur in blurs]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.9), sharey=True)
left.plot(sizes, 100 * np.array(by_size), "o-", color=BLUE)
left.set(xlabel="height of a digit (pixels)", ylabel="character error rate (%)")
right.plot(blurs, 100 * np.array(by_blur), "o-", color=ORANGE)
right.set(xlabel="blur (pixels), digits 32 pixels high")
plt.show()
print("by size:", {size: f"{rate:.1%}" for size, rate in zip(sizes, by_size, strict=True)})

# %% [markdown]
# At 32 pixels the error rate is {{100 * by_size[-1]:.1f}} % (four pages), at 16 pixels {{100 * by_size[3]:.1f}} %, at 6
# pixels {{100 * by_size[0]:.0f}} %. Such a curve tells a user more than an average: *photograph the form so that digits
# are at least 16 pixels high.*
#
# ## Doubt
#
# Each digit has a confidence. `rejecting` replaces the doubtful ones by a question mark, for a person to fill in:

# %%
worst = page(0, blur_px=3.0)
doubtful = hwr_jax.scan(worst.grey)
print("written: ", worst.lines)
print("read:    ", doubtful.text.split("\n"))
print("rejected:", doubtful.rejecting(0.9).text.split("\n"))

# %% tags=["check"]
from hwr_jax.tasks import metrics

assert np.mean(photo.grey < 128) > 0.25
assert steps.ink is not None
assert steps.ink.sheet is not None
assert read.text.split("\n") == photo.lines
assert edit_distance("kitten", "sitting") == 3
a, b = np.array([[1, 2, 3, -1]]), np.array([[1, 3, 3, 4]])
assert metrics.edit_distance(a, b)[0] == edit_distance("123", "1334")
assert easy < 0.1
assert hard < 0.15
assert by_size[-1] < 0.1
assert by_size[3] < by_size[-1] + 0.04  # 16 pixels
assert by_size[0] > 0.2
assert by_blur[-1] > by_blur[0]

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: a whole line
#
# Every digit of a line is right with probability 0.99, independently. How often is a line of 7 digits right? Of 16?
# Compare with the confidence that `scan` gives a line.

# %% tags=["solution"]
print(f"7 digits: {0.99**7:.1%}, 16 digits: {0.99**16:.1%}")
first = read.lines[0]
product = np.prod([digit.confidence for digit in read.digits if digit.line == 0])
print(f"scan's confidence of a line: {first.confidence:.4f}, product of its digits: {product:.4f}")
assert abs(first.confidence - product) < 1e-3

# %% [markdown] tags=["solution"]
# A reader that is 99 % right per digit gets more than one in eight card numbers wrong. Whoever reads numbers needs far
# better digits than 99 %, or a checksum, or a person.

# %% [markdown]
# ### Exercise 2: Otsu's threshold
#
# Otsu (1979) chooses the threshold at which the two sides differ most: it maximises $w_0 w_1 (\mu_0 - \mu_1)^2$, with
# the shares $w$ and the means $\mu$ of the grey values below and above. Write it. Does it work on a plain page? On the
# photograph?

# %% alt="Otsu's threshold on a plain page finds the digits; on the photograph it finds the desk and the shadow." tags=["solution"]


def otsu(grey):
    """The threshold of grey values uint8 that separates them best."""
    count = np.bincount(grey.ravel(), minlength=256).astype(float)
    value, below = np.arange(256), np.cumsum(count)
    total, sums = below[-1], np.cumsum(count * np.arange(256))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * (total - below) * (sums / below - (sums[-1] - sums) / (total - below)) ** 2
    return value[np.nanargmax(between)]


plain = page(3)
figure, panels = plt.subplots(1, 2, figsize=(7.5, 2.8))
for panel, grey in zip(panels, (plain.grey, photo.grey), strict=True):
    panel.imshow(grey <= otsu(grey))
    panel.set_title(f"threshold {otsu(grey)}: {np.mean(grey <= otsu(grey)):.0%} ink")
    panel.axis("off")
plt.show()
assert np.mean(plain.grey <= otsu(plain.grey)) < 0.15
assert np.mean(photo.grey <= otsu(photo.grey)) > 0.15

# %% [markdown] tags=["solution"]
# On evenly lit paper there are two kinds of pixels, and Otsu separates them. In the photograph the largest difference
# is not ink against paper but desk against sheet. The method is right for its question; the question was wrong.

# %% [markdown]
# ### Exercise 3: which paper?
#
# Measure the error rate on plain, ruled and grid paper (`paper=...`), three pages each, everything else as on a plain
# page. Do lines disturb? Can three pages tell?

# %% tags=["solution"]
by_paper = {paper: error_rate(range(3), paper=paper) for paper in pages.PAPERS}
print({paper: f"{rate:.1%}" for paper, rate in by_paper.items()})
assert by_paper["plain"] < 0.1

# %% [markdown] tags=["solution"]
# The rates differ by a character or two: three pages cannot show a difference, and you would need many more (chapter
# 10). How lines can disturb: they cross the digits. Step 3 removes long straight runs of pale ink; where a line and a
# stroke coincide (the bar of a 7 on a ruled line), a part of the stroke may go with it.
