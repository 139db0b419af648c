"""What happens to images on the device: framing always, augmentation in training, views at test time."""

__all__ = ["augment", "frame", "geometry", "mix", "pen", "views"]
