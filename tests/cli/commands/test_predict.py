"""``xrfm predict``: columns, order, types, and bytes that depend on the rows alone."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.processes import run_process


def predict(xrfm: Callable[..., Any], folder: Path, *arguments: object) -> bytes:
    """The bytes that a prediction writes."""
    outcome = xrfm("predict", *arguments, "--output", "out.csv", folder=folder)
    assert outcome.status == 0, outcome.err
    return (folder / "out.csv").read_bytes()


def test_bytes_never_depend_on_chunks_or_format(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    options = ("--model", regression, "--id", "house", "--interval", "0.9")
    first = predict(xrfm, folder, "new.csv", *options)
    for more in (("new.csv", "--chunk-rows", 7), ("new.csv", "--chunk-rows", 3000), ("new.parquet",)):
        assert predict(xrfm, folder, *more, *options) == first
    assert predict(xrfm, folder, "new.parquet", "--chunk-rows", 999, *options) == first
    rows = list(csv.reader(io.StringIO(first.decode())))
    assert rows[0] == ["house", "prediction", "lower", "upper"]
    assert [row[0] for row in rows[1:]] == [f"h{number:05d}" for number in range(5000)]


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_binary_files_have_the_same_bytes_for_any_chunks(
    ending: str, folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    found = []
    for chunk_rows in (64, 2048, 65536):
        arguments = ("--model", regression, "--id", "house", "--chunk-rows", chunk_rows)
        outcome = xrfm("predict", "new.csv", *arguments, "--output", f"out.{ending}", folder=folder)
        assert outcome.status == 0, outcome.err
        found.append((folder / f"out.{ending}").read_bytes())
    assert found[0] == found[1] == found[2]
    again = xrfm("predict", f"out.{ending}", "--model", regression, folder=folder)
    assert "has none of the columns" in again.error


def test_standard_output_has_the_same_bytes(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("predict", "new.csv", "--model", regression, folder=folder)
    assert outcome.out.encode() == predict(xrfm, folder, "new.csv", "--model", regression)
    assert "5,000 rows predicted" in outcome.err
    assert "missing cells in 1 column: area (294)" in outcome.err
    assert "repaired" not in outcome.err
    quiet = xrfm("predict", "new.csv", "--model", regression, "--quiet", folder=folder)
    assert (quiet.out, quiet.err) == (outcome.out, "")


def test_classes_keep_their_text_and_their_order(
    folder: Path, classification: Path, xrfm: Callable[..., Any]
) -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(predict(xrfm, folder, "new.csv", "--model", classification, "--proba").decode())
        )
    )
    assert list(rows[0]) == ["prediction", "probability_no", "probability_yes"]
    assert {row["prediction"] for row in rows} == {"no", "yes"}
    for row in rows[:50]:
        assert float(row["probability_no"]) + float(row["probability_yes"]) == pytest.approx(1.0)


def test_parquet_out(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm(
        "predict",
        "new.parquet",
        "--model",
        regression,
        "--id",
        "rooms",
        "--output",
        "out.parquet",
        "--json",
        folder=folder,
    )
    assert outcome.status == 0, outcome.err
    table = pq.read_table(folder / "out.parquet")
    assert table.column_names == ["rooms", "prediction"]
    assert table.schema.field("rooms").type == pa.int64()
    assert table.num_rows == 5000
    document = outcome.document
    assert document["rows"] == 5000
    assert document["seconds"] > 0
    assert {"column": "area", "what": "missing", "count": 294} in document["repairs"]


@pytest.mark.slow
@pytest.mark.parametrize("labels", [[0, 1], [True, False], [3, 1, 2], ["a,b", 'say "c"']])
def test_labels_keep_their_type(tmp_path: Path, labels: list[object], xrfm: Callable[..., Any]) -> None:
    n = 40 * len(labels)
    table = pa.table(
        {
            "x": [float(k % len(labels)) + k / 1000 for k in range(n)],
            "y": [labels[k % len(labels)] for k in range(n)],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    arguments = ("--target", "y", "--task", "auto" if len(labels) == 2 else "multiclass")
    assert xrfm("fit", "t.parquet", *arguments, "--trials", "0", "--quiet", folder=tmp_path).status == 0
    assert xrfm("predict", "t.parquet", "--output", "p.parquet", "--proba", folder=tmp_path).status == 0
    found = pq.read_table(tmp_path / "p.parquet")
    ordered = sorted(labels)  # type: ignore[type-var]
    assert found.column_names == ["prediction", *(f"probability_{label}" for label in ordered)]
    assert found.schema.field("prediction").type == table.schema.field("y").type
    assert found.column("prediction").to_pylist() == table.column("y").to_pylist()
    assert xrfm("predict", "t.parquet", "--output", "p.csv", folder=tmp_path).status == 0
    texts = [row["prediction"] for row in csv.DictReader((tmp_path / "p.csv").read_text().splitlines())]
    assert texts == [str(label) for label in table.column("y").to_pylist()]


@pytest.mark.parametrize("rows_of_rare", [1, 2])
@pytest.mark.parametrize("options", [(), ("--search-rows", "24"), ("--fit-rows", "24"), ("--time", "x")])
def test_a_class_of_few_rows_keeps_its_probability(
    rows_of_rare: int, options: tuple[str, ...], tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    labels = ["rare" if k in (7, 30)[:rows_of_rare] else "ab"[k % 2] for k in range(48)]
    columns = {"x": [k % 12 + k / 100 for k in range(48)], "z": [k % 5 for k in range(48)], "y": labels}
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "t.parquet")
    fit = ("fit", "t.parquet", "--target", "y", *options, "--trials", "2", "--quiet")
    outcome = xrfm(*fit, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert xrfm("predict", "t.parquet", "--output", "p.parquet", "--proba", folder=tmp_path).status == 0
    found = pq.read_table(tmp_path / "p.parquet")
    classes = ["probability_a", "probability_b", "probability_rare"]
    assert found.column_names == ["prediction", *classes]
    probabilities = np.column_stack([found.column(name).to_numpy() for name in classes])
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1.0)


def test_order_of_columns_extra_columns_and_the_target_do_not_matter(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    table = pq.read_table(folder / "new.parquet")
    other = table.select(["town", "sold", "area", "rooms", "house"]).append_column(
        "price", pa.array(["?"] * len(table))
    )
    pq.write_table(other, tmp_path / "other.parquet")
    expected = xrfm("predict", folder / "new.parquet", "--model", regression).out
    assert xrfm("predict", tmp_path / "other.parquet", "--model", regression).out == expected


def test_unseen_values_are_counted(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "odd.csv").write_text("area,rooms,town\n50,2,Atlantis\n,3,Graz\ninf,2,Linz\n")
    outcome = xrfm("predict", "odd.csv", "--model", regression, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "town: unseen category (1)" in outcome.err
    assert "missing cells in 1 column: area (1)" in outcome.err
    assert "area: infinite (1)" in outcome.err
    assert len(outcome.out.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--id", "huose"), "Did you mean 'house'?"),
        (("--proba",), "--proba"),
        (("--id", "house", "--id", "house"), "already has a column 'house'"),
        (("--output", "nowhere/out.csv"), "no directory 'nowhere'"),
        (("--output", "new.csv"), "is the table that is read"),
    ],
)
def test_what_cannot_be_predicted(
    folder: Path, regression: Path, arguments: tuple[str, ...], message: str, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("predict", "new.csv", "--model", regression, *arguments, folder=folder)
    assert outcome.status == 2
    assert message in outcome.error


def test_an_interval_is_for_numbers(folder: Path, classification: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("predict", "new.csv", "--model", classification, "--interval", "0.9", folder=folder)
    assert outcome.status == 2
    assert "--interval" in outcome.error


def test_a_failed_prediction_leaves_no_file(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    lines = ["area,rooms,town", *("50,2,Graz" for _ in range(5000)), "50,2,Graz,too,many"]
    (tmp_path / "ragged.csv").write_text("\n".join(lines))
    outcome = xrfm(
        "predict",
        "ragged.csv",
        "--model",
        regression,
        "--output",
        "out.csv",
        "--chunk-rows",
        "100",
        folder=tmp_path,
    )
    assert outcome.status == 2
    assert "ragged.csv" in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["ragged.csv"]


@pytest.mark.slow
@pytest.mark.posix("bash")
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path, regression: Path) -> None:
    command = f"{sys.executable} -m xrfm_cli predict new.csv --model {regression} --quiet"
    script = f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = run_process(["bash", "-c", script], folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "prediction\n", "")


def test_a_level_that_the_rows_of_the_fit_do_not_allow_is_refused(
    tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    rows = [f"{k},{k * 2 + k % 3}" for k in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    assert xrfm("fit", "t.csv", "--target", "y", "--trials", "0", folder=tmp_path).status == 0
    for level, status in (("0.9", 0), ("0.93", 2), ("0.99999", 2)):
        outcome = xrfm("predict", "t.csv", "--interval", level, "--output", f"{level}.csv", folder=tmp_path)
        assert outcome.status == status
        assert (tmp_path / f"{level}.csv").exists() == (status == 0)
        if status:
            assert (
                f"--interval {level}: the errors of 12 held-out rows of the fit allow levels up to 0.923"
                in outcome.error
            )


def test_a_column_in_another_notation_is_named_by_every_command(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    table = pyarrow.csv.read_csv(folder / "test.csv")
    area = pa.array([None if value is None else f"{value} sqm" for value in table["area"].to_pylist()])
    pyarrow.csv.write_csv(table.set_column(1, "area", area), tmp_path / "odd.csv")
    line = "area: no cell is a number as in training, for example "
    out, model = tmp_path / "out.csv", tmp_path / "model.xrfm"
    fit = ("--target", "price", "--drop", "sold", "--model", model, "--trials", "1", "--preset", "quick")
    for command in (
        ("predict", tmp_path / "odd.csv", "--model", regression, "--chunk-rows", 40, "--output", out),
        ("evaluate", tmp_path / "odd.csv", "--model", regression),
        ("fit", folder / "train.csv", *fit, "--valid", tmp_path / "odd.csv"),
        ("fit", tmp_path / "odd.csv", "--from", regression, "--model", model),
    ):
        outcome = xrfm(*command)
        assert outcome.status == 0, outcome.err
        assert sum("warning: " in said and line in said for said in outcome.err.splitlines()) == 1
    assert "warning" not in xrfm("predict", folder / "test.csv", "--model", regression).err


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_a_model_larger_than_the_memory_predicts_the_same_and_says_so(
    name: str, folder: Path, xrfm: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    words = ("predict", "new.csv", "--model", request.getfixturevalue(name), "--output")
    assert xrfm(*words, "held.csv", folder=folder).status == 0
    done = xrfm(*words, "stored.csv", "--memory", "20kB", folder=folder)
    assert done.status == 0
    assert "of leaves, too many for the 0 MiB of --memory: they are read from the file" in done.err
    assert (folder / "stored.csv").read_bytes() == (folder / "held.csv").read_bytes()


def test_a_model_larger_than_the_memory_is_explained_and_evaluated_the_same(
    folder: Path, xrfm: Callable[..., Any], regression: Path
) -> None:
    for words in (("explain",), ("evaluate", "test.csv"), ("explain", "test.csv", "--row", "3")):
        held, stored = (
            xrfm(*words, "--model", regression, "--json", *more, folder=folder)
            for more in ((), ("--memory", "20kB"))
        )
        assert held.status == stored.status == 0, stored.err
        assert "they are read from the file" in stored.err
        assert stored.document == held.document
