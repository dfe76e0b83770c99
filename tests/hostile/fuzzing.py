"""Checks that must hold for any bytes: a consistent result, or an error in one line.

Hypothesis draws the bytes in the test suite; ``benchmarks/fuzz`` uses a coverage-guided fuzzer.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from xrfm_cli.datasets import Table, fit_encoder, infer_schema, read_chunks, read_table
from xrfm_cli.errors import InputError, ModelFileError, XRFMError
from xrfm_cli.printable import printable
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model

KEPT = Path(__file__).parents[1] / "models"
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"


def small_table() -> pa.Table:
    """Return a table with every kind of column and missing values."""
    return pa.table(
        {
            "n": [1.5, None, -3.0, 1e300, 0.0, 2.0],
            "k": [1, 2, 3, None, 5, 6],
            "c": ["a", "b", None, "a", "b", "ü"],
            "b": [True, False, None, True, False, True],
            "d": pa.array([0, 1, 2, None, 4, 10_000], pa.date32()),
            "t": ["some words here", "and more of them", "a,b", 'say "x"', "two\nlines", None],
        }
    )


@cache
def table_seeds() -> dict[str, bytes]:
    """Return valid files of every format, by their ending."""
    table = small_table()
    text, parquet, file, stream = (io.BytesIO() for _ in range(4))
    pyarrow.csv.write_csv(table, text)
    pq.write_table(table, parquet)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    csv = text.getvalue()
    return {
        ".csv": csv,
        ".tsv": csv.replace(b",", b"\t"),
        ".txt": csv.decode().encode("utf-16"),
        ".csv.gz": gzip.compress(csv, mtime=0),
        ".csv.bz2": bz2.compress(csv),
        ".csv.xz": lzma.compress(csv),
        ".csv.zst": pa.Codec("zstd").compress(csv, asbytes=True),
        ".parquet": parquet.getvalue(),
        ".arrow": file.getvalue(),
        ".feather": stream.getvalue(),
    }


@cache
def model_seeds() -> tuple[bytes, ...]:
    """Return model files of this and earlier releases."""
    return tuple(path.read_bytes() for path in sorted(KEPT.glob("*/*.xrfm")))


def check_named(fault: BaseException, path: Path) -> None:
    """Check that an error names the file and fits on one line, whatever the columns are called."""
    assert path.name in str(fault), fault


def check_reader(data: bytes, path: Path) -> Table | None:
    """Read bytes as a table: refused in one line, or a table that is equal in chunks and can be encoded."""
    path.write_bytes(data)
    try:
        table = read_table(path)
    except InputError as fault:
        check_named(fault, path)
        return None
    assert table.n_rows > 0
    assert len(set(table.column_names)) == len(table.column_names) > 0
    chunks = [chunk.data for chunk in read_chunks(path, chunk_rows=4)]
    assert pa.concat_tables(chunks).equals(table.data) or has_nan(table)
    try:
        schema = infer_schema(table)
        _, x, _ = fit_encoder(table, schema, target=np.zeros((table.n_rows, 1)))
    except InputError as fault:
        check_named(fault, path)
        return table
    assert np.isfinite(x).all()
    return table


def has_nan(table: Table) -> bool:
    """Return whether the table has NaN, so that it differs from itself."""
    return not table.data.equals(table.data)


def check_loader(data: bytes, path: Path) -> FittedModel | None:
    """Load bytes as a model: refused in one line, or a model that predicts."""
    path.write_bytes(data)
    try:
        model = load_model(path)
    except ModelFileError as fault:
        check_named(fault, path)
        assert printable(str(fault)) == str(fault), fault  # noqa: PT017 - its message, not that it is raised
        return None
    try:
        prediction = model.predict(asked_rows())
        if prediction.probabilities is not None:
            model.labels(prediction.probabilities)
    except XRFMError:
        return model  # an answer too: values may be too large for its leaves
    return model


@cache
def asked_rows() -> Table:
    """Return the rows on which the stored models were asked to predict."""
    return read_table(sorted(KEPT.glob("*/rows.csv"))[0])


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the bytes of the tensors of a model file."""
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        return json.loads(container.read(MANIFEST)), container.read(TENSORS)


def sealed(manifest: dict[str, Any], blob: bytes) -> bytes:
    """Return a model file with correct hashes: an attacker can compute them too."""
    document = {**manifest, "sha256": {TENSORS: hashlib.sha256(blob).hexdigest()}}
    document["sha256"][MANIFEST] = hashlib.sha256(canonical(document)).hexdigest()
    return archive([(MANIFEST, canonical(document)), (TENSORS, blob)])


def canonical(document: dict[str, Any]) -> bytes:
    """Return the canonical text of a manifest, which its hash covers."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def archive(contents: list[tuple[str, bytes]]) -> bytes:
    """Return a ZIP of stored members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as container:
        for name, content in contents:
            container.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()
