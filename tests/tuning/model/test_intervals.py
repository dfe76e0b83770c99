"""Intervals as wide as a row's errors: the quantile, coverage where noise varies, groups, files, failures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tuning.tables import answers, described, fit, law, one_line, same_bits, table_of
from xrfm_cli.datasets import SchemaOverrides, Table
from xrfm_cli.errors import ModelFileError, NumericalError, OptionError, SchemaError, XRFMError
from xrfm_cli.events import Event, ignore_event
from xrfm_cli.trees import read_model_file, write_model_file
from xrfm_cli.tuning import FitConfig, FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.ensemble import error_scale
from xrfm_cli.tuning.model.intervals import Intervals, weighted_order
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.problem.validation_plan import Fold, ValidationPlan

PINNED = {"numeric_transform": "standard", "iterations": 1}


def noisy(n: int, *, seed: int) -> dict[str, Any]:
    """A bent line whose noise is six times as large on the right as on the left."""
    generator = np.random.default_rng(seed)
    a, b = generator.uniform(-1, 1, (2, n))
    y = np.sin(2 * a) + b + noise_of(a) * generator.normal(size=n)
    return {"a": a, "b": b, "y": y}


def noise_of(a: np.ndarray) -> np.ndarray:
    """The standard deviation of the noise."""
    return np.where(a < 0, 0.1, 0.6)


def half_widths(model: FittedModel, table: Table, level: float = 0.9) -> np.ndarray:
    """Half the width of each row's interval."""
    prediction = model.predict(table, interval=level)
    assert prediction.lower is not None
    assert prediction.upper is not None
    return (prediction.upper - prediction.lower) / 2


@pytest.fixture(scope="module")
def adaptive() -> FittedModel:
    """A model of rows whose noise varies."""
    return fit(noisy(400, seed=0), pinned=PINNED)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 99])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.95])
def test_the_quantile_counts_the_new_row(n: int, level: float) -> None:
    scores = np.sort(np.random.default_rng(n).exponential(size=n))
    intervals = Intervals(scores=tuple(scores.tolist()))
    # Of n + 1 exchangeable scores, the new one is as likely to stand at each place.
    k = next((k for k in range(1, n + 1) if k >= level * (n + 1)), None)
    assert intervals.allows(level) == (k is not None)
    if k is None:
        with pytest.raises(OptionError, match=rf"--interval {level}: .* {n} held-out row"):
            intervals.half_width(level)
    else:
        assert intervals.half_width(level) == scores[k - 1]


@pytest.mark.parametrize("n", [1, 2, 3, 9, 12, 99, 5_000])
def test_the_largest_level_that_a_refusal_names_is_accepted(n: int) -> None:
    intervals = Intervals(scores=tuple(float(k) for k in range(n)))
    with pytest.raises(OptionError) as caught:
        intervals.half_width(0.9999)
    named = float(one_line(caught.value).split("levels up to ")[1].split()[0].rstrip("."))
    assert n / (n + 1) - 0.1 / n < named <= n / (n + 1)
    assert intervals.half_width(named) == n - 1
    assert intervals.half_width(n / (n + 1)) == n - 1


