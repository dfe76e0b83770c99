"""Tables and models at URLs: the memory of fsspec in this process, and a web server of our own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.cli.conftest import TINY, Command
from xrfm_cli import urls
from xrfm_cli.datasets import read_table
from xrfm_cli.errors import FileReadError, ModelFileError, OptionError
from xrfm_cli.remote import fetch, local_path
from xrfm_cli.tuning.model.storage import load_model, save_model


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


@pytest.mark.slow
def test_a_fit_and_all_that_follows_at_urls(memory: Any, folder: Path, xrfm: Command) -> None:
    memory.pipe("/b/train.csv", (folder / "train.csv").read_bytes())
    memory.pipe("/b/test.csv", (folder / "test.csv").read_bytes())
    model = ("--model", "memory://b/out/price.xrfm")
    done = xrfm("fit", "memory://b/train.csv", "--target", "price", "--drop", "sold", *model, *TINY)
    assert done.status == 0, done.err
    assert "  memory://b/out/price.report.html\n" in done.out
    assert "xrfm explain --model memory://b/out/price.xrfm" in done.out
    assert str(urls.copy_of("memory://b/train.csv").parent) not in done.out + done.err
    assert xrfm("explain", *model, "--quiet").status == 0
    output = ("--output", "memory://b/out/p.csv")
    assert xrfm("predict", "memory://b/test.csv", *model, *output, "--quiet").status == 0
    told = xrfm("evaluate", "memory://b/test.csv", *model, "--json").document
    assert told["rows"] == 90
    assert {Path(name).name for name in memory.find("/b/out")} == {
        *("price.xrfm", "price.report.html", "price.report.json"),
        *("price.explain.html", "price.explain.json", "p.csv"),
    }
    assert memory.cat("/b/out/p.csv").count(b"\n") == 91


def test_a_model_at_a_url_is_the_model_of_the_file(memory: Any, regression: Path) -> None:
    save_model(load_model(regression), "memory://b/m.xrfm")
    assert memory.cat("/b/m.xrfm") == regression.read_bytes()
    memory.pipe("/b/m.xrfm", b"no model")  # what has changed is read again
    with pytest.raises(ModelFileError, match=r"^memory://b/m\.xrfm: is truncated"):
        load_model("memory://b/m.xrfm")


def test_folders_and_patterns_are_read_with_their_partitions(memory: Any, folder: Path) -> None:
    content = (folder / "test.parquet").read_bytes()
    for year in (2023, 2024):
        memory.pipe(f"/b/sales/year={year}/0.parquet", content)
    memory.pipe("/b/sales/_delta_log/0.json", b"{}")
    heard: list[str] = []
    table = read_table("memory://b/sales", on_event=lambda event: heard.append(event.message))
    assert table.n_rows == 180
    assert "year" in table.column_names
    assert any("is a Delta table" in message for message in heard)
    memory.rm("/b/sales/year=2023/0.parquet")
    assert read_table("memory://b/sales/*/*.parquet").n_rows == 90
    with pytest.raises(FileReadError, match="there is no such file"):
        read_table("memory://b/sales/*/*.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fit memory://b/t.csv --target y --model memory://b/t.csv", "is the table that is read"),
        ("fit memory://b/sales --target y --model memory://b/sales/m.xrfm", "is in the folder that is read"),
        ("predict memory://b/*.csv --output memory://b/p.csv", "matches the pattern that is read"),
        ("fit t.csv --target y --model memory://b/m.xrfm --resume", "must be a file of this machine"),
        (
            "fit t.csv --target y --model memory://b/m.xrfm --open",
            "cannot open a report at memory://b/m.xrfm",
        ),
        ("fit t.csv --target y --model https://h/m.xrfm", "nothing is written over HTTP"),
        ("fit t.csv --target y --model memory://b/old.xrfm --no-clobber", "old.xrfm: exists already"),
        ("predict memory://b/none.csv", "memory://b/none.csv: there is no such file"),
    ],
)
def test_faults_are_said_before_any_work(
    words: str, message: str, memory: Any, regression: Path, tmp_path: Path, xrfm: Command
) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    (tmp_path / "model.xrfm").write_bytes(regression.read_bytes())
    memory.pipe("/b/t.csv", b"x,y\n1,2\n")
    memory.pipe("/b/old.xrfm", b"old")
    done = xrfm(*words.split(), folder=tmp_path)
    assert done.status == 2
    assert message in done.error


def test_the_refusal_of_a_service_is_one_line_and_keeps_the_file(
    memory: Any, regression: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(regression)

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(type(memory), "put_file", denied)
    with pytest.raises(
        OptionError, match=r"memory://b/m\.xrfm: cannot be written: access is denied"
    ) as fault:
        save_model(model, "memory://b/m.xrfm")
    kept = Path(str(fault.value).rpartition("It is kept in ")[2])
    assert kept.read_bytes() == regression.read_bytes()


def test_a_file_that_changes_during_the_download_is_refused(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/b/moving.csv", b"x,y\n1,2\n")
    get = type(memory).get_file

    def change(self: Any, name: str, *more: Any, **named: Any) -> None:
        get(self, name, *more, **named)
        memory.pipe(name, b"x,y\n1,2\n3,4\n")

    monkeypatch.setattr(type(memory), "get_file", change)
    with pytest.raises(FileReadError, match=r"^memory://b/moving\.csv: has changed while it was read"):
        read_table("memory://b/moving.csv")


@pytest.mark.parametrize(
    ("url", "package"), [("s3://b/t.csv", "s3fs"), ("gs://b/t.csv", "gcsfs"), ("az://b/t.csv", "adlfs")]
)
def test_a_missing_package_is_named(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(FileReadError, match=rf"^{url}: needs {package}.*: pip install 'xrfm-cli\[cloud\]'"):
        fetch(Path(local_path(url)))


class Server(SimpleHTTPRequestHandler):
    """Serve a folder; ``/denied`` is denied, ``/cut.csv`` breaks off, and a query must hold the key."""

    folder = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=self.folder)

    def do_GET(self) -> None:
        if self.path.startswith("/denied"):
            self.send_error(403)
        elif self.path.startswith("/broken"):
            self.send_error(500)
        elif self.path == "/cut.csv":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x,y\n1,2\n")
        elif self.path.startswith("/private") and self.path != "/private.csv?key=word":
            self.send_error(401)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


DIRECT = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@pytest.fixture
def server(folder: Path, regression: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="aiohttp, which fsspec needs for https://, is not installed")
    for variable, value in DIRECT.items():
        monkeypatch.setenv(variable, value)
    for name in ("test.csv", "test.parquet", regression.name):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "private.csv").write_bytes((folder / "test.csv").read_bytes())
    handler = type("Handler", (Server,), {"folder": str(tmp_path)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.slow
def test_tables_and_models_are_read_from_a_web_server(server: str, tmp_path: Path, xrfm: Command) -> None:
    here = tmp_path / "here"
    here.mkdir()
    model, words = f"{server}/price.xrfm", ("--output", "p.csv")
    done = xrfm("predict", f"{server}/test.parquet", "--model", model, *words, folder=here)
    assert done.status == 0, done.err
    assert (here / "p.csv").read_text().count("\n") == 91
    done = xrfm("explain", "--model", model, folder=here)
    assert done.status == 0, done.err
    assert (here / "price.explain.html").exists()


@pytest.mark.slow
def test_passwords_and_queries_are_never_printed(
    server: str, tmp_path: Path, xrfm: Command, xrfm_process: Command
) -> None:
    address = server.replace("http://", "http://me:secret@") + "/private.csv?key=word"
    words = ("--target", "price", "--drop", "sold", "--model", tmp_path / "m.xrfm", "--log-file", "log.txt")
    done = xrfm_process("fit", address, *words, *TINY, folder=tmp_path)  # libraries print at their end too
    assert done.status == 0, done.err
    denied = xrfm("fit", address.replace("word", "w0rd"), *words, folder=tmp_path)
    assert denied.status == 2
    assert denied.error.endswith("/private.csv: cannot be read: access is denied; check your credentials")
    shown = xrfm("fit", address, *words, "--print-config", folder=tmp_path)
    texts = [file.read_text() for file in tmp_path.glob("m.report.*")] + [(tmp_path / "log.txt").read_text()]
    for text in (done.out, done.err, denied.out, denied.err, shown.out, *texts):
        assert "secret" not in text
        assert "w0rd" not in text
        assert "key=word" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "there is no such file; check the address"),
        ("denied.csv", "cannot be read: access is denied; check your credentials"),
        ("broken.csv", "cannot be read (the server answered 500)"),
        ("cut.csv", "cannot be read ("),
    ],
)
def test_faults_of_a_web_server_are_one_line(name: str, message: str, server: str) -> None:
    with pytest.raises(FileReadError) as fault:
        read_table(f"{server}/{name}")
    assert str(fault.value).startswith(f"{server}/{name}: {message}")
    assert "\n" not in str(fault.value)


def test_a_machine_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp, which fsspec needs for https://, is not installed")
    for variable, value in DIRECT.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(FileReadError, match=r"^http://127\.0\.0\.1:9/t\.csv: cannot be read \(.*check the"):
        read_table("http://127.0.0.1:9/t.csv")
