"""Metric thresholds: check that they make sense, and whether the test metrics meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.options.parsing import Threshold
from xrfm_cli.tuning.scoring.metric_names import EXAMPLE
from xrfm_cli.tuning.scoring.metrics import METRICS, metric_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A threshold and the metric value of the test rows."""

    option: str  # "fail_under" or "fail_over"
    metric: str
    limit: float
    value: float
    passed: bool


def check_thresholds(thresholds: Sequence[Threshold], target: TargetSchema, *, option: str) -> None:
    """Refuse a metric that is unknown, does not fit the task or is better in the other direction."""
    fitting = [name for name, metric in METRICS.items() if target.task in metric.tasks]
    for threshold in thresholds:
        name = threshold.metric
        try:
            metric = metric_named(name)
        except KeyError:
            near = did_you_mean(name, (*fitting, EXAMPLE) if target.task == "regression" else fitting)
            raise OptionError(f"{option}: no metric '{name}'.{near}") from None
        if target.task not in metric.tasks:
            raise OptionError(f"{option}: {name} does not measure {target.task}; use {', '.join(fitting)}")
        if metric.lower_is_better != (option == "--fail-over"):
            way, other = ("lower", "over") if metric.lower_is_better else ("higher", "under")
            raise OptionError(
                f"{option}: for {name}, {way} is better; write --fail-{other} {name}={threshold.limit:g}"
            )


def verdicts_of(option: str, thresholds: Sequence[Threshold], metrics: Mapping[str, float]) -> list[Verdict]:
    """Return a verdict for each threshold; a metric without a value fails."""
    verdicts = []
    for item in thresholds:
        name = metric_named(item.metric).name
        value = metrics.get(name, float("nan"))
        passed = value >= item.limit if option == "fail_under" else value <= item.limit
        verdicts.append(
            Verdict(option=option, metric=name, limit=item.limit, value=value, passed=bool(passed))
        )
    return verdicts
