"""Every config key, once, with its unit. A config imports this, calls `get_config` and overrides what differs.

A config says *what* is computed; where and how (folders, devices) are flags. It is locked: a misspelt key is an error.
The allowed values of each key are in hwr_jax/config/check.py.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the defaults that the experiments start from."""
    config = ml_collections.ConfigDict()
    config.seed = 0  # the first seed
    config.seeds = 1  # number of seeds: seed, seed + 1, ...
    config.epochs = 6  # passes over the training set
    config.batch_size = 128  # images per optimiser step, over all devices
    # optimiser steps per dispatch; between dispatches the host checks signals and updates the progress bar
    config.steps_per_dispatch = 20
    config.over_seeds = "auto"  # auto (map on CPU, vmap on accelerators), map (bit-identical to single runs), vmap

    config.init_from = ""  # run folder whose weights this run starts from; "": random weights

    config.transfer = ml_collections.ConfigDict()  # only with init_from
    config.transfer.head = "keep"  # the output layer: keep, new
    config.transfer.frozen = False  # train only the output layer
    config.transfer.layer_decay = 1.0  # learning rate of a layer, relative to the layer after it

    config.data = ml_collections.ConfigDict()
    config.data.name = "mnist"  # one of DATASETS in hwr_jax/data; folder: your own pictures, or (crnn) lines
    config.data.manual_dir = ""  # folder of the original files, or of your pictures; "": HWR_MNIST_DIR, then download
    config.data.label_column = ""  # folder, of a table: its name, or first, last; "": found by name or content
    config.data.pixel_scale = 0.0  # folder, of grey values: the one of full ink or white; 0: found from all of a file
    config.data.orientation = "upright"  # folder: upright, or transposed (rows and columns swapped, as EMNIST's files)
    config.data.class_map = ""  # folder: file that renames the classes (lines of name,class); "": none
    # carved from the training set by a fixed permutation; folder: another number is chosen if this default does not fit
    config.data.validation_examples = 5000
    config.data.train_examples = 0  # number of the remaining images to train on, the same number of each class; 0: all
    config.data.label_noise = 0.0  # share of training labels made wrong, spread evenly over the other classes
    config.data.negatives = 0  # number of further training images that are no digit: the class "none"
    config.data.drawn = 0  # number of further training images: digits drawn stroke by stroke, in rare styles
    config.data.subset_seed = 0  # seed of the draws above
    config.data.balanced = False  # draw batches with replacement, every class equally likely, however rare it is
    config.data.stream = False  # stream the training images from disk
    config.data.rehearsal = ""  # data set to train on as well, and to report, so that it is not forgotten
    config.data.rehearsal_examples = 0  # number of its images, the same number of each class; 0: all
    config.data.fallback = "none"  # sibling config to use when the data is unavailable; none: an error

    config.data.strings = ml_collections.ConfigDict()  # for data.name = strings; the keys above are of its glyphs
    config.data.strings.glyphs = "mnist"  # the data set that the characters come from
    config.data.strings.train = 40_000  # number of strings; each split uses only its own glyphs
    config.data.strings.validation = 2_000  # number of strings
    config.data.strings.test = 5_000  # number of strings
    config.data.strings.lengths = (1, 7)  # shortest and longest, characters
    config.data.strings.test_length = 5  # length of every test string; 0: as in training
    config.data.strings.height_px = 32  # of the image; of your own lines too (data.name = folder, model.name = crnn)
    config.data.strings.width_px = 128  # of the image; of your own lines too
    config.data.strings.overlap_px = 2.0  # neighbouring characters overlap by up to this
    config.data.strings.gap_px = 5.0  # neighbouring characters stand up to this far apart
    config.data.strings.size = 0.15  # relative, in -x..x, per string; plus 0.3 of it per glyph
    config.data.strings.slant_deg = 15.0  # in -x..x, per string; plus 0.2 of it per glyph
    config.data.strings.slope_deg = 3.0  # in -x..x, of the base line, per string
    config.data.strings.baseline_px = 2.0  # in -x..x, per glyph
    config.data.strings.seed = 0  # seed of all these draws

    config.model = ml_collections.ConfigDict()
    config.model.name = "cnn"  # one of MODELS in hwr_jax/models; mlp without hidden layers is softmax regression
    config.model.features = (16, 48)  # channels of each convolution (resnet: of each stage)
    config.model.kernels_px = (5, 3)  # side of each convolution's kernel, pixels
    config.model.strides_px = (1, 1)  # stride of each convolution, pixels
    config.model.pools = (True, True)  # whether each convolution is followed by a 2x2 max-pooling
    config.model.padding = "valid"  # valid (none), same (zeros around the image)
    config.model.dense = 128  # width of the hidden layer; 0: none
    config.model.hidden = (256, 128)  # mlp, scratch: width of each hidden layer
    config.model.blocks = 1  # resnet: residual blocks per stage
    config.model.stride_px = 1  # resnet: stride of the first convolution, pixels
    config.model.cell = "lstm"  # rnn, crnn: lstm, gru, simple
    config.model.bidirectional = False  # rnn, crnn: read in both directions
    config.model.width = 128  # rnn, crnn: of the state; vit: of a token
    config.model.layers = 1  # rnn, crnn, vit: number of layers
    config.model.column_px = 4  # crnn: width of a time step, pixels
    config.model.patch_px = 7  # vit: side of a patch, pixels
    config.model.heads = 4  # vit: attention heads
    config.model.dropout = 0.0  # rate, 0..1; each network's file says where it is applied
    config.model.norm = "none"  # none, batch, layer, group
    config.model.activation = "relu"  # one of ACTIVATIONS in hwr_jax/models/layers.py
    config.model.initializer = "he_normal"  # one of INITIALIZERS in hwr_jax/models/layers.py
    config.model.precision = "float32"  # of the layers: float32, bfloat16 (weights, norms' sums, scores: float32)
    config.model.convolution = "auto"  # auto (the fastest), plain (it, without C++), compiled (C++), patches, native
    config.model.recurrence = "auto"  # rnn, crnn: auto (the fastest), scan (XLA's loop), compiled (C++)
    config.model.products = "auto"  # vit: auto (the fastest), plain (XLA's), compiled (C++ for the weights' gradients)

    config.loss = ml_collections.ConfigDict()
    config.loss.label_smoothing = 0.0  # share of the target spread over all classes, 0..1
    config.loss.class_weights = "none"  # none, balanced (a class counts for as much as any other, however rare it is)

    config.optim = ml_collections.ConfigDict()
    config.optim.name = "adamw"  # one of OPTIMIZERS in hwr_jax/optim/optimizers.py
    config.optim.learning_rate = 1e-3  # the schedule's highest
    config.optim.momentum = 0.9  # momentum, nesterov, muon
    config.optim.b1 = 0.9  # adam, adamw, lamb, lion, muon
    config.optim.b2 = 0.999  # adam, adamw, lamb, lion, muon; the decay of rmsprop and adadelta
    config.optim.eps = 1e-8  # keeps a division finite; unused by sgd, momentum, nesterov, lion
    config.optim.weight_decay = 0.0  # decoupled, times the learning rate, per step; kernels only
    config.optim.l2 = 0.0  # coupled: added to the gradient; kernels only
    config.optim.l1 = 0.0  # subgradient of l1 * |w|; kernels only
    config.optim.clip_norm = 0.0  # global norm that the gradient is clipped to; 0: no clipping
    config.optim.gradient_norm = False  # report the mean of the gradient's global norm in each epoch, before clipping
    config.optim.accumulate = 1  # parts that a batch is split into, computed one after the other: less memory

    config.schedule = ml_collections.ConfigDict()
    config.schedule.name = "cosine"  # one of SCHEDULES in hwr_jax/optim/schedules.py
    config.schedule.warmup_epochs = 0.0  # linear; every schedule except one_cycle
    config.schedule.step_epochs = 1.0  # step: between drops; exponential: of one decay; restarts: of the first cosine
    config.schedule.decay = 0.7  # step, exponential: factor
    config.schedule.final = 0.0  # cosine, restarts: last learning rate as a share of the highest
    config.schedule.growth = 2.0  # restarts: length of a cosine, relative to the one before
    config.schedule.rise = 0.3  # one_cycle: share of the run during which the learning rate rises

    config.average = ml_collections.ConfigDict()  # of the weights; evaluated in place of the final ones
    config.average.name = "none"  # none, ema (exponential), swa (mean of all steps)
    config.average.decay = 0.999  # ema: per step
    config.average.start = 0.0  # share of the run after which averaging starts

    config.frame = ml_collections.ConfigDict()  # of every image, in training and in prediction
    config.frame.deskew = False  # shear the rows so that the ink leans neither way
    config.frame.centre = False  # move the centre of mass to the middle
    config.frame.crop_px = 0  # margin cut off each side
    config.frame.side_px = 0  # side after resizing; 0: no resizing

    config.augment = ml_collections.ConfigDict()  # of each training image, drawn anew in each epoch; 0: off
    config.augment.shift_px = 0.0  # in -x..x
    config.augment.rotate_deg = 0.0  # in -x..x
    config.augment.scale = 0.0  # relative, in -x..x
    config.augment.shear_deg = 0.0  # in -x..x
    config.augment.perspective = 0.0  # relative depth of the edges, in -x..x
    config.augment.elastic_px = 0.0  # root mean square of the displacements
    config.augment.elastic_smooth_px = 4.0  # standard deviation of the Gaussian that smooths the displacements
    config.augment.thickness = 0.0  # share of a 3x3 dilation or erosion, in -x..x
    config.augment.lines = 0  # up to this many straight lines
    config.augment.neighbours_px = 0  # remains of other characters in up to this many columns at either side
    config.augment.blots = 0  # up to this many discs, of ink or of paper
    config.augment.background = 0.0  # grey of the paper, 0..x
    config.augment.blur_px = 0.0  # standard deviation, 0..x
    config.augment.smear_px = 0.0  # standard deviation, 0..x, along the rows or the columns
    config.augment.brightness = 0.0  # in -x..x
    config.augment.contrast = 0.0  # relative, in -x..x
    config.augment.invert = 0.0  # probability
    config.augment.noise = 0.0  # standard deviation
    config.augment.grain = 0.0  # standard deviation, drawn from 0..x
    config.augment.salt_pepper = 0.0  # share of the pixels
    config.augment.cutout_px = 0  # side of the square
    config.augment.skip = 0.0  # probability with which an image is spared each of thickness to cutout_px
    config.augment.mixup = 0.0  # parameter of the Beta distribution
    config.augment.cutmix = 0.0  # parameter of the Beta distribution

    config.nonfinite = ml_collections.ConfigDict()  # when the loss or a gradient is NaN or infinite
    # halt, skip (drop the update), rollback (to the last checkpoint, with half the learning rate; a run that was
    # interrupted within an epoch may return to another step than an uninterrupted one)
    config.nonfinite.policy = "halt"
    config.nonfinite.limit = 5  # halt after this many skipped updates in a row (skip), or rollbacks (rollback)

    config.eval = ml_collections.ConfigDict()
    config.eval.batch_size = 100  # images per evaluation batch; the last one is padded, and padding never counts
    config.eval.beam = 1  # strings: width of the beam search; 1: the most probable path
    config.eval.shift_px = 0  # average each image's scores over all whole-pixel shifts up to this; 1: nine readings
    config.eval.patience_epochs = 0  # stop a seed after this many epochs without improvement on validation; 0: never
    config.eval.checkpoint = "last"  # the state that reads the test set: last, best (on validation)

    config.checkpoint = ml_collections.ConfigDict()
    config.checkpoint.keep = 2  # number of recent checkpoints to keep (each holds the best state too)
    config.checkpoint.every_epochs = 1  # epochs from one checkpoint to the next
    config.lock()  # from here on a misspelt key is an error
    return config


