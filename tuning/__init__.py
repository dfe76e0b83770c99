"""Tuning: find the best model within a budget, by search, validation, ensembling and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.tuning.config import PRESETS, FitConfig
    from xrfm_cli.tuning.dry_run import DryRun, dry_run_fit
    from xrfm_cli.tuning.environment import library_versions
    from xrfm_cli.tuning.fit import fit_model
    from xrfm_cli.tuning.model.fitted_model import FittedModel, Member, Prediction
    from xrfm_cli.tuning.model.report import FitReport
    from xrfm_cli.tuning.model.storage import load_model, save_model
    from xrfm_cli.tuning.pins import hyperparameter_names
    from xrfm_cli.tuning.refit import refit_model
    from xrfm_cli.tuning.scoring.metrics import METRICS, Metric, default_metric, evaluate_metrics, find_metric

__all__ = [
    "METRICS",
    "PRESETS",
    "DryRun",
    "FitConfig",
    "FitReport",
    "FittedModel",
    "Member",
    "Metric",
    "Prediction",
    "default_metric",
    "dry_run_fit",
    "evaluate_metrics",
    "find_metric",
    "fit_model",
    "hyperparameter_names",
    "library_versions",
    "load_model",
    "refit_model",
    "save_model",
]

_PLACES = {
    "FitConfig": "config",
    "DryRun": "dry_run",
    "FitReport": "model.report",
    "FittedModel": "model.fitted_model",
    "METRICS": "scoring.metrics",
    "Member": "model.fitted_model",
    "Metric": "scoring.metrics",
    "PRESETS": "config",
    "Prediction": "model.fitted_model",
    "default_metric": "scoring.metrics",
    "evaluate_metrics": "scoring.metrics",
    "find_metric": "scoring.metrics",
    "fit_model": "fit",
    "hyperparameter_names": "pins",
    "library_versions": "environment",
    "load_model": "model.storage",
    "dry_run_fit": "dry_run",
    "refit_model": "refit",
    "save_model": "model.storage",
}

__getattr__ = on_first_use(__name__, _PLACES)  # `xrfm --help` needs only the errors
