# %% [markdown]
# # 8. Convolutions, and what filters see
#
# The networks so far treat an image as a bag of 784 numbers. Shuffle the pixels, the same way in all images, and they
# learn just as well: they do not know which pixels are neighbours. A *convolution* builds in two facts about pictures:
#
# 1. what belongs together lies together, so look at small windows;
# 2. a stroke is a stroke wherever it is, so use the same weights in every window.
#
# The data are scikit-learn's `digits` (1,097 training images).

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
from look import BLUE, GREY, show

# %%
import hwr_jax

digits = hwr_jax.data.load("digits", log=lambda line: None)
image = digits.train.image[3, :, :, 0] / 255  # [28, 28], 0 = paper, 1 = ink

# %% [markdown]
# ## Sliding a window
#
# Take a small table of weights, the *kernel* $K$, of shape $[k, k]$. Put it on the image at row $i$ and column $j$,
# multiply number by number, and add up. That is one number of the result; slide, and repeat:
#
# $$Y_{ij} = \sum_{a=0}^{k-1} \sum_{b=0}^{k-1} K_{ab}\, X_{i+a,\ j+b}.$$
#
# It is a neuron without bias that looks at $k \times k$ pixels and walks over the image. (Mathematicians call this a
# cross-correlation, and flip the kernel for a convolution. For weights that are learnt, it makes no difference.)
# Without a margin, the result
# has $H - k + 1$ rows and $W - k + 1$ columns.


# %%
def convolve(image, kernel):
    """[H, W], [k, k] -> [H - k + 1, W - k + 1]."""
    k = len(kernel)
    rows, columns = image.shape[0] - k + 1, image.shape[1] - k + 1
    result = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            result[i, j] = np.sum(kernel * image[i : i + k, j : j + k])
    return result


# %% [markdown]
# Four kernels that people designed long before networks learnt any (orange: positive, purple: negative):

# %% alt="A digit and four results of convolution: left edges, top edges, a blur and an outline."
left_edge = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]) / 3
kernels = {
    "left edges": left_edge,
    "upper edges": left_edge.T,
    "blur": np.ones((3, 3)) / 9,
    "outline": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]) / 8,
}
results = {name: convolve(image, kernel) for name, kernel in kernels.items()}
look = {"cmap": "PuOr_r", "vmin": -1, "vmax": 1}
show([image, *results.values()], [f"image {image.shape}", *[f"{name} {y.shape}" for name, y in results.items()]],
     columns=5, side=1.5, **look)  # fmt: skip

# %% [markdown]
# The kernel for left edges answers +1 where the picture goes from paper to ink, -1 where it goes back, and 0 where
# nothing changes. It does so **wherever** that happens.
#
# ## A layer of convolutions
#
# A convolutional layer has many kernels, and each sees all channels of its input. With $C$ channels in and $F$ kernels,
# the weights have the shape $[k, k, C, F]$, and the result $[H', W', F]$: $F$ *feature maps*. Two relatives complete
# the toolbox:
#
# - **Pooling** keeps the largest number of each 2 x 2 window. It halves height and width, and forgets exactly where in
#   the window the feature was: a little tolerance to shifts.
# - **Stride** $s$ moves the window $s$ pixels at a time. Then there are $\lfloor (H - k)/s \rfloor + 1$ rows.
#
# The package can turn convolution into one matrix product: it cuts out all windows as rows (`patches`), and multiplies
# them by the kernels as columns. It is our loop, only fast (a kernel in C++ is faster still):

# %%
from hwr_jax.models import convolution, layers

stacked = np.stack(list(kernels.values()), axis=-1)[:, :, None, :].astype(np.float32)  # [3, 3, 1, 4]
batch = image[None, :, :, None].astype(np.float32)  # [1, 28, 28, 1]
fast = convolution.conv_as_matmul(batch, stacked, (1, 1), "VALID", dimension_numbers=convolution.NHWC)
difference = max(abs(np.asarray(fast[0, :, :, i]) - y).max() for i, y in enumerate(results.values()))
pooled = layers.max_pool_2x2(fast)
print(f"feature maps {fast.shape}, pooled {pooled.shape}; largest difference to our loop {difference:.1e}")

# %% [markdown]
# ## Training one
#
# The package's config `digits:smoke` is such a network, in a small size: two convolutions with pooling, one hidden layer,
# ten scores. Ten epochs of training, and its layers:

