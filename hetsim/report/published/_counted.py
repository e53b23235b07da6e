"""Tables of counts beside printed ones: cells, and targets of their differences."""

from __future__ import annotations

from collections.abc import Callable

from hetsim.report.numbers import NONE, significant
from hetsim.report.published._target import Target
from hetsim.report.published.base import Row, Table, known


def whole(row: Row, name: str) -> str:
    """A count, with all its digits."""
    return NONE if row[name] is None else f"{row[name]:,.0f}"


def number(row: Row, name: str, factor: float = 1.0, digits: int = 4) -> str:
    """A value, times a factor."""
    return NONE if row[name] is None else significant(factor * row[name], digits)


def trio(row: Row, name: str, digits: int = 4) -> tuple[str, str, str]:
    """Ours, the printed one, and how far ours is from it."""
    off = row[f"{name}_difference_percent"]
    return (
        number(row, name, digits=digits),
        number(row, f"{name}_published", digits=digits),
        NONE if off is None else f"{off:+.2f} %",
    )


def near(what: str, table: Table, name: str, percent: float) -> Target:
    """That a column is as near as so many percent to every printed value."""
    return met(
        what, known(table, f"{name}_difference_percent"), f"± {significant(percent)} %",
        lambda off: abs(off) <= percent, lambda off: f"at most {max(map(abs, off)):.2f} % off",
    )  # fmt: skip


def digit(what: str, table: Table, name: str, decimals: int, units: float = 0.5) -> Target:
    """That a column is the printed one, to so many units of its last digit."""
    rows = [row for row in table if row[f"{name}_published"] is not None]
    off = [abs(row[name] - row[f"{name}_published"]) * 10**decimals for row in rows]
    return met(
        what, off, "the printed digit" if units == 0.5 else f"± {units:g} in the last digit",
        lambda each: each <= units + 1e-6,
        lambda each: f"at most {significant(max(each), 2)} of the last digit off",
    )  # fmt: skip


def met(
    what: str,
    values: list[float],
    wanted: str,
    holds: Callable[[float], bool],
    words: Callable[[list[float]], str],
) -> Target:
    """That something holds for every value; unknown if there is none."""
    if not values:
        return Target(what=what, wanted=wanted)
    good = sum(map(holds, values))
    return Target(
        what=what,
        found=f"{good} of {len(values)}, {words(values)}",
        wanted=wanted,
        verdict=good == len(values),
    )
