"""Ablation studies: variants, trials, paired statistics, the report."""

__all__ = [
    "comparison",
    "figures",
    "live",
    "local",
    "metric",
    "power_law",
    "ray_cluster",
    "report",
    "results",
    "scores",
    "spec",
    "tables",
    "trial",
    "verdict",
]