@pytest.mark.parametrize("n", [1, 7, 100])
def test_scores_of_equal_weight_are_themselves(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    for weights in (None, np.full(n, 0.1), np.full(n, 3.0)):
        assert weighted_order(values, weights, 5_000).tolist() == np.sort(values).tolist()


def test_a_score_of_weight_three_counts_like_three() -> None:
    generator = np.random.default_rng(0)
    values, times = generator.exponential(size=300), generator.integers(1, 4, 300)
    copies = np.sort(np.repeat(values, times))
    found = weighted_order(values, times.astype(float), 5_000)
    wanted = np.ceil(np.arange(1, 301) / 300 * len(copies) - 1e-9).astype(int) - 1
    assert found.tolist() == copies[wanted].tolist()
    few = weighted_order(copies, None, 50)
    assert (len(few), few[-1]) == (50, copies[-1])


@pytest.mark.slow
def test_both_the_quiet_and_the_noisy_half_are_covered() -> None:
    covered, widths = [], []
    for seed in range(4):
        model = fit(noisy(400, seed=seed), pinned=PINNED)
        new = noisy(2_000, seed=100 + seed)
        half, quiet = half_widths(model, table_of(new)), new["a"] < 0
        hit = np.abs(new["y"] - answers(model, table_of(new))) <= half
        covered.append([hit.mean(), hit[quiet].mean(), hit[~quiet].mean()])
        widths.append(half[~quiet].mean() / half[quiet].mean())
        assert np.corrcoef(half, noise_of(new["a"]))[0, 1] > 0.7
    # A quantile of 400 scores moves coverage by sqrt(0.09 / 400) = 0.015, so 0.0075 for the mean of four
    # fits: three of them in all. The spread is smooth where the noise jumps, so the halves get more. One
    # width covers about 1.00 and 0.80 of them.
    total, quiet_share, noisy_share = np.mean(covered, axis=0)
    assert total == pytest.approx(0.9, abs=0.025)
    assert quiet_share == pytest.approx(0.9, abs=0.06)
    assert noisy_share == pytest.approx(0.9, abs=0.06)
    assert 2.5 < np.mean(widths) < 9  # the noise's ratio is 6


def test_constant_noise_keeps_widths_nearly_constant() -> None:
    for seed in range(3):
        model = fit(law(300, seed=seed, noise=0.5), pinned=PINNED)
        half = half_widths(model, table_of(law(500, seed=50 + seed)))
        assert half.std() / half.mean() < 0.2


def test_the_mean_width_is_that_of_the_validation_rows(adaptive: FittedModel) -> None:
    assert adaptive.intervals is not None
    assert adaptive.intervals.error_scale is not None
    assert error_scale.ADAPTS in adaptive.report.notes
    half = half_widths(adaptive, table_of(noisy(4_000, seed=9)))
    assert half.mean() == pytest.approx(adaptive.intervals.half_width(0.9), rel=0.15)


def test_few_rows_have_one_width() -> None:
    columns = noisy(error_scale.MIN_ROWS - 1, seed=0)
    model = fit(columns, pinned=PINNED)
    assert error_scale.CONSTANT in model.report.notes
    assert np.ptp(half_widths(model, table_of(columns))) < 1e-9


def test_errors_of_zero_have_one_width() -> None:
    problem = problem_of(law(100))
    assert error_scale.fit_error_scale(problem, np.zeros(100), (), torch.zeros(100, 1), ignore_event) is None
    model = fit({"a": np.arange(90.0), "y": 2 * np.arange(90.0)}, pinned={"kernel": "linear"})
    assert half_widths(model, table_of({"a": np.arange(9.0)})).max() < 1.0


def test_widths_stand_alone_and_ignore_threads(adaptive: FittedModel) -> None:
    columns = noisy(600, seed=11)
    columns["a"][::7] *= 100.0  # far from the data, too
    table = table_of(columns)
    assert adaptive.intervals is not None
    assert adaptive.intervals.error_scale is not None
    x, _ = adaptive.intervals.error_scale.encoder.encode(table)
    whole = adaptive.intervals.error_scale.sizes(torch.from_numpy(x))
    bounds = adaptive.predict(table, interval=0.9).upper
    assert bounds is not None
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for rows in (
                np.random.default_rng(0).permutation(600),
                np.arange(257),
                np.array([5] * 40),
                [599],
            ):
                chosen = np.array(rows)
                found = adaptive.predict(table.take(chosen), interval=0.9).upper
                assert found is not None
                assert same_bits(found, bounds[chosen])
                assert same_bits(
                    adaptive.intervals.error_scale.sizes(torch.from_numpy(x[chosen])), whole[chosen]
                )
    finally:
        torch.set_num_threads(before)


def test_far_rows_have_the_widths_of_known_ones(adaptive: FittedModel) -> None:
    near = half_widths(adaptive, table_of(noisy(2_000, seed=1)))
    far = half_widths(adaptive, table_of({"a": [1e9, -1e9, 0.0], "b": [0.0, 0.0, -1e9]}))
    assert near.min() * 0.5 <= far.min() <= far.max() <= near.max() * 2


def test_linear_models_keep_no_rows_for_their_intervals() -> None:
    model = fit(noisy(300, seed=0), pinned={"kernel": "linear"})
    assert model.intervals is not None
    assert model.intervals.error_scale is not None
    assert model.n_centers == 0


@pytest.mark.parametrize("fault", [NumericalError, SchemaError])
def test_a_failure_leaves_one_width_and_is_said(
    fault: type[XRFMError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise fault("the kernel matrix is singular.")

    monkeypatch.setattr(error_scale, "fit_leaf", fail)
    events: list[Event] = []
    model = fit(noisy(120, seed=0), pinned=PINNED, on_event=events.append)
    message = f"{error_scale.FAILED}: the kernel matrix is singular."
    assert {"message": message, "count": 1} in model.report.fallbacks
    assert [event.kind for event in events if event.message == message] == ["fallback"]
    half = half_widths(model, table_of(noisy(50, seed=1)))
    assert np.ptp(half) < 1e-9


def problem_of(columns: dict[str, Any], **roles: Any) -> Problem:
    """A problem of these columns."""
    table, schema, target = described(table_of(columns), SchemaOverrides(target="y", **roles))
    return set_up_problem(table, schema, target, FitConfig(folds=7))[0]


def held_out(problem: Problem, rows: np.ndarray) -> Problem:
    """The same rows, of which some are held out once."""
    every = np.arange(problem.data.table.n_rows)
    fold = Fold(train=np.setdiff1d(every, rows), valid=rows)
    plan = ValidationPlan(
        scheme="hold-out", folds=(fold,), rung_sizes=(len(fold.train),), refit_rows=every, reason=""
    )
    return problem.with_plan(plan)


@pytest.mark.parametrize("once", [False, True])
def test_groups_are_never_on_both_sides(once: bool) -> None:
    groups = np.random.default_rng(0).integers(0, 30, 200)
    problem = problem_of(law(200) | {"who": groups.astype(str).tolist()}, group="who")
    if once:
        problem = held_out(problem, np.arange(0, 200, 2))
    parts, validated = error_scale.validation_folds(problem), problem.plan.validation_rows
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(validated)))
    assert len(parts) == error_scale.FOLDS
    sides = [set(groups[validated[part]].tolist()) for part in parts]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_rows_held_out_by_time_are_cut_by_time() -> None:
    problem = problem_of(law(200) | {"when": np.arange(200.0)[::-1]}, time="when")
    problem = held_out(problem, np.arange(100))
    parts = error_scale.validation_folds(problem)
    assert [(part.min(), part.max(), len(part)) for part in parts] == [
        (80, 99, 20),
        (60, 79, 20),
        (40, 59, 20),
        (20, 39, 20),
        (0, 19, 20),
    ]


def test_one_group_held_out_cannot_be_cut() -> None:
    problem = problem_of(law(200) | {"who": ["w"] * 100 + ["x"] * 100}, group="who")
    with pytest.raises(SchemaError):  # which leaves one width, as any failure does
        error_scale.validation_folds(held_out(problem, np.arange(100)))


def test_rows_given_for_validation_calibrate() -> None:
    model = fit(noisy(200, seed=0), valid=noisy(300, seed=1), pinned=PINNED)
    assert model.intervals is not None
    assert len(model.intervals.scores) == 300
    new = noisy(2_000, seed=2)
    hit = np.abs(new["y"] - answers(model, table_of(new))) <= half_widths(model, table_of(new))
    assert hit.mean() == pytest.approx(0.9, abs=0.05)  # three standard deviations of 300 scores


def test_a_file_brings_the_widths_back_bit_for_bit(adaptive: FittedModel, tmp_path: Path) -> None:
    probe = table_of(noisy(300, seed=3))
    save_model(adaptive, tmp_path / "model.xrfm")
    loaded = load_model(tmp_path / "model.xrfm")
    assert same_bits(half_widths(loaded, probe), half_widths(adaptive, probe))
    save_model(loaded, tmp_path / "again.xrfm")
    assert (tmp_path / "again.xrfm").read_bytes() == (tmp_path / "model.xrfm").read_bytes()


def test_a_refitted_model_keeps_widths_and_their_encoder(adaptive: FittedModel, tmp_path: Path) -> None:
    probe = table_of(noisy(300, seed=3))
    again = refit_model(adaptive, table_of(noisy(250, seed=4)))
    np.testing.assert_allclose(half_widths(again, probe), half_widths(adaptive, probe), rtol=1e-9)
    save_model(again, tmp_path / "again.xrfm")
    loaded = load_model(tmp_path / "again.xrfm")
    assert same_bits(half_widths(loaded, probe), half_widths(again, probe))


@pytest.fixture(scope="module")
def contents(adaptive: FittedModel, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Manifest and tensors of the model's file."""
    path = tmp_path_factory.mktemp("adaptive") / "model.xrfm"
    save_model(adaptive, path)
    manifest, tensors = read_model_file(path)
    return {k: v for k, v in manifest.items() if k not in ("format_version", "sha256")}, tensors


def test_a_file_from_before_has_one_width(contents: Any, tmp_path: Path) -> None:
    manifest, tensors = copy.deepcopy(contents[0]), contents[1]
    manifest["intervals"] = [0.5, 1.0, 2.0]
    write_model_file(tmp_path / "old", manifest, {k: v for k, v in tensors.items() if "spread" not in k})
    half = half_widths(load_model(tmp_path / "old"), table_of(noisy(20, seed=3)), level=0.5)
    np.testing.assert_allclose(half, 1.0)


WRONG: dict[str, list[Any]] = {
    "centre": [None, "text", float("1e999")],
    "low": [0.0, -1.0, 1e6],
    "high": [0.0, "text"],
    "exponent": [0.0, -2.0, None],
    "scale": [0.0, -1.0, {}],
    "encoder": [7, -1, "0"],
    "leaf": [None, {}, 3],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_a_spread_that_cannot_be_is_refused(name: str, value: Any, contents: Any, tmp_path: Path) -> None:
    manifest = copy.deepcopy(contents[0])
    if isinstance(value, float) and np.isinf(value):
        value = "inf"  # the file holds no such number, but a text may be read as one
    manifest["intervals"]["spread"][name] = value
    write_model_file(tmp_path / "bad", manifest, contents[1])
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "bad")


@pytest.mark.parametrize("scores", [[], [2.0, 1.0], [-1.0, 1.0], ["nan"], None, [None], 3])
def test_scores_that_cannot_be_are_refused(scores: Any, contents: Any, tmp_path: Path) -> None:
    for whole in (scores, contents[0]["intervals"] | {"scores": scores}):
        if whole is None:
            continue  # a model without intervals is one of classes
        manifest = copy.deepcopy(contents[0]) | {"intervals": whole}
        write_model_file(tmp_path / "bad", manifest, contents[1])
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "bad")


@pytest.mark.parametrize("name", ["spread.centers", "spread.coefficients", "spread.metric"])
def test_tensors_of_the_spread_that_do_not_fit_are_refused(name: str, contents: Any, tmp_path: Path) -> None:
    kept = contents[1][name]
    for changed in (None, kept[:-1].clone(), kept[None], kept.to(torch.int64), torch.cat([kept, kept], -1)):
        tensors = {k: v for k, v in contents[1].items() if k != name}
        if changed is not None:
            tensors[name] = changed
        write_model_file(tmp_path / "bad", contents[0], tensors)
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "bad")
