"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from xrfm_cli.datasets.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a temporary file in the same folder, then rename it.

    Raises InputError where the folder does not exist or cannot be written to.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            # Names may hold what is no UTF-8, such as lone surrogates; the report is written all the same.
            file.write(text.encode("utf-8", "replace").decode("utf-8"))
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as fault:
        raise InputError(f"{path}: cannot be written ({fault.strerror}); choose another folder.") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
