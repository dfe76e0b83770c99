"""Arrow's view types, which polars and others write, as the types that Arrow's functions know."""

from __future__ import annotations

import pyarrow as pa


def without_views(data: pa.Table) -> pa.Table:
    """The table with ``string_view`` as ``string``, in dictionaries too.

    >>> cells = pa.array(["Graz", None], pa.string_view())
    >>> without_views(pa.table({"town": cells})).schema.field("town").type
    DataType(string)
    """
    for place, field in enumerate(data.schema):
        if _is_view(field.type):
            data = data.set_column(place, field.name, data.column(place).cast(pa.string()))
        elif pa.types.is_dictionary(field.type) and _is_view(field.type.value_type):
            chunks = [_decoded(chunk) for chunk in data.column(place).chunks]
            data = data.set_column(place, field.name, pa.chunked_array(chunks, pa.string()))
    return data


def _decoded(chunk: pa.DictionaryArray) -> pa.Array:
    return chunk.dictionary.cast(pa.string()).take(chunk.indices)


def _is_view(kind: pa.DataType) -> bool:
    is_view = getattr(pa.types, "is_string_view", None)  # older Arrow has none
    return is_view is not None and bool(is_view(kind))
