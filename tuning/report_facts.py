"""The types that a report has in JSON: what is shown of a stranger's model file must be of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Types = tuple[type, ...]
NUMBER: Types = (float, int)
WHOLE: Types = (int,)
TEXT: Types = (str,)
SCALAR: Types = (bool, float, int, str, type(None))
OF_ANNOTATION: dict[str, Types] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": NUMBER,
    "int": WHOLE,
    "list": (list,),
    "str": TEXT,
}
ENTRIES: dict[str, dict[str, Types]] = {  # of lists of records
    "baselines": {"name": TEXT, "score": NUMBER},
    "ensemble": {"trial": WHOLE, "weight": NUMBER, "score": NUMBER, "params": (dict,)},
    "trials": {"number": WHOLE, "state": TEXT, "score": (*NUMBER, type(None)), "params": (dict,)},
}
PARAMS: dict[str, Types] = {"kernel": TEXT, "kernel_p": NUMBER}  # that every trial has


def check_fact(name: str, value: Any, annotation: str) -> None:
    """Refuse a fact of a report, by its name, that has another type than its field; raises TypeError.

    >>> check_fact("rows", "many", "int")
    Traceback (most recent call last):
    TypeError: the report's 'rows' is no int
    """
    kind = annotation.partition("[")[0]
    if type(value) not in OF_ANNOTATION[kind]:
        raise TypeError(f"the report's '{name}' is no {kind}")
    for place, entry in enumerate(value if name in ENTRIES else ()):
        where = f"{name}[{place}]"
        _check_record(where, entry, ENTRIES[name])
        if "params" in entry:
            _check_record(f"{where}.params", entry["params"], PARAMS)
            _check_values(f"{where}.params", entry["params"], SCALAR)
    if annotation == "dict[str, float]":
        _check_values(name, value, NUMBER)
    if annotation == "dict[str, list[float]]":
        for key, values in value.items():
            _check_values(f"{name}.{key}", dict(enumerate(values)), NUMBER)


def _check_record(where: str, entry: Any, types: Mapping[str, Types]) -> None:
    if not isinstance(entry, dict) or not set(types) <= set(entry):
        raise TypeError(f"the report's '{where}' lacks something")
    if any(type(entry[key]) not in kinds for key, kinds in types.items()):
        raise TypeError(f"the report's '{where}' has values of another type")


def _check_values(where: str, values: Mapping[Any, Any], kinds: Types) -> None:
    if any(type(value) not in kinds for value in values.values()):
        raise TypeError(f"the report's '{where}' has values of another type")
