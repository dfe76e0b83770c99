"""Make the benchmark page, the charts and the figures in other pages from ``benchmarks/results``.

    python -m benchmarks.page

``benchmarks/README.md`` and ``benchmarks/charts`` are made as a whole. In README.md, docs/benchmarks.md,
docs/transfer.md and docs/benchmark-history.md only the blocks between two HTML comments are made. A test
checks that all of them equal what this command makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import explanation_tables, more_tables, tables
from benchmarks.ablations import ablations_table, minimisers_table
from benchmarks.any_size_page import any_size_table
from benchmarks.feature_matrix import matrices_table
from benchmarks.large_searches import large_searches_table
from benchmarks.losses_page import losses_table
from benchmarks.measurements import ROOT, read
from benchmarks.pair_cost import pair_table
from benchmarks.service import service_table
from benchmarks.startup import startup_table
from benchmarks.svg import CHARTS, transfer_chart
from benchmarks.transfer import transfer_table
from benchmarks.workers import workers_table

CHART_FOLDER = Path("benchmarks/charts")
PAGE = Path("benchmarks/README.md")
BLOCKS: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {"accuracy": tables.front_page},
    Path("docs/benchmarks.md"): {"accuracy": tables.front_page},
    Path("docs/transfer.md"): {"transfer": transfer_table},
    Path("docs/benchmark-history.md"): {
        "published": tables.published_table,
        "calibration": more_tables.calibration_table,
        "intervals": more_tables.intervals_table,
        "decisions": more_tables.decisions_table,
        "log odds": more_tables.log_odds_table,
        "losses": losses_table,
        "feature matrices": matrices_table,
        "ablations": ablations_table,
        "minimisers": minimisers_table,
        "leaf grid": more_tables.leaf_grid_table,
        "leaf stages": more_tables.stage_table,
        "many rows": more_tables.many_rows_table,
        "raw csv": more_tables.raw_csv_table,
        "limits": more_tables.limit_table,
        "startup": startup_table,
        "any size": any_size_table,
        "service": service_table,
        "workers": workers_table,
        "pairs": pair_table,
        "large searches": large_searches_table,
        "many leaves": more_tables.leaves_table,
        "attributions": explanation_tables.attributions_table,
        "deletion curves": explanation_tables.deletion_table,
        "explanations": explanation_tables.explanations_table,
        "explanations of others": explanation_tables.peers_table,
    },
}
TEMPLATE = Path(__file__).with_name("page_template.md")


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return the expected content of each file, by its path under the root."""
    made = {CHART_FOLDER / name: draw() for name, draw in CHARTS.items()}
    made[CHART_FOLDER / "transfer.svg"] = transfer_chart(read("transfer"))
    made[PAGE] = TEMPLATE.read_text(encoding="utf-8").format(
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
    """Write every page and chart that is out of date."""
    for path, text in pages().items():
        file = ROOT / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
