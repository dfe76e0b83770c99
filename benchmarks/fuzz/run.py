"""Fuzz the readers and the model loader with atheris, which is guided by coverage.

    pip install atheris
    python benchmarks/fuzz/run.py reader --minutes 10     # or: model, sealed

A finding ends the run and is written to ``fuzz-findings/``; ``--replay FILE`` shows it again. What must hold
is in ``tests/hostile/fuzzing.py``, where the test suite finds it too.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))  # for tests.hostile.fuzzing
with atheris.instrument_imports(include=["xrfm_cli", "zipfile", "json", "safetensors"]):
    from tests.hostile.fuzzing import check_loader, check_reader, model_seeds, opened, sealed, table_seeds

Target = Callable[[bytes], object]
FINDINGS = Path("fuzz-findings")
ENDINGS = sorted(table_seeds())


def reader(folder: Path) -> tuple[Target, list[bytes]]:
    """Bytes as tables: the first says the ending, the others are the file."""

    def check(data: bytes) -> None:
        if data:
            ending = ENDINGS[data[0] % len(ENDINGS)]
            check_reader(data[1:], folder / f"data{ending}")

    return check, [bytes([place]) + table_seeds()[ending] for place, ending in enumerate(ENDINGS)]


def model(folder: Path) -> tuple[Target, list[bytes]]:
    """Bytes as model files."""
    return lambda data: check_loader(data, folder / "m.xrfm"), list(model_seeds())


def with_hashes(folder: Path) -> tuple[Target, list[bytes]]:
    """Manifests and tensors under hashes that are right: the text of the one, a zero byte, the others."""

    def check(data: bytes) -> None:
        text, _, blob = data.partition(b"\0")
        try:
            content = sealed(json.loads(text), blob)
        except (TypeError, ValueError, RecursionError):
            return  # no manifest that could be sealed
        check_loader(content, folder / "m.xrfm")

    parts = [opened(content) for content in model_seeds()]
    return check, [json.dumps(manifest).encode() + b"\0" + blob for manifest, blob in parts]


def forge(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one value of a manifest so that it stays JSON, or some bytes of the tensors."""
    generator = random.Random(seed)
    text, _, blob = data.partition(b"\0")
    try:
        manifest = json.loads(text)
    except ValueError:
        return bytes(atheris.Mutate(data, max_size))
    if generator.random() < 0.3:
        return text + b"\0" + bytes(atheris.Mutate(blob, max_size - len(text) - 1))
    inner, path = manifest, []
    while isinstance(inner, dict | list) and inner:
        path.append((inner, generator.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))))
        inner = inner[path[-1][1]]
    if path:
        # Each depth is equally likely, because deep values outnumber the others by far.
        holder, key = generator.choice(path)
        if generator.random() < 0.2:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(generator.choice([*VALUES, *(other[name] for other, name in path)]))
    return (json.dumps(manifest).encode() + b"\0" + blob)[:max_size]


VALUES = [None, True, "", "x", 0, -1, 0.5, 1e300, -1e-300, 1 << 31, 1 << 62, 10**400, [], {}, [0], {"a": 0}]
TARGETS = {"reader": reader, "model": model, "sealed": with_hashes}


def main() -> None:
    """Run one target for some minutes, or replay a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        check, seeds = TARGETS[options.target](Path(scratch))
        if options.replay is not None:
            check(options.replay.read_bytes())
            return
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        FINDINGS.mkdir(exist_ok=True)
        limits = [f"-max_total_time={round(60 * options.minutes)}", f"-max_len={max(map(len, seeds)) + 1000}"]
        places = [f"-artifact_prefix={FINDINGS}/{options.target}-", "-rss_limit_mb=8000", "-timeout=60"]
        more = {"custom_mutator": forge} if options.target == "sealed" else {}
        atheris.Setup([sys.argv[0], *limits, *places, str(corpus)], check, **more)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
