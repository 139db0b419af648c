"""What a run leaves on disk: its folder, checkpoints, logs, figures, and the machine it ran on."""

__all__ = ["checkpoint", "claim", "figures", "logs", "machine", "run_folder"]
