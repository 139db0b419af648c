"""What a run leaves on disk: its folder, checkpoints, logs, figures, and the machine it ran on."""

__all__ = [
    "checkpoint", "claim", "codebase", "figures", "finished", "forms", "logs", "machine", "mlflow_writer", "run_folder",
    "trackers", "tracking", "wandb_writer", "weights",
]  # fmt: skip
