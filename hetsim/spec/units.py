"""Quantities as text, the only form in which a unit other than SI exists.

pint reads units and converts. It is given a short list of definitions in place of its own file,
for two reasons: there a bit has no dimension, so that "20 MHz" would pass as a rate; and the short
list loads at once. Factors are exact fractions: every spelling of a quantity ("0.5 min", "30 s")
gives the same float, and with it the same digest of a spec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, cast

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.spec.load import in_words

Dimension = Literal[
    "time", "energy", "power", "size", "rate", "frequency", "temperature", "fraction",
    "energy per size", "power per frequency", "power per cubed frequency",
    "voltage", "thermal resistance", "heat capacity", "rate constant", "angle",
]  # fmt: skip

_DEFINITIONS = """
    nano- = 1e-9 = n-
    micro- = 1e-6 = u- = µ- = μ-
    milli- = 1e-3 = m-
    kilo- = 1e3 = k-
    mega- = 1e6 = M-
    giga- = 1e9 = G-
    tera- = 1e12 = T-
    kibi- = 1024 = Ki-
    mebi- = 1048576 = Mi-
    gibi- = 1073741824 = Gi-
    tebi- = 1099511627776 = Ti-
    second = [time] = s = sec
    minute = 60 * second = min
    hour = 60 * minute = h
    day = 24 * hour = d
    joule = [energy] = J
    watt = joule / second = W
    watt_hour = watt * hour = Wh
    hertz = 1 / second = Hz
    bit = [information]
    byte = 8 * bit = B
    kelvin = [temperature]; offset: 0 = K
    degree_Celsius = kelvin; offset: 273.15 = degC
    volt = [voltage] = V
    degree = [angle] = deg
    percent = 0.01 = %
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a dimension is stored and shown: SI unit, an example, units to write and to name."""

    si: str
    example: str
    units: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Units that a message names."""
        return (*self.units, *self.others)


_SCALES: dict[Dimension, _Scale] = {
    "time": _Scale("s", "2 min", ("us", "ms", "s", "min", "h", "d")),
    "energy": _Scale("J", "3.7 Wh", ("mJ", "J", "kJ", "MJ", "mWh", "Wh", "kWh")),
    "power": _Scale("W", "2.3 W", ("uW", "mW", "W", "kW")),
    "size": _Scale("B", "4 GiB", ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"), ("bit",)),
    "rate": _Scale(
        "B/s", "20 Mbit/s", ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"), ("B/s", "kB/s", "MB/s")
    ),
    "frequency": _Scale("Hz", "1.2 GHz", ("Hz", "kHz", "MHz", "GHz")),
    "temperature": _Scale("degC", "25 degC", ("degC", "K")),
    "fraction": _Scale("", "80 %", ("%",)),
    "energy per size": _Scale("J/B", "91 nJ/bit", ("nJ/bit", "J/MB"), ("nJ/B", "uJ/B", "J/B")),
    "power per frequency": _Scale("W/Hz", "0.8 W/GHz", ("W/Hz", "W/MHz", "W/GHz")),
    "power per cubed frequency": _Scale("W/Hz^3", "0.3 W/GHz^3", ("W/Hz^3", "W/MHz^3", "W/GHz^3")),
    "voltage": _Scale("V", "3.7 V", ("mV", "V")),
    "thermal resistance": _Scale("K/W", "8 K/W", ("K/W", "mK/mW")),
    "heat capacity": _Scale("J/K", "20 J/K", ("J/K", "kJ/K")),
    "rate constant": _Scale("1/s", "4.5e-4 1/s", ("1/s", "1/min", "1/h")),
    "angle": _Scale("deg", "52.5 deg", ("deg",)),
}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_UNIT = r"(?:(?<=\s)1/)?[A-Za-zµμ°%][^\s\d]*(?:\^[23])?"
_QUANTITY = re.compile(rf"({_NUMBER}|[-+]?\.?(?:inf|nan)\b)\s*({_UNIT})?")
_LONGEST = 80
_LARGEST = 10**300
_SMALLER_THAN_A_BIT = re.compile(r"\b(?:milli|micro|nano|[munµμ])(?=bit|byte|B)")


def parse(text: object, dimension: Dimension, *, positive: bool = False) -> float:
    """The SI value of a quantity such as "20 Mbit/s" (bytes a second, here 2 500 000).

    A fraction may also be a bare number between 0 and 1. Only temperatures and angles may be
    negative.

    >>> parse("20 Mbit/s", "rate"), parse("640 kB", "size"), parse("80 %", "fraction")
    (2500000.0, 640000.0, 0.8)

    Args:
        text: what the user wrote.
        dimension: what it must measure.
        positive: refuse zero too.

    Raises:
        SpecError: no unit, an unknown one, one of another dimension, or a value out of range.
    """
    if dimension == "fraction" and isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text) if abs(text) <= 1 else 2.0
    else:
        value = _value(text, dimension)
    if not isfinite(value):
        raise SpecError(f"{text} is too large.", remedy=remedy(dimension))
    if dimension == "fraction" and not 0.0 <= value <= 1.0:
        raise SpecError(f"{text} is not between 0 and 1.", remedy=remedy(dimension))
    if value < 0.0 and dimension not in ("temperature", "angle"):
        raise SpecError(f"{text} is negative.", remedy=remedy(dimension))
    if positive and value <= 0.0:
        raise SpecError(f"{text} is not above zero.", remedy=remedy(dimension))
    return value + 0.0


