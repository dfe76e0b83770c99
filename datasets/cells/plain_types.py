"""Arrow's many types become the few that the rest of the package knows.

A column that can be read ends as booleans, integers, floats, decimals, text, dates, times, timestamps,
durations or nulls, or as a dictionary of these. Views, run-end encoding, half floats and Arrow's own
extension types are ways to store the same values. Lists, structures, unions, intervals and bytes cannot be
read.
"""

from __future__ import annotations

import json
from binascii import hexlify

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PANDAS_PERIOD = "pandas.period"  # a whole number, counted from 1970
HASHED_COLUMNS = 32  # of the words of a text
# A text as its encoder needs it. It is made within the package alone, so no file holds it.
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
    """One contiguous array of a plain type: dictionaries decoded, text as ``string``.

    An array that cannot be read comes back as it is, see `is_readable`.

    >>> plain_array(pa.array(["Graz", None], pa.string_view()).dictionary_encode()).type
    DataType(string)
    """
    if isinstance(column, pa.ChunkedArray):
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    else:
        array = column
    if isinstance(array, pa.ChunkedArray):  # older Arrow returns a chunked array for no chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if array.type in _PLAIN_TYPES:
        return array  # nearly every column
    array = _plain(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary.take(array.indices)
    return array


def plain_columns(data: pa.Table) -> pa.Table:
    """The table with columns of plain types; dictionaries stay, and so does what cannot be read.

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
    """Whether an Arrow type is one of the types of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind)) or _is_view(kind, "string")


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds numbers (durations count as seconds)."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind)
    )


def is_date(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds dates or times."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind))


def is_readable(kind: pa.DataType) -> bool:
    """Whether cells of an Arrow type can be read as numbers, dates, truth values or text.

    >>> is_readable(pa.large_string()), is_readable(pa.list_(pa.string())), is_readable(pa.binary(16))
    (True, False, False)
    """
    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name == "arrow.uuid" or is_readable(kind.storage_type)
    if pa.types.is_dictionary(kind) or _is_run_end_encoded(kind):
        return is_readable(kind.value_type)
    plain = is_text(kind) or is_number(kind) or is_date(kind)
    return bool(plain or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _is_view(kind: pa.DataType, what: str) -> bool:
    """Whether a type is ``string_view`` or ``binary_view``, which older Arrow does not have."""
    is_view = getattr(pa.types, f"is_{what}_view", None)
    return is_view is not None and bool(is_view(kind))


def _is_run_end_encoded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_run_end_encoded(kind))


def _is_stored_otherwise(kind: pa.DataType) -> bool:
    """Whether `_plain` changes arrays of this type, not counting text of other sizes."""
    if pa.types.is_dictionary(kind):
        return _is_stored_otherwise(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) or _is_run_end_encoded(kind) or pa.types.is_float16(kind):
        return True
    return _is_view(kind, "string") or _is_view(kind, "binary") or _without_views(kind) != kind


def _plain(array: pa.Array) -> pa.Array:
    """An array of a plain type; the values of a dictionary are of a plain type too."""
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
    """The values that Arrow's own extension types stand for; of other ones the values that they store."""
    name = array.type.extension_name
    if name == "arrow.uuid":
        return _uuid_text(array.storage)
    if name == "arrow.bool8":
        return pc.not_equal(array.storage, pa.scalar(0, pa.int8()))
    if name == PANDAS_PERIOD:
        return _period_starts(array.storage, array.type.freq)
    return _plain(array.storage)


def _unregistered_period(field: pa.Field) -> str:
    """How long the periods of pandas in a column are, where pandas has not registered its types; else ""."""
    metadata = field.metadata or {}
    if metadata.get(b"ARROW:extension:name") != PANDAS_PERIOD.encode():
        return ""
    try:
        return str(json.loads(metadata[b"ARROW:extension:metadata"])["freq"])
    except (KeyError, TypeError, ValueError):
        return ""


def _period_starts(ordinals: pa.Array, freq: str) -> pa.Array:
    """The moments at which periods of pandas begin, from their numbers; these as they are if that fails."""
    import pandas as pd

    present = ordinals.is_valid()
    numbers = pc.fill_null(ordinals, 0).to_numpy(zero_copy_only=False)
    try:
        starts = pd.PeriodIndex.from_ordinals(numbers, freq=freq).to_timestamp().to_numpy()
    except (ValueError, OverflowError):  # a length that this pandas does not know, or too early or late
        return ordinals
    return pc.if_else(present, pa.array(starts.astype("datetime64[us]")), pa.scalar(None, pa.timestamp("us")))


def _uuid_text(storage: pa.FixedSizeBinaryArray) -> pa.Array:
    """UUIDs as other programs spell them, 8-4-4-4-12 digits."""
    start, stop = (16 * row for row in (storage.offset, storage.offset + len(storage)))
    data = memoryview(storage.buffers()[1] or b"")[start:stop]
    digits = pa.array(np.frombuffer(hexlify(data), dtype="S32").astype(str), pa.string())
    ends = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    text = pc.binary_join_element_wise(*(pc.utf8_slice_codeunits(digits, *pair) for pair in ends), "-")
    return pc.if_else(storage.is_valid(), text, pa.scalar(None, pa.string()))


def _half_floats(array: pa.Array) -> pa.Array:
    """Half floats as the numbers that their shortest text spells, as in a CSV file: 0.1 and not 0.09998."""
    values = array.to_numpy(zero_copy_only=False)
    distinct, places = np.unique(values, return_inverse=True)
    return pa.array(distinct.astype(str).astype(np.float64)[places], mask=np.asarray(array.is_null()))


def _without_views(kind: pa.DataType) -> pa.DataType:
    """The type with ordinary text and bytes in place of views: Arrow cannot take rows of a view."""
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
