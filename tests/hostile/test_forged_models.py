"""Forged model files, whose hashes are right: refused in one line that names the field, or they answer."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from tests.hostile.forging import Victim, faults, forge, forged_tensors, forgeries, places
from tests.hostile.fuzzing import KEPT, check_loader, opened, sealed
from xrfm_cli.errors import ModelFileError
from xrfm_cli.tuning.model.manifest import check_manifest
from xrfm_cli.tuning.model.storage import load_model, model_from_bytes

FILES = sorted(KEPT.glob("*/*.xrfm"))
MODELS = {f"{path.parent.name} {path.stem}": opened(path.read_bytes()) for path in FILES}
LOADED = 60  # forgeries of each model that are loaded; benchmarks/fuzz/forged.py runs all
Contents = tuple[dict[str, Any], bytes]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_forged_model_is_refused_or_answers(name: str, tmp_path: Path) -> None:
    """A sample of all forgeries, the same in every run; one that is accepted goes through all commands."""
    manifest, blob = MODELS[name]
    choice = random.Random(name)
    files = []
    for place, change in choice.sample(list(forgeries(manifest)), LOADED):
        forgery = forge(manifest, place, change)
        files.append((str(forgery), sealed(forgery.manifest, blob)))
    files += [
        (what, sealed(manifest, changed))
        for what, changed in choice.sample(list(forged_tensors(blob)), LOADED // 4)
    ]
    accepted = {
        what: content for what, content in files if check_loader(content, tmp_path / "m.xrfm") is not None
    }
    tried = choice.choice(sorted(accepted))
    assert not faults(Victim(tmp_path), accepted[tried]), tried


@pytest.mark.parametrize("name", MODELS)
def test_no_place_takes_a_value_of_another_shape(name: str) -> None:
    manifest, _ = MODELS[name]
    tried = [place for place in places(manifest) if place[0] != "sha256"]
    for place in tried:
        with pytest.raises(ValueError, match=f"^{place[0]}"):
            check_manifest(forge(manifest, place, "nested").manifest)
    assert len(tried) > 200


def changed(name: str, place: str, value: object) -> Contents:
    """A kept model with another value at a place such as ``members.0.weight``."""
    manifest, blob = copy.deepcopy(MODELS[name][0]), MODELS[name][1]
    holder: Any = manifest
    *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for key in way:
        holder = holder[key]
    if isinstance(holder, list) and last == len(holder):
        holder.append(value)
    else:
        holder[last] = value
    return manifest, blob


def refusal(contents: Contents, folder: Path) -> str:
    path = folder / "m.xrfm"
    path.write_bytes(sealed(*contents))
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text


BINARY, CLASSES, SOFT, LOG = (
    "0.1.0 binary-threshold",
    "0.1.0 multiclass-ensemble",
    "0.1.0 regression-soft-tree",
    "0.1.0 regression-log-intervals",
)
WRONG: list[tuple[str, str, object, str]] = [
    # types and ranges
    (BINARY, "schema.columns.0.reason", 7, "schema.columns[0].reason: expected `str`, got `int`"),
    (BINARY, "schema.columns.0.kind", "number", "schema.columns[0].kind: invalid enum value 'number'"),
    (BINARY, "members.0.weight", -0.5, "members[0].weight: expected `float` >= 0.0"),
    (BINARY, "members.0.weight", True, "members[0].weight: expected `float`, got `bool`"),
    (BINARY, "members.0.trial", 2**60, "members[0].trial: expected `int` <= 9007199254740992"),
    (BINARY, "threshold", 1.5, "threshold: expected `float` <= 1.0"),
    (BINARY, "calibration.floor", 0, "calibration.floor: expected `float` > 0.0"),
    (BINARY, "calibration.linear", 1e300, "calibration.linear: expected `float` <= 10000.0"),
    (BINARY, "report.oof.row.0", -1, "report.oof.row[0]: expected `int` >= 0"),
    (BINARY, "report.trials.0.params.kernel", "rbf", "report.trials[0].params.kernel: invalid enum value"),
    (BINARY, "note", "x", "manifest.json: object contains unknown field `note`"),
    (BINARY, "re\x1b[31m", "x", "unknown field `re\\x1b[31m`"),
    (BINARY, "members.0.kernel", "x", "members[0]: object contains unknown field `kernel`"),
    (SOFT, "members.0.tree.splits.0.iqr", -1.0, "members[0].tree.splits[0].iqr: expected `float` >= 0.0"),
    (SOFT, "intervals", [], "intervals: expected `array` of length >= 1"),
    # what fields say of each other
    (BINARY, "members.0.weight", 0.5, "the weights of the members do not add to one"),
    (BINARY, "members.0.encoder", 1, "no encoder 1"),
    (BINARY, "target.classes", ["yes", 1], "target.classes: labels of different types"),
    (BINARY, "target.classes", [True, 1], "target.classes: labels of different types"),
    (BINARY, "target.classes", ["no", "no"], "target.classes: labels of different types, or duplicates"),
    (BINARY, "target.classes", ["no"], "target.classes: 1 classes for the task binary"),
    (BINARY, "target.positive", "yes", "target.positive: is not the last of two classes"),
    (BINARY, "target.task", "regression", "target.classes: 2 classes for the task regression"),
    (BINARY, "target.name", "rent", "target.name: 'rent' is not the target of the schema"),
    (BINARY, "schema.columns.8.name", "rent", "schema.columns: duplicate column name"),
    (BINARY, "encoders.0.columns.0.kind", "text", "encoders: 'size' is not a text feature"),
    (BINARY, "encoders.0.columns.2.column", "size", "encoders: a column is encoded twice"),
    (BINARY, "encoders.0.columns.2.levels.0", "Linz", "'town': its encoder has a level twice"),
    (
        BINARY,
        "members.0.coding.prior",
        [0.5, 0.25, 0.25],
        "members[0]: encoder, tree and target have different",
    ),
    (BINARY, "calibration.offsets", [0.0], "calibration does not fit the classes"),
    (BINARY, "calibration", None, "calibration does not fit the task"),
    (BINARY, "intervals", [1.0], "intervals are for numbers"),
    (BINARY, "report.metric", "rmse", "report.metric: no metric 'rmse' of a binary"),
    (BINARY, "report.lower_is_better", True, "report.lower_is_better: is wrong for f1"),
    (BINARY, "report.metrics.grade", 1.0, "report.metrics: no metric 'grade'"),
    (BINARY, "report.oof.target.0", 2, "report.oof.target: not a class code"),
    (BINARY, "report.oof.row", [1, 2], "report.oof: columns of different lengths"),
    (CLASSES, "threshold", 0.5, "the threshold does not fit the classes"),
    (CLASSES, "report.oof.prediction.0", 0.5, "report.oof.prediction: not one number per row"),
    (CLASSES, "report.ensemble", [], "report: lists other members"),
    (SOFT, "members.0.tree.splits.0.left", 0, "splits and leaves do not make a tree"),
    (SOFT, "members.0.tree.splits.0.left", 99, "splits and leaves do not make a tree"),
    (SOFT, "intervals.0", 1e9, "intervals need sorted scores"),
    (LOG, "members.0.coding.low", 1e6, "no range of logarithms"),
]


@pytest.mark.parametrize(("name", "place", "value", "fact"), WRONG, ids=str)
def test_the_field_that_is_wrong_is_named(
    name: str, place: str, value: object, fact: str, tmp_path: Path
) -> None:
    assert fact in refusal(changed(name, place, value), tmp_path)


TENSORS: list[tuple[str, str, torch.Tensor | None, str]] = [
    (
        BINARY,
        "encoder.0.0.knots",
        torch.zeros(122, dtype=torch.float64),
        "knots of its encoder do not increase",
    ),
    (BINARY, "encoder.0.0.knots", torch.arange(122.0), "needs one-dimensional float64 tensors"),
    (BINARY, "encoder.0.0.scores", torch.zeros(3, dtype=torch.float64), "normal scores that do not fit"),
    (BINARY, "encoder.0.9.scores", torch.zeros(3), "unexpected tensor part '9'; the number of parts is 6"),
    (BINARY, "encoder.0.2.levels", torch.zeros(3), "'town': its encoder needs other tensors"),
    (
        BINARY,
        "member.1.leaf.0.metric",
        torch.zeros(3),
        "unexpected tensor part '1'; the number of parts is 1",
    ),
    (BINARY, "member.0.directions", torch.zeros(1, 69, dtype=torch.float64), "tensors do not fit together"),
    (BINARY, "spread.metric", torch.zeros(3), "tensors of intervals that do not adapt"),
    (BINARY, "extra", torch.zeros(3), "tensors that belong to no part of the model"),
    (SOFT, "member.0.directions", torch.zeros(9, 66, dtype=torch.float64), "tensors do not fit together"),
    (SOFT, "encoder.0.2.table", torch.zeros(5, 2), "no table of float32 for its levels"),
]


@pytest.mark.parametrize(("name", "tensor", "value", "fact"), TENSORS, ids=lambda value: str(value)[:40])
def test_a_tensor_that_fits_no_field_is_refused(
    name: str, tensor: str, value: torch.Tensor, fact: str, tmp_path: Path
) -> None:
    manifest, blob = MODELS[name]
    assert fact in refusal((manifest, save_tensors(load_tensors(blob) | {tensor: value})), tmp_path)


def test_values_that_are_not_finite_are_refused_when_they_come_up(tmp_path: Path) -> None:
    manifest, blob = MODELS[SOFT]
    tensors = load_tensors(blob)
    for name in [name for name in tensors if name.endswith("coefficients")]:
        tensors[name] = torch.full_like(tensors[name], 3e38)
    victim = Victim(tmp_path)
    (tmp_path / "m.xrfm").write_bytes(sealed(manifest, save_tensors(tensors)))
    for command in (("predict", "rows.csv", "--output", "out.csv"), ("evaluate", "rows.csv")):
        outcome = victim.run(*command)
        assert outcome.status == 2
        assert "m.xrfm: its tensors give values that are not finite" in outcome.error
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(ModelFileError, match=r"^the stored model: "):
        model_from_bytes(sealed(manifest | {"report": 1}, save_tensors(tensors)))


def test_a_file_from_beyond_the_calendar_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.xrfm"
    path.write_bytes(FILES[0].read_bytes())
    os.utime(path, (2**34, 2**34))  # as far as common file systems go
    assert load_model(path).created.startswith(("2514-", "2446-"))
