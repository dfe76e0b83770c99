"""The sample tables that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xrfm_cli.errors import OptionError, did_you_mean

SAMPLES_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample table and its prediction task."""

    name: str
    file: str
    rows: int
    columns: int
    target: str
    task: str
    about: str

    @property
    def summary(self) -> str:
        """Describe the sample in one line."""
        return f"{self.rows:,} {self.about}; target {self.target}, {self.task}"


SAMPLES = (
    Sample(
        name="autos",
        file="autos.csv",
        rows=201,
        columns=26,
        target="price",
        task="regression",
        about="cars of 1985",
    ),
    Sample(
        name="bikes",
        file="bikes.parquet",
        rows=2952,
        columns=9,
        target="rentals",
        task="regression",
        about="hours of bicycle rentals",
    ),
    Sample(
        name="credit",
        file="credit.csv",
        rows=1000,
        columns=21,
        target="class",
        task="binary",
        about="applications for credit",
    ),
    Sample(
        name="soybean",
        file="soybean.csv",
        rows=683,
        columns=36,
        target="class",
        task="multiclass",
        about="soybean plants by disease",
    ),
    Sample(
        name="wine",
        file="wine.csv",
        rows=178,
        columns=14,
        target="cultivar",
        task="multiclass",
        about="wines by their chemistry",
    ),
)


def find_sample(name: str) -> Sample:
    """Return the sample with this name, with or without the file extension.

    >>> find_sample("autos").target, find_sample("bikes.parquet").target
    ('price', 'rentals')
    """
    for sample in SAMPLES:
        if name in (sample.name, sample.file):
            return sample
    names = [sample.name for sample in SAMPLES]
    raise OptionError(f"no sample named '{name}'; there are {', '.join(names)}.{did_you_mean(name, names)}")


def sample_names() -> tuple[str, ...]:
    """Return the file names of the samples, sorted."""
    return tuple(
        sorted(path.name for path in SAMPLES_FOLDER.iterdir() if path.suffix in (".csv", ".parquet"))
    )


def sample_path(name: str) -> Path:
    """Return the path of a sample table; ``samples/README.md`` says where each comes from.

    >>> sample_path("autos.csv").name
    'autos.csv'
    """
    names = sample_names()
    if name not in names:
        hint = did_you_mean(name, names)
        raise OptionError(f"no sample named '{name}'; there are {', '.join(names)}.{hint}")
    return SAMPLES_FOLDER / name
