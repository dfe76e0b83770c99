"""Tuning: a budget becomes the best model. Search, folds, ensembling, calibration, intervals."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xrfm_cli.tuning.config import PRESETS, FitConfig
    from xrfm_cli.tuning.fit import fit_model, library_versions
    from xrfm_cli.tuning.metrics import METRICS, Metric, default_metric, evaluate_metrics, find_metric
    from xrfm_cli.tuning.model import FittedModel, Member, Prediction
    from xrfm_cli.tuning.planning import FitPlan, plan_fit
    from xrfm_cli.tuning.renewal import refit_model
    from xrfm_cli.tuning.report import FitReport
    from xrfm_cli.tuning.space import hyperparameter_names
    from xrfm_cli.tuning.storage import load_model, save_model

__all__ = [
    "METRICS",
    "PRESETS",
    "FitConfig",
    "FitPlan",
    "FitReport",
    "FittedModel",
    "Member",
    "Metric",
    "Prediction",
    "default_metric",
    "evaluate_metrics",
    "find_metric",
    "fit_model",
    "hyperparameter_names",
    "library_versions",
    "load_model",
    "plan_fit",
    "refit_model",
    "save_model",
]

_PLACES = {
    "FitConfig": "config",
    "FitPlan": "planning",
    "FitReport": "report",
    "FittedModel": "model",
    "METRICS": "metrics",
    "Member": "model",
    "Metric": "metrics",
    "PRESETS": "config",
    "Prediction": "model",
    "default_metric": "metrics",
    "evaluate_metrics": "metrics",
    "find_metric": "metrics",
    "fit_model": "fit",
    "hyperparameter_names": "space",
    "library_versions": "fit",
    "load_model": "storage",
    "plan_fit": "planning",
    "refit_model": "renewal",
    "save_model": "storage",
}


def __getattr__(name: str) -> object:
    """A name is imported when it is first used: `xrfm --help` needs the errors alone."""
    if name not in _PLACES:
        raise AttributeError(f"module 'xrfm_cli.tuning' has no attribute '{name}'")
    return getattr(import_module(f"xrfm_cli.tuning.{_PLACES[name]}"), name)
