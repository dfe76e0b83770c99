"""Candidates: configurations that the search evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LINEAR_FAMILIES
from xrfm_cli.trees import TreeConfig
from xrfm_cli.tuning.pins import (
    TRANSFORM_CHOICES,
    StartMatrix,
    Transfer,
    check_names,
)
from xrfm_cli.tuning.problem.size_limit import SizeLimit
from xrfm_cli.tuning.scoring.target_transforms import TransformChoice, TransformName

LEAST_SPLIT_ROWS, MOST_SPLIT_ROWS = 300, 2_000
# Losses of log odds and of logarithms of means, with the requirement on their targets.
LINKS: dict[str, TransformName] = {"logistic": "logit", "poisson": "log_mean", "gamma": "log_mean"}
TRANSLATED: tuple[str, ...] = ("translation", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One configuration: encodings of columns and target, and how the tree is fitted."""

    tree: TreeConfig
    encoding: EncodingConfig
    target_transform: TransformChoice = "none"
    transfer: Transfer = "none"
    start_matrix: StartMatrix = "identity"

    @property
    def is_translated(self) -> bool:
        """Return whether it learns the part of the target that a base's predictions do not explain."""
        return self.transfer in TRANSLATED

    @property
    def starts_from_squares(self) -> bool:
        """Return whether its first feature matrix is learned from the target's squares."""
        return self.start_matrix == "squares" and self.tree.leaf.kernel not in LINEAR_FAMILIES

    @property
    def family(self) -> str:
        """Return the family of its kernel."""
        return kernel_family(self.tree.leaf.kernel, self.tree.leaf.kernel_p)

    @property
    def transform(self) -> TransformName:
        """Return the target transform, which a loss with a link implies."""
        return LINKS.get(self.tree.leaf.loss, self.target_transform)

    def to_dict(self) -> dict[str, Any]:
        """Return one flat mapping of names to values, as ``--set`` takes them."""
        return {
            **self.tree.to_dict(),
            "numeric_transform": self.encoding.numeric,
            "category_encoding": self.encoding.category,
            "target_transform": self.target_transform,
            **({"transfer": self.transfer} if self.transfer != "none" else {}),
            **({"start_matrix": self.start_matrix} if self.start_matrix != "identity" else {}),
        }

    def with_iterations(self, iterations: int) -> Candidate:
        """Return the same candidate with another number of AGOP updates."""
        leaf = replace(self.tree.leaf, iterations=iterations)
        return replace(self, tree=replace(self.tree, leaf=leaf))

    def with_leaf_size(self, leaf_size: int) -> Candidate:
        """Return the same candidate with smaller leaves, and fewer rows to split nodes by if needed."""
        split_rows = min(self.tree.split_rows, choose_split_rows(leaf_size))
        return replace(self, tree=replace(self.tree, leaf_size=leaf_size, split_rows=split_rows))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Candidate:
        """Build from flat names and values; a misspelt name is refused with the nearest one."""
        for name, options in TRANSFORM_CHOICES.items():
            if values.get(name, options[0]) not in options:
                raise OptionError(f"{name}={values[name]!r}: must be one of {', '.join(options)}.")
        tree = {k: v for k, v in values.items() if k not in TRANSFORM_CHOICES}
        check_names(tree)
        transfer: Transfer = values.get("transfer") or "none"  # absent in the records of fits without a base
        encoding = EncodingConfig(
            numeric=values.get("numeric_transform", "standard"),
            category=values.get("category_encoding", "one_hot"),
            with_base=transfer != "none",
        )
        return cls(
            tree=TreeConfig.from_dict(tree),
            encoding=encoding,
            target_transform=values.get("target_transform", "none"),
            transfer=transfer,
            start_matrix=values.get("start_matrix") or "identity",
        )


def within_size(
    size: SizeLimit, candidate: Candidate, *, columns: int | None = None, validated_size: int | None = None
) -> Candidate:
    """Return a candidate whose centers take no more room in the final fit than they would have in validation.

    ``columns`` are those of the encoder of all rows, ``validated_size`` is the leaf size in validation.
    """
    tree = candidate.tree
    leaf = size.for_final_fit(
        tree.leaf,
        candidate.encoding,
        leaf_size=tree.leaf_size,
        columns=columns,
        validated_size=validated_size,
    )
    return replace(candidate, tree=replace(tree, leaf=leaf))


def kernel_family(kernel: str, kernel_p: float) -> str:
    """Return the family of a kernel, as the search draws it.

    >>> kernel_family("norm", 2.0), kernel_family("norm", 1.3), kernel_family("linear", 2.0)
    ('l2', 'lp', 'linear')
    """
    return {2.0: "l2", 1.0: "l1"}.get(kernel_p, "lp") if kernel == "norm" else kernel


def choose_split_rows(leaf_size: int) -> int:
    """Return the rows used to find a node's direction: half a leaf, so that leaves take most of the work.

    >>> choose_split_rows(10_000), choose_split_rows(1_000), choose_split_rows(50)
    (2000, 500, 300)
    """
    return max(LEAST_SPLIT_ROWS, min(MOST_SPLIT_ROWS, leaf_size // 2))
