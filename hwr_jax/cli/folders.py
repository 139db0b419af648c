"""The folders that flags name."""

from __future__ import annotations

from pathlib import Path

from hwr_jax.core.errors import ConfigError


def named(flag: str, value: str | None, default: str | None = None) -> Path:
    """Returns the folder that a flag names, with ~ expanded.

    Raises:
      ConfigError: it is not given and has no default, it is empty, or its ~user has no home folder.
    """
    if value is None and default is not None:
        return Path(default)
    if not value:
        raise ConfigError(f"--{flag} is missing or empty: name a folder, such as --{flag}=runs/cnn")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--{flag}={value} cannot be used: {error}") from None


def made(flag: str, value: str | None) -> Path | None:
    """Returns the folder that a flag names, which is made; None without the flag.

    Raises:
      ConfigError: see `named`; or it is a file.
      OSError: it cannot be made.
    """
    if value is None:
        return None
    folder = named(flag, value)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--{flag}={folder} is a file: name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
