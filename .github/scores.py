"""Scores as Markdown for a pull request: ``python scores.py model.report.json [evaluation.json]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def page(fit: dict[str, Any], evaluation: dict[str, Any] | None) -> str:
    """The scores of a fit on the rows it held out, and those of an evaluation beside them."""
    better = "less" if fit["lower_is_better"] else "more"
    lines = [
        f"### xrfm: `{fit['target']}`, {fit['task']}",
        "",
        f"| model | {fit['metric']} on held-out rows, {better} is better |",
        "|---|---|",
        f"| **this model** | {_number(fit['score'])} |",
        *(f"| {item['name']} | {_number(item['score'])} |" for item in fit["baselines"]),
    ]
    if evaluation is not None:
        lines += [
            "",
            f"| metric | {evaluation['rows']:,} test rows | promised by the fit |",
            "|---|---|---|",
        ]
        promised = evaluation["out_of_fold"]
        for name, value in evaluation["metrics"].items():
            lines.append(f"| {name} | {_number(value)} | {_number(promised.get(name))} |")
        for item in evaluation["thresholds"]:
            verdict = "reached" if item["passed"] else "**missed**"
            lines += ["", f"Threshold {item['metric']} {_number(item['limit'])}: {verdict}."]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    documents = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(page(documents[0], documents[1] if len(documents) > 1 else None))
