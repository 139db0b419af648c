"""What the commands share: flags, errors and exit codes, the terminal."""

__all__ = ["command", "console", "details", "ending", "flags", "folders", "manual", "scan", "verb"]
