"""The exception hierarchy.

    XRFMError
    ├── InputError            bad data or usage: exit status 2, one line; also a ValueError
    │   ├── FileReadError     a file that is missing, truncated or of another format
    │   │   └── EmptyFileError    a file without rows
    │   ├── SchemaError       columns that are missing, unusable or of the wrong kind
    │   ├── TargetError       a target that is absent, constant or does not fit the task
    │   ├── OptionError       an option or hyperparameter that does not exist or is out of range
    │   └── ModelFileError    a model file that is truncated, altered or of an unknown version
    └── NumericalError        a computation that failed although the input was valid: exit status 3

Every message is one line: where, what is wrong, and how to fix it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from xrfm_cli.mentions import spell


class XRFMError(Exception):
    """Base class of all errors that this package raises on purpose.

    The text of an error spells parameters as flags of the command; ``message`` keeps their placeholders.
    """

    @property
    def message(self) -> str:
        """The message with placeholders of :func:`xrfm_cli.mentions.option` for the parameters it names."""
        return super().__str__()

    def __str__(self) -> str:
        return spell(self.message)


class InputError(XRFMError, ValueError):
    """Wrong data or usage; the message says where and what to do.

    It is also a ValueError, as callers of scikit-learn's estimators expect.
    """


class FileReadError(InputError):
    """A data file cannot be read as a table."""


class EmptyFileError(FileReadError):
    """A data file has no rows; among other files with rows, it is left out."""


class SchemaError(InputError):
    """Columns are missing, unusable or of the wrong kind."""


class TargetError(InputError):
    """The target column cannot be learned from."""


class OptionError(InputError):
    """An option or hyperparameter does not exist or has a value out of range."""


class ModelFileError(InputError):
    """A model file is corrupt, unsafe or of an unknown version."""


class NumericalError(XRFMError):
    """A computation failed on valid input after every documented fallback."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests the nearest known name, in any case, or an empty string.

    >>> did_you_mean("PRCIE", ["price", "make"])
    " Did you mean 'price'?"
    >>> did_you_mean("zzz", ["price", "make"])
    ''
    """
    names = list(known)
    folded = dict.fromkeys(other.casefold() for other in names)
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    alike = [other for other in names if other.casefold() in near]  # several if they differ only in case
    return f" Did you mean '{difflib.get_close_matches(name, alike, n=1, cutoff=0.0)[0]}'?" if near else ""


def why_absent(path: Path) -> str:
    """Explain why a file does not exist: a broken link, a missing folder, or a misspelt name.

    >>> why_absent(Path("nowhere/cars.csv"))
    ', nor the folder nowhere.'
    """
    if path.is_symlink():
        return f": it is a link to {path.readlink()}, which does not exist."
    if not path.parent.is_dir():
        return f", nor the folder {path.parent}."
    return "." + did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
