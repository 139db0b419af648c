"""The report of a study: report.md, from its records alone. Owns the words; the same records give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwr_jax.core import files
from hwr_jax.studies import comparison, figures, tables, verdict
from hwr_jax.studies.comparison import Row
from hwr_jax.studies.spec import Study

READING = """\
Every variant is trained with the same seeds, and each is compared with the baseline seed by seed. In brackets:
Student's 95 % interval over the seeds, then the bootstrap's (too narrow for so few). *p*: sign-flip permutation test of
the paired differences, corrected for the number of comparisons (Holm); the intervals are of each variant alone and not
corrected, so that one may leave out 0 where p is above 0.05. *Not decided* does not mean equal, nor worse than what is
decided. *d*: mean of the differences over their standard deviation. *Seeds needed*: to see a difference as large as
the one observed four times of five, so corrected; a number at the left end of what can be significant has the sign ≤.
*Images*: what another choice of test images would change (two standard errors); p and intervals are for these images,
for digits in general add it in quadrature. *McNemar*: of how many seeds the outcomes on the test images differ from
the baseline's, each alone (p < 0.05; one of twenty does by chance). *Training*: seconds inside the steps of the fastest
trial; trials trained at once have equal shares. A trial reads the test set once, at its end.
The order of the table is that of the means, not a ranking."""


def write(study: Study, records: list[dict[str, Any]], folder: Path) -> None:
    """Writes report.md and the figures; nothing where there are no records."""
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
        READING,
    ]
    return "\n\n".join(parts) + "\n"
