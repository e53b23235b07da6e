"""Many rows kept as columns, which read like a list of dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_BLOCK = 10_000
"""Rows made at a time."""


class Table(Sequence[dict[str, Any]]):
    """Rows of which the first are kept as columns, and the others as they are.

    A number that is missing is NaN in a column and None in a row. A row is made when it is asked
    for; who wants one column of all rows, or some rows, asks for these (`column`, `where`): a
    million rows are quickly added up and slowly made.

    >>> table = Table({"name": np.array(["a", "b"], object), "j": np.array([1.0, 2.0])})
    >>> len(table), table[1], sum(row["j"] for row in table)
    (2, {'name': 'b', 'j': 2.0}, 3.0)
    >>> table.column("j").sum(), table.where(table.column("j") > 1.0)
    (np.float64(3.0), [{'name': 'b', 'j': 2.0}])
    """

    def __init__(
        self, columns: Mapping[str, NDArray[Any]], others: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Take columns of equal length and rows with the same names.

        Raises:
            ValueError: columns of different lengths, or rows with other names.
        """
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1 or any(row.keys() != columns.keys() for row in others):
            raise ValueError(f"columns of {sorted(lengths)} rows, or other rows that lack some")
        [self._count] = lengths
        self._columns = dict(columns)
        self._others = [{name: row[name] for name in columns} for row in others]

    def __len__(self) -> int:
        return self._count + len(self._others)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for first in range(0, self._count, _BLOCK):
            yield from self._made(slice(first, first + _BLOCK))
        yield from self._others

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """A row, or some."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place >= self._count:
            return self._others[place - self._count]
        return self._made(slice(place, place + 1))[0]

    def column(self, name: str) -> NDArray[Any]:
        """One value of every row."""
        first, rest = self._columns[name], [row[name] for row in self._others]
        return np.concatenate((first, np.array(rest, first.dtype))) if rest else first

    def where(self, holds: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """The rows for which it holds."""
        found = np.flatnonzero(holds)
        inside = found[found < self._count]
        return self._made(inside) + [self._others[n - self._count] for n in found[len(inside) :]]

    def _made(self, rows: slice | NDArray[np.intp]) -> list[dict[str, Any]]:
        columns = [_plain(column[rows]) for column in self._columns.values()]
        names = tuple(self._columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(values: NDArray[Any]) -> list[Any]:
    """Plain values, None for NaN."""
    plain: list[Any] = values.tolist()
    if values.dtype.kind == "f" and np.isnan(values).any():
        return [None if value != value else value for value in plain]
    return plain


Rows = Sequence[dict[str, Any]]
"""A table, or a list of rows."""


def column(rows: Rows, name: str) -> Sequence[Any]:
    """One value of every row, as plain values."""
    if isinstance(rows, Table):
        return _plain(rows.column(name))
    return [row[name] for row in rows]


def total(rows: Rows, name: str) -> float:
    """The sum of a column."""
    if isinstance(rows, Table):
        return float(rows.column(name).sum())
    return sum(row[name] for row in rows)


def unlike(rows: Rows, **usual: Any) -> list[dict[str, Any]]:
    """The rows in which any of some columns has another value than the usual one."""
    if isinstance(rows, Table):
        return rows.where(np.any([rows.column(n) != value for n, value in usual.items()], axis=0))
    return [row for row in rows if any(row[name] != value for name, value in usual.items())]


def largest(rows: Rows, name: str, count: int) -> list[dict[str, Any]]:
    """The rows with the largest values, the largest first; of equals, the first."""
    if isinstance(rows, Table):
        order = np.argsort(-rows.column(name), kind="stable")[:count]
        return [rows[place] for place in order.tolist()]
    return sorted(rows, key=lambda row: -row[name])[:count]


def sums(
    rows: Rows, by: Sequence[str], of: Sequence[str], known: str = ""
) -> dict[tuple[Any, ...], dict[str, float]]:
    """Sums of columns over rows with the same values, in order of the first.

    >>> sums([{"a": "x", "j": 1.0}, {"a": "y", "j": 2.0}, {"a": "x", "j": 4.0}], ["a"], ["j"])
    {('x',): {'': 2, 'j': 5.0}, ('y',): {'': 1, 'j': 2.0}}

    Args:
        rows: all rows.
        by: columns whose values are told apart.
        of: columns that are added up; under "" the rows are counted.
        known: a column; whether it has a value is told apart too, at the end.
    """
    if isinstance(rows, Table):
        return _sums(rows, by, of, known)
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in rows:
        has = (row[known] is not None,) if known else ()
        key = (*(row[name] for name in by), *has)
        into = found.setdefault(key, {"": 0, **dict.fromkeys(of, 0.0)})
        into[""] += 1
        for name in of:
            into[name] += row[name]
    return found


def _sums(
    table: Table, by: Sequence[str], of: Sequence[str], known: str
) -> dict[tuple[Any, ...], dict[str, float]]:
    has = [~np.isnan(table.column(known))] if known else []
    place = np.zeros(len(table), np.intp)
    for values in (*(table.column(name) for name in by), *has):
        inner = _numbered(values)
        _, place = np.unique(place * (int(inner.max()) + 1) + inner, return_inverse=True)
    counts = np.bincount(place)
    first = np.full(len(counts), len(table))
    np.minimum.at(first, place, np.arange(len(table)))
    totals = {name: np.bincount(place, table.column(name)) for name in of}
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for group in np.argsort(first).tolist():
        row = table[int(first[group])]
        key = (*(row[name] for name in by), *((row[known] is not None,) if known else ()))
        found[key] = {name: float(totals[name][group]) for name in of} | {"": int(counts[group])}
    return found


def _numbered(values: NDArray[Any]) -> NDArray[np.intp]:
    """A number for each value, equal for equal ones."""
    known: dict[Any, int] = {}
    numbers = (known.setdefault(value, len(known)) for value in values.tolist())
    return np.fromiter(numbers, np.intp, len(values))
