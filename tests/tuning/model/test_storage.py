"""A model as a file: back bit for bit, and refused in one line when its contents are hostile."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tuning.tables import answers, fit, law, one_line, same_bits, skewed, table_of, task_table
from xrfm_cli.errors import ModelFileError, XRFMError
from xrfm_cli.trees import read_model_file, write_model_file
from xrfm_cli.tuning import FittedModel, load_model, save_model
from xrfm_cli.tuning.model.intervals import Intervals
from xrfm_cli.tuning.scoring.thresholds import MOST_PROBABLE, DecisionThreshold

PROBE = table_of(law(40, seed=8))
Contents = tuple[dict[str, Any], dict[str, torch.Tensor]]


@pytest.fixture(scope="session")
def saved(models: dict[str, FittedModel], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shared models as files."""
    folder = tmp_path_factory.mktemp("saved")
    for task, model in models.items():
        save_model(model, folder / f"{task}.xrfm")
    return {task: folder / f"{task}.xrfm" for task in models}


def test_a_model_comes_back_bit_for_bit(task: str, model: FittedModel, saved: dict[str, Path]) -> None:
    loaded = load_model(saved[task])
    assert same_bits(answers(loaded, PROBE), answers(model, PROBE))
    assert loaded.schema == model.schema
    assert loaded.target == model.target
    assert loaded.report == model.report.timeless()
    assert loaded.calibration == model.calibration
    assert same_intervals(loaded.intervals, model.intervals)
    assert loaded.decision == model.decision
    assert (loaded.versions, loaded.device) == (model.versions, "cpu")
    assert datetime.fromisoformat(loaded.created) >= datetime.fromisoformat(model.created)
    for left, right in zip(loaded.members, model.members, strict=True):
        assert (left.trial, left.weight, left.params, left.score) == (
            right.trial,
            right.weight,
            right.params,
            right.score,
        )
        assert left.target_transform == right.target_transform
        assert left.calibrator == right.calibrator
        assert left.encoder.feature_names == right.encoder.feature_names


def same_intervals(left: Intervals | None, right: Intervals | None) -> bool:
    """Assert equal predictions and equal error scales, to the last bit."""
    if left is None or right is None or left.error_scale is None or right.error_scale is None:
        return (left and (left.scores, left.error_scale)) == (right and (right.scores, right.error_scale))
    (facts, tensors), (others, other_tensors) = left.error_scale.state(), right.error_scale.state()
    same = all(torch.equal(tensors[name], other_tensors[name]) for name in tensors)
    return (left.scores, facts, set(tensors)) == (right.scores, others, set(other_tensors)) and same


def test_a_report_of_an_earlier_version_is_read(saved: dict[str, Path], tmp_path: Path) -> None:
    manifest, tensors = read_model_file(saved["regression"])
    for name in ("fold_metrics", "hyperparameter_importances"):
        del manifest["report"][name]
    report = load_model(write(tmp_path / "old.xrfm", (manifest, tensors))).report
    assert (report.fold_metrics, report.hyperparameter_importances) == ({}, [])
    assert report.score == load_model(saved["regression"]).report.score


