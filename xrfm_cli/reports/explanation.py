"""Explain a fitted model in the user's columns, from the model file alone or on given rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import Table, encode_target, read_offset
from xrfm_cli.datasets.seeds import small_seed
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.reports.directions import Directions, find_directions
from xrfm_cli.reports.importances import column_agop, measure_importances
from xrfm_cli.reports.pairs import Pair, Triple, find_pairs, find_triples
from xrfm_cli.reports.sensitivity import Sensitivity, measure_member
from xrfm_cli.reports.structure import (
    LeafSummary,
    SplitSummary,
    summarise_leaves,
    summarise_splits,
)
from xrfm_cli.tuning.explain.agreement import (
    correlated,
    disagreement,
    equal_shares,
    few_rows,
    unconfirmed,
    unmeasured,
)
from xrfm_cli.tuning.explain.columns import feature_columns, in_float64
from xrfm_cli.tuning.explain.confirmation import measure_part, summarise
from xrfm_cli.tuning.explain.effects import Effect, EffectMap, column_effects, effect_map
from xrfm_cli.tuning.explain.effort import (
    GRADIENT_BUDGET_NS,
    PREDICTION_BUDGET_NS,
    affordable_rows,
    gradient_ns,
)
from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.quality import Quality, measure_quality
from xrfm_cli.tuning.explain.regions.facts import summarise_leaf_rows
from xrfm_cli.tuning.explain.regions.search import NO_REGIONS, Regions, find_regions
from xrfm_cli.tuning.explain.regions.split_rules import split_rules
from xrfm_cli.tuning.explain.sample import Sample, sample_centers, sample_table
from xrfm_cli.tuning.explain.shares import ColumnShare, column_shares
from xrfm_cli.tuning.explain.swap_study import study_swaps
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member

MATRIX_COLUMNS = 20  # columns of the heat map
SHOWN_EFFECTS, SHOWN_SHARE = 6, 0.01  # columns whose effects are shown unless others are asked for
SHOWN_MAPS = 3  # pairs
ALL_COLUMNS = "all"  # the name that asks for the effects of all columns
EXPLAINED_ROWS = 1_000  # the most, unless the caller asks for another number
GRADIENT_SHARE = 1 / 3  # of the time for swaps
LEAST_ROWS = 50  # rows per member, whatever its weight and the cost of a row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """How good a model is and what its predictions depend on.

    Shares of the variance are those of the ensemble as it predicts. The AGOP is a weighted average over
    members. Directions, leaves and splits are those of the member with the largest weight, because encoded
    features differ between members and cannot be averaged.
    """

    quality: Quality
    importances: tuple[ColumnShare, ...]  # shares of the prediction's variance, largest first
    held_out: HeldOut | None  # None for models of versions that did not measure it
    notes: tuple[str, ...]  # where measures disagree, and correlated columns
    agop: tuple[ColumnShare, ...]
    matrix_columns: tuple[str, ...]  # the strongest columns, in order of the AGOP
    matrix: NDArray[np.float64]  # (k, k): see importances.column_agop
    directions: Directions
    pairs: tuple[Pair, ...]
    pairs_compared: int
    triples: tuple[Triple, ...]
    triples_compared: int
    effects: tuple[Effect, ...]
    maps: tuple[EffectMap, ...]  # of the strongest pairs
    regions: Regions  # none unless asked for
    leaves: tuple[LeafSummary, ...]
    splits: tuple[SplitSummary, ...]
    member: int  # index of the member with the largest weight
    rows: int  # rows whose columns were swapped
    source: str  # data, centers or profile
    seed: int

    @property
    def above_chance(self) -> frozenset[str]:
        """Return the columns that held-out rows confirm; none if the model is no better than a constant."""
        return _above_chance(self.held_out, self.quality)


def explain_model(
    model: FittedModel,
    *,
    rows: int = EXPLAINED_ROWS,
    seed: int = 0,
    table: Table | None = None,
    effects: Sequence[str] | None = None,
    curves: bool = False,
    regions: bool = False,
    swap_seconds: float = math.inf,
) -> Explanation:
    """Explain a model on the rows of a table, or on rows drawn from its leaves' centers.

    Args:
        model: the model; its leaves keep training rows as centers, so no other data is needed.
        rows: maximum number of rows; fewer if predictions or gradients are expensive, but at least 60 for
            swaps and 50 gradients of each member.
        seed: random seed; equal seeds give equal explanations.
        table: rows to explain the model on, in random order.
        effects: columns whose effects to compute, or "all"; none for the strongest, None for no effects.
        curves: add partial dependence and single rows to the effects.
        regions: look for regions in which the effects differ, and for short rules of the splits.
        swap_seconds: seconds that swapping columns may take, as far as enough rows are left; gradients may
            take a third of them.

    Importances are Shapley effects: shares of the variance of the predictions, in which an interaction is
    divided among its columns. Values are swapped one column at a time, whatever the other columns are, so a
    column that the model ignores gets nothing, however correlated it is. They describe the model, not causes.
    """
    centers = [leaf.n_rows for member in model.members for leaf in member.tree.leaves]
    with compute_threads(rows=max(centers)):
        return _explain(
            in_float64(model),
            rows=rows,
            seed=seed,
            table=table,
            effects=effects,
            curves=curves,
            regions=regions,
            swap_seconds=swap_seconds,
        )


def _explain(
    model: FittedModel,
    *,
    rows: int,
    seed: int,
    table: Table | None,
    effects: Sequence[str] | None,
    curves: bool,
    regions: bool,
    swap_seconds: float,
) -> Explanation:
    """Explain a model that is on a device with float64."""
    columns = feature_columns(model.schema)
    generator = torch.Generator().manual_seed(small_seed(seed))
    mass = sum(member.weight for member in model.members)
    sensitivities = [
        measure_member(
            member,
            number,
            columns,
            rows=_rows(member, rows, member.weight / mass, swap_seconds),
            generator=generator,
            base=model.base,
        )
        for number, member in enumerate(model.members)
    ]
    if table is None or table.n_rows < 2:
        sample = sample_centers(model, rows, seed=small_seed(seed))
    else:
        sample = sample_table(model, table.slice(0, rows))
    study = study_swaps(model, sample, budget_ns=min(PREDICTION_BUDGET_NS, 1e9 * swap_seconds))
    targets = _targets(model, sample, table)
    held_out = _held_out(model, sample, targets)
    agop = measure_importances(sensitivities, generator=generator)
    importances = column_shares(study, held_out, seed=small_seed(seed))
    quality = measure_quality(model)
    strongest = tuple(item.column for item in agop[:MATRIX_COLUMNS])
    heaviest = _heaviest(sensitivities)
    pairs = find_pairs(sensitivities, study, held_out) if quality.is_better else ()
    wanted = _effect_columns(effects, importances)
    mapped = pairs[:SHOWN_MAPS] if effects is not None else ()
    measured = max(len(own) for own in study.totals)
    above = _above_chance(held_out, quality)
    notes = [
        *few_rows(measured, sample.n_rows),
        *equal_shares(study.columns, study.together),
        *unmeasured(held_out),
        *(unconfirmed(importances, above) if above else ()),
        *disagreement(importances, agop, held_out),
        *correlated(importances, sample),
    ]
    return Explanation(
        quality=quality,
        importances=importances,
        held_out=held_out,
        notes=tuple(notes),
        agop=agop,
        matrix_columns=strongest,
        matrix=column_agop(sensitivities, strongest),
        directions=find_directions(heaviest, sample, study.plain, [str(c) for c in model.target.classes]),
        pairs=pairs,
        pairs_compared=study.compared,
        triples=find_triples(study, held_out) if quality.is_better else (),
        triples_compared=len(study.triples),
        effects=column_effects(model, sample, wanted, curves=curves),
        maps=tuple(item for pair in mapped for item in effect_map(model, sample, pair.columns)),
        leaves=summarise_leaves(
            heaviest, summarise_leaf_rows(model, sample, heaviest.member, study.plain, targets)
        ),
        splits=summarise_splits(heaviest, split_rules(model, sample, heaviest.member) if regions else {}),
        regions=find_regions(model, sample, importances, targets=targets)
        if regions and quality.is_better
        else NO_REGIONS,
        member=heaviest.number,
        rows=measured,
        source=sample.source,
        seed=seed,
    )


def _above_chance(held_out: HeldOut | None, quality: Quality) -> frozenset[str]:
    if held_out is None or not quality.is_better:
        return frozenset()
    return frozenset(item.column for item in held_out.columns if item.confirmed > item.by_chance)


def _effect_columns(effects: Sequence[str] | None, importances: Sequence[ColumnShare]) -> tuple[str, ...]:
    """Return the columns whose effects are computed, the strongest first."""
    if effects is None:
        return ()
    if not effects:
        return tuple(item.column for item in importances[:SHOWN_EFFECTS] if item.share >= SHOWN_SHARE)
    return tuple(item.column for item in importances if item.column in effects or ALL_COLUMNS in effects)


def _targets(model: FittedModel, sample: Sample, table: Table | None) -> NDArray[Any] | None:
    """Return the targets of the sampled rows, if a table has them: NaN or negative codes where missing."""
    if table is None or sample.source != "data" or not table.has_column(model.target.name):
        return None
    rows = table.slice(0, sample.n_rows)
    y_true = encode_target(rows, model.target)
    exposures = model.schema.with_role("offset")
    if not exposures:
        return y_true
    # Explanations are of rates, so targets are compared with them per unit of exposure.
    return y_true / read_offset(rows, model.schema) if rows.has_column(exposures[0].name) else None


def _held_out(model: FittedModel, sample: Sample, y_true: NDArray[Any] | None) -> HeldOut | None:
    """Return the held-out measures of the fit; of older models, those on given rows with targets."""
    if model.report.held_out is not None:
        return HeldOut.from_json(model.report.held_out)
    if y_true is None:
        return None
    known = np.flatnonzero(y_true >= 0 if model.target.classes else np.isfinite(y_true))
    if len(known) < LEAST_ROWS:
        return None
    own = sample.take(known)
    part = measure_part(model, own, y_true[known], np.ones(len(known)), budget_ns=PREDICTION_BUDGET_NS)
    return summarise([part], metric=model.report.metric, decision=model.decision)


def _rows(member: Member, rows: int, share: float, seconds: float) -> int:
    """Return the number of rows at which a member is differentiated."""
    least = min(rows, LEAST_ROWS)
    budget_ns = min(GRADIENT_BUDGET_NS, 1e9 * GRADIENT_SHARE * seconds)
    return affordable_rows(rows * share, gradient_ns(member.tree), budget_ns * share, least=least)


def _heaviest(sensitivities: list[Sensitivity]) -> Sensitivity:
    """Return the member with the largest weight; the first in case of a tie."""
    return max(sensitivities, key=lambda s: (s.weight, -s.number))
