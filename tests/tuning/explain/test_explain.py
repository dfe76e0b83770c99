"""Parts of explanations: shares of the variance, held-out measures, decoded rows and effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.reports.conftest import Case, fit_case, noise
from tests.reports.conftest import ensemble as ensemble
from tests.reports.conftest import product as product
from xrfm_cli.datasets import EncodingConfig, Table, fit_encoder, infer_schema
from xrfm_cli.tuning.explain import swap_study, swaps
from xrfm_cli.tuning.explain.confirmation import measure_part, summarise
from xrfm_cli.tuning.explain.decoding import decode_cells, encode_cells
from xrfm_cli.tuning.explain.effects import column_effects, effect_map
from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.quality import measure_quality
from xrfm_cli.tuning.explain.row_sampler import RowSampler
from xrfm_cli.tuning.explain.sample import Matrices, sample_centers, sample_of, sample_table
from xrfm_cli.tuning.explain.shares import column_shares
from xrfm_cli.tuning.explain.swap_study import effective_shares, rows_of_smallest_study, study_swaps
from xrfm_cli.tuning.explain.swaps import row_ns

BUDGET_NS = 1e9


@pytest.fixture(scope="module")
def additive() -> Case:
    """A line, a wave and two columns that do not matter, one of them correlated with the line."""
    x = noise(400, 4, seed=11)
    x[3] = 0.8 * x[0] + 0.6 * x[3]
    y = x[0] + np.sin(2 * x[1])
    return fit_case({"a": x[0], "b": x[1], "null": x[2], "decoy": x[3], "y": y + 0.1 * noise(400, 1)[0]})


@pytest.fixture(scope="module")
def triple() -> Case:
    """A product of three columns and a line."""
    a, b, c, d = noise(500, 4, seed=16)
    return fit_case({"a": a, "b": b, "c": c, "d": d, "y": a * b * c + 0.7 * d})


class TestShares:
    def test_a_triple_is_divided_by_three(self) -> None:
        pairs = {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}
        assert effective_shares(np.array([1.0, 1.0, 1.0, 1.0]), pairs) == pytest.approx([1 / 6] * 3 + [0.5])

    def test_a_sum_has_the_variances_of_its_terms(self, additive: Case) -> None:
        study = study_swaps(additive.model, sample_centers(additive.model, 400, seed=0), budget_ns=BUDGET_NS)
        shares = {item.column: item for item in column_shares(study, None, seed=0)}
        wave = (1 - np.exp(-8)) / 2
        assert shares["a"].share == pytest.approx(1 / (1 + wave), abs=0.08)
        assert shares["null"].share + shares["decoy"].share < 0.03
        assert shares["a"].low < shares["a"].share < shares["a"].high

    def test_a_product_is_divided_between_its_columns(self, product: Case) -> None:
        study = study_swaps(product.model, sample_table(product.model, product.table), budget_ns=BUDGET_NS)
        assert study.shares()[:3] == pytest.approx([0.5 / 1.49, 0.5 / 1.49, 0.49 / 1.49], abs=0.1)

    def test_a_third_difference_is_what_no_two_columns_explain(
        self, triple: Case, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sum of all products of three columns, one of them of all three, with independent values."""

        def truth(_: object, matrices: Matrices) -> np.ndarray:
            a, b, c, d = next(iter(matrices.values())).astype(float).T
            return (2 * a * b * c + a * b + a * c + b * c + d)[:, None]

        for module in (swaps, swap_study):
            monkeypatch.setattr(module, "predict_rows", truth)
        draws = np.random.default_rng(3).choice([-1.0, 1.0], size=(20_000, 4)).astype(np.float32)
        (key,) = sample_table(triple.model, triple.table).matrices
        sample = sample_of(triple.model, {key: draws}, "data")
        study = study_swaps(triple.model, sample, budget_ns=1e12)
        assert set(study.triples) == {(0, 1, 2)}
        # Of the variance of 4 + 3 + 1, 4 belong to all three columns, and one more to each pair of them.
        assert study.triples[0, 1, 2].mean() / study.variance == pytest.approx(4 / 8, rel=0.05)
        assert study.shared[0, 1].mean() / study.variance == pytest.approx(5 / 8, rel=0.05)
        assert study.shared[0, 3].mean() == 0

    def test_they_are_those_of_the_whole_ensemble(self) -> None:
        """Members have encoders of their own; rows drawn from one's centers are encoded for the others."""
        a, b = noise(150, 2, seed=14)
        columns = {"a": a, "b": b, "y": a + b**2}
        table = Table(pa.table(columns))
        one, two = (fit_case(columns, numeric_transform=name).model for name in ("standard", "quantile"))
        members = (replace(one.members[0], weight=0.6), replace(two.members[0], weight=0.4))
        model = replace(one, members=members)
        sample = sample_table(model, table)
        whole = study_swaps(model, sample, budget_ns=BUDGET_NS)
        np.testing.assert_array_equal(whole.plain[:, 0], model.predict(table).values)
        drawn = sample_centers(model, 150, seed=0)
        for key, x in sample.matrices.items():
            np.testing.assert_allclose(np.sort(drawn.matrices[key], 0), np.sort(x, 0), atol=0.05)

    def test_a_wide_table_is_measured_within_the_budget(self) -> None:
        """The strongest columns are swapped one by one, and the others together."""
        x = noise(300, 40, seed=15)
        case = fit_case({f"v{k}": x[k] for k in range(40)} | {"y": x[3] + x[21]}, iterations=2)
        study = study_swaps(case.model, sample_centers(case.model, 300, seed=0), budget_ns=1.0)
        shares = study.shares()
        assert sorted(np.argsort(-shares)[:2].tolist()) == [3, 21]
        assert len(np.unique(shares)) <= 11
        assert shares.sum() == pytest.approx(1.0)

    def test_ranges_narrow_with_rows(self, product: Case) -> None:
        widths = []
        for rows in (50, 500):
            study = study_swaps(
                product.model, sample_centers(product.model, rows, seed=0), budget_ns=BUDGET_NS
            )
            shares = column_shares(study, None, seed=0)
            widths.append(sum(item.high - item.low for item in shares))
        assert widths[0] > 2 * widths[1]

    def test_few_rows_are_swapped_with_four_others_each(self, product: Case) -> None:
        table = product.table.slice(0, 60)
        model, plain = product.model, product.model.predict(table).values
        assert plain is not None
        study = study_swaps(model, sample_table(model, table), budget_ns=1e9)
        squares = []
        for before in (1, 2, 3, 4):
            moved = Table(
                table.data.set_column(0, "a", pa.array(np.roll(table.data["a"].to_numpy(), before)))
            )
            values = model.predict(moved).values
            assert values is not None
            squares.append(np.square(plain - values) / 2)
        expected = np.mean(squares, axis=0)
        expected *= study.variance / plain.var()  # a power of two
        np.testing.assert_allclose(study.totals[0], expected, rtol=1e-4, atol=1e-9)
        assert len(study.plain) == 60

    def test_a_late_study_uses_as_many_rows_as_fit_into_its_seconds(self, additive: Case) -> None:
        model = additive.model
        assert rows_of_smallest_study(model, 0.0, most=100) == 20
        assert rows_of_smallest_study(model, 60.0, most=100) == 100
        rows = rows_of_smallest_study(model, 13e-9 * 50 * row_ns(model), most=100)
        assert rows == pytest.approx(50, abs=1)
        study = study_swaps(model, sample_centers(model, 20, seed=0), budget_ns=0.0)
        assert {len(own) for own in study.totals} == {20}


