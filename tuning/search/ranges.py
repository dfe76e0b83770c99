"""Search ranges for a table's size and columns."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.datasets.encoders.piecewise_linear import PIECES
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models.config import ORDER_LOSSES, Loss
from xrfm_cli.leaf_models.kernels.binary_columns import find_binary_columns
from xrfm_cli.mentions import option
from xrfm_cli.tuning.limits import LARGEST_LEAF_ROWS
from xrfm_cli.tuning.pins import TRANSFER_CHOICES
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.log_target import suits_log
from xrfm_cli.tuning.search.space import SearchSpace

FULL_MATRIX_FEATURES = 300
WIDEST = 300  # most columns with a piecewise-linear encoding of every number
ABSOLUTE_METRICS = ("mae", "mape")  # metrics that a median minimises, not a mean
DEVIANCES: dict[str, Loss] = {"poisson_deviance": "poisson", "gamma_deviance": "gamma"}
# A kernel machine of n rows in d columns without a learned feature matrix learns terms of a degree below
# log(n) / log(d): Ghorbani, Mei, Misiakiewicz and Montanari, Annals of Statistics 49 (2021). If it cannot
# learn all products of two columns, it is far from learning those of three, which squares of the target may
# show. With more rows (pol, ailerons, cpu_act), the further configuration takes time without a gain.
SQUARES_DEGREE = 2
AGOP_WORK = 400_000_000  # rows drawn times centers times columns of one AGOP update


def make_space(problem: Problem) -> SearchSpace:
    """Return the search space for the table's size and columns."""
    data = problem.data
    kinds = {column.kind for column in data.schema.features}
    x = problem.folds.matrices(0, EncodingConfig()).x_train
    n, d, many_valued = len(problem.plan.refit_rows), x.shape[1], len(find_binary_columns(x).others)
    few_coordinates = many_valued <= problem.limits.max_coordinate_columns
    space = SearchSpace(
        leaf_size=problem.limits.leaf_rows,
        pinned=problem.pins,
        has_numbers=bool(kinds & {"numeric", "datetime"}),
        has_categories="categorical" in kinds,
        general_p=few_coordinates,
        full_feature_matrix=d <= FULL_MATRIX_FEATURES,
        sum_power=few_coordinates,
        pieces=d + PIECES * sum(column.kind == "numeric" for column in data.schema.features) <= WIDEST,
        losses=_losses(problem),
        level=problem.scorer.metric.level,
        transfers=data.base is not None,
        size=problem.size,
        log_target=not data.n_classes and suits_log(problem.final.data.rates_of(problem.final.rows)),
        squares=not data.n_classes and data.base is None and d**SQUARES_DEGREE >= n,
        agop_rows=int(min(2_000, max(500, AGOP_WORK // (min(n, LARGEST_LEAF_ROWS) * d)))),
    )
    for name in TRANSFER_CHOICES:
        if name in problem.pins and data.base is None and problem.pins[name] not in ("identity", "squares"):
            raise OptionError(
                f"{option('set')} {name}: is for a fit with a base model. Give {option('transfer_from')}, or "
                "leave it out."
            )
    if problem.pins.get("start_matrix") == "squares":
        _require_squares(problem)
    space.complete({})  # refuses contradictory pins before any work
    pinned_loss = problem.pins.get("loss")
    if pinned_loss == "logistic" and problem.data.n_classes != 2:
        has = f"has {data.n_classes} classes" if data.n_classes else "is a number"
        raise OptionError(
            f"{option('set', {'loss': 'logistic'})}: '{data.target.name}' of {data.table.source} {has}, "
            "but log odds need two classes. Leave it out."
        )
    if pinned_loss in ("poisson", "gamma"):
        _require_amounts(problem, pinned_loss)
    if pinned_loss in ORDER_LOSSES and problem.data.n_classes:
        what = "median" if pinned_loss == "absolute" else "quantile"
        raise OptionError(
            f"{option('set', {'loss': pinned_loss})}: '{data.target.name}' of {data.table.source} is a "
            f"class, and a class has no {what}. Leave it out, or give {option('task', 'regression')} if it "
            "is a number."
        )
    if problem.pins.get("target_transform") == "log":
        _require_logarithms(problem)
    return space


def _losses(problem: Problem) -> tuple[Loss, ...]:
    """Return the losses to search: the squared one, and those that suit the metric."""
    metric = problem.scorer.metric
    if metric.level is not None:
        return ("quantile",)  # a mean is a quantile only by chance
    if problem.data.n_classes == 2:
        return ("squared", "logistic")
    if metric.name in DEVIANCES and "target_transform" not in problem.pins:  # these have one of their own
        return ("squared", DEVIANCES[metric.name])
    return ("squared", "absolute") if metric.name in ABSOLUTE_METRICS else ("squared",)


def _require_amounts(problem: Problem, loss: str) -> None:
    """Refuse a loss with a log link for a class, a negative target, or a target of 0 and the gamma loss."""
    data, pin = problem.final.data, option("set", {"loss": loss})
    if data.n_classes:
        raise OptionError(
            f"{pin}: '{data.target.name}' of {data.table.source} is a class, but this loss needs numbers. "
            f"Leave it out, or give {option('task', 'regression')} if it is a number."
        )
    if "target_transform" in problem.pins:
        chosen = option("set", {"target_transform": problem.pins["target_transform"]})
        raise OptionError(f"{pin}: already learns logarithms of means. Leave {chosen} out.")
    y_true = data.y_true[problem.final.rows]
    wrong = np.flatnonzero(y_true < 0 if loss == "poisson" else y_true <= 0)
    if len(wrong):
        raise OptionError(
            f"{pin}: '{data.target.name}' of {data.table.source} is {y_true[wrong[0]]:g} in row "
            f"{wrong[0] + 1:,} of those with a target, but must be "
            f"{'0 or more' if loss == 'poisson' else 'above 0'}. Leave it out."
        )


def _require_squares(problem: Problem) -> None:
    """Refuse to start from squares of a class, or beside a base model."""
    data, pin = problem.data, option("set", {"start_matrix": "squares"})
    if data.base is not None:
        raise OptionError(f"{pin}: cannot be combined with {option('transfer_from')}. Leave one out.")
    if data.n_classes:
        raise OptionError(
            f"{pin}: '{data.target.name}' of {data.table.source} is a class, and a class has no squares. "
            f"Leave it out, or give {option('task', 'regression')} if it is a number."
        )


def _require_logarithms(problem: Problem) -> None:
    """Refuse the log target transform if a training target is negative or a class."""
    name, source = problem.data.target.name, problem.data.table.source
    if problem.data.n_classes:
        raise OptionError(
            f"{option('set', {'target_transform': 'log'})}: '{name}' of {source} is a class, and a class "
            f"has no logarithm. Leave it out, or use {option('task', 'regression')} if it is a number."
        )
    negative = np.flatnonzero(problem.final.data.y_true[problem.final.rows] < 0)
    if len(negative):
        raise OptionError(
            f"{option('set', {'target_transform': 'log'})}: {source} has a negative '{name}' (row "
            f"{negative[0] + 1:,} of those with a target), which has no logarithm. Leave it out."
        )
