"""What the commands share: flags, errors and exit codes, the terminal."""

__all__ = ["command", "console", "details", "flags", "manual", "scan"]
