"""The splits of a tree as short rules in the units of the user's table, and how far the two agree.

A split compares a weighted sum of encoded columns with a threshold, which nobody can compute by hand. A small
tree on the columns with the largest weights approximates it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.regions.rules import (
    Condition,
    Feature,
    Rule,
    as_matrix,
    divided,
    every_row,
    rule_features,
)
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member

MOST_COLUMNS = 8  # with the largest weights
MOST_LEAVES = 4  # of the small tree
ENOUGH = 0.95  # agreement beyond which no longer rule is tried
LEAST = 0.75  # rules with less agreement are not shown
FEWEST_ROWS = 20
MOST_SPLITS = 30  # levels from the root: nobody reads more

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """The rows on the high side of a split are those that fulfil all conditions of any alternative."""

    alternatives: tuple[tuple[Condition, ...], ...]
    agreement: float  # share of the sampled rows at the split that the rule puts on the right side


def split_rules(model: FittedModel, sample: Sample, member: Member) -> dict[int, SplitRule]:
    """Return short rules for the splits near the root that one can describe, by number.

    The rules are fitted to the sampled rows that reach the split.
    """
    splits = member.tree.splits
    if not splits:
        return {}
    x = sample.matrices[id(member.encoder)].astype(np.float64)
    scales = x.std(0)
    parts = sample.coordinates[id(member.encoder)]
    directions = [split.direction.double().cpu().numpy() for split in splits]
    found: dict[int, SplitRule] = {}
    known: dict[str, tuple[Feature, ...]] = {}
    for number, rows in _reached(member, x):
        weights = np.square(directions[number] * scales)
        strongest = np.argsort([-weights[own].sum() for own in parts], kind="stable")[:MOST_COLUMNS]
        columns = [sample.columns[k] for k in strongest if weights[parts[k]].sum() > 0]
        for column in columns:
            if column not in known:
                known[column] = rule_features(model, sample, (column,))
        features = [own for column in columns for own in known[column]]
        high = x[rows] @ directions[number] > splits[number].threshold
        rule = _rule(features, rows, high)
        if rule is not None:
            found[number] = rule
    return found


def _reached(member: Member, x: NDArray[np.float64]) -> Iterator[tuple[int, Rows]]:
    """Yield the splits, the root first, with the rows that reach them under hard routing."""
    splits = member.tree.splits
    pending = [(0, np.arange(len(x)))]
    for _ in range(min(MOST_SPLITS, len(splits))):  # level by level
        number, rows = pending.pop(0)
        yield number, rows
        split = splits[number]
        high = x[rows] @ split.direction.double().cpu().numpy() > split.threshold
        sides = ((split.left, rows[~high]), (split.right, rows[high]))
        pending += [(child, own) for child, own in sides if child >= 0]


def _rule(features: list[Feature], rows: Rows, high: NDArray[np.bool_]) -> SplitRule | None:
    from sklearn.tree import DecisionTreeClassifier

    if len(rows) < FEWEST_ROWS or not features or high.all() or not high.any():
        return None
    own = [
        Feature(column=f.column, part=f.part, kind=f.kind, level=f.level, values=f.values[rows])
        for f in features
    ]
    best: SplitRule | None = None
    for leaves in range(2, MOST_LEAVES + 1):
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0).fit(as_matrix(own), high)
        chosen = _mostly_high(tree, own, high)
        if not chosen or not chosen[0].conditions:
            continue
        said = np.any([rule.rows for rule in chosen], axis=0)
        agreement = float((said == high).mean())
        if best is None or agreement > best.agreement + 0.01:
            best = SplitRule(alternatives=_shorter([rule.conditions for rule in chosen]), agreement=agreement)
        if agreement >= ENOUGH:
            break
    return best if best is not None and best.agreement >= LEAST else None


def _mostly_high(tree: Any, features: list[Feature], high: NDArray[np.bool_]) -> list[Rule]:
    """Return rules for the leaves of which most rows are high, or for a node whose leaves all are such."""
    known = tree.tree_

    def walk(node: int, rule: Rule) -> list[Rule]:
        if known.children_left[node] < 0:
            return [rule] if rule.rows.any() and high[rule.rows].mean() > 0.5 else []
        sides = divided(rule, tree, features, node)
        children = (known.children_left[node], known.children_right[node])
        found = [walk(child, side) for child, side in zip(children, sides, strict=True)]
        if all(own == [side] for own, side in zip(found, sides, strict=True)):
            return [rule]
        return [*found[0], *found[1]]

    return walk(0, every_row(features))


def _shorter(alternatives: list[tuple[Condition, ...]]) -> tuple[tuple[Condition, ...], ...]:
    """Turn "A, or not A and B" into "A, or B"."""
    whole = [own[0] for own in alternatives if len(own) == 1]
    return tuple(
        tuple(condition for condition in own if not any(_excludes(condition, other) for other in whole))
        or own
        for own in alternatives
    )


def _excludes(one: Condition, other: Condition) -> bool:
    same = (one.column, one.part, one.value) == (other.column, other.part, other.value)
    return same and one.operator != other.operator
