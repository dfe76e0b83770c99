"""The sample tables that ship with the package."""

from __future__ import annotations

from pathlib import Path

from xrfm_cli.errors import OptionError, did_you_mean

SAMPLES_FOLDER = Path(__file__).parent / "samples"


def sample_names() -> tuple[str, ...]:
    """The file names of the samples, sorted."""
    return tuple(
        sorted(path.name for path in SAMPLES_FOLDER.iterdir() if path.suffix in (".csv", ".parquet"))
    )


def sample_path(name: str) -> Path:
    """The path of a sample table; ``samples/README.md`` says where each comes from.

    >>> sample_path("autos.csv").name
    'autos.csv'
    """
    names = sample_names()
    if name not in names:
        hint = did_you_mean(name, names)
        raise OptionError(f"no sample named '{name}'; there are {', '.join(names)}.{hint}")
    return SAMPLES_FOLDER / name