# %%
run = hwr_jax.train("digits:smoke", "runs/course-cnn", overrides={"epochs": 10}, quiet=True)
params = {
    name: {key: np.asarray(value[0]) for key, value in layer.items()}  # of the first seed
    for name, layer in run.predictor.params.items()
}
for name, layer in params.items():
    size = sum(value.size for value in layer.values())
    print(f"{name:8s} kernel {layer['kernel'].shape!s:18s} {size:7,} parameters")
test = run.summary["test"]["accuracy"]["mean"]
print(f"right: {test:.1%} of 500 test images")

# %% [markdown]
# The first layer has {{params["Conv_0"]["kernel"].size + params["Conv_0"]["bias"].size:,}} parameters, because one
# kernel serves all places. A dense layer with the same output (24 x 24 x 8 numbers) would have
# {{784 * 24 * 24 * 8 + 24 * 24 * 8:,}}.
#
# ## What the filters see

# %% alt="The eight 5 by 5 kernels of the first layer: patches of orange and purple, rough and irregular."
filters = params["Conv_0"]["kernel"][:, :, 0].transpose(2, 0, 1)
limit = abs(filters).max()
show(filters, columns=8, side=0.9, cmap="PuOr_r", vmin=-limit, vmax=limit)

# %% [markdown]
# Nobody designed these, and nobody would have: 1,097 images leave them rough. Judge a filter by what it responds to, not
# by its looks. The feature maps of one digit:

# %% alt="Eight feature maps of a digit after the first layer: they respond to different parts of its strokes."
standard = (batch - digits.mean) / digits.std
maps = convolution.conv_as_matmul(
    standard.astype(np.float32), params["Conv_0"]["kernel"], (1, 1), "VALID", dimension_numbers=convolution.NHWC
)
maps = np.maximum(np.asarray(layers.max_pool_2x2(maps))[0] + params["Conv_0"]["bias"], 0)  # [12, 12, 8]
show([image, *maps.transpose(2, 0, 1)], ["digit", *[f"map {i}" for i in range(8)]], columns=9)

# %% [markdown]
# ## What the network looks at
#
# Cover a small square of the image with paper, and see how much the probability of the right class falls. Do so for
# every place: an *occlusion map* (Zeiler and Fergus, 2014).


# %% alt="Four digits with their occlusion maps: dark spots mark where covering the ink costs the most probability."
def occlusion(image, label, side=7):
    """Returns how far covering a square lowers the probability of `label`, [28, 28], by the centre of the square."""
    half, covered = side // 2, np.repeat(image[None], 784, axis=0)
    for place, (row, column) in enumerate(np.ndindex(28, 28)):
        top, left = max(0, row - half), max(0, column - half)
        covered[place, top : row + half + 1, left : column + half + 1] = 0
    before = run.predictor.predict(image[None])[0, label]
    return before - run.predictor.predict(covered)[:, label].reshape(28, 28)


some = [int(np.flatnonzero(digits.test.label == k)[0]) for k in (3, 6, 7, 9)]
pairs, titles = [], []
for i in some:
    shown, label = digits.test.image[i, :, :, 0], digits.test.label[i]
    drop = occlusion(shown, label)
    pairs += [shown / 255, np.maximum(drop, 0)]
    titles += [f"label {label}", f"loses up to {drop.max():.0%}"]
show(pairs, titles, columns=8, side=0.95)

# %% [markdown]
# The dark places are those that the network needs: ink that tells this digit from its neighbours.
#
# ## Shifts
#
# Chapter 1's baseline collapsed when the digits moved by three pixels. How do a dense network and the convolutional
# one fare? Both were trained on the same images with the same augmentation, which shifts by up to 1.5 pixels
# (`config.augment.shift_px`). Learning rate, schedule and dropout are those of their own configs:

# %% alt="Test accuracy over a shift to the right of 0 to 6 pixels: both fall, the convolutional network later and less."
same_training = {
    "data.name": "digits", "data.validation_examples": 200, "epochs": 10, "batch_size": 32, "augment.shift_px": 1.5,
    "augment.rotate_deg": 8.0, "augment.scale": 0.08, "augment.shear_deg": 5.0, "model.hidden": (128,),
}  # fmt: skip
dense = hwr_jax.train("mlp", "runs/course-mlp", overrides=same_training, quiet=True)
shifts, curves = range(7), {"dense (mlp)": [], "convolutional (cnn)": []}
for shift in shifts:
    moved = np.roll(digits.test.image, shift, axis=2)
    for name, trained in zip(curves, (dense, run), strict=True):
        curves[name].append(np.mean(trained.predictor.predict(moved).argmax(axis=1) == digits.test.label))
