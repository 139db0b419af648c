"""The networks by their name in a config. A new one: a file with a module and its `build`, and one row here (one that
reads strings is also named in core/networks.py)."""

from hwr_jax.models import cnn, crnn, lenet, mlp, resnet, rnn, scratch, vit

MODELS = {  # name -> build(config.model, classes K, (H, W) of the images) -> (axis_name, train) -> module
    "mlp": mlp.build,
    "scratch": scratch.build,
    "cnn": cnn.build,
    "lenet": lenet.build,
    "resnet": resnet.build,
    "rnn": rnn.build,
    "vit": vit.build,
    "crnn": crnn.build,
}
