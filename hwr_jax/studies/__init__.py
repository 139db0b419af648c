"""Ablation studies: variants, trials, paired statistics, the report. And finished runs, compared by the same."""

__all__ = [
    "by_image",
    "comparison",
    "figures",
    "live",
    "local",
    "metric",
    "power_law",
    "ray_cluster",
    "report",
    "results",
    "runs",
    "scores",
    "side_by_side",
    "spec",
    "tables",
    "trial",
    "verdict",
]
