"""Numbers as people read them: three digits, a unit, separators between thousands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds

SPACE = "\u00a0"
"""Between a number and its unit; never broken over two lines."""
NONE = "\u2013"
"""What a table shows where there is no value."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class Scale(NamedTuple):
    """An axis unit: a value in SI times `factor` is a number of `unit`."""

    factor: float
    unit: str


def significant(value: float, digits: int = 3) -> str:
    """`value` with so many digits that count, never an exponent.

    >>> significant(38.249), significant(1234.5), significant(0.00123)
    ('38.2', '1,234', '0.00123')
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else str(value)
    if value == 0.0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals > 0 and round(abs(value), decimals) >= 10.0 ** (digits - decimals):
        decimals -= 1
    return f"{value:,.{max(decimals, 0)}f}"


def quantity(value: float, unit: str) -> str:
    """Three digits, an SI prefix and the unit.

    >>> quantity(38_249.0, "J").replace(SPACE, " ")
    '38.2 kJ'
    """
    if not math.isfinite(value) or value == 0.0:
        return f"{significant(value)}{SPACE}{unit}"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            return f"{significant(value / factor)}{SPACE}{prefix}{unit}"
    return f"{value:.2g}{SPACE}{unit}"


def joules(value: Joules) -> str:
    """An energy."""
    return quantity(value, "J")


def size(value: Bytes) -> str:
    """A number of bytes, with decimal prefixes."""
    return quantity(value, "B") if abs(value) >= 1e3 else f"{value:.0f}{SPACE}B"


def watt_hours(value: Joules) -> str:
    """An energy in the unit of the electricity bill."""
    return quantity(value / _HOUR, "Wh")


def duration(value: Seconds) -> str:
    """A time in the two largest units that it fills.

    >>> duration(2472.0).replace(SPACE, " "), duration(12.34).replace(SPACE, " ")
    ('41 min 12 s', '12.3 s')
    """
    if not math.isfinite(value) or value < _MINUTE:
        return quantity(value, "s")
    for large, small, name, part in (
        (_DAY, _HOUR, "d", "h"), (_HOUR, _MINUTE, "h", "min"), (_MINUTE, 1.0, "min", "s"),
    ):  # fmt: skip
        if value >= large:
            whole, rest = divmod(round(value / small), round(large / small))
            tail = f"{SPACE}{rest}{SPACE}{part}" if rest else ""
            return f"{whole:,}{SPACE}{name}{tail}"
    raise AssertionError(value)


def share(part: float, whole: float) -> str:
    """A part in percent of a whole.

    >>> share(1.0, 3.0).replace(SPACE, " "), share(0.001, 3.0).replace(SPACE, " ")
    ('33 %', '< 1 %')
    """
    if not whole:
        return NONE
    percent = 100.0 * part / whole
    if 0.0 < percent < 1.0:
        return f"<{SPACE}1{SPACE}%"
    if 99.0 < percent < 100.0:
        return f">{SPACE}99{SPACE}%"
    return f"{percent:.0f}{SPACE}%"


def count(value: float, noun: str = "", plural: str = "") -> str:
    r"""A number of things, with the thing if it is named.

    >>> count(1, "device"), count(1200, "device")
    ('1\xa0device', '1,200\xa0devices')
    """
    if not noun:
        return f"{value:,.0f}"
    return f"{value:,.0f}{SPACE}{noun if value == 1 else plural or noun + 's'}"


def every(number: float, noun: str) -> str:
    r"""All of some things, in words.

    >>> every(3, "round"), every(1, "round")
    ('all 3\xa0rounds', 'the only round')
    """
    return f"the only {noun}" if number == 1 else f"all {count(number, noun)}"


def score(value: Fraction | None) -> str:
    """An accuracy."""
    return NONE if value is None else f"{value:.3f}"


def fixed(values: Iterable[float | None], digits: int = 4) -> list[str]:
    """A table column: equal decimals, as many as the largest value needs for `digits`.

    A value too small for them keeps two digits of its own, so that nothing is shown as zero that
    is not.

    >>> fixed([1234.5, 0.3, None, 0.0])
    ['1,234', '0.30', '–', '0']
    """
    given = list(values)
    finite = [abs(v) for v in given if v is not None and math.isfinite(v)]
    top = max(finite, default=0.0)
    decimals = min(max(digits - 1 - math.floor(math.log10(top)), 0), 6) if top else 0
    return [_cell(value, decimals) for value in given]


def _cell(value: float | None, decimals: int) -> str:
    if value is None:
        return NONE
    text = f"{value:,.{decimals}f}"
    vanished = not any(digit in text for digit in "123456789")
    return significant(value, 2) if vanished or not math.isfinite(value) else text


def time_scale(longest: Seconds) -> Scale:
    """The unit of a time axis that ends at `longest`."""
    for limit, unit in ((3 * _DAY, "d"), (3 * _HOUR, "h"), (3 * _MINUTE, "min")):
        if longest >= limit:
            return Scale(1.0 / {"d": _DAY, "h": _HOUR, "min": _MINUTE}[unit], unit)
    return Scale(1.0, "s") if longest >= 1.0 or not longest else Scale(1e3, "ms")


def si_scale(largest: float, unit: str) -> Scale:
    """The SI prefix of an axis that ends at `largest`."""
    for factor, prefix in _PREFIXES:
        if largest >= factor:
            return Scale(1.0 / factor, prefix + unit)
    return Scale(1.0, unit)


def table_scale(largest: float, unit: str) -> Scale:
    """The unit of a table column: with a prefix from 100,000 on; of times, that of a time axis.

    >>> table_scale(6375.0, "J"), table_scale(2.2e7, "J")
    (Scale(factor=1.0, unit='J'), Scale(factor=0.001, unit='kJ'))
    """
    return time_scale(largest) if unit == "s" else si_scale(max(largest / 100.0, 1.0), unit)


def rounded(values: Iterable[float], digits: int = 6) -> list[float]:
    """Values for a figure, without the digits that nobody can see."""
    return [float(f"{value:.{digits}g}") for value in values]


def labels(names: Sequence[str], width: int = 22) -> dict[str, str]:
    """A short label for each name; long names lose their middle, and labels stay unique.

    >>> labels(["pi-0", "a-very-long-device-name-that-goes-on-0"])["pi-0"]
    'pi-0'
    """
    short: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        label = name
        if len(name) > width:
            head = (width - 1) * 2 // 3
            label = f"{name[:head]}…{name[head + 1 - width :]}"
        stem, serial = label, 2
        while label in taken:
            label, serial = f"{stem} ({serial})", serial + 1
        taken.add(label)
        short[name] = label
    return short
