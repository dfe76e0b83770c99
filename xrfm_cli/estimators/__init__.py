"""Two scikit-learn estimators that fit the same models as the command ``xrfm``."""

from xrfm_cli.estimators.classifier import XRFMClassifier
from xrfm_cli.estimators.regressor import XRFMRegressor

__all__ = ["XRFMClassifier", "XRFMRegressor"]
