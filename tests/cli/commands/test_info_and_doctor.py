"""``xrfm info`` and ``xrfm doctor``: facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xrfm_cli.leaf_models.compiled.loops import is_compiled


def test_info_of_a_regression(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    document = xrfm("info", "--model", regression, "--json").document
    names = {"task", "target", "classes", "columns", "rows", "leaves", "centers", "size_bytes"}
    assert names | {"score", "created", "versions"} <= set(document)
    assert (document["task"], document["target"], document["classes"]) == ("regression", "price", [])
    assert document["rows"] == 120
    assert document["size_bytes"] == regression.stat().st_size
    assert document["centers"] >= 120
    shown = xrfm("info", "--model", regression).out
    assert "training rows" in shown
    assert max(map(len, shown.splitlines())) <= max(80, len(str(regression)) + 2)


def test_info_of_classes(classification: Path, xrfm: Callable[..., Any]) -> None:
    document = xrfm("info", "--model", classification, "--json").document
    assert document["classes"] == ["no", "yes"]
    assert document["positive"] == "yes"


def test_doctor(xrfm: Callable[..., Any]) -> None:
    document = xrfm("doctor", "--json").document
    assert {"versions", "devices", "memory", "threads"} <= set(document)
    assert document["compiled"] == {"coordinate_loops": is_compiled()}
    assert document["versions"]["torch"]
    assert document["devices"][0]["name"] == "cpu"
    assert document["memory"]["total_bytes"] > 0
    shown = xrfm("doctor").out
    assert "pyarrow" in shown
