"""Reduce Arrow's many types to the few that the rest of the package handles.

A readable column ends as booleans, integers, floats, decimals, text, dates, times, timestamps, durations or
nulls, or as a dictionary of these. Views, run-end encoding, half floats and Arrow's own extension types are
other ways to store the same values. Lists, structs, unions, intervals and bytes are not readable.
"""

from __future__ import annotations

import json
from binascii import hexlify

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PANDAS_PERIOD = "pandas.period"  # an integer, counted from 1970
HASHED_COLUMNS = 32  # for the words of a text
# Text preprocessed for its encoder. It is only created within the package, so no file contains it.
MEASURED_TEXT = pa.struct(
    [
        ("missing", pa.bool_()),
        ("characters", pa.int32()),
        ("words", pa.int32()),
        ("hashed", pa.list_(pa.float32(), HASHED_COLUMNS)),
    ]
)


_PLAIN_TYPES = frozenset({pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.timestamp("us")})


def plain_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return one contiguous array of a plain type: dictionaries decoded, text as ``string``.

    An unreadable array is returned unchanged, see `is_readable`.

    >>> plain_array(pa.array(["Graz", None], pa.string_view()).dictionary_encode()).type
    DataType(string)
    """
    if isinstance(column, pa.ChunkedArray):
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    else:
        array = column
    if isinstance(array, pa.ChunkedArray):  # older Arrow returns a chunked array if there are no chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if array.type in _PLAIN_TYPES:
        return array  # nearly every column
    array = _plain(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary.take(array.indices)
    return array


def plain_columns(data: pa.Table) -> pa.Table:
    """Convert the columns of a table to plain types; dictionaries and unreadable columns stay.

    >>> cells = pa.array(["Graz", None], pa.string_view())
    >>> plain_columns(pa.table({"town": cells})).schema.field("town").type
    DataType(string)
    """
    for place, field in enumerate(data.schema):
        period = _unregistered_period(field)
        if period:
            starts = pa.chunked_array([_period_starts(data.column(place).combine_chunks(), period)])
            data = data.set_column(place, field.name, starts)
        elif _is_stored_otherwise(field.type):
            chunks = [_plain(chunk) for chunk in data.column(place).chunks]
            plain = pa.chunked_array(chunks or [_plain(pa.array([], field.type))])
            data = data.set_column(place, field.name, plain)
    return data


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is a text type."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind)) or _is_view(kind, "string")


def is_number(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds numbers (durations count as seconds)."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind)
    )


def is_date(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds dates or times."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind))


def is_readable(kind: pa.DataType) -> bool:
    """Return whether cells of an Arrow type can be read as numbers, dates, booleans or text.

    >>> is_readable(pa.large_string()), is_readable(pa.list_(pa.string())), is_readable(pa.binary(16))
    (True, False, False)
    """
    if kind in _PLAIN_TYPES:
        return True  # nearly every column
    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name == "arrow.uuid" or is_readable(kind.storage_type)
    if pa.types.is_dictionary(kind) or _is_run_end_encoded(kind):
        return is_readable(kind.value_type)
    plain = is_text(kind) or is_number(kind) or is_date(kind)
    return bool(plain or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _is_view(kind: pa.DataType, what: str) -> bool:
    """Return whether a type is ``string_view`` or ``binary_view``, which older Arrow lacks."""
    is_view = getattr(pa.types, f"is_{what}_view", None)
    return is_view is not None and bool(is_view(kind))


def _is_run_end_encoded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_run_end_encoded(kind))


def _is_stored_otherwise(kind: pa.DataType) -> bool:
    """Return whether `_plain` changes arrays of this type, apart from text with other offset sizes."""
    if pa.types.is_dictionary(kind):
        return _is_stored_otherwise(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) or _is_run_end_encoded(kind) or pa.types.is_float16(kind):
        return True
    return _is_view(kind, "string") or _is_view(kind, "binary") or _without_views(kind) != kind


def _plain(array: pa.Array) -> pa.Array:
    """Convert an array to a plain type; the values of a dictionary become plain too."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_extension(array)
    if _is_run_end_encoded(kind):
        ends = array.run_ends.to_numpy(zero_copy_only=False)
        rows = np.arange(array.offset, array.offset + len(array))
        return _plain(array.values).take(pa.array(np.searchsorted(ends, rows, side="right")))
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(array.indices, _plain(array.dictionary))
    if pa.types.is_float16(kind):
        return _half_floats(array)
    if is_text(kind):
        return array if pa.types.is_string(kind) else array.cast(pa.string())
    wanted = _without_views(kind)
    return array if wanted == kind else array.cast(wanted)


