"""The table of the losses in the page of past measurements."""

from __future__ import annotations

import numpy as np

from benchmarks.measurements import read, select
from benchmarks.tables import markdown, names_in, number


def losses_table() -> str:
    """Return the test metric of each loss, the mean over the seeds, and the seconds of the searches."""
    rows = read("losses")
    lines = []
    for table in names_in(rows):
        of_table = select(rows, table=table)
        for metric in names_in(of_table, "metric"):
            own = select(of_table, metric=metric)
            for setting in names_in(own, "setting"):
                last = {row.seed: row for row in select(own, setting=setting)}  # the last measurement counts
                values = [row.value for row in last.values() if row.value is not None]
                seconds = [row.seconds for row in last.values() if row.seconds is not None]
                seeds = ", ".join(str(seed) for seed in sorted(seed or 0 for seed in last))
                mean = number(float(np.mean(values)), 4)
                lines.append(
                    (table, str(metric), str(setting), mean, number(float(np.mean(seconds)), 0), seeds)
                )
    return markdown(("table", "metric", "loss", "test metric", "CPU s", "seeds"), lines)
