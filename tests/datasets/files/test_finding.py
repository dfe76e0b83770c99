"""Which files a folder or a pattern stands for, and the columns that the names of folders hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PureWindowsPath
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import infer_schema, read_chunks, read_table
from xrfm_cli.datasets.files.finding import _split_pattern, find_files
from xrfm_cli.errors import FileReadError, SchemaError
from xrfm_cli.events import Event


def put(root: Path, *names: str, value: int = 1) -> Path:
    """Files of one row below a folder, by their names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            path.write_text(f"a,b\n{value},2\n")
        elif path.suffix in (".parquet", ""):
            pq.write_table(pa.table({"a": [value], "b": [2]}), path)
        else:
            path.write_text("no table")
    return root


def found(root: Path, pattern: str = "") -> list[str]:
    path = f"{root}/{pattern}" if pattern else root
    return [file.relative_to(root).as_posix() for file in find_files(path).files]


HIDDEN = (
    "_temporary/0/task/part-0.parquet",
    "_temporary/0/_temporary/attempt/part-0.parquet",
    "_delta_log/00.checkpoint.parquet",
    "_spark_metadata/0.parquet",
    ".ipynb_checkpoints/part-0-checkpoint.parquet",
    ".hive-staging/part-0.parquet",
    "sub/.tmp/part.parquet",
    ".part-0.parquet.crc",
    "._part-0.parquet",
    "_metadata.parquet",
    "_SUCCESS",
)


def test_a_folder_leaves_out_what_is_no_data(tmp_path: Path) -> None:
    data = ["_year=2020/part-0.parquet", "part-0.parquet", "sub/part-1.PQ", "sub/part-2.parquet"]
    put(tmp_path, *HIDDEN, "_year=2020/part-0.parquet", "part-0.parquet", "sub/part-2.parquet")
    put(tmp_path, "made.parquet").joinpath("made.parquet").rename(tmp_path / "sub" / "part-1.PQ")
    assert found(tmp_path) == data


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["_c.csv", "a.csv", "b.csv"]),  # as in a shell
        ("_*.csv", ["_c.csv"]),
        (".*.csv", [".d.csv"]),
        ("[ab].csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["_c.csv", "a.csv", "b.csv", "sub/e.csv"]),
        ("*/*.csv", ["sub/e.csv"]),
        ("_tmp/*.csv", ["_tmp/f.csv"]),
        ("_*/*.csv", ["_tmp/f.csv"]),
        ("*.rejects.csv", ["a.rejects.csv"]),
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, expected: list[str], tmp_path: Path) -> None:
    put(
        tmp_path,
        "b.csv",
        "a.csv",
        "_c.csv",
        ".d.csv",
        "sub/e.csv",
        "_tmp/f.csv",
        ".git/g.csv",
        "a.rejects.csv",
    )
    assert found(tmp_path, pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.tsv", "no file matches the pattern"),
        ("[x].csv", r"no file matches the pattern; '\[\[\]' stands for a bracket in a name"),
        ("su*", r"matches folders without a Parquet file; .* such as '.*/su\*/\*.csv'"),
        ("*", r"matches CSV and other files, such as .*a.csv and .*p.parquet; match one format"),
        # Python 3.13 takes ** within a name for *, and finds a.csv with it.
        pytest.param(
            "a**.csv",
            "is not a valid pattern",
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="it is a pattern in this Python"),
        ),
    ],
)
def test_patterns_that_mean_nothing(pattern: str, message: str, tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "p.parquet", "sub/e.csv")
    with pytest.raises(FileReadError, match=message):
        find_files(f"{tmp_path}/{pattern}")


def test_folders_that_a_pattern_matches(tmp_path: Path) -> None:
    put(
        tmp_path,
        "year=2020/0.parquet",
        "year=2021/sub/0.parquet",
        "year=2021/_tmp/0.parquet",
        "x.parquet/0.parquet",
    )
    put(tmp_path, "_old/0.parquet", "y.parquet")
    assert found(tmp_path, "year=*") == ["year=2020/0.parquet", "year=2021/sub/0.parquet"]
    assert read_table(f"{tmp_path}/year=*").column("year").to_pylist() == ["2020", "2021"]
    assert found(tmp_path, "*.parquet") == ["x.parquet/0.parquet", "y.parquet"]
    assert found(tmp_path, "**/*") == found(tmp_path, "*") == found(tmp_path)