plt.figure(figsize=(6.5, 3))
for (name, values), colour, marker in zip(curves.items(), (GREY, BLUE), ("s", "o"), strict=True):
    plt.plot(shifts, 100 * np.array(values), color=colour, marker=marker, label=name)
plt.ylim(0, 102)
plt.xlabel("shift to the right (pixels)")
plt.ylabel("test accuracy (%)")
plt.legend()
plt.show()
print(
    f"shifted by 4 pixels: dense {curves['dense (mlp)'][4]:.0%}, convolutional {curves['convolutional (cnn)'][4]:.0%}"
)

# %% [markdown]
# At four pixels the dense network is right for {{100 * curves["dense (mlp)"][4]:.0f}} %, the convolutional one for
# {{100 * curves["convolutional (cnn)"][4]:.0f}} %. Convolution and pooling are the reason. They do not make the network
# *invariant*: the dense layer at its end still knows about places. The preparation of chapter 1 remains worth its while.

# %% tags=["check"]
assert difference < 1e-5
assert results["blur"].shape == (26, 26)
assert abs(results["left edges"]).max() <= 1
assert test > 0.95
assert params["Conv_0"]["kernel"].shape == (5, 5, 1, 8)
assert curves["convolutional (cnn)"][4] > curves["dense (mlp)"][4] + 0.1
assert curves["convolutional (cnn)"][6] < 0.9  # not invariant
assert curves["convolutional (cnn)"][0] == test

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: sizes
#
# Follow a 28 x 28 image through the network: convolution 5 x 5, pooling, convolution 3 x 3, pooling (an odd last row
# or column is dropped). How many numbers reach the dense layer, with 16 kernels in the second layer? Check it against
# the shape of `Dense_0`.

# %% tags=["solution"]
side = 28
for kernel_px in (5, 3):
    side = (side - kernel_px + 1) // 2
    print(f"after a {kernel_px} x {kernel_px} convolution and pooling: {side} x {side}")
print("numbers:", side * side * 16, "Dense_0:", params["Dense_0"]["kernel"].shape)
assert side * side * 16 == params["Dense_0"]["kernel"].shape[0]

# %% [markdown]
# ### Exercise 2: a filter for one place
#
# Design a 5 x 5 kernel that responds most strongly to the *end* of a vertical stroke. Where does it respond on a 1?

# %% alt="A 1 and the response of a kernel for stroke ends: strongest at the lower end." tags=["solution"]
end = np.full((5, 5), -1.0)
end[:3, 1:4] = 2.0  # ink above, in a stroke three pixels wide; paper below and beside
end[:3, [0, 4]] = -1.0
one = digits.train.image[np.flatnonzero(digits.train.label == 1)[3], :, :, 0] / 255
response = convolve(one, end)
row, column = np.unravel_index(response.argmax(), response.shape)
show([one, response], ["a 1", f"strongest at row {row + 2}"], columns=2, side=1.5)
assert row + 2 > 14  # in the lower half

# %% [markdown]
# ### Exercise 3: shuffled pixels
#
# Shuffle the pixels of all images by one fixed permutation. Which of the two networks suffers, the dense or the
# convolutional one? First think, then measure with softmax regression by hand (chapter 3) and with the response of
# the kernel for left edges: how much of a digit's edges is left after the shuffle?

# %% tags=["solution"]
order = np.random.default_rng(0).permutation(784)
flat = (digits.train.image.reshape(-1, 784) / 255 - digits.mean) / digits.std
target, rights = np.eye(10)[digits.train.label], []
for columns in (np.arange(784), order):
    weight = np.zeros((784, 10))
    for _step in range(100):
        scores = flat[:, columns] @ weight
        power = np.exp(scores - scores.max(axis=1, keepdims=True))
        weight -= 0.02 * flat[:, columns].T @ (power / power.sum(axis=1, keepdims=True) - target) / len(flat)
    tested = (digits.test.image.reshape(-1, 784)[:, columns] / 255 - digits.mean) / digits.std
    rights.append(np.mean((tested @ weight).argmax(1) == digits.test.label))
shuffled = image.reshape(-1)[order].reshape(28, 28)
edges = [np.mean(abs(convolve(one_image, left_edge)) > 0.5) for one_image in (image, shuffled)]
print(f"softmax regression: {rights[0]:.1%}, shuffled {rights[1]:.1%}")
print(f"share of strong left edges: {edges[0]:.0%}, shuffled {edges[1]:.0%}")
assert abs(rights[0] - rights[1]) < 0.005

# %% [markdown] tags=["solution"]
# A dense network does not notice: its weights are permuted along with the pixels. A convolutional network would lose
# what makes it good, for in the shuffled image neighbours have nothing to do with each other.
