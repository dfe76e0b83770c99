"""Hyperparameters that the user has fixed, resolved once for a fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.mentions import option
from xrfm_cli.trees import TreeConfig
from xrfm_cli.tuning.scoring.target_transforms import TransformChoice

NumericTransform = Literal["standard", "quantile", "piecewise"]
CategoryEncoding = Literal["one_hot", "target"]
# Uses of a base model: its predictions as columns, the part of the target that they do not explain, or both.
Transfer = Literal["none", "projection", "translation", "both"]
# The feature matrix of the first solve: all columns alike, a base model's, or that of the target's squares.
StartMatrix = Literal["identity", "base", "squares"]
TRANSFER_CHOICES: dict[str, tuple[str, ...]] = {
    "transfer": get_args(Transfer),
    "start_matrix": ("identity", "base"),
}
TRANSFORM_CHOICES: dict[str, tuple[str, ...]] = {
    "numeric_transform": get_args(NumericTransform),
    "category_encoding": get_args(CategoryEncoding),
    "target_transform": get_args(TransformChoice),
    **TRANSFER_CHOICES,
    "start_matrix": get_args(StartMatrix),
}


def hyperparameter_names() -> list[str]:
    """Return every name that ``--set`` takes."""
    tree = [f.name for f in fields(TreeConfig) if f.name != "leaf"]
    return sorted([f.name for f in fields(LeafConfig)] + tree + list(TRANSFORM_CHOICES))


def check_names(values: Mapping[str, Any]) -> None:
    """Refuse a hyperparameter that does not exist, naming the nearest that does."""
    known = hyperparameter_names()
    for name in values:
        if name not in known:
            raise OptionError(f"{option('set')} {name}: no such hyperparameter.{did_you_mean(name, known)}")


@dataclass(frozen=True, slots=True)
class Pins(Mapping[str, Any]):
    """Values by hyperparameter; the search changes none of them.

    >>> pins = Pins.of({"iterations": 2})
    >>> pins["iterations"], "ridge" in pins, pins.fix_iterations, pins.fix_leaf_size
    (2, False, True, False)
    """

    values_by_name: Mapping[str, Any]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the pins of ``--set``; raise OptionError for an unknown name."""
        check_names(values)
        return cls(dict(values))

    @property
    def fix_iterations(self) -> bool:
        """Return whether every fit makes the same number of AGOP updates, counted from the identity."""
        return "iterations" in self

    @property
    def fix_leaf_size(self) -> bool:
        """Return whether leaves keep their size however little time is left."""
        return "leaf_size" in self

    @property
    def fix_temperature(self) -> bool:
        """Return whether the softness of splits is given, so that none is chosen on validation rows."""
        return "temperature" in self

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)
