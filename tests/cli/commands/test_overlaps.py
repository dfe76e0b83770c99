"""No output replaces an input or another output, by whatever name it is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import TINY, houses
from tests.processes import XRFM, run_process
from xrfm_cli.commands.common.places import report_paths

Command = Callable[..., Any]
TABLE = "a,y\n" + "".join(f"{number},{2 * number}\n" for number in range(40))
INPUTS = {  # by what names them in the commands below
    "DATA": "t.csv",
    "--valid": "v.csv",
    "--config": "c.toml",
    "--schema": "s.toml",
    "--from": "old.xrfm",
    "--model": "m.xrfm",
}
READS = {  # commands with everything that they read
    "fit": "fit t.csv --target y --valid v.csv --config c.toml --schema s.toml --trials 0",
    "fit --dry-run": "fit t.csv --target y --valid v.csv --config c.toml --schema s.toml --dry-run",
    "fit --from": "fit t.csv --from old.xrfm --config c.toml",
    "predict": "predict t.csv --model m.xrfm --config c.toml",
    "explain": "explain t.csv --model m.xrfm --config c.toml",
    "evaluate": "evaluate t.csv --model m.xrfm --config c.toml",
    "info": "info --model m.xrfm --config c.toml",
    "doctor": "doctor --config c.toml",
}
WRITES = {
    "fit": ("--model", "--log-file", "--storage"),
    "fit --dry-run": ("--log-file",),
    "fit --from": ("--model", "--log-file"),
    "predict": ("--output", "--log-file"),
    "explain": ("--output", "--log-file"),
    "evaluate": ("--log-file",),
    "info": ("--log-file",),
    "doctor": ("--log-file",),
}
CASES = [
    (command, output, source)
    for command, outputs in WRITES.items()
    for output in outputs
    for source in INPUTS
    # A refit may take the place of its model; a fit does not read --model.
    if source in READS[command].split() or (source == "DATA" and " t.csv" in READS[command])
    if (output, source) != ("--model", "--from")
]


def same(path: Path) -> str:
    return path.name


def spelled_otherwise(path: Path) -> str:
    return f"sub/../{path.name}"


def absolute(path: Path) -> str:
    return str(path)


def make_link(path: Path, target: str) -> None:
    if sys.platform == "win32":
        pytest.skip("not every user of Windows may make symbolic links")
    path.symlink_to(target)


def through_a_folder(path: Path) -> str:
    make_link(path.parent / "here", ".")
    return f"here/{path.name}"


def symbolic_link(path: Path) -> str:
    make_link(path.parent / "link.csv", path.name)
    return "link.csv"


def hard_link(path: Path) -> str:
    (path.parent / "hard.csv").hardlink_to(path)
    return "hard.csv"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file of every name that is read; none is opened before the refusal."""
    (tmp_path / "sub").mkdir()
    for name in INPUTS.values():
        (tmp_path / name).write_text("" if name == "c.toml" else TABLE)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(xrfm: Command, words: str, folder: Path) -> str:
    """The line that refuses a command, which has changed nothing."""
    before = contents(folder)
    outcome = xrfm(*words.split(), folder=folder)
    assert outcome.status == 2, outcome.err
    assert outcome.err == f"{outcome.error}\n"
    assert contents(folder) == before
    return str(outcome.error.removeprefix("error: "))


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", [same, spelled_otherwise, absolute, through_a_folder, symbolic_link, hard_link]
)
@pytest.mark.parametrize(("command", "output", "source"), CASES)
def test_no_output_replaces_an_input(
    command: str, output: str, source: str, way: Callable[[Path], str], place: Path, xrfm: Command
) -> None:
    name = way(place / INPUTS[source])
    error = refused(xrfm, f"{READS[command]} {output} {name}", place)
    assert error.startswith(f"{output} {name}: is the ")
    assert INPUTS[source] in error


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("fit m.report.json --target y --model m.xrfm", "its report m.report.json is the table that is read"),
        ("fit t.csv --valid m.report.html --target y", "its report m.report.html is the table of --valid"),
        ("fit t.csv --from m.report.json", "its report m.report.json is the model of --from"),
        ("fit m.run --target y --resume", "its checkpoint m.run is the table that is read"),
        ("explain m.explain.json --model m.xrfm", "its explanation m.explain.json is the table that is read"),
        (
            "fit t.csv --valid t.rejects.csv --target y --bad-rows skip",
            "the file of rejected rows t.rejects.csv is the table of --valid",
        ),
        ("fit t.csv --target y --storage sqlite:///t.csv", "sqlite:///t.csv: is the table that is read"),
    ],
)
def test_no_file_that_an_option_brings_along_replaces_an_input(
    words: str, part: str, place: Path, xrfm: Command
) -> None:
    for name in ("m.report.json", "m.report.html", "m.run", "m.explain.json", "t.rejects.csv"):
        (place / name).write_text(TABLE)
    model = "" if "--model" in words or "explain" in words else " --model m.xrfm"
    assert part in refused(xrfm, words + model, place)


