"""The fitted tree: batch prediction, gradients and its stored form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from xrfm_cli.datasets.dotted_names import by_first_part, numbered
from xrfm_cli.errors import ModelFileError
from xrfm_cli.leaf_models import LeafModel
from xrfm_cli.leaf_models.leaf import MISFIT, RFMLeaf
from xrfm_cli.leaf_models.many_leaves import LeafTable, predict_pairs
from xrfm_cli.leaf_models.precision import wide_dtype
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.routing import SplitNode
from xrfm_cli.trees.stored_leaves import (
    StoredLeaves,
    StoredTensor,
    built_leaves,
    changed_leaves,
    outlines,
)
from xrfm_cli.trees.votes import (
    SplitTable,
    Votes,
    hard_routing,
    log_weight_gradients,
    soft_routing,
)

VALUES_AT_ONCE = 1 << 22  # leaf predictions in memory at a time: 16 MiB


class Prepared:
    """Tensors that predictions derive from the splits and leaves. They are computed once and never saved."""

    def __init__(self) -> None:
        self._splits: tuple[tuple[SplitNode, ...], SplitTable] | None = None
        self._leaves: tuple[Sequence[LeafModel], LeafTable | None] | None = None

    def splits(self, splits: tuple[SplitNode, ...]) -> SplitTable:
        """Return the splits as tensors."""
        if self._splits is None or self._splits[0] is not splits:
            self._splits = splits, SplitTable.of(splits)
        return self._splits[1]

    def leaves(self, leaves: Sequence[LeafModel]) -> LeafTable | None:
        """Return the leaves as the compiled loops take them, all in memory, or None."""
        if isinstance(leaves, StoredLeaves):
            return None
        if self._leaves is None or self._leaves[0] is not leaves:
            self._leaves = leaves, LeafTable.of(leaves)
        return self._leaves[1]

    def __reduce__(self) -> tuple[type[Prepared], tuple[()]]:
        """Copy and pickle as empty: the tables hold addresses."""
        return Prepared, ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreeModel:
    """A splitting tree whose leaves are Recursive Feature Machines, of kernels or linear.

    Beaglehole, Holzmueller, Radhakrishnan, Belkin, arXiv 2508.10053 (2025).
    """

    config: TreeConfig
    splits: tuple[SplitNode, ...]  # empty for a table below leaf_size
    leaves: Sequence[LeafModel]  # in memory, or StoredLeaves in the model file
    prepared: Prepared = field(default_factory=Prepared, repr=False)

    @property
    def temperature(self) -> float:
        """Return the softness of the routing; 0 is hard."""
        return self.config.temperature

    @property
    def n_features(self) -> int:
        """Return the number of input columns."""
        return int(outlines(self.leaves)[0].centers.shape[1])

    @property
    def n_outputs(self) -> int:
        """Return the number of output columns."""
        return int(outlines(self.leaves)[0].coefficients.shape[1])

    def with_temperature(self, temperature: float) -> TreeModel:
        """Return the same splits and leaves with another softness of the routing."""
        return replace(self, config=self.config.with_temperature(temperature))

    def ready(self) -> TreeModel:
        """Return the same tree with leaves that are prepared once, for many predictions of a few rows.

        It takes up to twice the memory. Leaves in a file stay there, and leaves of the compiled loops are
        prepared once anyway.
        """
        if isinstance(self.leaves, StoredLeaves) or self.prepared.leaves(self.leaves) is not None:
            return self
        leaves = tuple(leaf.ready() if isinstance(leaf, RFMLeaf) else leaf for leaf in self.leaves)
        return replace(self, leaves=leaves, prepared=Prepared())

    def mixed(self, mixture: Tensor) -> TreeModel:  # (c, m)
        """Return the tree whose outputs are mixtures of this one's outputs, for gradients."""
        leaves = changed_leaves(self.leaves, lambda leaf: leaf.mixed(mixture), reshapes=True)
        return replace(self, leaves=leaves, prepared=Prepared())

    def route(self, x: Tensor) -> Tensor:  # (n, d) -> (n,)
        """Return the leaf of each row under hard routing."""
        if not self.splits:
            return torch.zeros(len(x), dtype=torch.long, device=x.device)
        return hard_routing(x, self.splits, self.prepared.splits(self.splits))

    def votes(self, x: Tensor) -> Votes:  # (n, d)
        """Return the leaves that vote on each row and their weights."""
        if self._is_hard:
            leaves = self.route(x)[:, None]
            weights = torch.ones(len(x), 1, dtype=wide_dtype(x.device), device=x.device)
        else:
            leaves, weights = soft_routing(
                x, self.splits, self.prepared.splits(self.splits), len(self.leaves), self.temperature
            )
        return Votes.of(leaves, weights, len(self.leaves))

    def predict(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        """Predict; a row's value does not depend on the rows around it."""
        return self.predict_at(x, [self.temperature])[0]

    def predict_at(self, x: Tensor, temperatures: Sequence[float]) -> list[Tensor]:  # (n, d) -> (n, c) each
        """Predict at several temperatures; a leaf is evaluated once for all rows that it votes on at any."""
        if not self.splits:
            return [self._single_leaf_values(x)] * len(temperatures)
        options = [self.with_temperature(temperature).votes(x) for temperature in temperatures]
        out = [torch.zeros(len(x), self.n_outputs, dtype=x.dtype, device=x.device) for _ in options]
        together = options[0].merged(options[1:])
        for pairs, values in self._leaf_values(x, together):
            if len(options) == 1:
                together.add_to(out[0], pairs, values)
                continue
            keys = together.keys()[pairs]
            for total, own in zip(out, options, strict=True):
                chosen, places = own.within(keys)
                own.add_to(total, chosen, values[places])
        return out

    def gradients(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c, d)
        """Return the derivatives of the predictions, through soft routing too.

        ``grad f = sum_l w_l grad f_l + f_l grad w_l`` over the voting leaves, whose weights are
        renormalised: ``grad log w_l`` is taken relative to its weighted mean.
        """
        out = torch.zeros(len(x), self.n_outputs, x.shape[1], dtype=x.dtype, device=x.device)
        votes = self.votes(x)
        for number in votes.starts.diff().nonzero()[:, 0].tolist():
            pairs = slice(int(votes.starts[number]), int(votes.starts[number + 1]))
            votes.add_to(out, pairs, self.leaves[number].gradients(x[votes.rows[pairs]]))
        if self._is_hard:
            return out
        slopes = log_weight_gradients(x, votes, self.prepared.splits(self.splits), self.temperature)
        mean = slopes.new_zeros(len(x), x.shape[1])
        votes.add_to(mean, slice(None), slopes)
        slopes = (slopes - mean[votes.rows]).to(x.dtype)
        for pairs, values in self._leaf_values(x, votes):
            votes.add_to(out, pairs, values[:, :, None] * slopes[pairs, None, :])
        return out

    def _leaf_values(self, x: Tensor, votes: Votes) -> Iterator[tuple[slice, Tensor]]:
        """Yield the predictions of the voting leaves ``(p, c)`` for a part of the pairs at a time."""
        table = self.prepared.leaves(self.leaves)
        step = max(1, VALUES_AT_ONCE // self.n_outputs)
        for start in range(0, len(votes.rows), step):
            pairs = slice(start, min(start + step, len(votes.rows)))
            starts = (votes.starts - start).clamp(0, pairs.stop - start)
            yield pairs, predict_pairs(self.leaves, table, x, votes.rows[pairs], starts)

    def _single_leaf_values(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        """Return the predictions of the only leaf, which needs no votes."""
        table, rows = self.prepared.leaves(self.leaves), torch.arange(len(x), device=x.device)
        values = predict_pairs(self.leaves, table, x, rows, torch.tensor([0, len(x)]))
        return values.add_(0.0)  # no negative zeros, as in a sum

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return JSON facts and tensors from which the tree can be rebuilt."""
        facts: dict[str, Any] = {
            "config": self.config.to_dict(),
            "splits": [
                {"threshold": node.threshold, "iqr": node.iqr, "left": node.left, "right": node.right}
                for node in self.splits
            ],
            "leaves": [],
        }
        tensors: dict[str, Tensor] = {}
        if self.splits:
            tensors["directions"] = torch.stack([node.direction for node in self.splits])
        for number, leaf in enumerate(self.leaves):
            leaf_facts, leaf_tensors = leaf.state()
            facts["leaves"].append(leaf_facts)
            tensors |= {f"leaf.{number}.{name}": value for name, value in leaf_tensors.items()}
        return facts, tensors

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor | StoredTensor]) -> TreeModel:
        """Rebuild from the output of :meth:`state`; the leaves' tensors may be those of a file.

        Raises ModelFileError for children that do not make a tree or tensors that do not fit together.
        """
        parts = by_first_part(tensors)
        directions: Any = parts.get("directions", {}).get("")
        splits = tuple(
            SplitNode(
                direction=directions[number],
                threshold=float(node["threshold"]),
                iqr=float(node["iqr"]),
                left=int(node["left"]),
                right=int(node["right"]),
            )
            for number, node in enumerate(facts["splits"])
        )
        check_tree(splits, len(facts["leaves"]))
        if set(parts) != ({"leaf", "directions"} if splits else {"leaf"}):
            raise ModelFileError(MISFIT)
        if splits and len(directions) != len(splits):
            raise ModelFileError(MISFIT)
        of_leaves = numbered(parts["leaf"], len(facts["leaves"]))
        leaves = built_leaves(facts["leaves"], of_leaves)
        check_shapes(splits, outlines(leaves))
        return cls(config=TreeConfig.from_dict(facts["config"]), splits=splits, leaves=leaves)

    def to(self, device: torch.device | str) -> TreeModel:
        """Return the same tree with its tensors on another device."""
        wide = wide_dtype(torch.device(device))
        splits = tuple(replace(node, direction=node.direction.to(device, wide)) for node in self.splits)
        leaves = changed_leaves(self.leaves, lambda leaf: leaf.to(device))
        return replace(self, splits=splits, leaves=leaves, prepared=Prepared())

    @property
    def _is_hard(self) -> bool:
        return self.temperature == 0 or not self.splits


def check_tree(splits: tuple[SplitNode, ...], n_leaves: int) -> None:
    """Refuse children that do not make a tree: every split and every leaf has exactly one parent."""
    children = [child for node in splits for child in (node.left, node.right)]
    expected = [*range(1, len(splits)), *(~leaf for leaf in range(n_leaves))] if splits else []
    forward = all(
        not 0 <= child <= parent for parent, node in enumerate(splits) for child in (node.left, node.right)
    )
    if sorted(children) != sorted(expected) or not forward or (not splits and n_leaves != 1):
        raise ModelFileError("the model's splits and leaves do not make a tree. Fit the model again.")


def check_shapes(splits: tuple[SplitNode, ...], leaves: Sequence[LeafModel]) -> None:
    """Refuse leaves and splits that do not fit together; each leaf has already checked its own tensors."""
    d = leaves[0].centers.shape[1]
    kinds = {(leaf.centers.shape[1], leaf.coefficients.shape[1], leaf.coefficients.dtype) for leaf in leaves}
    if len(kinds) > 1 or any(node.direction.shape != (d,) for node in splits):
        raise ModelFileError(MISFIT)
