"""``--compress half``: centers and coefficients in 16 bits, if that hardly changes predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Table
from xrfm_cli.leaf_models import LeafModel
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.packing import pack, unpack
from xrfm_cli.trees.model import Prepared, TreeModel
from xrfm_cli.trees.stored_leaves import changed_leaves, outlines

if TYPE_CHECKING:
    from xrfm_cli.tuning.model.fitted_model import FittedModel

LARGEST_DIFFERENCE = 1e-3  # share of the predictions' standard deviation: far below the error of a model
CHECKED_ROWS = 1_000
# The attempts, in this order. Coefficients of opposite signs nearly cancel each other, so they may need all
# their digits. Centers are most of the file if there are more columns than outputs.
TRIED = (("centers", "coefficients"), ("centers",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """The tensors stored in 16 bits, and how far predictions of some rows differ, in standard deviations."""

    parts: tuple[str, ...]
    difference: float  # root mean square
    largest: float
    rows: int

    def names(self, tree: TreeModel) -> tuple[str, ...]:
        """Return the names of the tensors of a tree that are stored in 16 bits."""
        kernels = [n for n, leaf in enumerate(outlines(tree.leaves)) if isinstance(leaf, RFMLeaf)]
        return tuple(f"leaf.{number}.{part}" for number in kernels for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return the facts for the manifest."""
        return asdict(self) | {"parts": list(self.parts)}

    @classmethod
    def from_json(cls, facts: Any) -> Compression | None:
        """Rebuild from the manifest."""
        if facts is None:
            return None
        return cls(
            parts=tuple(facts["parts"]),
            difference=float(facts["difference"]),
            largest=float(facts["largest"]),
            rows=int(facts["rows"]),
        )


def compress(model: FittedModel, table: Table, *, seed: int) -> tuple[FittedModel, list[Compression]]:
    """Return a model of 16-bit numbers, or the same one if its predictions would differ too much.

    Also returns the attempts; the last one is used if it is close enough. A model without kernel machines has
    nothing to compress, so there are no attempts.
    """
    leaves = [leaf for member in model.members for leaf in outlines(member.tree.leaves)]
    if not any(isinstance(leaf, RFMLeaf) for leaf in leaves):
        return model, []
    rows = np.sort(np.random.default_rng(seed).permutation(table.n_rows)[:CHECKED_ROWS])
    sample = table if len(rows) == table.n_rows else table.take(rows)
    before, tried = _predictions(model, sample), []
    for parts in TRIED:
        members = tuple(replace(member, tree=_rounded(member.tree, parts)) for member in model.members)
        small = replace(model, members=members)
        difference, largest = _differences(before, _predictions(small, sample))
        tried.append(Compression(parts=parts, difference=difference, largest=largest, rows=len(rows)))
        if is_close(tried[-1]):
            return replace(small, compression=tried[-1]), tried
    return model, tried


def is_close(found: Compression) -> bool:
    """Return whether predictions differ little enough."""
    return found.difference <= LARGEST_DIFFERENCE


def _rounded(tree: TreeModel, parts: Sequence[str]) -> TreeModel:
    """Return the tree with numbers rounded to 16 bits."""

    def change(leaf: LeafModel) -> LeafModel:
        if not isinstance(leaf, RFMLeaf):
            return leaf
        small: dict[str, Any] = {
            name: unpack(*pack(getattr(leaf, name))).to(leaf.centers.device) for name in parts
        }
        return replace(leaf, **small)

    return replace(tree, leaves=changed_leaves(tree.leaves, change), prepared=Prepared())


def _predictions(model: FittedModel, table: Table) -> NDArray[np.float64]:
    found = model.predict(table)
    values = found.values if found.probabilities is None else found.probabilities
    assert values is not None
    return values.reshape(len(values), -1)


def _differences(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Return the root mean square and the largest difference, in standard deviations of each output.

    >>> _differences(np.array([[0.0], [2.0]]), np.array([[0.0], [2.5]]))
    (0.3535533905932738, 0.5)
    """
    changes, deviations = np.abs(after - before), before.std(0)
    found = [
        np.divide(change, deviations, out=np.where(change > 0, np.inf, 0.0), where=deviations > 0).max()
        for change in (np.sqrt((changes**2).mean(0)), changes.max(0))
    ]
    return float(found[0]), float(found[1])