def variant(config: ml_collections.ConfigDict, name: str, *, smoke_epochs: int = 1) -> ml_collections.ConfigDict:
    """Returns what FILE.py:NAME asks for: the config as it is (no name), or its test-sized version (smoke), which takes
    seconds but is large enough to see it learn. Raises ValueError for any other name."""
    if not name:
        return config
    if name != "smoke":
        raise ValueError(f"there is no variant {name!r}: use smoke, or none")
    config.epochs = smoke_epochs
    config.batch_size = min(config.batch_size, 32 if smoke_epochs > 1 else 128)
    config.model.features = tuple(min(f, 8 * (i + 1)) for i, f in enumerate(config.model.features))
    config.model.dense = min(config.model.dense, 32)
    config.model.hidden = tuple(min(w, 32) for w in config.model.hidden)
    config.model.width = min(config.model.width, 16)
    config.model.layers = min(config.model.layers, 2)
    config.model.dropout = 0.1
    config.steps_per_dispatch = 10
    config.data.drawn, config.data.negatives = min(config.data.drawn, 200), min(config.data.negatives, 200)
    return config


def override(config: ml_collections.ConfigDict, variants: dict[str, dict], name: str) -> ml_collections.ConfigDict:
    """Returns what a study's FILE.py:NAME asks for: the config with a variant's flat overrides ("optim.name").
    Raises ValueError, which lists the variants, for another name."""
    if name not in variants:
        raise ValueError(f"there is no variant {name!r}: use one of {', '.join(variants)}")
    config.update_from_flattened_dict(variants[name])
    return config


def grid(**axes: dict[str, dict]) -> dict[str, dict]:
    """Returns the variants of a grid, one for each combination, with the overrides of all its parts:
    grid(width={"narrow": {...}, "wide": {...}}, depth={...}) has "narrow-shallow" and so on."""
    variants = {"": {}}
    for axis in axes.values():
        variants = {
            "-".join(filter(None, (name, value))): {**overrides, **more}
            for name, overrides in variants.items()
            for value, more in axis.items()
        }
    return variants
