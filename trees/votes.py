"""Soft routing: the few leaves of a tree that vote on each row, found without weighing all leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled import routing
from xrfm_cli.leaf_models.kernels.coordinates import has_loops
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.trees.routing import SplitNode, reached_leaves, route

MAX_VOTING_LEAVES = 12  # leaves that vote on a softly routed row
VOTING_MASS = 0.99  # share of the weight that the voting leaves hold, if MAX_VOTING_LEAVES suffice
# Without compiled loops, nodes of a smaller weight are visited only if all others hold too little weight.
LEAST_MASS = 1e-4
PAIRS_AT_ONCE = 1 << 22  # of a row and a leaf, where a row may reach every leaf: 100 MiB
PROJECTED_NUMBERS = 1 << 20  # per block of projections: 8 MiB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """Pairs of a row and a leaf that votes on it, sorted by leaf, then by row."""

    rows: Tensor  # (p,) int64
    leaves: Tensor  # (p,) int64
    weights: Tensor  # (p,) float64; those of a row add to one
    places: Tensor  # (p,) int64: the position of the leaf among those of its row
    starts: Tensor  # (n_leaves + 1,) int64 on the CPU: the first pair of each leaf, and the number of pairs
    n_rows: int

    @classmethod
    def of(cls, leaves: Tensor, weights: Tensor, n_leaves: int) -> Votes:  # (n, k), (n, k)
        """Build from the leaves of each row in increasing order, those of weight 0 last.

        >>> votes = Votes.of(torch.tensor([[1, 2], [0, 3]]), torch.tensor([[0.5, 0.5], [1.0, 0.0]]), 3)
        >>> votes.rows.tolist(), votes.leaves.tolist(), votes.places.tolist(), votes.starts.tolist()
        ([1, 0, 0], [0, 1, 2], [0, 0, 1], [0, 1, 2, 3])
        """
        n = len(leaves)
        keys = (leaves * n + torch.arange(n, device=leaves.device)[:, None]).T.reshape(-1)
        used = (weights.T.reshape(-1) > 0).nonzero()[:, 0]
        keys, order = keys[used].sort()
        used = used[order]
        own = leaves.T.reshape(-1)[used]
        return cls(
            rows=keys - own * n,
            leaves=own,
            weights=weights.T.reshape(-1)[used],
            places=used // max(n, 1),
            starts=_starts(own, n_leaves),
            n_rows=n,
        )

    def merged(self, others: Sequence[Votes]) -> Votes:
        """Return the pairs of these and other votes on the same rows, each once and of weight 1."""
        if not others:
            return self
        keys = torch.cat([votes.keys() for votes in (self, *others)]).unique()
        leaves = keys // max(self.n_rows, 1)
        return Votes(
            rows=keys - leaves * self.n_rows,
            leaves=leaves,
            weights=torch.ones_like(keys),
            places=torch.zeros_like(keys),
            starts=_starts(leaves, len(self.starts) - 1),
            n_rows=self.n_rows,
        )

    def dense(self) -> Tensor:  # -> (n, n_leaves)
        """Return the weight of every leaf for every row."""
        out = self.weights.new_zeros(self.n_rows, len(self.starts) - 1)
        out[self.rows, self.leaves] = self.weights
        return out

    def keys(self) -> Tensor:  # (p,)
        """Return an increasing number for each pair."""
        return self.leaves * self.n_rows + self.rows

    def add_to(self, total: Tensor, pairs: slice | Tensor, values: Tensor) -> None:  # (n, ...), (p, ...)
        """Add the values of some pairs times their weights to the rows' totals, leaf by leaf."""
        rows, places, weights = self.rows[pairs], self.places[pairs], self.weights[pairs].to(total.dtype)
        scaled = values * weights.reshape(-1, *[1] * (values.ndim - 1))
        last = int(places.max()) if len(places) else -1
        for place in range(last + 1):  # a row is there once
            own = slice(None) if last == 0 else places == place
            total[rows[own]] += scaled[own]

    def within(self, keys: Tensor) -> tuple[slice, Tensor]:  # (q,)
        """Return the pairs that are among some increasing keys, a slice, and where each of them is."""
        own = self.keys()
        bounds = torch.stack([keys[0], keys[-1] + 1])
        start, stop = torch.searchsorted(own, bounds).tolist()
        return slice(start, stop), torch.searchsorted(keys, own[start:stop])


