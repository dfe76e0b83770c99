"""The sentence that says how good a model is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xrfm_cli.reports.formats import number


def quality_sentence(quality: Mapping[str, Any]) -> str:
    """Return how good a model is on held-out rows, compared with a constant.

    >>> facts = {"metric": "rmse", "score": 0.5, "baseline": "mean", "baseline_score": 1.0, "is_better": True}
    >>> quality_sentence(facts)
    'How good it is: rmse 0.5 on held-out rows; the mean gives 1.'
    """
    metric, constant = quality["metric"], f"the {quality['baseline']}"
    reference = quality["baseline_score"]
    score = f"{metric} {number(quality['score'])} on held-out rows"
    if reference is not None:
        score += f"; {constant} gives {number(reference)}"
    if quality["is_better"]:
        return f"How good it is: {score}."
    what = "the most frequent class" if quality["baseline"] == "majority" else constant
    return f"The model is no better than predicting {what}: {score}. The results below may be chance."