class TestHeldOut:
    def test_the_fit_keeps_what_held_out_rows_say(self, additive: Case) -> None:
        facts = additive.model.report.held_out
        assert facts is not None
        held_out = HeldOut.from_json(facts)
        assert held_out.to_json() == facts
        found = {item.column: item for item in held_out.columns}
        for column in ("a", "b"):
            assert found[column].confirmed > found[column].by_chance
            drop = found[column].drop
            assert drop is not None
            assert drop > 0.1
        assert found["null"].confirmed <= 2 * found["null"].by_chance
        assert found["decoy"].confirmed < 0.01
        assert all(pair.confirmed <= pair.by_chance for pair in held_out.pairs)

    def test_a_product_is_confirmed(self, product: Case) -> None:
        assert product.model.report.held_out is not None
        held_out = HeldOut.from_json(product.model.report.held_out)
        assert {p.columns for p in held_out.pairs if p.confirmed > p.by_chance} == {("a", "b")}
        assert not any(triple.confirmed > triple.by_chance for triple in held_out.triples)

    def test_a_product_of_three_is_confirmed(self, triple: Case) -> None:
        assert triple.model.report.held_out is not None
        held_out = HeldOut.from_json(triple.model.report.held_out)
        assert {t.columns for t in held_out.triples if t.confirmed > t.by_chance} == {("a", "b", "c")}
        earlier = {name: own for name, own in triple.model.report.held_out.items() if name != "triples"}
        assert HeldOut.from_json(earlier).triples == ()

    def test_a_product_is_confirmed_by_few_rows_in_which_it_is_large(
        self, triple: Case, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The model is the truth: nothing but the noise of the targets is by chance."""

        def truth(_: object, matrices: Matrices) -> np.ndarray:
            a, b, c, d = next(iter(matrices.values())).astype(float).T
            return (a * b * c + 0.7 * d)[:, None]

        for module in (swaps, swap_study):
            monkeypatch.setattr(module, "predict_rows", truth)
        (key,) = sample_table(triple.model, triple.table).matrices
        for seed in range(10):
            draws = np.random.default_rng(seed)
            x = draws.normal(size=(60, 4)).astype(np.float32)
            y = truth(None, {0: x})[:, 0] + 0.2 * draws.normal(size=60)
            part = measure_part(
                triple.model, sample_of(triple.model, {key: x}, "data"), y, np.ones(60), budget_ns=BUDGET_NS
            )
            held_out = summarise([part], metric="rmse", decision=triple.model.decision)
            assert {t.columns for t in held_out.triples if t.confirmed > t.by_chance} == {("a", "b", "c")}
            assert {frozenset(p.columns) for p in held_out.pairs if p.confirmed > p.by_chance} == {
                frozenset(pair) for pair in ("ab", "ac", "bc")
            }


def test_noise_is_no_better_than_the_mean(additive: Case) -> None:
    x = noise(200, 4, seed=12)
    case = fit_case({"a": x[0], "b": x[1], "c": x[2], "y": x[3]}, trials=3)
    assert not measure_quality(case.model).is_better
    assert measure_quality(additive.model).is_better


@pytest.mark.parametrize("numeric", ["standard", "quantile", "piecewise"])
@pytest.mark.parametrize("category", ["one_hot", "target"])
def test_decoded_cells_encode_to_the_same_values(numeric: str, category: str) -> None:
    draws = np.random.default_rng(0)
    n = 60
    columns = {
        "number": [None if k % 7 == 0 else float(v) for k, v in enumerate(draws.normal(size=n))],
        "city": [None if k % 11 == 0 else str(v) for k, v in enumerate(draws.choice(["x", "y", "z"], n))],
    }
    table = Table(pa.table(columns))
    config = EncodingConfig(numeric=numeric, category=category)  # type: ignore[arg-type]
    encoder, _, _ = fit_encoder(table, infer_schema(table), config, target=draws.normal(size=(n, 1)))
    x, _ = encoder.encode(table)
    for own, group in zip(encoder.columns, encoder.groups, strict=True):
        part = x[:, group.start : group.stop]
        cells = decode_cells(own, part)
        assert cells is not None, group.column
        np.testing.assert_allclose(encode_cells(own, cells), part, atol=2e-2, err_msg=group.column)


class TestEffects:
    def test_numbers_have_the_planted_shapes(self, additive: Case) -> None:
        effects = column_effects(additive.model, sample_centers(additive.model, 400, seed=0), ("a", "b"))
        for effect, shape in zip(effects, (lambda v: v, lambda v: np.sin(2 * v)), strict=True):
            x = np.array(effect.x, dtype=float)
            assert np.corrcoef(shape(x), effect.effect)[0, 1] > 0.95
            assert all(np.array(effect.low) <= effect.effect)
            assert all(np.array(effect.high) >= effect.effect)
            assert sum(effect.shares) == pytest.approx(1.0)

    def test_levels_have_the_planted_differences(self) -> None:
        draws = np.random.default_rng(5)
        truth = {"graz": 0.0, "linz": 1.0, "wien": -0.5}
        city = draws.choice(list(truth), 300)
        y = np.array([truth[name] for name in city]) + 0.1 * draws.normal(size=300)
        case = fit_case({"city": city, "a": draws.normal(size=300), "y": y})
        (effect,) = column_effects(case.model, sample_centers(case.model, 300, seed=0), ("city",))
        found = dict(zip(effect.x, effect.effect, strict=True))
        for one in truth:
            assert found[one] - found["graz"] == pytest.approx(truth[one], abs=0.15)

    def test_dates_are_shown_by_their_parts(self, ensemble: Case) -> None:
        sample = sample_centers(ensemble.model, 160, seed=0)
        effects = column_effects(ensemble.model, sample, ("day", "b"), curves=True)
        parts = {effect.part: effect for effect in effects if effect.column == "day"}
        assert {"elapsed", "month", "weekday"} <= set(parts)
        assert "Monday" in parts["weekday"].x
        moments = np.array(parts["elapsed"].x).astype("int64").astype("datetime64[us]")
        assert moments.min() >= np.datetime64("2023-12-31")
        numbers = effects[-1]
        assert len(numbers.dependence) == len(numbers.curve_x) == len(numbers.curves[0])

    def test_a_map_shows_the_product(self, product: Case) -> None:
        (item,) = effect_map(product.model, sample_centers(product.model, 300, seed=0), ("a", "b"))
        values = np.array(item.values)
        expected = np.outer(np.array(item.x, dtype=float), np.array(item.y, dtype=float))
        assert np.corrcoef(values.ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_row_sample_does_not_depend_on_the_blocks(size: int) -> None:
    sampler = RowSampler(rows=20, seed=3)
    whole = Table(pa.table({"a": np.arange(100)}))
    for start in range(0, 100, size):
        sampler.add(whole.slice(start, start + size))
    once = RowSampler(rows=20, seed=3)
    once.add(whole)
    first, second = sampler.table(), once.table()
    assert first is not None
    assert second is not None
    assert first.data.equals(second.data)


def test_models_of_linear_leaves_are_explained_from_the_profile() -> None:
    a, b = noise(200, 2, seed=13)
    model = fit_case({"a": a, "b": b, "y": 2 * a + b}, kernel="linear").model
    for profile in (model.profile, None):  # older files have none
        sample = sample_centers(replace(model, profile=profile), 500, seed=0)
        assert sample.source == "profile"
        shares = study_swaps(model, sample, budget_ns=BUDGET_NS).shares()
        assert shares == pytest.approx([0.8, 0.2], abs=0.06)
