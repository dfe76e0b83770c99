"""Hyperparameters of a tree of leaves, validated on construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.leaf_models.config import LeafConfig, is_number


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeConfig:
    """The leaves of a tree, when a node is split and how rows are routed.

    >>> TreeConfig(leaf_size=500).leaf.kernel
    'norm'
    """

    leaf: LeafConfig = field(default_factory=LeafConfig)
    leaf_size: int = 10_000  # a node with more rows is split; part of the model, independent of the memory
    min_leaf_size: int = 20  # no split leaves a child fewer rows
    overlap: float = 0.0  # this share of a node's rows on either side of the median goes to both children
    temperature: float = 0.0  # softness of the routing in units of the projections' IQR; 0 is hard
    split_rows: int = 2_000  # rows drawn at random for the model whose AGOP gives the direction

    def __post_init__(self) -> None:
        limits = {
            "leaf_size": (2, 10**9),
            "min_leaf_size": (1, 10**9),
            "overlap": (0.0, 0.25),
            "temperature": (0.0, 100.0),
            "split_rows": (2, 10**9),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            whole = isinstance(low, float) or isinstance(value, int)
            if not (is_number(value) and low <= value <= high and whole):
                kind = "a number" if isinstance(low, float) else "a whole number"
                raise OptionError(f"{name}={value!r}: must be {kind} from {low:g} to {high:g}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TreeConfig:
        """Build from one flat mapping of names to values, those of the leaf included."""
        own = {f.name for f in fields(cls)} - {"leaf"}
        of_leaf = {f.name for f in fields(LeafConfig)}
        for name in values:
            if name not in own | of_leaf:
                raise OptionError(f"{name}: no such hyperparameter.{did_you_mean(name, own | of_leaf)}")
        leaf = LeafConfig.from_dict({k: v for k, v in values.items() if k in of_leaf})
        return cls(leaf=leaf, **{k: v for k, v in values.items() if k in own})

    def to_dict(self) -> dict[str, Any]:
        """Return one flat mapping of names to values, those of the leaf included."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "leaf"}
        return {**self.leaf.to_dict(), **own}

    def with_temperature(self, temperature: float) -> TreeConfig:
        """Return the same tree with another softness of the routing."""
        return replace(self, temperature=temperature)
