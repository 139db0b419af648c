"""The report of a study: the order of report.md, and how to read it. The same records give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.studies import comparison, figures, tables, verdict
from hwr_jax.studies.comparison import LEVEL, Row
from hwr_jax.studies.spec import Study

READING = """\
Every variant is trained with the same seeds and compared with the baseline, `{baseline}`, seed by seed. The columns:

- *difference*: the mean over the seeds, then Student's 95 % interval, then the bootstrap's (too narrow for so few
  seeds). The intervals are not corrected for the number of variants, so one may exclude 0 although p is above {level}.
- *p*: sign-flip permutation test of the paired differences, corrected for the number of comparisons (Holm). *Not
  significant* does not mean equal, nor worse than the significant ones.
- *d*: the mean difference over the standard deviation of the differences.
- *seeds needed*: to detect a difference as large as the observed one with 80 % power, after the same correction; ≤
  marks the smallest number of seeds that can reach significance.
- *images*: what another choice of test images would change (two standard errors). p and the intervals hold for these
  images; for digits in general, add it in quadrature.
- *McNemar*: the number of seeds, each tested alone, whose outcomes on the test images differ from the baseline's
  (p < {level}; one in twenty does by chance).
- *training*: seconds inside the steps of the fastest trial; trials trained together have equal shares.

The table is sorted by the means, which is not a ranking. A trial reads the test set once, at its end."""


def write(study: Study, records: list[dict[str, Any]], folder: Path) -> None:
    """Writes report.md and the figures, if there are any records."""
    if not records:
        return
    rows = comparison.compare(study, records)
    fit = comparison.fitted(study, records) if study.fit else None
    drawn = figures.draw_all(study, records, rows, folder, fit)
    files.write_atomic(folder / "report.md", text(study, records, rows, drawn))


def text(study: Study, records: list[dict[str, Any]], rows: list[Row], drawn: list[str]) -> str:
    """Returns the report; `drawn` are the names of the figures beside it."""
    parts = [
        f"# {study.name}",
        f"**{study.question}**",
        *verdict.answers(study, records, rows),
        *verdict.warnings(study, records, rows),
        *([tables.contrasts(study, comparison.contrasts(study, records))] if study.contrasts else []),
        tables.table(study, rows),
        "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in drawn),
        "## Setup",
        *([" ".join(study.notes.split())] if study.notes else []),
        tables.setup(study, records, rows),
        "## How to read it",
        READING.format(baseline=study.baseline, level=LEVEL),
    ]
    return "\n\n".join(parts) + "\n"
