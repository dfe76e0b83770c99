"""Leaves of a member compared with the whole member, and its splits in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from xrfm_cli.reports import formats
from xrfm_cli.reports.rules import alternatives_words
from xrfm_cli.reports.sensitivity import Sensitivity, normalised
from xrfm_cli.reports.units import original_value
from xrfm_cli.tuning.explain.columns import ColumnMap
from xrfm_cli.tuning.explain.regions.facts import RowsSummary
from xrfm_cli.tuning.explain.regions.split_rules import SplitRule

NAMED_COLUMNS = 5  # columns listed for a leaf
SPLIT_FEATURES = 4  # features listed for a split
ALONE = 0.9  # share of a direction's squared norm above which one feature decides nearly alone


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWeight:
    """An encoded feature, the column it belongs to, and its signed weight in a direction."""

    feature: str
    column: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnContrast:
    """Importance of a column in a leaf and in the whole member."""

    column: str
    share: float
    whole: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSummary:
    """A leaf of the member with the largest weight."""

    leaf: int
    rows: int  # training rows that it was fitted on
    sampled: int  # sampled rows that are routed to it
    path: str  # the route to the leaf, such as "split 1 low, split 3 high"
    summary: RowsSummary | None  # of the explained rows that reach it; None without any
    columns: tuple[ColumnContrast, ...]  # the strongest


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSummary:
    """A split of the member with the largest weight."""

    split: int  # numbered from 1
    path: str  # the route to the split; empty at the root
    features: tuple[FeatureWeight, ...]  # entries per standard deviation of each feature, largest first
    threshold: float  # of the projection, in encoded units
    high_share: float  # share of the sampled rows there that go to the high side
    words: str
    rule: str | None  # a short rule in the table's units that is nearly the same; None if none is
    agreement: float | None  # share of the sampled rows that the rule puts on the right side


def summarise_leaves(
    sensitivity: Sensitivity, summaries: Mapping[int, RowsSummary] = MappingProxyType({})
) -> tuple[LeafSummary, ...]:
    """Return each leaf's strongest columns with their shares in the leaf and in the whole member.

    ``summaries`` are of the rows that reach the leaves, by number.
    """
    tree = sensitivity.member.tree
    reached = tree.route(sensitivity.x).cpu()
    whole = sensitivity.shares().cpu()
    squares = sensitivity.squares.cpu()
    paths = _leaf_paths(sensitivity)
    leaves = []
    for place, leaf in enumerate(tree.leaves):
        chosen = reached == place
        own = normalised(squares[chosen].sum(0))
        order = own.argsort(descending=True, stable=True)[:NAMED_COLUMNS].tolist()
        leaves.append(
            LeafSummary(
                leaf=place + 1,
                rows=leaf.n_rows,
                sampled=int(chosen.sum()),
                path=paths[place],
                summary=summaries.get(place),
                columns=tuple(
                    ColumnContrast(
                        column=sensitivity.columns.columns[k], share=float(own[k]), whole=float(whole[k])
                    )
                    for k in order
                    if own[k] > 0
                ),
            )
        )
    return tuple(leaves)


def summarise_splits(
    sensitivity: Sensitivity, rules: Mapping[int, SplitRule] = MappingProxyType({})
) -> tuple[SplitSummary, ...]:
    """Describe the tree's splits in words, root first; ``rules`` are short rules by number."""
    tree = sensitivity.member.tree
    deviations = sensitivity.deviations.cpu()
    x = sensitivity.x.double().cpu()
    at_node, paths = _walk(sensitivity)
    splits = []
    for place, split in enumerate(tree.splits):
        direction = split.direction.double().cpu()
        features = strongest_features(sensitivity.columns, direction * deviations, SPLIT_FEATURES)
        rows = x[at_node[place]]
        high_share = float((rows @ direction > split.threshold).double().mean()) if len(rows) else 0.0
        terms = _sum_in_words(features)
        among = f"{100 * high_share:.0f} % of the rows"
        rule = rules.get(place)
        nearly = _one_feature(sensitivity, direction, float(split.threshold), rows)
        splits.append(
            SplitSummary(
                split=place + 1,
                path=paths[place],
                features=features,
                threshold=float(split.threshold),
                high_share=high_share,
                words=f"{terms} above {_signed(split.threshold)}{nearly}: {among}",
                rule=None if rule is None else alternatives_words(rule.alternatives),
                agreement=None if rule is None else rule.agreement,
            )
        )
    return tuple(splits)