MEMBERS = [  # of a folder, and of what patterns find
    ("data", "data/p.csv"),
    ("data", "data/year=2024/p.parquet.csv"),
    ("data", "link.csv"),
    ("*.csv", "t.csv"),
    ("*.csv", "link.csv"),
    ("**/*.csv", "t.csv"),
    ("**/*.csv", "data/p.csv"),
    ("t[.]csv", "sub/../t.csv"),
]


@pytest.mark.parametrize(("data", "name"), MEMBERS)
@pytest.mark.parametrize(
    "words",
    [
        "predict {data} --model m.xrfm --output {name}",
        "explain {data} --model m.xrfm --output {name}",
        "fit {data} --target y --model {name}",
        "fit s.toml --valid {data} --target y --log-file {name}",
        "evaluate {data} --model m.xrfm --log-file {name}",
    ],
)
@pytest.mark.posix("symbolic links")
def test_nothing_is_written_among_the_files_of_a_table(
    words: str, data: str, name: str, place: Path, xrfm: Command
) -> None:
    (place / "data" / "year=2024").mkdir(parents=True)
    pq.write_table(houses(9), place / "data" / "year=2024" / "p.parquet")
    (place / "link.csv").symlink_to("data/year=2024/p.parquet" if data == "data" else "t.csv")
    refused(xrfm, words.format(data=data, name=name), place)


@pytest.mark.parametrize("pattern", ["sub/*.csv", "su*/p*.csv", "**/p.csv", "here/sub/p.cs[v]"])
@pytest.mark.posix("symbolic links")
def test_nothing_new_is_written_that_a_pattern_would_find(pattern: str, place: Path, xrfm: Command) -> None:
    (place / "here").symlink_to(".")
    (place / "sub" / "p1.csv").write_text(TABLE)
    error = refused(xrfm, f"predict {pattern} --output sub/p.csv", place)
    assert error == f"--output sub/p.csv: matches the pattern that is read, {pattern}; give another name"


@pytest.mark.parametrize(
    "words",
    [
        "predict t.csv --output o.csv --log-file o.csv",
        "predict t.csv --output o.csv --log-file sub/../o.csv",
        "predict t.csv --output link.csv --log-file o.csv",
        "fit t.csv --target y --model o --log-file o.report.html",
        "fit t.csv --target y --model o --storage o",
        "fit t.csv --target y --model o --schema o.report.json",
        "fit t.csv --target y --model o --storage sqlite:///o.report.json",
        "explain t.csv --model m.xrfm --output o.csv --log-file m.explain.html",
        "predict t.csv --bad-rows skip --output t.rejects.csv",
        "predict t.* --bad-rows skip",
    ],
)
@pytest.mark.posix("symbolic links")
def test_outputs_do_not_replace_each_other(words: str, place: Path, xrfm: Command) -> None:
    (place / "link.csv").symlink_to("o.csv")
    (place / "t.tsv").write_text(TABLE)
    assert "give them different names" in refused(xrfm, words, place)


