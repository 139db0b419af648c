"""What a network reads, by its name: data, loss and checks follow from it. `models/` builds the networks."""

READERS = ("crnn",)  # read strings; the others name one class
NONE = "none"  # the class of images that are no digit
CONVOLUTIONAL = ("cnn", "lenet", "resnet", "crnn")  # take config.model.convolution
RECURRENT = ("rnn", "crnn")  # take config.model.recurrence
TRANSFORMERS = ("vit",)  # take config.model.products
