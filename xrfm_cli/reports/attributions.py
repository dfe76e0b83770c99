"""Signed attributions of single predictions to the user's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Table
from xrfm_cli.datasets.column_names import free_name
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.mentions import option
from xrfm_cli.trees.explanation import sample_rows, summarise_rows
from xrfm_cli.trees.path_attributions import path_attributions
from xrfm_cli.tuning.explain.columns import feature_columns, in_float64, map_columns
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.outcome_rates import outcome_change, tree_outputs
from xrfm_cli.tuning.transfer.base import Base

REFERENCE_ROWS = 8  # more reference rows change attributions little, and take proportionally longer
CANDIDATES = 512  # training rows from which the reference rows are chosen
# If the sum of a base's attributions, divided by the sum of their sizes, is smaller, their signs are left
# out: the shares would be huge.
LEAST_NET = 0.25
PAIRS_AT_ONCE = 1 << 14  # of a row and a reference row: bounds the memory of class probabilities

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """The rows whose mean prediction attributions are measured against, encoded for each member."""

    model: FittedModel  # on a device with float64
    references: tuple[Tensor, ...]  # (r, d) for each member

    @classmethod
    def of_training_rows(cls, model: FittedModel, rows: int = REFERENCE_ROWS) -> Baseline:
        """Choose training rows from even quantiles of each member's prediction.

        Their mean prediction is near that of all training rows. Members keep rows of their own, so the k-th
        row of one stands beside the k-th row of another.
        """
        model = in_float64(model)
        return cls(model=model, references=tuple(_typical_rows(member, rows) for member in model.members))

    @classmethod
    def of_table(cls, model: FittedModel, table: Table) -> Baseline:
        """Take the rows of a table."""
        if not table.n_rows:
            raise OptionError(f"{option('baseline', table.source)}: has no rows")
        model = in_float64(model)
        encoded, _ = model.encode(table)
        return cls(
            model=model,
            references=tuple(
                torch.from_numpy(encoded[id(member.encoder)]).to(model.device) for member in model.members
            ),
        )


def attribute_rows(
    model: FittedModel, table: Table, *, baseline: Baseline | None = None, label: str | None = None
) -> pa.Table:
    """Attribute each row's prediction to the user's columns.

    Args:
        model: the model.
        table: rows to explain, with all columns that the model needs.
        baseline: the rows to compare with; by default :meth:`Baseline.of_training_rows`.
        label: the class to explain; by default the positive one of two, else the predicted one.

    The attributions of a row add up to ``prediction - baseline``: the prediction is the value, or the
    calibrated probability of the explained class, as ``xrfm predict`` gives it, and the baseline the mean of
    the same over the reference rows. The gradient is integrated along the straight path from each reference
    row to the row, in the encoding of each member, and averaged over the paths.

    Returns one float64 column for each feature column, then ``baseline`` and ``prediction``. Classification
    adds ``class``, the explained class. A name that a feature column already has gets underscores until it is
    free.
    """
    baseline = Baseline.of_training_rows(model) if baseline is None else baseline
    model = baseline.model
    columns = feature_columns(model.schema)
    encoded, _ = model.encode(table)
    explained = _explained_classes(model, encoded, table.n_rows, label)
    values = np.zeros((table.n_rows, len(columns)))
    start, end = np.zeros(table.n_rows), np.zeros(table.n_rows)
    at_references = [tree_outputs(*pair) for pair in zip(model.members, baseline.references, strict=True)]
    step = max(1, PAIRS_AT_ONCE // len(at_references[0]))
    for first in range(0, table.n_rows, step):
        rows = slice(first, first + step)
        x = [torch.from_numpy(encoded[id(m.encoder)][rows]).to(model.device) for m in model.members]
        inherited = (
            None if model.base is None else base_shares(model.base, table.slice(first, first + step), columns)
        )
        outputs = [tree_outputs(*pair) for pair in zip(model.members, x, strict=True)]
        n, r = len(x[0]), len(at_references[0])
        pairs = (
            [np.tile(own, (n, 1)) for own in at_references],
            [np.repeat(own, r, axis=0) for own in outputs],
        )
        classes = np.repeat(explained[rows], r)
        change = outcome_change(model, *pairs, classes)
        start[rows] = change.before.reshape(n, r).mean(axis=1)
        end[rows] = change.after.reshape(n, r)[:, 0]
        for number, member in enumerate(model.members):
            rates = torch.from_numpy(np.ascontiguousarray(change.rates[number])).reshape(n, r, -1)
            moved = torch.from_numpy(change.changes[number]).reshape(n, r)
            references = baseline.references[number]
            translated = translated_change(member, x[number], references, rates)
            found = path_attributions(
                member.tree,
                x[number],
                references,
                rates.to(model.device),
                (moved - translated).to(model.device),
            )
            member.require_finite(found.cpu().numpy())
            if model.base is not None and inherited is not None:
                places = torch.from_numpy(model.base.places(member.encoder)).to(found.device)
                of_base = found[:, places].sum(1).cpu() + translated.mean(1)
                values[rows] += of_base.numpy()[:, None] * inherited
                found = found.index_fill(1, places, 0.0)
            values[rows] += map_columns(columns, member.encoder).summed(found).cpu().numpy()
    return _as_table(model, columns, values, start, end, explained)


def translated_change(member: Member, x: Tensor, references: Tensor, rates: Tensor) -> Tensor:  # -> (n, r)
    """Return the part of a member's translation in each path's change; zeros without one."""
    if member.translation is None:
        return torch.zeros(rates.shape[:2], dtype=torch.float64)
    moved = member.translated(x)[:, None] - member.translated(references)[None]
    return (rates.cpu() * torch.from_numpy(moved)).sum(2)


def base_shares(base: Base, table: Table, columns: Sequence[str]) -> Array:  # -> (n, columns)
    """Return how a base's predictions of rows are divided among the columns that it reads from the table.

    Shares are proportional to its own attributions of these rows, or to their sizes if they cancel.
    """
    own = attribute_rows(base.model, base.view(table))
    found = np.zeros((table.n_rows, len(columns)))
    for place, name in enumerate(columns):
        if name in base.shared:
            found[:, place] = own.column(name).to_numpy()
    sizes = np.abs(found)
    net, gross = found.sum(1, keepdims=True), sizes.sum(1, keepdims=True)
    equal = np.array([float(name in base.shared) for name in columns])
    shares = np.where(
        np.abs(net) < LEAST_NET * gross,
        sizes / np.where(gross > 0, gross, 1.0),
        found / np.where(net == 0, 1.0, net),
    )
    return np.where(gross > 0, shares, equal / max(equal.sum(), 1.0))


def _explained_classes(
    model: FittedModel, encoded: Mapping[int, NDArray[np.float32]], n: int, label: str | None
) -> Codes:
    """Return the code of the class to explain in each row; zeros for regression."""
    names = [str(name) for name in model.target.classes]
    if label is not None:
        if not names:
            raise OptionError(f"{option('class')}: is for classes, and this model predicts numbers")
        if label not in names:
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            raise OptionError(
                f"{option('class', label)}: must be one of {shown}.{did_you_mean(label, names)}"
            )
        return np.full(n, names.index(label), dtype=np.int64)
    if model.target.task == "multiclass":
        return np.asarray(model.labels(model.predict_encoded(encoded)), dtype=np.int64)
    return np.full(n, 1 if model.target.task == "binary" else 0, dtype=np.int64)


def _as_table(
    model: FittedModel, columns: Sequence[str], values: Array, start: Array, end: Array, explained: Codes
) -> pa.Table:
    out: dict[str, Array | pa.Array] = {name: values[:, k] for k, name in enumerate(columns)}
    out[free_name("baseline", out)] = start
    out[free_name("prediction", out)] = end
    if model.target.classes:
        labels = [str(label) for label in model.target.classes]
        out[free_name("class", out)] = pa.array([labels[k] for k in explained], pa.string())
    return pa.table(out)


def _typical_rows(member: Member, rows: int) -> Tensor:  # -> (rows, d)
    """Return training rows from even quantiles of a member's prediction: classes in turn, by their score.

    From each quantile comes the row that keeps the mean of the chosen rows nearest to that of all.
    """
    kept = summarise_rows(member.tree).rows
    known = sample_rows(kept, CANDIDATES, generator=torch.Generator().manual_seed(0))
    scores = member.target_transform.decode(tree_outputs(member, known))
    classes = scores.argmax(axis=1) if scores.shape[1] > 2 else np.zeros(len(scores))
    order = np.lexsort((scores.max(axis=1) if scores.shape[1] > 2 else scores[:, -1], classes))
    facts = np.concatenate([known.double().cpu().numpy(), scores], axis=1)
    facts = (facts - facts.mean(axis=0)) / np.maximum(facts.std(axis=0), np.finfo(np.float64).tiny)
    bounds = (np.arange(rows + 1) / rows * len(order)).astype(np.int64)
    total, chosen = np.zeros(facts.shape[1]), []
    for first, last in pairwise(bounds):
        some = order[first : max(last, first + 1)]
        best = some[int(np.square(total + facts[some]).sum(axis=1).argmin())]
        total += facts[best]
        chosen.append(int(best))
    return known[torch.tensor(chosen, device=known.device)]
