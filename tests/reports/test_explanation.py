"""Explanations of models of known functions."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.reports.conftest import Case, fit_case, noise
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.reports import Explanation, explain_model
from xrfm_cli.reports.importances import co_sensitivities
from xrfm_cli.reports.units import original_value


def shares(explanation: Explanation) -> dict[str, float]:
    return {item.column: item.share for item in explanation.importances}


class TestImportances:
    def test_of_a_sum_are_the_squared_slopes(self, linear: Case) -> None:
        found = shares(explain_model(linear.model))
        assert found["a"] == pytest.approx(0.9, abs=0.04)
        assert found["b"] == pytest.approx(0.1, abs=0.04)
        assert found["c"] < 0.01

    @pytest.mark.parametrize(
        "case", ["linear", "product", "ensemble", "two_classes", "three_classes", "leaves"]
    )
    def test_add_up_and_are_ordered(self, case: str, request: pytest.FixtureRequest) -> None:
        items = explain_model(request.getfixturevalue(case).model, rows=200).importances
        assert sum(item.share for item in items) == pytest.approx(1.0, abs=1e-9)
        assert [item.share for item in items] == sorted((item.share for item in items), reverse=True)
        assert all(0 <= item.low <= item.share <= item.high <= 1 for item in items)

    def test_are_in_the_users_columns(self, ensemble: Case) -> None:
        found = shares(explain_model(ensemble.model))
        assert set(found) == {"a", "b", "city", "day"}  # neither levels nor indicators, nor the constant
        assert found["a"] > 0.5
        assert found["city"] > found["day"]

    def test_do_not_depend_on_units(self) -> None:
        a, b = noise(200, 2)
        plain = fit_case({"a": a, "b": b, "y": a + b})
        scaled = fit_case({"a": 1e6 * a + 5, "b": b, "y": a + b})
        first, second = (shares(explain_model(case.model)) for case in (plain, scaled))
        assert first["a"] == pytest.approx(second["a"], abs=0.01)

    def test_depend_on_the_seed_alone(self, ensemble: Case) -> None:
        first = explain_model(ensemble.model, rows=50, seed=1)
        torch.manual_seed(99)
        again = explain_model(ensemble.model, rows=50, seed=1)
        assert first.importances == again.importances
        assert first.pairs == again.pairs
        np.testing.assert_array_equal(first.matrix, again.matrix)
        assert first.importances != explain_model(ensemble.model, rows=50, seed=2).importances


class TestPairs:
    def test_a_product_is_the_top_pair(self, product: Case) -> None:
        pairs = explain_model(product.model).pairs
        assert [set(pair.columns) for pair in pairs] == [{"a", "b"}]
        # The product has 1 / (1 + 0.7^2) of the variance.
        assert pairs[0].interaction == pytest.approx((1 / 1.49) ** 0.5, abs=0.15)
        assert pairs[0].low < pairs[0].interaction < pairs[0].high
        assert pairs[0].by_chance is not None
        assert pairs[0].by_chance < pairs[0].interaction

    @pytest.mark.parametrize("case", ["linear", "two_classes"])
    def test_a_sum_has_none(self, case: str, request: pytest.FixtureRequest) -> None:
        explanation = explain_model(request.getfixturevalue(case).model)
        assert explanation.pairs == ()
        assert explanation.pairs_compared == 1

    def test_co_sensitivity_lies_between_0_and_1(self, ensemble: Case) -> None:
        assert all(0 <= pair.co_sensitivity <= 1 for pair in explain_model(ensemble.model).pairs)
        assert co_sensitivities(np.zeros((2, 2))).tolist() == [[1.0, 0.0], [0.0, 1.0]]

    def test_fewer_rows_are_swapped_if_time_is_short(self, linear: Case) -> None:
        late, whole = (explain_model(linear.model, swap_seconds=seconds) for seconds in (0.0, 10.0))
        assert late.rows < whole.rows
        assert {item.column for item in late.importances} == {item.column for item in whole.importances}

    def test_one_column_has_no_pairs(self) -> None:
        (a,) = noise(60, 1)
        assert explain_model(fit_case({"a": a, "y": 2 * a}).model).pairs == ()


class TestStructure:
    def test_the_matrix_is_symmetric_with_shares_on_its_diagonal(self, linear: Case) -> None:
        explanation = explain_model(linear.model)
        matrix = explanation.matrix
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        # Columns of one coordinate each: the blocks are single numbers.
        np.testing.assert_allclose(np.diag(matrix), [i.share for i in explanation.agop], atol=1e-9)

    def test_the_direction_of_a_sum_is_its_gradient(self, linear: Case) -> None:
        direction = explain_model(linear.model).directions.found[0]
        assert direction.share > 0.95
        assert direction.weights["a"] / direction.weights["b"] == pytest.approx(3.0, rel=0.25)
        assert direction.features[0].feature == "a"
        assert direction.features[0].weight > 0

    def test_directions_are_unit_vectors_of_falling_share(self, ensemble: Case) -> None:
        directions = explain_model(ensemble.model).directions.found
        assert [d.share for d in directions] == sorted((d.share for d in directions), reverse=True)
        for direction in directions:
            assert sum(w**2 for w in direction.weights.values()) == pytest.approx(1.0, abs=1e-6)

    def test_machinesand_splits_of_a_tree(self, leaves: Case) -> None:
        explanation = explain_model(leaves.model)
        tree = leaves.model.members[explanation.member].tree
        assert len(explanation.leaves) == len(tree.leaves) > 1
        assert len(explanation.splits) == len(tree.splits)
        assert sum(leaf.rows for leaf in explanation.leaves) >= 900
        assert sum(leaf.sampled for leaf in explanation.leaves) == explanation.rows
        assert explanation.splits[0].path == ""
        assert explanation.splits[0].high_share == pytest.approx(0.5, abs=0.1)
        assert explanation.splits[0].features[0].column == "b"
        assert "× b" in explanation.splits[0].words
        (cut,) = re.findall(r"roughly b above (\S+):", explanation.splits[0].words)
        values = leaves.table.data.column("b").to_numpy()
        assert float(cut.replace("−", "-")) == pytest.approx(np.median(values), abs=0.3)
        assert all(leaf.path.startswith("split 1 ") for leaf in explanation.leaves)
        for leaf in explanation.leaves:
            assert sum(item.share for item in leaf.columns) == pytest.approx(1.0, abs=1e-6)

    def test_encoded_numbers_go_back_to_their_units(self, ensemble: Case) -> None:
        for member in ensemble.model.members:
            encoder = member.encoder
            matrix, _ = encoder.encode(ensemble.table)
            names = encoder.feature_names
            place = names.index("a")
            values = ensemble.table.data.column("a").to_numpy()
            for row in np.argsort(values)[20:-20:30]:
                found = original_value(encoder, place, float(matrix[row, place]))
                assert found == pytest.approx(values[row], abs=0.02)
            level = next(k for k, name in enumerate(names) if name.startswith("city"))
            assert original_value(encoder, level, 1.0) is None

    def test_normal_scores_go_back_to_their_units(self) -> None:
        (a,) = np.exp(noise(200, 1))
        case = fit_case({"a": a, "y": np.log(a)}, numeric_transform="quantile", kernel="sum_power")
        encoder = case.model.members[0].encoder
        assert original_value(encoder, 0, 0.0) == pytest.approx(np.median(a), rel=0.02)
        assert explain_model(case.model).importances[0].share == pytest.approx(1.0)

    def test_one_leaf_has_no_splits(self, linear: Case) -> None:
        explanation = explain_model(linear.model)
        assert explanation.splits == ()
        assert [leaf.path for leaf in explanation.leaves] == [""]


def test_a_constant_model_reacts_to_nothing(leaves: Case) -> None:
    member = leaves.model.members[0]
    machines = [leaf for leaf in member.tree.leaves if isinstance(leaf, RFMLeaf)]
    flat = tuple(replace(leaf, coefficients=0 * leaf.coefficients) for leaf in machines)
    members = (replace(member, tree=replace(member.tree, leaves=flat)),)
    report = replace(leaves.model.report, held_out=None)  # how far the shares of other models differ
    explanation = explain_model(replace(leaves.model, members=members, report=report), rows=50)
    assert [(item.share, item.low, item.high) for item in explanation.importances] == [(0.0, 0.0, 0.0)] * 3
    assert (explanation.pairs, explanation.directions.found) == ((), ())
    assert not explanation.matrix.any()
