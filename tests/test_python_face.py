"""The Python interface: help, diagrams, errors and the default device."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import xrfm_cli
from xrfm_cli import XRFMClassifier, XRFMRegressor, errors
from xrfm_cli.lazy import on_first_use
from xrfm_cli.options.devices import find_device

pytestmark = pytest.mark.usefixtures("few_trees")

X = np.linspace(0, 1, 24).reshape(12, 2)
BOTH = pytest.mark.parametrize("kind", [XRFMRegressor, XRFMClassifier])


def documented(section: str, text: str) -> dict[str, str]:
    """Return the names in a section of a docstring with the type and default of each."""
    body = re.split(
        r"\n\w[\w ]*\n-+\n", inspect.cleandoc(text).split(f"\n{section}\n", 1)[1].split("\n", 1)[1]
    )[0]
    lines = re.findall(r"^(\w[\w, ]*) : (.+)$", body, re.MULTILINE)
    return {name: kind for names, kind in lines for name in names.split(", ")}


@BOTH
def test_help_documents_every_parameter_with_its_default(kind: Any) -> None:
    found = documented("Parameters", kind.__doc__)
    parameters = inspect.signature(kind.__init__).parameters
    assert list(found) == [name for name in parameters if name != "self"]
    for name, words in found.items():
        default = parameters[name].default
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        assert words.endswith(f"default={shown}"), name


@BOTH
def test_help_documents_every_attribute_of_a_fitted_estimator(kind: Any) -> None:
    y = np.arange(12) % 2
    fitted = kind(trials=0, folds=2).fit(X, y)
    found = set(documented("Attributes", kind.__doc__))
    assert all(hasattr(fitted, name) for name in found - {"feature_names_in_"})  # an array has no names
    public = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    assert public <= found


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="its diagrams show no parameters"
)
def test_the_diagram_shows_the_parameters_that_were_set_and_their_meaning() -> None:
    drawn = XRFMRegressor(trials=3)._repr_html_()
    assert "Number of configurations to try" in drawn
    assert 'class="user-set"' in drawn
    assert repr(XRFMRegressor(trials=3)) == "XRFMRegressor(trials=3)"


def test_what_a_module_lacks_is_said_where_its_names_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy_package").mkdir()
    (tmp_path / "lazy_package" / "part.py").write_text("import os\n\nos.spawn_posix\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"import lazy_package\.part: module 'os' has no .* 'spawn_posix'"):
        on_first_use("lazy_package", {"Part": "part"})("Part")


def test_every_error_is_exported() -> None:
    defined = {name for name, item in vars(errors).items() if inspect.isclass(item)} - {"Iterable", "Path"}
    assert {name for name in xrfm_cli.__all__ if name.endswith("Error")} == defined
    assert all(getattr(xrfm_cli, name) is getattr(errors, name) for name in defined)


@pytest.mark.parametrize(
    ("error", "arguments", "y"),
    [
        (errors.OptionError, {"folds": 1}, X[:, 0]),
        (errors.OptionError, {"set": {"ridg": 1}}, X[:, 0]),
        (errors.SchemaError, {"drop": ["x9"]}, X[:, 0]),
        (errors.TargetError, {}, np.array([*X[:11, 0], np.nan])),
        (errors.TargetError, {}, np.array(["a", "b"] * 6)),
    ],
)
def test_wrong_input_raises_an_error_of_its_kind_that_is_a_value_error(
    error: type, arguments: dict[str, Any], y: Any
) -> None:
    with pytest.raises(error) as caught:
        XRFMRegressor(trials=0, **arguments).fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert "--" not in str(caught.value)


def test_a_file_that_is_no_model_raises_a_model_file_error(tmp_path: Path) -> None:
    (tmp_path / "m.xrfm").write_text("no model")
    with pytest.raises(errors.ModelFileError, match=r"m\.xrfm"):
        XRFMRegressor.load(tmp_path / "m.xrfm")


def test_the_default_device_is_the_best_one() -> None:
    assert XRFMRegressor().device == "auto"
    assert XRFMRegressor(trials=0, folds=2).fit(X, X[:, 0]).model_.device == find_device("auto")