def test_saving_again_gives_the_same_bytes(task: str, saved: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "again.xrfm"
    save_model(load_model(saved[task]), again)
    assert again.read_bytes() == saved[task].read_bytes()


KINDS: list[dict[str, Any]] = [
    {"leaf_size": 40, "min_leaf_size": 8, "temperature": 0.3, "overlap": 0.1},
    {"metric_shape": "full", "category_encoding": "target"},
    {"kernel": "sum_power", "power": 3, "numeric_transform": "quantile"},
]


@pytest.mark.slow
@pytest.mark.parametrize("pinned", KINDS, ids=str)
def test_every_kind_of_model_comes_back(pinned: dict[str, Any], task: str, tmp_path: Path) -> None:
    model = fit(task_table(task, 90), folds=2, pinned=pinned)
    save_model(model, tmp_path / "model.xrfm")
    loaded = load_model(tmp_path / "model.xrfm")
    assert same_bits(answers(loaded, PROBE), answers(model, PROBE))


def test_logarithms_come_back(plain_logs: Path) -> None:
    model = fit(skewed(60), folds=2, pinned=LOGS)
    loaded = load_model(plain_logs)
    assert loaded.members[0].target_transform == model.members[0].target_transform
    assert same_bits(answers(loaded, PROBE), answers(model, PROBE))


@pytest.mark.parametrize("fact", [{"factor": 1e300}, {"high": 1e9}, {"kind": "roots"}], ids=str)
def test_a_coding_that_cannot_be_is_refused(fact: dict[str, Any], plain_logs: Path, tmp_path: Path) -> None:
    manifest, tensors = read_model_file(plain_logs)
    manifest["members"][0]["coding"] |= fact
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


@pytest.mark.slow
def test_equal_fits_are_equal_files(task: str, tmp_path: Path) -> None:
    for name in ("left", "right"):
        save_model(fit(task_table(task, 40), trials=2, folds=2), tmp_path / name)
    assert (tmp_path / "left").read_bytes() == (tmp_path / "right").read_bytes()


def test_the_weights_of_several_classes_come_back(models: dict[str, FittedModel], tmp_path: Path) -> None:
    model = replace(models["multiclass"], decision=DecisionThreshold(class_weights=(1.0, 2.5, 0.25)))
    save_model(model, tmp_path / "weighted.xrfm")
    loaded = load_model(tmp_path / "weighted.xrfm")
    p = answers(loaded, PROBE)
    assert loaded.decision == model.decision
    assert (loaded.labels(p) == (p * [1.0, 2.5, 0.25]).argmax(1)).all()


@pytest.mark.parametrize("weights", [[1.0], [1.0, -2.0, 1.0], [1.0, "x", 1.0], 7, {"red": 1.0}], ids=str)
def test_weights_that_do_not_fit_the_classes_are_refused(
    weights: Any, saved: dict[str, Path], tmp_path: Path
) -> None:
    manifest, tensors = read_model_file(saved["multiclass"])
    refused(write(tmp_path / "bad.xrfm", (manifest | {"class_weights": weights}, tensors)))


def test_a_file_from_before_classes_had_weights_is_read(saved: dict[str, Path], tmp_path: Path) -> None:
    manifest, tensors = read_model_file(saved["multiclass"])
    del manifest["class_weights"]
    assert load_model(write(tmp_path / "old.xrfm", (manifest, tensors))).decision == MOST_PROBABLE


def test_a_tuned_threshold_and_intervals_come_back(tmp_path: Path) -> None:
    model = fit(task_table("binary", 60), metric="f1", folds=2)
    save_model(model, tmp_path / "f1.xrfm")
    loaded = load_model(tmp_path / "f1.xrfm")
    p = answers(loaded, PROBE)
    assert loaded.decision == model.decision != MOST_PROBABLE
    assert (loaded.labels(p) == model.labels(p)).all()
    regression = fit(law(60), folds=2)
    save_model(regression, tmp_path / "r.xrfm")
    upper = [m.predict(PROBE, interval=0.9).upper for m in (regression, load_model(tmp_path / "r.xrfm"))]
    assert upper[0] is not None
    assert upper[1] is not None
    assert same_bits(upper[0], upper[1])


def test_members_share_their_encoders(models: dict[str, FittedModel], saved: dict[str, Path]) -> None:
    manifest, _ = read_model_file(saved["multiclass"])
    assert len(manifest["encoders"]) == len({id(m.encoder) for m in models["multiclass"].members})


def paths(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document, the first three of each list."""
    if place:
        yield place
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value))[:3]
    for key, inner in items:
        yield from paths(inner, (*place, key))


def change(document: dict[str, Any], place: tuple[Any, ...], how: Callable[[Any, Any], None]) -> None:
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    how(inner, place[-1])


def write(path: Path, contents: Contents) -> Path:
    manifest = {k: v for k, v in contents[0].items() if k not in ("format_version", "sha256")}
    write_model_file(path, manifest, contents[1])
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    text = one_line(caught.value)
    assert str(path) in text
    return text


SECTIONS = (
    "schema",
    "target",
    "encoders",
    "members",
    "calibration",
    "threshold",
    "intervals",
    "report",
    "versions",
)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_is_refused(section: str, saved: dict[str, Path], tmp_path: Path) -> None:
    manifest, tensors = read_model_file(saved["binary"])
    del manifest[section]
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


@pytest.mark.parametrize("wrong", [None, 7, "text", [], {}, [None], {"a": 1}], ids=str)
@pytest.mark.parametrize("section", ["schema", "target", "encoders", "members", "report"])
def test_a_section_of_another_type_is_refused(
    section: str, wrong: Any, saved: dict[str, Path], tmp_path: Path
) -> None:
    manifest, tensors = read_model_file(saved["binary"])
    manifest[section] = wrong
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one member, whose manifest is short."""
    path = tmp_path_factory.mktemp("plain") / "plain.xrfm"
    save_model(fit(task_table("multiclass", 40), folds=2, pinned={"numeric_transform": "standard"}), path)
    return path


LOGS = {"target_transform": "log", "numeric_transform": "standard"}


@pytest.fixture(scope="module")
def plain_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one member that learned logarithms."""
    path = tmp_path_factory.mktemp("plain") / "logs.xrfm"
    save_model(fit(skewed(60), folds=2, pinned=LOGS), path)
    return path


@pytest.mark.parametrize("wrong", [None, "text", 0.5, [], {}], ids=str)
def test_facts_of_another_type_in_the_report_are_refused(wrong: Any, plain: Path, tmp_path: Path) -> None:
    manifest, tensors = read_model_file(plain)
    for name, value in manifest["report"].items():
        if type(wrong) is type(value) or (wrong is None and name in ("held_out", "oof_summary", "test")):
            continue
        changed = {**manifest, "report": {**manifest["report"], name: wrong}}
        assert f"report.{name}" in refused(write(tmp_path / "bad.xrfm", (changed, tensors)))


def test_a_wide_category_without_tensors_to_match_is_refused_before_room_is_made(tmp_path: Path) -> None:
    model = fit(law(40), folds=2, pinned={"kernel": "linear"})
    save_model(model, tmp_path / "model.xrfm")
    manifest, tensors = read_model_file(tmp_path / "model.xrfm")
    levels = manifest["encoders"][0]["columns"][-1]["levels"]
    levels += [f"{number}" for number in range(100_000)]  # a square of these would be 40 GB
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))
    d = model.members[0].encoder.n_features + 100_000
    for name in [name for name in tensors if name.startswith("member.0.leaf.0.")]:
        if tensors[name].shape[0] == d - 100_000:
            tensors[name] = torch.zeros(d, *tensors[name].shape[1:])
    wide = load_model(write(tmp_path / "wide.xrfm", (manifest, tensors)))
    assert answers(wide, PROBE).shape == (40,)


def test_every_missing_key_is_refused_or_harmless(plain: Path, tmp_path: Path) -> None:
    check_changes(plain, tmp_path, lambda inner, key: inner.pop(key))


@pytest.mark.parametrize("wrong", [None, "text", -7, 1e300, [], {"a": 1}], ids=str)
def test_every_wrong_fact_of_logarithms_is_refused_or_harmless(
    wrong: Any, plain_logs: Path, tmp_path: Path
) -> None:
    check_changes(plain_logs, tmp_path, lambda inner, key: inner.__setitem__(key, copy.copy(wrong)), "coding")


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [None, "text", -7, 1e300, 1 << 62, [], {"a": 1}], ids=str)
def test_every_wrong_value_is_refused_or_harmless(wrong: Any, plain: Path, tmp_path: Path) -> None:
    check_changes(plain, tmp_path, lambda inner, key: inner.__setitem__(key, copy.copy(wrong)))


def check_changes(source: Path, folder: Path, how: Callable[[Any, Any], None], within: str = "") -> None:
    """Change one place after the other: refused in one line, or the model still answers as a model does."""
    manifest, tensors = read_model_file(source)
    places = [
        place for place in paths(manifest) if place[0] in SECTIONS and not set(place) & {"report", "params"}
    ]
    places = [place for place in places if not within or within in place]
    assert places
    faults: list[str] = []
    for place in places:
        changed = copy.deepcopy(manifest)
        change(changed, place, how)
        fault = fault_of(folder, changed, tensors)
        if fault:
            faults.append(f"{'.'.join(map(str, place))}: {fault}")
    assert not faults, f"{len(faults)} of {len(places)} places:\n" + "\n".join(faults[:40])


def fault_of(folder: Path, manifest: dict[str, Any], tensors: dict[str, torch.Tensor]) -> str | None:
    """How a changed file misbehaves, if it does."""
    path = write(folder / "changed.xrfm", (manifest, tensors))
    try:
        model = load_model(path)
    except ModelFileError as error:
        return None if "\n" not in str(error) else "several lines"
    except Exception as error:  # noqa: BLE001  (whatever else comes out is what is looked for)
        return f"load raised {type(error).__name__}: {error}"
    try:
        prediction = model.predict(PROBE)
        if prediction.probabilities is not None:
            model.labels(prediction.probabilities)
    except XRFMError as error:
        return None if "\n" not in str(error) else "several lines"
    except Exception as error:  # noqa: BLE001
        return f"predict raised {type(error).__name__}: {error}"
    return None


def first_name(tensors: dict[str, torch.Tensor], ending: str) -> str:
    return next(name for name in sorted(tensors) if name.endswith(ending))


TENSOR_CHANGES: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "gone": lambda t: None,
    "one row less": lambda t: t[:-1].clone(),
    "one row": lambda t: t[:1].clone(),
    "empty": lambda t: t[:0].clone(),
    "flat": lambda t: t.reshape(-1),
    "deeper": lambda t: t[None],
    "whole numbers": lambda t: t.to(torch.int64),
    "double": lambda t: t.double(),
}


@pytest.mark.parametrize("how", TENSOR_CHANGES)
@pytest.mark.parametrize("ending", ["centers", "coefficients", "metric"])
def test_tensors_that_do_not_fit_are_refused(
    ending: str, how: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    manifest, tensors = read_model_file(saved["multiclass"])
    name = first_name(tensors, ending)
    changed = TENSOR_CHANGES[how](tensors.pop(name))
    if changed is not None:
        if ending == "metric" and changed.ndim == 1 and how == "flat":
            pytest.skip("a diagonal is flat already")
        tensors[name] = changed
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


@pytest.mark.parametrize("how", ["gone", "one row less", "empty", "deeper"])
def test_arrays_of_encoders_that_do_not_fit_are_refused_or_harmless(
    how: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    manifest, tensors = read_model_file(saved["regression"])
    faults = []
    for name in [name for name in tensors if name.startswith("encoder.")]:
        changed = dict(tensors)
        value = TENSOR_CHANGES[how](changed.pop(name))
        if value is not None:
            changed[name] = value
        fault = fault_of(tmp_path, copy.deepcopy(manifest), changed)
        if fault:
            faults.append(f"{name}: {fault}")
    assert not faults, "\n".join(faults)


def test_members_that_disagree_with_the_target_are_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    manifest, tensors = read_model_file(saved["multiclass"])
    manifest["target"]["classes"] = ["blue", "green", "red", "white"]
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))
    manifest, tensors = read_model_file(saved["multiclass"])
    for member in manifest["members"]:
        member["coding"]["prior"] = [0.5, 0.5]
    refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


def test_an_encoder_that_does_not_exist_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    for number in (99, -1, "0", 0.5):
        manifest, tensors = read_model_file(saved["binary"])
        manifest["members"][0]["encoder"] = number
        refused(write(tmp_path / "bad.xrfm", (manifest, tensors)))


def test_a_truncated_or_foreign_file_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    content = saved["binary"].read_bytes()
    for name, text in {"half": content[: len(content) // 2], "none": b"", "csv": b"a,b\n1,2\n"}.items():
        path = tmp_path / name
        path.write_bytes(text)
        refused(path)
    refused(tmp_path / "absent.xrfm")
    for place in (len(content) // 3, len(content) - 4_000):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path = tmp_path / "flipped"
        path.write_bytes(bytes(flipped))
        refused(path)


def test_a_file_is_replaced_as_a_whole(models: dict[str, FittedModel], tmp_path: Path) -> None:
    path = tmp_path / "model.xrfm"
    save_model(models["regression"], path)
    save_model(models["binary"], path)
    assert load_model(path).target.task == "binary"
    assert [p.name for p in tmp_path.iterdir()] == ["model.xrfm"]


def test_loading_needs_no_training_table(saved: dict[str, Path]) -> None:
    loaded = load_model(saved["regression"])
    columns = law(5, seed=1)
    del columns["y"]
    assert np.isfinite(answers(loaded, table_of(columns))).all()