def _sum_in_words(features: tuple[FeatureWeight, ...]) -> str:
    """Format a sum such as "0.80 × age − 0.31 × sex=male"; weights that round to zero are left out."""
    shown = [f for f in features if abs(f.weight) >= 0.005] or list(features[:1])
    if not shown:
        return "0"
    rest = "".join(f" {'−' if f.weight < 0 else '+'} {abs(f.weight):.2f} × {f.feature}" for f in shown[1:])
    return f"{'−' if shown[0].weight < 0 else ''}{abs(shown[0].weight):.2f} × {shown[0].feature}{rest}"


def _one_feature(sensitivity: Sensitivity, direction: Tensor, threshold: float, rows: Tensor) -> str:
    """Return text such as ", roughly age above 41.5" if one number decides nearly alone; else empty."""
    scaled = direction * sensitivity.deviations.cpu()
    strongest = int(scaled.abs().argmax())
    if len(rows) == 0 or float(scaled[strongest].square()) < ALONE * float(scaled.square().sum()):
        return ""
    others = float(rows.mean(0) @ direction - rows[:, strongest].mean() * direction[strongest])
    cut = (threshold - others) / float(direction[strongest])
    value = original_value(sensitivity.member.encoder, strongest, cut)
    if value is None:
        return ""
    side = "above" if float(direction[strongest]) > 0 else "below"
    return f", roughly {sensitivity.columns.feature_names[strongest]} {side} {_signed(value)}"


def _signed(value: float) -> str:
    return formats.number(value).replace("-", "−")


def _walk(sensitivity: Sensitivity) -> tuple[dict[int, Tensor], dict[int, str]]:
    """Return the sampled rows and the path of each node under hard routing; leaves are ``~number``."""
    tree = sensitivity.member.tree
    x = sensitivity.x.double().cpu()
    root = 0 if tree.splits else -1
    at_node, paths = {root: torch.arange(len(x))}, {root: ""}
    pending = [0] if tree.splits else []
    while pending:
        number = pending.pop()
        split, rows = tree.splits[number], at_node[number]
        high = x[rows] @ split.direction.double().cpu() > split.threshold
        prefix = f"{paths[number]}, " if paths[number] else ""
        for child, chosen, side in ((split.left, rows[~high], "low"), (split.right, rows[high], "high")):
            at_node[child], paths[child] = chosen, f"{prefix}split {number + 1} {side}"
            if child >= 0:
                pending.append(child)
    return at_node, paths


def _leaf_paths(sensitivity: Sensitivity) -> dict[int, str]:
    paths = _walk(sensitivity)[1]
    return {~node: path for node, path in paths.items() if node < 0}


def column_weights(columns: ColumnMap, vector: Tensor) -> dict[str, float]:
    """Return the weights of a direction by column: the norm of its entries, signed by the largest."""
    norms = columns.summed(vector.square()).sqrt()
    weights = {}
    for k in norms.argsort(descending=True, stable=True).tolist():
        if float(norms[k]) > 1e-9:
            entries = vector[columns.coordinates(k)]
            sign = float(torch.sign(entries[entries.abs().argmax()]))
            weights[columns.columns[k]] = sign * float(norms[k])
    return weights


def strongest_features(columns: ColumnMap, vector: Tensor, count: int) -> tuple[FeatureWeight, ...]:
    """Return the largest entries of a direction."""
    order = vector.abs().argsort(descending=True, stable=True)[:count].tolist()
    return tuple(
        FeatureWeight(
            feature=columns.feature_names[j],
            column=columns.columns[int(columns.owner[j])],
            weight=float(vector[j]),
        )
        for j in order
        if abs(float(vector[j])) > 1e-9
    )
