"""The fit report's records of a model file's manifest, made from the rows and dataclasses that hold it.

See :mod:`xrfm_cli.tuning.model.manifest`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from msgspec import Struct, defstruct

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.pins import CategoryEncoding, NumericTransform, StartMatrix, Transfer
from xrfm_cli.tuning.rows import MemberRow, Params
from xrfm_cli.tuning.scoring.target_transforms import TransformChoice


class Document(Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object with exactly these fields."""


def _record(name: str, known: Mapping[str, Any], *, needed: Collection[str]) -> type[Struct]:
    """Return a record type of these fields; only some are required."""
    listed: list[Any] = [(item, kind) for item, kind in known.items() if item in needed]
    listed += [(item, kind, None) for item, kind in known.items() if item not in needed]
    return defstruct(name, listed, bases=(Document,))


_LEAF_OPTIONS = get_type_hints(LeafConfig)
_TREE_OPTIONS = _LEAF_OPTIONS | {
    name: kind for name, kind in get_type_hints(TreeConfig).items() if name != "leaf"
}
_TRANSFORM_OPTIONS = {
    "numeric_transform": NumericTransform,
    "category_encoding": CategoryEncoding,
    "target_transform": TransformChoice,
    "transfer": Transfer,
    "start_matrix": StartMatrix,
}
LeafOptions: Any = _record("LeafOptions", _LEAF_OPTIONS, needed=("kernel",))
TreeOptions: Any = _record("TreeOptions", _TREE_OPTIONS, needed=("kernel",))
_Params = _record("Params", _TREE_OPTIONS | _TRANSFORM_OPTIONS, needed=("kernel", "kernel_p"))


def _exact(kind: Any) -> Any:
    """Return a type with records, which refuse unknown fields, in place of the typed rows in it.

    >>> _exact(list[MemberRow])
    list[xrfm_cli.tuning.model.manifest_report.MemberRow]
    """
    if kind == Params:
        return _Params
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
        bare = {name: get_args(hint)[0] if name in optional else hint for name, hint in hints.items()}
        needed = set(hints) - optional if kind.__total__ else ()
        return _record(kind.__name__, {name: _exact(hint) for name, hint in bare.items()}, needed=needed)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[_exact(parts[0]), *parts[1:]]
    if origin in (Union, UnionType):
        return Union[tuple(map(_exact, parts))]  # noqa: UP007 - of types that are known at run time
    return origin[tuple(map(_exact, parts))] if origin in (list, dict, tuple) else kind


_REPORT = get_type_hints(FitReport, include_extras=True)
Member: Any = _exact(MemberRow)
Report: Any = _record(
    "Report",
    {name: _exact(kind) for name, kind in _REPORT.items()},
    needed=[item.name for item in fields(FitReport) if item.default is item.default_factory is MISSING],
)
