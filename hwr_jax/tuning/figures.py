"""The figures of a search, drawn by Optuna: best value so far, importances, slices, and pruned trials."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from hwr_jax.core import canvas

FEWEST = 4  # trials that importances and slices need


def draw_all(study: Any, folder: Path) -> list[str]:
    """Draws into the folder, and returns the file names."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import optuna
    from optuna.visualization import matplotlib as plots

    done = len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
    drawn: dict[str, Any] = {
        "history.png": plots.plot_optimization_history,
        "pruning.png": plots.plot_intermediate_values,
    }
    if done >= FEWEST:
        drawn |= {"importances.png": plots.plot_param_importances, "slices.png": plots.plot_slice}
    for name, draw in drawn.items() if done else ():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls all of these experimental
            axes = draw(study)
            figure: Any = (axes.ravel()[0] if hasattr(axes, "ravel") else axes).figure
            figure.set_size_inches(max(7.0, 2.6 * len(study.best_params)) if name == "slices.png" else 7.0, 4.2)
            figure.savefig(folder / name, dpi=canvas.DPI, bbox_inches="tight")
        plt.close(figure)
    return list(drawn) if done else []
