"""A nested config as a flat dict: "model.dropout" in place of a group and a key."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns {"model.dropout": 0.5, ...} of a nested config or dict; tuples become lists."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, (dict, ConfigDict)):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
