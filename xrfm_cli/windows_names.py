"""File names that Windows does not allow but Python does not reject."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PureWindowsPath

IS_WINDOWS = os.name == "nt"
NUMBERS = "123456789¹²³"
PORTS = [f"{name}{number}" for name in ("com", "lpt") for number in NUMBERS]
DEVICES = {"aux", "con", "conin$", "conout$", "nul", "prn", *PORTS}
FORBIDDEN = '<>:"|?*'  # a colon would write to a hidden alternate stream of another file
LONGEST_PATH = 259  # characters, unless long paths are enabled


def why_no_file(path: Path) -> str | None:
    """Explain why Windows cannot create this file, and the fix; None if it can, and on other systems."""
    if not IS_WINDOWS:
        return None
    fault = name_fault(str(path))
    if fault is None and len(str(path.absolute())) > LONGEST_PATH and not _takes_long_paths():
        return f"is longer than the {LONGEST_PATH} characters that Windows allows here; choose a shorter path"
    return fault


def name_fault(path: str) -> str | None:
    """Explain what is wrong with a path on Windows, and the fix; None if nothing is.

    >>> name_fault("out\\\\aux.csv")
    "'aux.csv' is the name of a device on Windows; choose another name"
    >>> name_fault("C:\\\\out\\\\auxiliary.csv")
    """
    pure = PureWindowsPath(path)
    for part in pure.parts[bool(pure.anchor) :]:
        if part == "..":
            continue
        found = next((mark for mark in part if mark in FORBIDDEN or mark < " "), None)
        if found is not None:
            return f"no name on Windows may have {found!r}; choose another name"
        if part.partition(".")[0].rstrip().lower() in DEVICES:
            return f"'{part}' is the name of a device on Windows; choose another name"
        if part[-1] in " .":
            return f"no name on Windows may end as '{part}' does; choose another name"
    return None


def _takes_long_paths() -> bool:
    """Return whether this process may use long paths, a setting of Windows 10 and later."""
    if sys.platform != "win32":
        return True
    import ctypes

    asked = getattr(ctypes.WinDLL("ntdll"), "RtlAreLongPathsEnabled", None)
    return asked is not None and bool(asked() & 0xFF)