def format(value: float, dimension: Dimension) -> str:
    """The shortest text that `parse` reads back as exactly `value`.

    >>> format(2.5e6, "rate"), format(7200.0, "time"), format(4294967296.0, "size")
    ('20 Mbit/s', '2 h', '4 GiB')
    """
    scale = _SCALES[dimension]
    best = f"{_shown(value)} {scale.si}".rstrip()
    if dimension == "temperature" or value == 0.0:
        return best
    best_rank = (len(_shown(value)), Fraction(0))
    for unit in scale.units:
        factor = _factor(unit, dimension)
        ratio = Fraction(value) / factor
        if not 1 <= ratio < _LARGEST:
            continue
        number = _shown(float(ratio))
        rank = (len(number), -factor)
        if rank < best_rank and float(Fraction(number) * factor) == value:
            best, best_rank = f"{number} {unit}", rank
    return best


def remedy(dimension: Dimension) -> str:
    """What to write for a quantity of this dimension."""
    scale = _SCALES[dimension]
    if dimension == "fraction":
        return 'Write a number between 0 and 1, such as 0.8, or a percentage such as "80 %".'
    return f'Write a quantity such as "{scale.example}" ({", ".join(scale.known)}).'


def example(dimension: Dimension) -> str:
    """A quantity of this dimension as a user writes it."""
    return _SCALES[dimension].example


def _value(text: object, dimension: Dimension) -> float:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise SpecError(f"expected a quantity, got {in_words(text)}.", remedy=remedy(dimension))
    shown = str(text).strip()
    match = _QUANTITY.fullmatch(shown) if len(shown) <= _LONGEST else None
    if match is None:
        raise SpecError(f'"{shown[:_LONGEST]}" is not a quantity.', remedy=remedy(dimension))
    number, unit = match.group(1), match.group(2)
    if "n" in number.lower():
        raise SpecError(f"{shown} is not finite.", remedy=remedy(dimension))
    if unit is None:
        raise SpecError(f"{shown} has no unit.", remedy=remedy(dimension))
    if dimension == "temperature":
        return _celsius(number, unit)
    try:
        return float(Fraction(number) * _factor(unit, dimension))
    except OverflowError:
        raise SpecError(f"{shown} is too large.", remedy=remedy(dimension)) from None


@lru_cache(maxsize=1)
def _registry() -> Any:
    """The unit reader, made when the first quantity is read: importing pint takes a while."""
    import pint

    registry = cast(Any, pint.UnitRegistry)(None, non_int_type=Fraction)
    registry.load_definitions([line.strip() for line in _DEFINITIONS.strip().splitlines()])
    return registry


@lru_cache(maxsize=1024)
def _factor(unit: str, dimension: Dimension) -> Fraction:
    """How many SI units one `unit` is."""
    return _one(Fraction(1), unit, dimension)


def _celsius(number: str, unit: str) -> float:
    return float(_one(Fraction(number), unit, "temperature"))


def _one(magnitude: Fraction, unit: str, dimension: Dimension) -> Fraction:
    """`magnitude` `unit`s in the SI unit of the dimension."""
    from pint.errors import DimensionalityError

    registry = _registry()
    scale = _SCALES[dimension]
    try:
        known = registry.parse_units(unit.replace("°", "deg"))
    except Exception:  # pint's errors for text it cannot read share no base class
        hint = did_you_mean(unit, scale.known)
        raise SpecError(f'"{unit}" is not a known unit.{hint}', remedy=remedy(dimension)) from None
    if _SMALLER_THAN_A_BIT.search(unit):
        hint = f'Did you mean "{_SMALLER_THAN_A_BIT.sub("M", unit)}"?'
        raise SpecError(f'"{unit}" is less than a bit. {hint}', remedy=remedy(dimension))
    try:
        return Fraction(registry.Quantity(magnitude, known).to(scale.si).magnitude)
    except DimensionalityError:
        raise SpecError(f'"{unit}" is no unit of {dimension}.', remedy=remedy(dimension)) from None


def _shown(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
