"""The speed of a config, alone and in turns with other programs."""

__all__ = ["against", "figures", "measure", "ours", "parts", "peers", "plan", "torch_peer"]
