"""Rows of a sweep or a plan as a table: a Parquet file, or a pandas frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

Rows = Sequence[Mapping[str, Any]]
"""Of equal columns, and at least one."""
_PLAIN = {bool: "bool", int: "int64", float: "float64", str: "string"}


def write(file: BinaryIO, rows: Rows, keys: Collection[str], types: Mapping[str, str]) -> None:
    """Write rows as a Parquet file; equal rows give equal bytes.

    Args:
        file: to write to.
        rows: the rows.
        keys: columns that every row has a value in, whose types follow from the first.
        types: of the other columns, in Arrow's words; "float64" for those that are not named.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [
        pa.field(name, pa.type_for_alias(kind), nullable=name not in keys)
        for name, kind in _types(rows, keys, types).items()
    ]
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in fields]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), file, compression="zstd")


def frame(rows: Rows, keys: Collection[str], types: Mapping[str, str]) -> pd.DataFrame:
    """The same as a pandas frame; an empty number is NaN, an empty text ""."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, kind in _types(rows, keys, types).items():
        values = [row[name] for row in rows]
        if kind == "string":
            columns[name] = pd.Series([value or "" for value in values], dtype="str")
        else:
            columns[name] = pd.Series(values, dtype="float64" if None in values else kind)
    return pd.DataFrame(columns)


def _types(rows: Rows, keys: Collection[str], types: Mapping[str, str]) -> dict[str, str]:
    first = rows[0]
    return {
        name: _PLAIN[type(first[name])] if name in keys else types.get(name, "float64")
        for name in first
    }