def test_brackets_in_real_names(tmp_path: Path) -> None:
    root = put(tmp_path / "run [1]", "data[2].csv", "other.csv")
    assert found(root, "data[2].csv") == ["data[2].csv"]
    assert found(root, "*.csv") == ["data[2].csv", "other.csv"]
    with pytest.raises(FileReadError, match="there is no such file"):
        read_table(f"{root}/data.csv")


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_an_empty_path_is_no_folder(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(tmp_path, "a.parquet"))
    with pytest.raises(FileReadError, match="the path of the table is empty"):
        read_table(text)
    assert read_table(".").n_rows == 1


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["a.csv", "b.csv"], "*.csv"),
        (["a.csv.gz"], "*.csv.gz"),
        (["a.arrow"], "*.arrow"),
        (["000000_0"], "*"),
    ],
)
def test_a_folder_of_other_files_names_the_pattern(names: list[str], hint: str, tmp_path: Path) -> None:
    put(tmp_path, *names)
    with pytest.raises(FileReadError) as refused:
        find_files(tmp_path)
    assert str(refused.value).endswith(f"holds no Parquet file; quote a pattern such as '{tmp_path}/{hint}'")


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.posix("links")
def test_two_names_of_one_file_count_once(link: object, tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "b.csv")
    assert callable(link)
    link(tmp_path / "b.csv", tmp_path / "latest.csv")
    table = read_table(f"{tmp_path}/*.csv")
    assert table.n_rows == 2
    assert "latest.csv: is the same file as" in table.notes[0]


class WindowsPath(PureWindowsPath):
    """A path of Windows, where only what is named here exists."""

    def exists(self) -> bool:
        return str(self) in ("C:\\", "C:\\data", "C:\\data\\a[1].csv", "\\\\?\\C:\\")


@pytest.mark.parametrize(
    ("path", "base", "pattern"),
    [
        (r"C:\data\*.csv", "C:\\data", ("*.csv",)),
        (r"C:\data\20??\**\part-*.csv", "C:\\data", ("20??", "**", "part-*.csv")),
        (r"\\?\C:\*.csv", "\\\\?\\C:\\", ("*.csv",)),
        (r"C:\data\a[1].csv", "C:\\data\\a[1].csv", ()),
        ("data/*.csv", "data", ("*.csv",)),
    ],
)
def test_patterns_of_windows(path: str, base: str, pattern: tuple[str, ...]) -> None:
    found: Any = _split_pattern(cast("Path", WindowsPath(path)))
    assert (str(found[0]), found[1]) == (base, pattern)


@pytest.mark.posix("symbolic links")
def test_linked_folders_are_read_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "store", "b.parquet")
    root = put(tmp_path / "data", "a.parquet")
    (root / "link").symlink_to(tmp_path / "store")
    (root / "circle").symlink_to(root)
    assert found(root) == ["a.parquet", "link/b.parquet"]


@pytest.mark.posix("symbolic links")
def test_a_link_to_nowhere_is_no_silent_gap(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    (tmp_path / "b.csv").symlink_to("nowhere")
    with pytest.raises(FileReadError, match=r"b.csv: "):
        read_table(f"{tmp_path}/*.csv")


@pytest.mark.parametrize(
    ("name", "log"),
    [("Delta", "_delta_log/0.json"), ("Iceberg", "metadata/v1.metadata.json"), ("Hudi", ".hoodie/x.commit")],
)
def test_a_log_that_is_not_read_is_named(name: str, log: str, tmp_path: Path) -> None:
    put(tmp_path, "data/part.parquet", log)
    for path in (tmp_path, f"{tmp_path}/data/*.parquet", f"{tmp_path}/*/*.parquet"):
        events: list[Event] = []
        assert read_table(path, on_event=events.append).n_rows == 1
        warned = f"{tmp_path}: is a {name} table, whose log is not read"
        assert any(warned in event.message for event in events) == (path != f"{tmp_path}/data/*.parquet")


VALUES = {
    "year=2020": "2020",
    "year=007": "007",
    "year=1.50": "1.50",
    "year=2020-01-02": "2020-01-02",
    "year=__HIVE_DEFAULT_PARTITION__": None,
    "year=a%2Fb%20c": "a/b c",
    "year=": "",
    "year=a=b": "a=b",
    "%79ear=x": "x",
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("folder", VALUES)
def test_folders_hold_values_as_text(folder: str, ending: str, tmp_path: Path) -> None:
    put(tmp_path, f"{folder}/part-0.{ending}", f"year=other/part-0.{ending}")
    for path in [f"{tmp_path}/*/*.{ending}"] + [str(tmp_path)] * (ending == "parquet"):
        table = read_table(path)
        assert table.column_names == ("a", "b", "year")
        assert sorted(map(str, table.column("year").to_pylist())) == sorted([str(VALUES[folder]), "other"])
        chunks = [chunk.column("year")[0].as_py() for chunk in read_chunks(path, chunk_rows=1)]
        assert chunks == table.column("year").to_pylist()


def test_a_column_of_file_and_folder(tmp_path: Path) -> None:
    put(tmp_path, "a=5/part.parquet", "a=6/part.parquet")
    assert read_table(tmp_path).column("a").to_pylist() == [1, 1]  # the file's own
    pq.write_table(pa.table({"b": [2]}), tmp_path / "a=6" / "part.parquet")
    with pytest.raises(SchemaError, match=r"column 'a' is text in the name of its folder, but int64 in"):
        infer_schema(read_table(tmp_path))


def test_parts_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    for value, name in enumerate(["part-0.csv", "part-1.csv", "part-10.csv", "part-2.csv"]):
        put(tmp_path, name, value=value)
    assert read_table(f"{tmp_path}/*.csv").column("a").to_pylist() == ["0", "1", "2", "3"]
