"""A table that does not fit into memory: the same model, bit for bit, as if it did."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.tuning.tables import answers, fit, law, same_bits, skewed
from xrfm_cli.datasets import SchemaOverrides, Table, read_table
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.tuning import FittedModel, save_model

SMALL_BYTES = 1 << 19  # holds 64 KiB of a table, a fraction of these
LEAVES = {"leaf_size": 100, "min_leaf_size": 20}


def both_ways(path: Path, **options: Any) -> tuple[FittedModel, FittedModel, Scratch]:
    """Fit a file in memory and in files."""
    scratch = Scratch(folder=path.parent, memory_bytes=SMALL_BYTES)
    held, kept = read_table(path), read_table(path, scratch=scratch)
    assert held.scratch is None
    assert kept.scratch is scratch
    chosen: dict[str, Any] = {"trials": 1, "search_rows": 300, "pinned": LEAVES} | options
    return fit(held, **chosen), fit(kept, **chosen), scratch


def check_same(held: FittedModel, kept: FittedModel, folder: Path, rows: Table) -> None:
    """Check that two models are written as the same bytes, and predict so."""
    for name, model in (("held", held), ("kept", kept)):
        save_model(model, folder / f"{name}.xrfm")
    assert (folder / "held.xrfm").read_bytes() == (folder / "kept.xrfm").read_bytes()
    assert same_bits(answers(held, rows), answers(kept, rows))


def large(n: int = 1_000, *, seed: int = 0) -> dict[str, Any]:
    """The law with text of many levels, dates, gaps, unreadable cells and equal rows."""
    generator = np.random.default_rng(seed)
    columns = law(n, seed=seed)
    columns["street"] = [f"street {k}" for k in generator.integers(0, 200, n)]
    columns["day"] = [str(np.datetime64("2024-01-01") + int(k)) for k in generator.integers(0, 300, n)]
    columns["gaps"] = [None if k % 7 == 0 else float(k % 13) for k in range(n)]
    columns["dirty"] = ["?" if k % 50 == 0 else f"{k % 11}.5" for k in range(n)]
    return columns


def write(columns: dict[str, Any], path: Path) -> Path:
    table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    writers = {".csv": pacsv.write_csv, ".parquet": pq.write_table, ".arrow": feather.write_feather}
    writers[path.suffix](table, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".arrow"])
def test_a_table_in_files_gives_the_same_model(ending: str, tmp_path: Path) -> None:
    path = write(large(), tmp_path / f"large{ending}")
    held, kept, scratch = both_ways(path, trials=2 if ending == ".csv" else 1)
    assert len(kept.members[0].tree.leaves) > 8
    assert kept.report.rows == 1_000
    check_same(held, kept, tmp_path, read_table(path).slice(0, 500))
    assert scratch.most_bytes > SMALL_BYTES


@pytest.mark.slow
def test_classes_weights_and_missing_targets(tmp_path: Path) -> None:
    columns = large()
    columns["y"] = [None if k % 40 == 0 else "yes" if y > 1.7 else "no" for k, y in enumerate(columns["y"])]
    columns["w"] = [float(k % 3) for k in range(1_000)]
    path = write(columns, tmp_path / "classes.csv")
    held, kept, _ = both_ways(path, overrides=SchemaOverrides(target="y", weight="w"))
    assert kept.report.dropped_rows == held.report.dropped_rows > 330
    check_same(held, kept, tmp_path, read_table(path).slice(0, 300))


@pytest.mark.slow
def test_many_equal_rows_are_merged_in_files_too(tmp_path: Path) -> None:
    columns = skewed(400)
    path = write({name: [*list(own)] * 12 for name, own in columns.items()}, tmp_path / "equal.csv")
    held, kept, _ = both_ways(path, pinned={"leaf_size": 60, "min_leaf_size": 10})
    assert sum(leaf["rows"] for leaf in kept.report.leaves if leaf["member"] == 0) < 1_000
    check_same(held, kept, tmp_path, read_table(path).slice(0, 400))


@pytest.mark.slow
def test_nodes_overlap_in_files_too(tmp_path: Path) -> None:
    path = write(large(), tmp_path / "large.csv")
    held, kept, _ = both_ways(path, pinned=LEAVES | {"leaf_size": 250, "overlap": 0.1})
    assert sum(leaf["rows"] for leaf in kept.report.leaves if leaf["member"] == 0) > 1_000
    check_same(held, kept, tmp_path, read_table(path).slice(0, 200))


@pytest.mark.slow
def test_fewer_rows_than_all_are_drawn_from_files(tmp_path: Path) -> None:
    path = write(large(), tmp_path / "large.parquet")
    held, kept, _ = both_ways(path, fit_rows=600)
    assert kept.report.left_out_rows == 400
    check_same(held, kept, tmp_path, read_table(path).slice(0, 200))


@pytest.mark.slow
def test_files_are_gone_as_soon_as_the_model_is(tmp_path: Path) -> None:
    path = write(large(), tmp_path / "large.csv")
    before = {file.name for file in tmp_path.iterdir()}
    scratch = Scratch(folder=tmp_path, memory_bytes=SMALL_BYTES)
    kept = fit(read_table(path, scratch=scratch), trials=1, search_rows=300, pinned=LEAVES)
    assert {file.name for file in tmp_path.iterdir()} == before
    assert scratch.used_bytes > 0
    del kept
    gc.collect()  # parts of a search refer to each other
    assert scratch.used_bytes <= scratch.held_bytes  # the part of the last file that is still free