@pytest.mark.parametrize("redirect", ["- < t.csv --output t.csv", "t.csv >> t.csv", "t.csv 2>> t.csv"])
@pytest.mark.posix("bash")
def test_streams_are_files_too(redirect: str, place: Path) -> None:
    before = (place / "t.csv").read_text()
    done = run_process(["bash", "-c", f"{' '.join(XRFM)} predict {redirect}"], folder=place)
    assert done.returncode == 2
    said = (place / "t.csv").read_text().removeprefix(before) if "2>>" in redirect else done.stderr
    assert said.startswith("error: ")
    assert "is the table that is read" in said
    assert "2>>" in redirect or (place / "t.csv").read_text() == before


def test_a_refit_may_take_the_place_of_its_model(regression: Path, folder: Path, xrfm: Command) -> None:
    model = regression.with_name("again.xrfm")
    model.write_bytes(regression.read_bytes())
    outcome = xrfm("fit", "test.csv", "--from", "again.xrfm", "--model", "again.xrfm", folder=folder)
    assert outcome.status == 0, outcome.err
    assert model.read_bytes() != regression.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("is_linked", [False, True])
@pytest.mark.posix("permissions and links")
def test_files_keep_their_permissions_and_links_stay(
    is_linked: bool, regression: Path, folder: Path, tmp_path: Path, xrfm: Command
) -> None:
    """Every file that commands write, where one of its name is there already."""
    model, log, out = tmp_path / "m.xrfm", tmp_path / "x.log", tmp_path / "out.csv"
    explained = [tmp_path / f"m.explain.{ending}" for ending in ("html", "json")]
    rejects = tmp_path / "d.rejects.csv"
    (tmp_path / "d.csv").write_text((folder / "test.csv").read_text() + "1,2\n" + "h,1,2,Graz,4,yes\n")
    written = [model, log, out, *explained, *report_paths(str(model)), rejects]
    (tmp_path / "private").mkdir()
    for path in written:
        place = tmp_path / "private" / f"kept-{path.name}" if is_linked else path
        place.write_bytes(b"")
        place.chmod(0o640)
        if is_linked:
            path.symlink_to(os.path.relpath(place, tmp_path))
    common = ("--log-file", log, "--quiet", "--bad-rows", "skip")
    for words in (
        ("fit", folder / "train.csv", "--target", "price", "--drop", "sold", "--model", model, *TINY),
        ("predict", tmp_path / "d.csv", "--model", model, "--output", out),
        ("explain", "--model", model, "--rows", "30"),
    ):
        outcome = xrfm(*words, *common)
        assert outcome.status == 0, outcome.err
    for path in written:
        assert path.is_symlink() == is_linked, path
        assert path.stat().st_mode & 0o7777 == 0o640, path
        assert path.stat().st_size > 0, path
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.posix("permissions")
def test_new_files_have_the_permissions_of_the_umask(regression: Path, folder: Path, xrfm: Command) -> None:
    before = os.umask(0o027)
    try:
        arguments = ("--model", regression, "--output", "masked.csv", "--log-file", "masked.log")
        assert xrfm("predict", "test.csv", *arguments, folder=folder).status == 0
    finally:
        os.umask(before)
    for name in ("masked.csv", "masked.log"):
        assert (folder / name).stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict ftp://example.com/t.csv", "ftp://example.com/t.csv: has the scheme ftp://, which is not"),
        ("fit t.csv --target y --schema s3://b/s.toml", "--schema s3://b/s.toml: cannot be at a URL"),
        ("fit t.csv --valid https://x.org", "--valid https://x.org: names no file"),
        ("info --model file:///m.xrfm", "--model file:///m.xrfm: is a file of this machine; give its path"),
        ("predict t.csv --output gs://b/../o.csv", "--output gs://b/../o.csv: has a folder without a name"),
    ],
)
def test_addresses_are_refused_as_they_were_typed(
    words: str, message: str, place: Path, xrfm: Command
) -> None:
    assert refused(xrfm, words, place).startswith(message)
