"""File formats of data sets: IDX, PNG, TFRecord."""

__all__ = ["idx", "png", "tfrecord"]
