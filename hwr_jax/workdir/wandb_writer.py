"""Weights & Biases: a run of the project hwr_jax. The only file that imports wandb.

Without an account nothing leaves the machine: the run is in wandb/ in the run folder, and `wandb sync` sends it.
"""

from __future__ import annotations

import os
from typing import Any, cast

HOST = "https://api.wandb.ai"
NOTHING_ELSE: dict[str, Any] = {  # than config and numbers (docs/privacy.md): no path, machine, package, commit
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "disable_git": True,
    "disable_code": True,
}


def mode() -> str:
    """Returns where the run goes: what WANDB_MODE says; else online for whoever has logged in, offline for others."""
    if chosen := os.environ.get("WANDB_MODE"):
        return chosen
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    from requests.utils import get_netrc_auth

    return "online" if get_netrc_auth(os.environ.get("WANDB_BASE_URL", HOST)) else "offline"


class WandbWriter:
    """A run of W&B; a resumed training continues it under the same id. See `tracking.Writer`."""

    def __init__(self, about: dict[str, Any]):
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "hwr_jax"),
            name=about["name"],
            id=about["id"],
            resume="allow",
            dir=about["folder"],
            mode=cast(Any, mode()),  # wandb checks what WANDB_MODE says
            config={**about["config"], **{key: about[key] for key in ("dataset", "code", "seeds")}},
            settings=wandb.Settings(console="off", silent=True, **NOTHING_ELSE),
        )
        # Its own counter must rise; ours falls when the training returns to a checkpoint.
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: dict[str, float]) -> None:
        """See `tracking.Writer`."""
        self._run.log({"step": step, **values})

    def end(self, results: dict[str, float] | None) -> None:
        """See `tracking.Writer`."""
        self._run.summary.update(results or {})
        self._run.finish(exit_code=0 if results else 1)
