"""A command's help must answer at once, so the heavy libraries wait until they are used."""

from __future__ import annotations

from tests.processes import run_python


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, xrfm_cli.datasets; print(*({'torch', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    assert run_python(code).strip() == ""
