"""The model that comes with the package: config, environment, summary, weights and its card; scripts/pretrain.py."""

__all__: list[str] = []
