"""Documentation that both estimators share, for ``help()`` and scikit-learn's diagrams."""

from __future__ import annotations

from inspect import cleandoc
from typing import TypeVar

PARAMETERS = """Parameters
----------
trials : int, default=None
    Number of configurations to try; 0 fits one model without a search. By default, the time limit ends the
    search.
time_limit : float or str, default=None
    Seconds, or a duration such as ``"10m"``, that ``fit`` may take. By default, the time of ``preset``, or
    none if ``trials`` is given.
early_stop : bool, default=True
    End the search before ``time_limit`` once it has converged: the last trials gained less than the
    validation rows can tell apart. If a number of ``trials`` is given, all are run.
preset : {"quick", "balanced", "best"}, default="balanced"
    15 seconds and 2 models in the ensemble, 60 seconds and 6 models, or 10 minutes and 12 models.
metric : str, default=None
    Metric to optimise: rmse, mae, r2, mape, poisson_deviance, gamma_deviance, or pinball@0.9 (a quantile of
    any level) for a regressor; log_loss, auc, average_precision, accuracy, balanced_accuracy, f1 or brier for
    a classifier. By default, rmse, auc for two classes, and log_loss for more.
folds : int, default=None
    Validate with cross-validation in this many folds. By default, the number of rows decides.
set : dict, default=None
    Hyperparameters to fix, such as ``{"bandwidth": 5, "kernel": "norm"}``.
drop : sequence of str, default=()
    Columns to ignore.
categorical, numeric, datetime : sequence of str, default=()
    Columns to read as categories, as numbers or as dates. By default, the cells decide.
id : sequence of str, default=()
    Columns that identify rows; the model does not use them.
offset : str, default=None
    Column of ``X`` with exposures above 0, such as years insured: the model learns the target per unit, and
    multiplies predictions by it. Only for a regressor.
group : str, default=None
    Keep rows that share a value of this column on one side of a split.
time : str, default=None
    Validate on the latest rows by this column.
schema : str or Path, default=None
    TOML file with the kinds and roles of all columns, as ``xrfm fit --schema`` writes it.
positive : label, default=None
    Positive class of two; only for a classifier. By default, the last class in sort order.
device : str, default="auto"
    "auto" (a CUDA device if there is one, else the CPU), "cpu", "cuda", "cuda:N" or "mps".
threads : int, default=None
    Threads to compute with. By default, all usable cores.
workers : int, default=None
    Processes that run steps of the search side by side, with one thread each. By default, one for each of
    the threads on Linux, and one elsewhere.
memory : int, default=None
    Memory limit in bytes. By default, the free memory.
fit_rows : int or "all", default=None
    Rows that the final models learn from, drawn at random. By default, as many as the limits allow.
search_rows : int, default=None
    Rows that trials are fitted and compared on, drawn at random. By default, as many as the limits allow.
transfer_from : str or Path, default=None
    Model file of a related, larger table. The search decides how far its predictions and its feature matrix
    help; the new model contains it.
random_state : int or RandomState, default=0
    Seed of every random choice. None draws another one in each fit.
"""

RESULTS = """feature_importances_ : ndarray of shape (n_features_in_,)
    Share of each column in the prediction's variance. The shares add up to 1.
score_ : float
    Score on rows that were not trained on, in the metric of the search.
leaderboard_ : DataFrame
    The trials of the search, best first, with score, seconds, weight in the ensemble and hyperparameters.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of these columns, if ``X`` has names.
model_ : FittedModel
    The fitted model, as ``save`` writes it.

Raises
------
xrfm_cli.InputError, a ValueError
    For data or arguments that no model can be fitted to. The message names the column or the argument.
xrfm_cli.NumericalError
    If a computation failed although the input was valid.
"""

Estimator = TypeVar("Estimator", bound=type)


def documented(estimator: Estimator) -> Estimator:
    """Fill ``{parameters}`` and ``{results}`` in the docstring of a class."""
    text = cleandoc(estimator.__doc__ or "")  # from Python 3.13 it comes without its indentation
    for place, shared in (("{parameters}", PARAMETERS), ("{results}", RESULTS)):
        text = text.replace(place, shared.rstrip())
    estimator.__doc__ = text
    return estimator
