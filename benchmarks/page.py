"""Make the benchmark page, the charts and the figures in other pages from ``benchmarks/results``.

    python -m benchmarks.page

``benchmarks/README.md`` and ``benchmarks/charts`` are made as a whole. In README.md and
docs/benchmark-history.md only the blocks between two HTML comments are made. A test checks that all of them
equal what this command makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import more_tables, tables
from benchmarks.charts import CHARTS
from benchmarks.results import ROOT

CHART_FOLDER = Path("benchmarks/charts")
PAGE = Path("benchmarks/README.md")
BLOCKS: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {"accuracy": tables.front_page},
    Path("docs/benchmark-history.md"): {
        "published": tables.published_table,
        "calibration": more_tables.calibration_table,
        "intervals": more_tables.intervals_table,
        "decisions": more_tables.decisions_table,
        "log odds": more_tables.log_odds_table,
        "leaf grid": more_tables.leaf_grid_table,
        "leaf stages": more_tables.stage_table,
        "many rows": more_tables.many_rows_table,
        "raw csv": more_tables.raw_csv_table,
        "limits": more_tables.limit_table,
    },
}
TEMPLATE = """\
<!-- Made by `python -m benchmarks.page` from benchmarks/results. Do not edit it by hand. -->
# Benchmarks

Every figure here is a line of `results/*.jsonl` with its commit, split, limit and machine (2 cores of an AMD EPYC, no GPU, unless it says otherwise).
`error` is RMSE over the standard deviation of the test target (regression), 1 - AUC (two classes) or log loss (more classes); lower is better.
[What was measured before, and per table](../docs/benchmark-history.md).

## Accuracy

{standings}

![Mean rank of the methods](charts/mean_rank.svg)
![Error against time](charts/error_time.svg)

Every core table on split 0 with at most 10,000 training rows.
CatBoost, LightGBM and XGBoost run with fixed settings; AutoGluon has 60 s.
Bold is the lowest error; 10 s and 10 min (`--preset best`, one thread) do not compete.

{core}

{efforts}
Among the published results of methods that were tuned for hours (TALENT), with 120 s on two splits:

{published}

Large tables with all their rows:

{big}

## Speed and memory

{leaf}

{predict}

Largest resident memory of `xrfm predict` in MiB, by the rows of the file:

{memory}

## Calibration

{calibration}

Calibration error is measured in 15 bins; `excess` is what it has above that of a perfect forecaster on as many rows.
{intervals}

## How to run them

SUITE is a folder with `suite.json`, `data/*.parquet` and `run.py`. Each command appends to its file in `results`, or to `--results FILE`; then run `python -m benchmarks.page`.

    python -m benchmarks.accuracy SUITE --group core --time-limit 60   # and: big, --tables, --seed, -- --preset best
    python -m benchmarks.calibration SUITE                             # and: decisions, intervals, log_odds, comparison,
                                                                       # first_configurations
    python -m benchmarks.leaf_speed --reference-python PYTHON          # and: predict_speed, search_speed, gpu_leaf (CUDA)
    python -m benchmarks.predict_memory                                # and: many_rows, limit_grid, theory, polluted_files
    python -m benchmarks.portfolio SUITE --out losses.jsonl            # chooses what a search starts with
    python -m benchmarks.same_models before                            # compares models before and after a change
    python benchmarks/fuzz/run.py reader --minutes 10                  # needs `pip install atheris`
"""


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return what each file should hold, by its path under the root."""
    made = {CHART_FOLDER / name: draw() for name, draw in CHARTS.items()}
    made[PAGE] = TEMPLATE.format(
        standings=tables.standings_text(),
        core=tables.core_table(),
        efforts=tables.effort_text(),
        published=tables.published_text(),
        big=tables.big_table(),
        leaf=more_tables.leaf_table(),
        predict=more_tables.predict_table(),
        memory=more_tables.memory_table(),
        calibration=more_tables.calibration_summary(),
        intervals=more_tables.intervals_text(),
    )
    for path, blocks in BLOCKS.items():
        text = (root / path).read_text(encoding="utf-8")
        for name, make in blocks.items():
            text = replace_block(text, name, make())
        made[path] = text
    return made


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between the two comments of a block."""
    begin, end = f"<!-- begin {name}: python -m benchmarks.page -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"the block {name!r} must stand there once: {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def main() -> None:
    """Write every page and chart that is not what it should be."""
    for path, text in pages().items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
