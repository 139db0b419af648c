"""What is done to images on the device: framing always, augmentation while training, views at test time."""

__all__ = ["augment", "frame", "geometry", "mix", "pen", "views"]
