"""What is searched, what is pinned and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from tests.tuning.tables import described, fit, law, one_line, table_of
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.tuning import FitConfig, hyperparameter_names
from xrfm_cli.tuning.pins import check_names
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.candidate import LEAST_SPLIT_ROWS, Candidate
from xrfm_cli.tuning.search.portfolio import SLOW_FAMILIES, first_candidates, quick_first
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.sampler import make_sampler
from xrfm_cli.tuning.search.space import SearchSpace

SAMPLER = optuna.samplers.RandomSampler


def space(pinned: dict[str, Any] | None = None, **changes: Any) -> SearchSpace:
    options: dict[str, Any] = {
        "leaf_size": 10_000,
        "has_numbers": True,
        "has_categories": True,
        "general_p": True,
        "full_feature_matrix": True,
        "sum_power": True,
    }
    return SearchSpace(pinned=pinned or {}, **(options | changes))


def drawn(chosen: SearchSpace, n: int = 80) -> list[Candidate]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=SAMPLER(seed=0))
    return [chosen.suggest(study.ask()) for _ in range(n)]


def space_of(columns: dict[str, Any]) -> SearchSpace:
    """Return the search space of a table whose target is `y`."""
    config = FitConfig(trials=1, folds=2)
    return make_space(set_up_problem(*described(table_of(columns)), config).problem)


def kernel_of(candidate: Candidate) -> str:
    leaf = candidate.tree.leaf
    return leaf.kernel if leaf.kernel != "norm" else {2.0: "l2", 1.0: "l1"}.get(leaf.kernel_p, "lp")


def test_no_version_of_optuna_warns_of_the_sampler() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also where the oldest versions are tested, with warnings allowed
        make_sampler(0)


def test_every_kernel_family_shape_and_encoding_is_reached() -> None:
    found = drawn(space())
    assert {kernel_of(c) for c in found} == {"l1", "l2", "lp", "sum_power", "linear"}
    assert {c.tree.leaf.metric_shape for c in found} == {"diagonal", "full"}
    assert {c.encoding.numeric for c in found} == {"standard", "quantile"}
    assert {c.encoding.numeric for c in drawn(space(pieces=True))} == {"standard", "quantile", "piecewise"}
    assert {c.encoding.category for c in found} == {"one_hot", "target"}
    assert len({c.tree.leaf.ridge for c in found}) == len(found)
    assert {c.target_transform for c in found} == {"none"}
    assert {c.target_transform for c in drawn(space(log_target=True))} == {"none", "log"}
    assert {c.tree.leaf.loss for c in found} == {"squared"}


def test_log_odds_are_drawn_for_kernel_machines_alone() -> None:
    found = drawn(space(losses=("squared", "logistic")))
    assert {c.tree.leaf.loss for c in found if kernel_of(c) == "linear"} == {"squared"}
    for kernel in ("l1", "l2", "lp", "sum_power"):
        assert {c.tree.leaf.loss for c in found if kernel_of(c) == kernel} == {"squared", "logistic"}
    assert {(c.tree.leaf.loss, c.transform) for c in found} == {
        ("squared", "none"),
        ("logistic", "logit"),
    }
    pinned = space({"loss": "logistic"}, losses=("squared", "logistic"))
    assert {kernel_of(c) for c in drawn(pinned)} == {"l1", "l2", "lp", "sum_power"}
    assert not pinned.tries_constant
    assert {kernel_of(c) for c in drawn(space({"loss": "squared"}, losses=("squared", "logistic")))} >= {
        "l2",
        "linear",
    }
    assert space({"loss": "squared"}, losses=("squared", "logistic")).tries_constant


def test_what_a_table_does_not_suit_is_not_drawn() -> None:
    found = drawn(space(general_p=False, sum_power=False, full_feature_matrix=False, has_categories=False))
    assert {kernel_of(c) for c in found} == {"l1", "l2", "linear"}
    assert {c.tree.leaf.metric_shape for c in found} == {"diagonal"}
    assert {c.encoding.category for c in found} == {"one_hot"}


def test_every_candidate_is_a_valid_kernel() -> None:
    for candidate in drawn(space(), 200):
        leaf = candidate.tree.leaf
        if leaf.kernel == "norm":
            assert 0 < leaf.kernel_q <= leaf.kernel_p <= 2


PINS: list[dict[str, Any]] = [
    {"kernel": "norm"},
    {"kernel": "sum_power"},
    {"kernel": "linear"},
    {"kernel": "linear", "ridge": 3.0, "iterations": 2, "metric_shape": "full"},
    {"kernel": "constant"},
    {"kernel": "sum_power", "power": 3},
    {"kernel": "norm", "kernel_p": 1.5, "kernel_q": 1.2},
    {"kernel_p": 2.0},
    {"kernel_p": 1.0},
    {"kernel_p": 0.8},
    {"kernel_q": 0.7},
    {"kernel_q": 1.4},
    {"kernel_q": 2.0},
    {"power": 5},
    {"power": 1},
    {"constant": 0.2},
    {"bandwidth": 4.5},
    {"bandwidth_mode": "constant"},
    {"ridge": 0.25},
    {"iterations": 0},
    {"iterations": 7},
    {"metric_shape": "full"},
    {"leaf_size": 321},
    {"overlap": 0.1},
    {"temperature": 0.3},
    {"agop_rows": 99},
    {"agop_power": 0.25},
    {"split_rows": 77},
    {"min_leaf_size": 5},
    {"numeric_transform": "standard"},
    {"category_encoding": "target"},
    {"target_transform": "log"},
    {"loss": "logistic"},
]


@pytest.mark.parametrize("pinned", PINS, ids=[",".join(f"{k}={v}" for k, v in p.items()) for p in PINS])
def test_pins_always_win(pinned: dict[str, Any]) -> None:
    for candidate in drawn(space(pinned), 30):
        values = candidate.to_dict()
        assert {name: values[name] for name in pinned} == pinned


def test_a_pin_that_belongs_to_one_family_chooses_it() -> None:
    assert {kernel_of(c) for c in drawn(space({"power": 3}), 20)} == {"sum_power"}
    assert {kernel_of(c) for c in drawn(space({"constant": 0.1}), 20)} == {"sum_power"}
    assert "sum_power" not in {kernel_of(c) for c in drawn(space({"kernel_p": 1.0}), 20)}
    assert {kernel_of(c) for c in drawn(space({"kernel": "sum_power"}, sum_power=False), 20)} == {"sum_power"}


def test_families_for_which_a_pin_means_nothing_are_not_drawn() -> None:
    for pin in ({"bandwidth": 2.0}, {"kernel_q": 0.9}, {"bandwidth_mode": "constant"}, {"agop_rows": 50}):
        assert {kernel_of(c) for c in drawn(space(pin), 60)} == {"l1", "l2", "lp", "sum_power"}
        assert not space(pin).tries_constant
    assert {kernel_of(c) for c in drawn(space({"kernel": "linear"}), 9)} == {"linear"}
    assert {kernel_of(c) for c in drawn(space({"kernel": "constant"}), 9)} == {"constant"}
    assert space({"leaf_size": 50}).tries_constant
    assert not any(
        space(pin).tries_constant for pin in ({"ridge": 1.0}, {"iterations": 0}, {"kernel": "norm"})
    )


def test_pins_do_not_move_what_is_drawn_besides() -> None:
    found = drawn(space({"ridge": 0.5}), 60)
    assert {kernel_of(c) for c in found} == {"l1", "l2", "lp", "sum_power", "linear"}
    kernels = [c for c in found if kernel_of(c) != "linear"]
    assert len({c.tree.leaf.bandwidth for c in kernels}) == len(kernels)


@pytest.mark.parametrize(
    ("pinned", "words"),
    [
        ({"kernel": "linear", "bandwidth": 3.0}, "--set bandwidth: belongs to the norm or sum_power kernel"),
        ({"kernel": "linear", "kernel_p": 1.0}, "--set kernel_p: belongs to the norm kernel"),
        ({"kernel": "constant", "target_transform": "log"}, "--set target_transform: belongs to the norm"),
        ({"kernel": "constant", "ridge": 1.0}, "--set ridge: belongs to the norm or sum_power or linear"),
        ({"kernel": "linear", "loss": "logistic"}, "--set loss: belongs to the norm or sum_power kernel"),
        ({"kernel": "norm", "power": 2}, "--set power: belongs to the sum_power kernel"),
        ({"kernel": "sum_power", "kernel_p": 2.0}, "Add --set kernel=norm or leave it out"),
        ({"kernel_p": 2.0, "power": 2}, "--set power: belongs to the sum_power kernel"),
    ],
    ids=str,
)
def test_an_idle_pin_is_refused(pinned: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        fit(law(40), pinned=pinned)
    one_line(caught.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("bandwith", "bandwidth"),
        ("kernal_p", "kernel_p"),
        ("iteration", "iterations"),
        ("leafsize", "leaf_size"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(OptionError, match=f"Did you mean '{nearest}'") as caught:
        check_names({name: 1})
    one_line(caught.value)
    with pytest.raises(OptionError, match=f"Did you mean '{nearest}'"):
        fit(law(40), pinned={name: 1})


@pytest.mark.parametrize(
    "pinned",
    [
        {"kernel": "gauss"},
        {"kernel_p": 2.5},
        {"kernel_p": "wide"},
        {"kernel_q": 0.0},
        {"kernel_p": 1.0, "kernel_q": 1.5},
        {"bandwidth": -1.0},
        {"bandwidth": "big"},
        {"bandwidth": None},
        {"bandwidth": True},
        {"ridge": 0.0},
        {"ridge": "0.1"},
        {"iterations": -1},
        {"iterations": 2.5},
        {"iterations": "many"},
        {"power": 0},
        {"power": 2.5},
        {"power": "x"},
        {"constant": 1.0},
        {"metric_shape": "round"},
        {"bandwidth_mode": "auto"},
        {"numeric_transform": "log"},
        {"category_encoding": "hash"},
        {"target_transform": "sqrt"},
        {"target_transform": 1},
        {"loss": "hinge"},
        {"leaf_size": 1},
        {"overlap": 0.9},
        {"temperature": -0.1},
        {"agop_rows": 0},
    ],
    ids=str,
)
def test_a_pin_out_of_range_is_refused_in_one_line_before_any_work(pinned: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        fit(law(40), pinned=pinned)
    assert next(iter(pinned)) in one_line(caught.value) or "kernel_q" in str(caught.value)


def test_names_are_those_of_the_leaf_the_tree_and_the_encoding() -> None:
    names = hyperparameter_names()
    assert names == sorted(names)
    wanted = {"kernel", "kernel_p", "kernel_q", "bandwidth", "bandwidth_mode", "ridge", "iterations"}
    wanted |= {"metric_shape", "leaf_size", "overlap", "temperature", "agop_rows", "power"}
    assert wanted <= set(names)
    check_names(dict.fromkeys(names))


def test_a_candidate_survives_its_dictionary() -> None:
    for candidate in drawn(space(log_target=True), 20):
        assert Candidate.from_dict(candidate.to_dict()) == candidate


def test_a_candidate_of_an_older_model_learns_values() -> None:
    values = drawn(space(), 1)[0].to_dict()
    del values["target_transform"]
    assert Candidate.from_dict(values).target_transform == "none"


def test_half_of_the_first_kernels_learn_logarithms_where_they_may() -> None:
    for powers in (True, False):
        first = first_candidates(space(log_target=True, general_p=powers, sum_power=powers))
        transforms = [p["target_transform"] for p in first if p["family"] not in ("linear", "constant")]
        assert transforms[:2] == ["log", "none"]
        assert abs(transforms.count("log") - transforms.count("none")) <= 1
        assert "target_transform" not in first[-1]
    assert all("target_transform" not in p for p in first_candidates(space()))


def test_some_of_the_first_kernels_of_each_family_learn_log_odds_where_they_may() -> None:
    first = first_candidates(space(losses=("squared", "logistic"), pieces=True))
    losses = [(p["family"], p["loss"]) for p in first if p["family"] not in ("linear", "constant")]
    assert losses[:2] == [("l2", "logistic"), ("l2", "squared")]
    assert {family for family, loss in losses if loss == "logistic"} == {"l2", "l1", "lp", "sum_power"}
    assert {family for family, loss in losses if loss == "squared"} == {"l2", "l1", "sum_power"}
    assert all("loss" not in p for p in first if p["family"] in ("linear", "constant"))
    assert all("loss" not in p for p in first_candidates(space()))


def test_quick_kernels_come_first_in_their_order() -> None:
    first = first_candidates(space(pieces=True))
    quick = quick_first(first)
    slow = [p["family"] in SLOW_FAMILIES for p in quick]
    assert slow.index(True) == len(slow) - sum(slow) > 0
    for wanted in (True, False):
        own = [[p for p in some if (p["family"] in SLOW_FAMILIES) == wanted] for some in (first, quick)]
        assert own[0] == own[1]


def test_kernel_machines_may_start_from_squares_of_the_target() -> None:
    found = drawn(space(squares=True))
    assert {c.start_matrix for c in found} == {"identity", "squares"}
    assert {c.start_matrix for c in found if kernel_of(c) == "linear"} == {"identity"}
    assert {c.start_matrix for c in drawn(space())} == {"identity"}
    first = first_candidates(space(squares=True))
    (own,) = [p for p in first if p.get("start_matrix") == "squares"]
    assert own == first[2]
    kernels = [p for p in first if p.get("start_matrix") == "identity"]
    assert own | {"start_matrix": "identity"} == kernels[1]
    others = [{k: v for k, v in p.items() if k != "start_matrix"} for p in first if p is not own]
    assert others == first_candidates(space())


def test_squares_are_of_numbers_in_many_columns() -> None:
    """Of 40 rows, six columns are too few to hide a product of three, and seven are enough."""
    draws = np.random.default_rng(0)
    for columns, wanted in ((6, False), (7, True)):
        x = {f"v{j}": draws.normal(size=40) for j in range(columns)}
        assert space_of(x | {"y": draws.normal(size=40)}).squares == wanted
    wide = {f"v{j}": draws.normal(size=40) for j in range(10)}
    classes = wide | {"y": np.repeat(["a", "b"], 20)}
    assert not space_of(classes).squares
    with pytest.raises(OptionError, match="a class has no squares"):
        fit(table_of(classes), pinned={"start_matrix": "squares"})


@pytest.mark.parametrize("log_target", [False, True])
def test_first_candidates_fit_the_space(log_target: bool) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=SAMPLER(seed=0))
    chosen = space(log_target=log_target)
    first = first_candidates(chosen)
    for params in first:
        study.enqueue_trial(params, user_attrs=params)
    assert [params["family"] for params in first].count("linear") == 1
    for params in first:
        trial = study.ask()
        candidate = chosen.suggest(trial)
        if params["family"] == "constant":
            assert (kernel_of(candidate), params, trial.params) == ("constant", first[-1], {})
        else:
            assert {k: v for k, v in trial.params.items() if k in params} == params


@pytest.mark.slow
@pytest.mark.parametrize(
    "pinned",
    [
        {"kernel": "norm", "kernel_p": 2.0, "kernel_q": 1.3, "bandwidth": 5.0, "ridge": 0.01},
        {"kernel_p": 1.5, "kernel_q": 0.8, "iterations": 2},
        {"kernel": "linear", "ridge": 2.0, "iterations": 3, "agop_power": 0.25},
        {"kernel": "constant"},
        {"kernel": "sum_power", "power": 3, "kernel_q": 0.9, "bandwidth": 2.5, "constant": 0.1},
        {"metric_shape": "full", "kernel_p": 2.0, "bandwidth_mode": "constant", "bandwidth": 7.0},
        {"power": 4, "agop_rows": 50, "agop_power": 0.3},
        {"numeric_transform": "standard", "category_encoding": "target"},
    ],
    ids=str,
)
@pytest.mark.parametrize("trials", [0, 2])
def test_the_fitted_model_uses_what_was_pinned(pinned: dict[str, Any], trials: int) -> None:
    model = fit(law(60), trials=trials, pinned=pinned)
    assert len(model.report.trials) == max(trials, 1)
    for trial in model.report.trials:
        assert {k: trial["params"][k] for k in pinned} == pinned
    for member in model.members:
        assert {k: member.params[k] for k in pinned} == pinned
        built = member.tree.config.to_dict() | {
            "numeric_transform": member.encoder.config.numeric,
            "category_encoding": member.encoder.config.category,
        }
        assert {k: built[k] for k in pinned if k != "iterations"} == {
            k: v for k, v in pinned.items() if k != "iterations"
        }
        for leaf in member.tree.leaves:
            used = leaf.config.to_dict()
            assert {k: used[k] for k in pinned if k in used and k != "iterations"} == {
                k: v for k, v in pinned.items() if k in used and k != "iterations"
            }
            if pinned.get("bandwidth_mode") == "constant":
                assert isinstance(leaf, RFMLeaf)
                assert leaf.bandwidth == pinned["bandwidth"]
            if "metric_shape" in pinned:
                assert leaf.feature_matrix.ndim == 2


def test_pinned_iterations_are_made_neither_more_nor_less() -> None:
    metrics = {}
    for iterations in (0, 1, 4):
        model = fit(law(60), pinned={"iterations": iterations})
        assert model.members[0].params["iterations"] == iterations
        assert model.report.trials[0]["iterations"] == iterations
        metrics[iterations] = model.members[0].tree.leaves[0].feature_matrix
    assert torch.equal(metrics[0], torch.ones_like(metrics[0]))  # no update: the plain kernel machine
    assert not torch.equal(metrics[1], metrics[0])
    assert not torch.equal(metrics[4], metrics[1])


def test_pinned_leaf_size_grows_a_tree_with_the_pinned_routing() -> None:
    pinned = {"leaf_size": 60, "min_leaf_size": 10, "overlap": 0.1, "temperature": 0.2, "split_rows": 80}
    model = fit(law(200), pinned=pinned)
    tree = model.members[0].tree
    assert len(tree.leaves) >= 4
    assert max(len(leaf.centers) for leaf in tree.leaves) <= 60
    assert sum(len(leaf.centers) for leaf in tree.leaves) > 200  # overlap: some rows stand in two leaves
    assert tree.temperature == 0.2
    assert model.members[0].params["temperature"] == 0.2
    assert len(model.report.leaves) == len(tree.leaves)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"trials": -1}, "--trials"),
        ({"folds": 1}, "--folds"),
        ({"time_limit_s": 0.0}, "--time-limit"),
        ({"time_limit_s": float("nan")}, "--time-limit"),
        ({"preset": "fast"}, "--preset"),
        ({"memory_bytes": 10}, "--memory"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named) as caught:
        FitConfig(**options)
    one_line(caught.value)


def test_trials_alone_remove_the_limit() -> None:
    assert FitConfig(trials=3).effective_time_limit_s is None
    assert FitConfig(trials=3, time_limit_s=9.0).effective_time_limit_s == 9.0
    assert FitConfig(preset="quick").effective_time_limit_s == 15.0
    assert FitConfig().effective_time_limit_s == 60.0


def test_smaller_leaves_are_split_by_fewer_rows() -> None:
    candidate = Candidate.from_dict({"leaf_size": 6_000, "split_rows": 2_000})
    assert candidate.with_leaf_size(3_000).tree.split_rows == 1_500
    assert candidate.with_leaf_size(100).tree.split_rows == LEAST_SPLIT_ROWS
    few = Candidate.from_dict({"leaf_size": 6_000, "split_rows": 80})
    assert few.with_leaf_size(3_000).tree.split_rows == 80  # never more than there were
