"""Importances of hyperparameters: Optuna's PED-ANOVA, with a chance level from shuffles."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.rows import ImportanceRow
from xrfm_cli.tuning.scoring.rounding import rounded
from xrfm_cli.tuning.search.candidate import kernel_family

if TYPE_CHECKING:  # reports need only LEAST_COMPLETE, without importing Optuna
    import optuna

LEAST_COMPLETE = 10  # fully evaluated trials: Optuna advises at least five among the best
LEAST_SHARE = 0.1  # smallest share of all trials that counts as the best: the quantile of Optuna's evaluator
COMPARED = ("complete", "pruned")
SHUFFLES = 19  # chance exceeds the largest of 19 shuffles once in twenty times
CHOICES = ("family", "metric_shape", "numeric_transform", "category_encoding", "target_transform", "loss")
SCALES = {
    "ridge": ("norm", "sum_power"),
    "bandwidth": ("norm",),
}  # compared only between kernels that share its scale

Trial = Mapping[str, Any]


def hyperparameter_importances(
    trials: Sequence[Trial], *, lower_is_better: bool, seed: int
) -> list[ImportanceRow]:
    """Return importances as shares by name, largest first; empty with too few trials.

    They measure how the choices of the better half of the fully evaluated trials differ from those of all
    trials, pruned ones included. A pruned trial's loss comes from fewer rows, so it is not compared: the
    trial only counts as one that is not among the best. ``by_chance`` is the largest share when the best
    trials are shuffled; a share no larger than that may be chance. Values are those after kernel refinement.

    Args:
        trials: JSON facts of a search's trials.
        lower_is_better: of their scores.
        seed: of the shuffles.

    >>> params = {"kernel": "linear", "kernel_p": 2.0}
    >>> hyperparameter_importances([{"state": "complete", "score": 1.0, "params": params}],
    ...                            lower_is_better=True, seed=0)
    []

    Watanabe, Bansal, Hutter, PED-ANOVA, IJCAI 2023. For hyperparameters that only some kernels have, Optuna 5
    weights the trials that have them; earlier versions omit them.
    """
    compared = [t for t in trials if t["state"] in COMPARED and t["params"]["kernel"] != "constant"]
    best = best_trials(compared, lower_is_better=lower_is_better)
    if not best:
        return []
    values = [float(place not in best) for place in range(len(compared))]
    shuffle = np.random.default_rng([seed, 5])
    study = _study_of([_choices(trial) for trial in compared])
    if study is None:
        return []
    found = _divergences(study, values)
    total = sum(found.values())
    if not total > 0:
        return []
    chance = dict.fromkeys(found, 0.0)
    for _ in range(SHUFFLES):
        shuffled = _divergences(study, shuffle.permutation(values).tolist())
        chance = {name: max(value, shuffled[name]) for name, value in chance.items()}
    return [
        {"name": name, "share": round(found[name] / total, 4), "by_chance": round(chance[name] / total, 4)}
        for name in sorted(found, key=lambda name: (-found[name], name))
    ]


def tell_importances(
    trials: Sequence[Trial], *, lower_is_better: bool, seed: int, on_event: OnEvent
) -> list[ImportanceRow]:
    """Return the importances, or none and emit the reason: a failure here must not lose the model."""
    try:
        return hyperparameter_importances(trials, lower_is_better=lower_is_better, seed=seed)
    except Exception as fault:  # noqa: BLE001  (whatever Optuna raises)
        message = f"no importances of hyperparameters: {type(fault).__name__}: {fault}"
        on_event(Event(kind="fallback", message=message, count=1))
        return []


def best_trials(trials: Sequence[Trial], *, lower_is_better: bool) -> set[int]:
    """Return the indices of the better half of the fully evaluated trials; empty if too few.

    >>> trials = [{"state": "complete", "score": float(k)} for k in range(10)]
    >>> sorted(best_trials(trials, lower_is_better=False))
    [5, 6, 7, 8, 9]
    """
    sign = 1.0 if lower_is_better else -1.0
    losses = {
        place: rounded(sign * trial["score"])
        for place, trial in enumerate(trials)
        if trial["state"] == "complete" and trial["score"] is not None and math.isfinite(trial["score"])
    }
    count = max(len(losses) // 2, math.ceil(LEAST_SHARE * len(trials)))
    if len(losses) < max(LEAST_COMPLETE, count):
        return set()
    return set(sorted(losses, key=lambda place: (losses[place], place))[:count])


def _choices(trial: Trial) -> dict[str, Any]:
    """Return a trial's choices whose scale is common to all trials that have them."""
    params = trial["params"]
    chosen = {"family": kernel_family(params["kernel"], params["kernel_p"])}
    chosen |= {name: params[name] for name in CHOICES if name in params}
    return chosen | {name: params[name] for name, kernels in SCALES.items() if params["kernel"] in kernels}


def _study_of(rows: Sequence[Mapping[str, Any]]) -> optuna.Study | None:
    """Build a study of the choices, without names of one single value; None if no name is left."""
    import optuna

    from xrfm_cli.tuning.search.trial_records import quiet_optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for name in (*CHOICES, *SCALES):
        values = sorted({row[name] for row in rows if name in row})
        if len(values) > 1:
            distributions[name] = (
                optuna.distributions.FloatDistribution(values[0], values[-1], log=True)
                if name in SCALES
                else optuna.distributions.CategoricalDistribution(values)
            )
    if not distributions:
        return None
    with quiet_optuna():
        study = optuna.create_study()
        for row in rows:
            known = {name: distributions[name] for name in row if name in distributions}
            params = {name: row[name] for name in known}
            study.add_trial(optuna.create_trial(params=params, distributions=known, value=0.0))
    return study


def _divergences(study: optuna.Study, values: Sequence[float]) -> dict[str, float]:
    """Return Pearson's divergence between the choices of trials of value 0 and of all trials, by name."""
    import optuna

    with warnings.catch_warnings():  # about the direction of values, few trials per regime, and the like
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=lambda trial: values[trial.number],
            normalize=False,
        )