def _starts(leaves: Tensor, n_leaves: int) -> Tensor:  # (p,) -> (n_leaves + 1,)
    return torch.searchsorted(leaves, torch.arange(n_leaves + 1, device=leaves.device)).cpu()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitTable:
    """The splits of a tree as tensors."""

    directions: Tensor  # (s, d) float64
    thresholds: Tensor  # (s,)
    iqr: Tensor  # (s,)
    children: Tensor  # (s, 2) int64: left and right
    slacks: Tensor  # (s, 2) float64: bounds of the rounding error by the length of a row, and alone
    above: Tensor  # (s + l, 2) int64: the split above each split, then each leaf; 1 for right or 0 for left
    paths: Tensor  # (l, depth, 2) int64: the splits above each leaf, see _paths

    @classmethod
    def of(cls, splits: tuple[SplitNode, ...]) -> SplitTable:
        """Stack the splits, at least one."""
        directions = torch.stack([widened(node.direction) for node in splits])
        numbers = [(node.threshold, node.iqr) for node in splits]
        device, d = directions.device, directions.shape[1]
        thresholds, iqr = torch.tensor(numbers, dtype=directions.dtype).to(device).T.contiguous()
        # A sum of d products rounds by at most d eps |v| |x|, in any order; this allows four times as much.
        eps = 4 * torch.finfo(directions.dtype).eps
        slacks = torch.stack([(d + 2) * eps * directions.norm(dim=1), eps * thresholds.abs()], dim=1)
        children = torch.tensor([(node.left, node.right) for node in splits]).to(device)
        above = _above(children)
        return cls(
            directions=directions,
            thresholds=thresholds,
            iqr=iqr,
            children=children,
            slacks=slacks,
            above=above,
            paths=_paths(above),
        )

    def for_loops(self, temperature: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the tensors that the compiled loops take."""
        return self.directions, self.thresholds, temperature * self.iqr, self.slacks, self.children


def hard_routing(x: Tensor, splits: tuple[SplitNode, ...], table: SplitTable) -> Tensor:  # -> (n,)
    """Return the leaf of each row under hard routing, as :func:`xrfm_cli.trees.routing.route` does."""
    if not has_loops(x) or table.directions.shape[1] != x.shape[1]:
        return route(x, splits)
    leaves = routing.descend(x, table.for_loops(0.0))
    close = (leaves < 0).nonzero()[:, 0]
    if len(close):
        leaves[close] = route(x[close], splits)
    return leaves


def soft_routing(
    x: Tensor, splits: tuple[SplitNode, ...], table: SplitTable, n_leaves: int, temperature: float
) -> tuple[Tensor, Tensor]:  # (n, d) -> (n, k), (n, k)
    """Return the leaves that vote on each row, in increasing order, and their weights.

    They are the leaves with the largest weights, until these add to 99 % of the row's weight or there are 12.
    The weights are rescaled to add to one. Unused places come last, with weight 0.
    """
    if has_loops(x):
        leaves, masses = routing.vote(
            x, table.for_loops(temperature), enough=VOTING_MASS, most=MAX_VOTING_LEAVES
        )
        close = (leaves[:, 0] < 0).nonzero()[:, 0]
        if len(close):
            leaves[close], masses[close] = heaviest_leaves(x[close], splits, n_leaves, temperature)
    else:
        leaves, masses = heaviest_leaves(x, splits, n_leaves, temperature)
    before = masses.cumsum(1) - masses
    masses = torch.where(before < VOTING_MASS, masses, 0.0)
    leaves, order = torch.where(masses > 0, leaves, n_leaves).sort(dim=1)
    masses = masses.gather(1, order)
    widest = int((masses > 0).sum(1).max()) if len(x) else 1
    return leaves[:, :widest], masses[:, :widest] / masses.sum(1, keepdim=True)


def heaviest_leaves(
    x: Tensor, splits: tuple[SplitNode, ...], n_leaves: int, temperature: float
) -> tuple[Tensor, Tensor]:  # (n, d) -> (n, 12), (n, 12)
    """Return the heaviest leaves of each row and their weights, in order, by descent from split to split.

    Some rows spread over hundreds of leaves, so that their leaves above :data:`LEAST_MASS` do not suffice.
    These are followed to all of their leaves.
    """
    leaves, masses = _heaviest(x, splits, temperature, LEAST_MASS)
    few = ((masses.sum(1) < VOTING_MASS) & (masses[:, -1] == 0)).nonzero()[:, 0]
    for part in few.split(max(1, PAIRS_AT_ONCE // n_leaves)):
        leaves[part], masses[part] = _heaviest(x[part], splits, temperature, 0.0)
    return leaves, masses


def _heaviest(
    x: Tensor, splits: tuple[SplitNode, ...], temperature: float, least: float
) -> tuple[Tensor, Tensor]:
    """Return the heaviest of the leaves above a weight ``(n, 12)``, and their weights."""
    rows, leaves, masses = reached_leaves(x, splits, temperature, least=least)
    order = leaves.argsort(stable=True)
    order = order[masses[order].argsort(stable=True, descending=True)]
    order = order[rows[order].argsort(stable=True)]
    rows, leaves, masses = rows[order], leaves[order], masses[order]
    first = torch.searchsorted(rows, torch.arange(len(x), device=x.device))
    place = torch.arange(len(rows), device=x.device) - first[rows]
    kept = place < MAX_VOTING_LEAVES
    shape = (len(x), MAX_VOTING_LEAVES)
    best = torch.full(shape, -1, dtype=torch.int64, device=x.device)
    weights = torch.zeros(shape, dtype=masses.dtype, device=x.device)
    best[rows[kept], place[kept]], weights[rows[kept], place[kept]] = leaves[kept], masses[kept]
    return best, weights


def log_weight_gradients(
    x: Tensor, votes: Votes, table: SplitTable, temperature: float
) -> Tensor:  # -> (p, d)
    """Return the derivative of the logarithm of each vote's path weight by the row, float64.

    ``sum over the path of (right: 1 - s, left: -s) v / (temperature * IQR)``; hard splits contribute nothing.
    """
    out = torch.zeros(len(votes.rows), x.shape[1], dtype=wide_dtype(x.device), device=x.device)
    for part in torch.arange(len(out), device=x.device).split(max(1, PROJECTED_NUMBERS // x.shape[1])):
        rows, paths = widened(x[votes.rows[part]]), table.paths[votes.leaves[part]]
        for number, to_right in zip(paths[:, :, 0].clamp(min=0).T, paths[:, :, 1].T, strict=True):
            directions, width = table.directions[number], temperature * table.iqr[number]
            passed = torch.sigmoid(((rows * directions).sum(1) - table.thresholds[number]) / width)
            factor = torch.where(to_right > 0, 1 - passed, -passed) / width
            factor = torch.where((width > 0) & (to_right >= 0), factor, 0.0)
            out[part] += factor[:, None] * directions
    return out


def _above(children: Tensor) -> Tensor:  # (s, 2) -> (s + l, 2)
    """Return the split above each split, then each leaf, and 1 for right or 0 for left; -1 for the root.

    >>> _above(torch.tensor([[~0, 1], [~1, ~2]])).tolist()
    [[-1, -1], [0, 1], [0, 0], [1, 0], [1, 1]]
    """
    count = len(children)
    above = torch.full((2 * count + 1, 2), -1, device=children.device)
    for right in (0, 1):
        own = children[:, right]
        own = torch.where(own < 0, count + ~own, own)
        above[own, 0], above[own, 1] = torch.arange(count, device=children.device), right
    return above


def _paths(above: Tensor) -> Tensor:  # (s + l, 2) -> (l, depth, 2)
    """Return the splits above each leaf from the root on, and 1 for right or 0 for left; -1 before the root.

    >>> _paths(_above(torch.tensor([[~0, 1], [~1, ~2]]))).tolist()
    [[[-1, -1], [0, 0]], [[0, 1], [1, 0]], [[0, 1], [1, 1]]]
    """
    at = torch.arange(len(above) // 2, len(above), device=above.device)
    steps = []
    while bool((at >= 0).any()):
        steps.append(torch.where(at[:, None] >= 0, above[at.clamp(min=0)], -1))
        at = steps[-1][:, 0]
    return torch.stack(steps[-2::-1], dim=1)  # the last step leads above the root