def _plain_extension(array: pa.ExtensionArray) -> pa.Array:
    """Return the values that Arrow's own extension types represent; for others, the storage values."""
    name = array.type.extension_name
    if name == "arrow.uuid":
        return _uuid_text(array.storage)
    if name == "arrow.bool8":
        return pc.not_equal(array.storage, pa.scalar(0, pa.int8()))
    if name == PANDAS_PERIOD:
        return _period_starts(array.storage, array.type.freq)
    return _plain(array.storage)


def _unregistered_period(field: pa.Field) -> str:
    """Return the frequency of a pandas period column if pandas has not registered its types; otherwise ""."""
    metadata = field.metadata or {}
    if metadata.get(b"ARROW:extension:name") != PANDAS_PERIOD.encode():
        return ""
    try:
        return str(json.loads(metadata[b"ARROW:extension:metadata"])["freq"])
    except (KeyError, TypeError, ValueError):
        return ""


def _period_starts(ordinals: pa.Array, freq: str) -> pa.Array:
    """Convert pandas period ordinals to the periods' start times; return them unchanged if that fails."""
    import pandas as pd

    present = ordinals.is_valid()
    numbers = pc.fill_null(ordinals, 0).to_numpy(zero_copy_only=False)
    try:
        starts = pd.PeriodIndex.from_ordinals(numbers, freq=freq).to_timestamp().to_numpy()
    except (ValueError, OverflowError):  # a frequency that this pandas does not know, or out of range
        return ordinals
    return pc.if_else(present, pa.array(starts.astype("datetime64[us]")), pa.scalar(None, pa.timestamp("us")))


def _uuid_text(storage: pa.FixedSizeBinaryArray) -> pa.Array:
    """Spell UUIDs as other programs do, 8-4-4-4-12 digits."""
    start, stop = (16 * row for row in (storage.offset, storage.offset + len(storage)))
    data = memoryview(storage.buffers()[1] or b"")[start:stop]
    digits = pa.array(np.frombuffer(hexlify(data), dtype="S32").astype(str), pa.string())
    ends = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    text = pc.binary_join_element_wise(*(pc.utf8_slice_codeunits(digits, *pair) for pair in ends), "-")
    return pc.if_else(storage.is_valid(), text, pa.scalar(None, pa.string()))


def _half_floats(array: pa.Array) -> pa.Array:
    """Convert half floats through their shortest text, as in a CSV file: 0.1 and not 0.09998."""
    values = array.to_numpy(zero_copy_only=False)
    distinct, places = np.unique(values, return_inverse=True)
    return pa.array(distinct.astype(str).astype(np.float64)[places], mask=np.asarray(array.is_null()))


def _without_views(kind: pa.DataType) -> pa.DataType:
    """Replace views by ordinary text and bytes: Arrow cannot take rows of a view."""
    types = pa.types
    if _is_view(kind, "string"):
        return pa.string()
    if _is_view(kind, "binary"):
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([field.with_type(_without_views(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_without_views(kind.key_type), _without_views(kind.item_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_without_views(kind.value_type)), kind.list_size)
    if types.is_list(kind) or types.is_large_list(kind):
        make = pa.list_ if types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_without_views(kind.value_type)))
    return kind
