"""Pickle an estimator: the model travels as the content of its file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator

from xrfm_cli.options.devices import find_device
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import model_from_bytes, model_to_bytes


class PicklingMixin(BaseEstimator):
    """Pickling of a fitted ``model_``, with all checks that loading a file makes."""

    model_: FittedModel

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the model as the content of its file, so that unpickling makes the checks of loading."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = (model_to_bytes(self.model_), self.model_.created)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "model_" in state:
            content, created = state["model_"]
            state["model_"] = replace(
                model_from_bytes(content, device=find_device(state["device"])), created=created
            )
        super().__setstate__(state)
