"""The speed of a config, and of other programs measured in turns."""

__all__ = ["measure", "parts", "peers", "torch_peer"]
