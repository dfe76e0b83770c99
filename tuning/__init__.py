"""Tuning: a budget becomes the best model. Search, folds, ensembling, calibration, intervals."""

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
