"""A table of columns reads like the list of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hetsim.core.table import Table, column, largest, sums, total, unlike

COUNT = 25_000


@pytest.fixture(scope="module")
def table() -> Table:
    """Devices in columns, and a server."""
    draw = np.random.default_rng(3)
    volts = np.where(draw.random(COUNT) < 0.5, draw.uniform(1.0, 9.0, COUNT), np.nan)
    return Table(
        {
            "name": np.array([f"d{n}" for n in range(COUNT)], object),
            "kind": np.array(["phone", "board", "meter"], object)[draw.integers(0, 3, COUNT)],
            "j": draw.integers(0, 1000, COUNT).astype(float),
            "asked": draw.integers(0, 4, COUNT),
            "volts": volts,
        },
        [{"name": "server", "kind": "server", "j": 5000.0, "asked": 0, "volts": None}],
    )


@pytest.fixture(scope="module")
def rows(table: Table) -> list[dict[str, Any]]:
    """The same, row by row."""
    return list(table)


def test_rows_are_plain(table: Table, rows: list[dict[str, Any]]) -> None:
    assert len(table) == len(rows) == COUNT + 1
    assert table[-1] == rows[-1] == {
        "name": "server", "kind": "server", "j": 5000.0, "asked": 0, "volts": None,
    }  # fmt: skip
    assert table[7:12] == rows[7:12]
    assert {type(row["volts"]) for row in rows} == {float, type(None)}
    assert {type(row["asked"]) for row in rows} == {int}
    with pytest.raises(IndexError):
        _ = table[COUNT + 1]


def test_what_is_asked_of_a_table_is_what_the_list_answers(
    table: Table, rows: list[dict[str, Any]]
) -> None:
    assert column(table, "volts") == column(rows, "volts")
    assert total(table, "j") == total(rows, "j")
    assert largest(table, "j", 40) == largest(rows, "j", 40)
    assert unlike(table, kind="board", asked=0) == unlike(rows, kind="board", asked=0)
    by = ("kind", "asked")
    assert sums(table, by, ("j",), known="volts") == sums(rows, by, ("j",), known="volts")
    assert list(sums(table, by, ())) == list(sums(rows, by, ()))


def test_columns_must_be_of_one_length_and_rows_whole() -> None:
    with pytest.raises(ValueError, match="columns of"):
        Table({"a": np.zeros(3), "b": np.zeros(2)})
    with pytest.raises(ValueError, match="lack some"):
        Table({"a": np.zeros(3), "b": np.zeros(3)}, [{"a": 1.0}])
