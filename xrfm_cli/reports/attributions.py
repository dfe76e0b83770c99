"""Signed attributions of single predictions to the user's columns."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.reports.columns import feature_columns, in_float64, map_columns
from xrfm_cli.trees.explanation import gradient_blocks, path_attributions, summarise_rows
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member

Method = Literal["path", "gradient"]
METHODS: tuple[Method, ...] = ("path", "gradient")
BLOCK_BYTES = 64 << 20  # size of the contributions (rows, outputs, coordinates) in memory at a time

Array = NDArray[np.float64]


def attribute_rows(model: FittedModel, table: Table, *, method: Method = "path") -> pa.Table:
    """Attribute each row's prediction to the user's columns.

    Args:
        model: the model.
        table: rows to explain, with all columns that the model needs.
        method: ``path`` integrates the gradient from the baseline to the row, so that the attributions sum
            to ``prediction - baseline``. ``gradient`` is the gradient at the row times the difference from
            the baseline: a sensitivity, which does not sum to anything.

    The attributions of a member with a log target transform sum on the log scale. One rate per row converts
    them to the target's scale: with ``path`` the rate with which they also sum there, with ``gradient`` the
    slope at the row.

    Returns one float64 column for each feature column, then ``baseline`` and ``prediction``. Classification
    adds ``class``, the explained class: the positive class if binary, else the predicted class. A name that a
    feature column already has gets underscores until it is free. Values are in units of the target; for
    classes in units of the raw prediction, an estimate of the probability before calibration, which may lie
    outside 0 to 1.

    The baseline is each member's average training row, in encoded columns. Every member is explained in its
    own encoding, and the attributions are averaged with the members' weights.
    """
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise OptionError(f"--method {method}: must be one of {', '.join(METHODS)}.{hint}")
    model = in_float64(model)
    columns = feature_columns(model.schema)
    explained = _explained_classes(model, table)
    values = np.zeros((table.n_rows, len(columns)))
    baseline, prediction = np.zeros(table.n_rows), np.zeros(table.n_rows)
    mass = sum(member.weight for member in model.members)
    for member in model.members:
        share = member.weight / mass
        own, start, end = _attribute_member(member, table, columns, explained, method)
        values += share * own
        baseline += share * start
        prediction += share * end
    out: dict[str, Array | pa.Array] = {name: values[:, k] for k, name in enumerate(columns)}
    out[free_name("baseline", out)] = baseline
    out[free_name("prediction", out)] = prediction
    if model.target.classes:
        labels = [str(label) for label in model.target.classes]
        out[free_name("class", out)] = pa.array([labels[k] for k in explained], pa.string())
    return pa.table(out)


def free_name(name: str, taken: object) -> str:
    """Append underscores to a name until it is free.

    >>> free_name("baseline", {"baseline": 1})
    'baseline_'
    """
    assert hasattr(taken, "__contains__")
    while name in taken:
        name += "_"
    return name


def _explained_classes(model: FittedModel, table: Table) -> NDArray[np.int64]:
    """Return the explained class of each row; zeros for regression."""
    if model.target.task == "multiclass":
        probabilities = model.predict(table).probabilities
        assert probabilities is not None
        return np.asarray(model.labels(probabilities), dtype=np.int64)
    return np.full(table.n_rows, 1 if model.target.task == "binary" else 0, dtype=np.int64)


def _attribute_member(
    member: Member, table: Table, columns: tuple[str, ...], explained: NDArray[np.int64], method: Method
) -> tuple[Array, Array, Array]:
    """Return attributions ``(n, columns)``, baseline ``(n,)`` and prediction ``(n,)`` of one member."""
    tree, column_map = member.tree, map_columns(columns, member.encoder)
    matrix, _ = member.encoder.encode(table)
    known = summarise_rows(tree)
    x = torch.from_numpy(matrix).to(known.rows.device)
    reference = known.mean.to(x.dtype)
    at_reference = tree.predict(reference[None]).double().cpu().numpy()
    member.require_finite(at_reference)
    values = np.zeros((len(x), len(columns)))
    outputs = np.zeros((len(x), tree.n_outputs))
    step = max(1, BLOCK_BYTES // (8 * tree.n_outputs * tree.n_features))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        if method == "path":
            found = path_attributions(tree, x[rows], reference)
            parts, predicted = found.contributions, found.predictions
        else:
            parts = _slopes(member, x[rows]) * (x[rows] - reference).double()[:, None]
            predicted = tree.predict(x[rows]).double()
        outputs[rows] = predicted.cpu().numpy()
        member.require_finite(outputs[rows], parts.cpu().numpy())
        begin = at_reference if method == "path" else outputs[rows]
        # Change of the explained prediction per unit of each output of the tree.
        rates = member.target_transform.rates(begin, outputs[rows])[np.arange(len(parts)), explained[rows]]
        scaled = torch.einsum("ncd,nc->nd", parts, torch.from_numpy(np.ascontiguousarray(rates)).to(x.device))
        values[rows] = column_map.summed(scaled).cpu().numpy()
    baseline = member.target_transform.decode(at_reference)[0]
    return values, baseline[explained], member.target_transform.decode(outputs)[np.arange(len(x)), explained]


def _slopes(member: Member, x: Tensor) -> Tensor:
    return torch.cat([gradients.double() for _, gradients in gradient_blocks(member.tree, x)])
