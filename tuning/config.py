"""Options of a fit, validated on construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option

LEAST_MEMORY_BYTES = 1 << 24
MOST_WHOLE = 2**63 - 1  # largest integer option: model files store 64-bit integers
PresetName = Literal["quick", "balanced", "best"]
ALL_ROWS: Literal["all"] = "all"
FEWEST_DRAWN_ROWS = 10  # fewer cannot be split into training and validation rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named set of defaults; options given by the user take precedence."""

    time_limit_s: float
    ensemble_size: int  # maximum number of members
    help: str


PRESETS: dict[str, Preset] = {
    "quick": Preset(time_limit_s=15.0, ensemble_size=2, help="15 s, two models at most"),
    "balanced": Preset(time_limit_s=60.0, ensemble_size=6, help="60 s, six models at most"),
    "best": Preset(time_limit_s=600.0, ensemble_size=12, help="10 minutes, twelve models at most"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The options that control a fit's search.

    >>> FitConfig(trials=3).effective_time_limit_s is None
    True
    >>> FitConfig().effective_time_limit_s
    60.0
    """

    metric: str | None = None
    time_limit_s: float | None = None
    trials: int | None = None  # 0 fits the default configuration once, without a search
    early_stop: bool = True  # end a search that has converged, unless ``trials`` are given
    preset: PresetName = "balanced"
    pinned: Mapping[str, Any] = field(default_factory=dict)  # hyperparameters by name
    folds: int | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    workers: int | None = None  # processes of the search; None: one for each thread
    scheduler: str | None = None  # address of a dask scheduler, whose workers run the search's steps
    memory_bytes: int | None = None
    fit_rows: int | Literal["all"] | None = None  # rows of the final fits; None: as many as the limits allow
    search_rows: int | None = None  # rows of the search; None: as many as the limits allow
    max_model_bytes: int | None = None  # of the model file

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise OptionError(f"{option('preset', self.preset)}: must be one of {', '.join(PRESETS)}.")
        if self.time_limit_s is not None and not 0 < self.time_limit_s < float("inf"):
            raise OptionError(
                f"{option('time_limit', self.time_limit_s)}: must be above 0 seconds and finite."
            )
        if self.trials is not None and self.trials < 0:
            raise OptionError(f"{option('trials', self.trials)}: must be 0 or more.")
        for name, value in (("trials", self.trials), ("folds", self.folds), ("seed", self.seed)):
            if value is not None and value > MOST_WHOLE:
                raise OptionError(f"{option(name, value)}: must be at most {MOST_WHOLE}.")
        for name, rows in (("fit_rows", self.fit_rows), ("search_rows", self.search_rows)):
            if rows is not None and rows != ALL_ROWS and not FEWEST_DRAWN_ROWS <= rows <= MOST_WHOLE:
                raise OptionError(f"{option(name, rows)}: must be from {FEWEST_DRAWN_ROWS} to {MOST_WHOLE}.")
        if isinstance(self.fit_rows, int) and (self.search_rows or 0) > self.fit_rows:
            raise OptionError(
                f"{option('search_rows', self.search_rows)}: must be at most "
                f"{option('fit_rows', self.fit_rows)}, as the final fits use the rows of the search and more."
            )
        if self.folds is not None and self.folds < 2:
            raise OptionError(f"{option('folds', self.folds)}: must be at least 2.")
        if self.seed < 0:
            raise OptionError(f"{option('seed', self.seed)}: must be 0 or more.")
        if self.memory_bytes is not None and self.memory_bytes < LEAST_MEMORY_BYTES:
            raise OptionError(f"{option('memory', self.memory_bytes)}: must be at least 16 MiB.")

    @property
    def effective_time_limit_s(self) -> float | None:
        """Return the time limit in force, or None if only a number of trials was given."""
        if self.time_limit_s is not None:
            return self.time_limit_s
        return None if self.trials is not None else PRESETS[self.preset].time_limit_s

    @property
    def may_stop_early(self) -> bool:
        """Return whether the search ends once it has converged; a given number of trials is always run."""
        return self.early_stop and self.trials is None

    @property
    def ensemble_size(self) -> int:
        """Return the maximum number of members."""
        return PRESETS[self.preset].ensemble_size

    def to_dict(self) -> dict[str, Any]:
        """Return the options by name, ready for JSON, without the workers, which change no result."""
        left_out: tuple[str, ...] = ("pinned", "workers", "scheduler")
        left_out += () if self.max_model_bytes is not None else ("max_model_bytes",)  # as in older files
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out} | {
            "pinned": dict(self.pinned)
        }
