"""The JSON documents of every command against their JSON Schemas in ``xrfm_cli/schemas``."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import houses
from xrfm_cli.commands.registry import COMMANDS

FOLDER = Path(__file__).parents[3] / "xrfm_cli" / "schemas"
SCHEMAS = {name: json.loads((FOLDER / f"{name}.schema.json").read_text()) for name in COMMANDS}
QUICK = ("--trials", "2", "--folds", "3", "--device", "cpu")
ONCE = ("--trials", "0", "--folds", "2")
FITS: dict[str, tuple[str, ...]] = {
    "price": ("--target", "price", "--drop", "sold", *QUICK),
    "sold": ("--target", "sold", "--metric", "f1", *QUICK),
    "town": ("--target", "town", *QUICK),
    "splits": ("--target", "price", *ONCE, "--set", "leaf_size=40", "--set", "min_leaf_size=8"),
    "linear": ("--target", "price", *ONCE, "--set", "kernel=linear"),
    "constant": ("--target", "price", *ONCE, "--set", "kernel=constant"),
    "again": ("--from", "price.xrfm"),
    "plan": ("--target", "price", "--dry-run"),
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, xrfm: Callable[..., Any]) -> dict[str, list[Any]]:
    """By command, documents of models of every task and of every kind of leaf."""
    folder = tmp_path_factory.mktemp("schemas")
    pq.write_table(houses(120), folder / "train.parquet")
    moved = houses(60, seed=3)
    pq.write_table(moved.drop_columns(["area"]), folder / "few.parquet")
    found: dict[str, list[Any]] = {name: [] for name in COMMANDS}

    def keep(command: str, *arguments: object) -> None:
        outcome = xrfm(command, *arguments, "--json", "--quiet", folder=folder)
        assert outcome.status in (0, 1), outcome.err
        found[command].append(outcome.document)

    for name, options in FITS.items():
        model = ("--model", f"{name}.xrfm")
        keep("fit", "train.parquet", *options, *model)
        if name == "plan":
            continue
        keep("info", *model)
        keep("explain", "--rows", "60", *model)
        keep("evaluate", "train.parquet", "--by", "rooms", "--by", "area", *model)
        out = ("--output", "out.csv", "--allow-missing-columns", "--check-drift", "0.1")
        keep("predict", "few.parquet", *out, *model)
    keep("explain", "train.parquet", "--model", "price.xrfm", "--output", "out.csv")
    for name in ("price", "sold", "town", "splits", "linear"):
        keep("explain", "train.parquet", "--row", "7", "--model", f"{name}.xrfm")
    limits = ("--fail-under", "r2=0.999999", "--fail-over", "rmse=1e9")
    keep("evaluate", "train.parquet", "--model", "price.xrfm", *limits)
    keep("predict", "train.parquet", "--model", "price.xrfm", "--output", "out.csv")
    keep("doctor")
    keep("sample", "wine")
    keep("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xrfm_cli.commands.demo.TRIALS", 0)
        keep("demo", "--output", "demo")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_schemas_are_schemas(command: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[command])
    assert SCHEMAS[command]["properties"]["command"] == {"const": command}
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_documents_are_as_their_schema_says(command: str, documents: dict[str, list[Any]]) -> None:
    validator = Draft202012Validator(SCHEMAS[command])
    assert documents[command]
    for document in documents[command]:
        validator.validate(document)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_name_that_is_printed_is_in_the_schema(command: str, documents: dict[str, list[Any]]) -> None:
    for document in documents[command]:
        for place, names, known in _objects(document, SCHEMAS[command], SCHEMAS[command]):
            assert names <= known, place


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_document_that_lacks_a_name_is_refused(command: str, documents: dict[str, list[Any]]) -> None:
    validator = Draft202012Validator(SCHEMAS[command])
    document = documents[command][0]
    for name in SCHEMAS[command].get("else", SCHEMAS[command])["required"]:
        broken = copy.deepcopy(document)
        del broken[name]
        assert not validator.is_valid(broken), name
    assert not validator.is_valid(document | {"schema_version": 2})
    assert not validator.is_valid(document | {"command": "other"})


def _objects(value: Any, schema: Any, root: Any, place: str = "") -> Iterator[tuple[str, set[str], set[str]]]:
    """Every object of a document whose names its schema lists: where it is, its names and the listed ones."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", []):
        if value is not None and choice != {"type": "null"}:
            yield from _objects(value, choice, root, place)
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, schema.get("items", {}), root, f"{place}[]")
    properties = schema.get("properties")
    if isinstance(value, dict) and properties:
        if place != ".threads":  # names of environment variables too
            yield place, set(value), set(properties)
        for name, item in value.items():
            yield from _objects(item, properties.get(name, {}), root, f"{place}.{name}")
