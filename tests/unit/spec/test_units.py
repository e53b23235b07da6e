from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.spec import units
from hetsim.spec.units import Dimension

WRITTEN: list[Dimension] = [name for name in get_args(Dimension) if name != "fraction"]


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("20 Mbit/s", "rate", 2.5e6),
        ("2.5 MB/s", "rate", 2.5e6),
        ("1 bit/s", "rate", 0.125),
        ("4 GiB", "size", 4 * 2.0**30),
        ("640 kB", "size", 640e3),
        ("1 byte", "size", 1.0),
        ("3.7 Wh", "energy", 13320.0),
        ("1 kWh", "energy", 3.6e6),
        ("150 mW", "power", 0.15),
        ("2 min", "time", 120.0),
        ("1.5 h", "time", 5400.0),
        ("2 hours", "time", 7200.0),
        ("3 µs", "time", 3e-6),
        ("1d", "time", 86400.0),
        ("1.2 GHz", "frequency", 1.2e9),
        ("25 degC", "temperature", 25.0),
        ("-3 °C", "temperature", -3.0),
        ("298.15 K", "temperature", 25.0),
        ("80 %", "fraction", 0.8),
        ("57%", "fraction", 0.57),
        (0.3, "fraction", 0.3),
        (1, "fraction", 1.0),
        ("0.8 W/GHz", "power per frequency", 0.8e-9),
        ("91.32 nJ/bit", "energy per size", 7.3056e-7),
        ("2 J/MB", "energy per size", 2e-6),
        ("0.3 W/GHz^3", "power per cubed frequency", 0.3e-27),
        ("1e3 W", "power", 1000.0),
        (" 5 W ", "power", 5.0),
        ("-0 W", "power", 0.0),
    ],
)
def test_reads_what_people_write(text: object, dimension: Dimension, value: float) -> None:
    assert units.parse(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension", "says"),
    [
        (20, "rate", "20 has no unit"),
        (True, "rate", "expected a quantity, got true"),
        (None, "rate", "expected a quantity, got nothing"),
        ({}, "rate", "expected a quantity, got a mapping"),
        ("20", "rate", "20 has no unit"),
        ("Mbit/s", "rate", "is not a quantity"),
        ("", "rate", "is not a quantity"),
        ("1 2 W", "power", "is not a quantity"),
        ("__import__('os') W", "power", "is not a quantity"),
        ("2 (W)", "power", "is not a quantity"),
        ("2 W**9999999999", "power", "is not a quantity"),
        ("2 W" + "s" * 500, "power", "is not a quantity"),
        ("1 furlong", "time", "not a known unit"),
        ("1 Gb/s", "rate", 'Did you mean "Gbit/s"?'),
        ("1 mbit/s", "rate", 'Did you mean "Mbit/s"?'),
        ("20 MHz", "rate", "no unit of rate"),
        ("20 Mbit/s", "frequency", "no unit of frequency"),
        ("20 s", "temperature", "no unit of temperature"),
        ("1 W", "power per frequency", "no unit of power per frequency"),
        ("91 mW", "energy per size", "no unit of energy per size"),
        ("-1 s", "time", "negative"),
        ("1e400 s", "time", "too large"),
        ("1e999999999 s", "time", "is not a quantity"),
        ("9e307 d", "time", "too large"),
        ("nan s", "time", "not finite"),
        ("-inf s", "time", "not finite"),
        (math.nan, "fraction", "not between 0 and 1"),
        (True, "fraction", "expected a quantity"),
        ("101 %", "fraction", "not between 0 and 1"),
        (-0.1, "fraction", "not between 0 and 1"),
    ],
)
def test_refuses_the_rest_and_says_what_to_write(
    text: object, dimension: Dimension, says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse(text, dimension)
    assert says in caught.value.what
    assert caught.value.remedy.startswith("Write ")


@pytest.mark.parametrize("text", ["0 s", "-1 s", "1e-999 s"])
def test_positive_refuses_zero(text: str) -> None:
    with pytest.raises(SpecError):
        units.parse(text, "time", positive=True)


@given(st.sampled_from(WRITTEN), st.floats(min_value=0.0, allow_infinity=False))
def test_what_is_written_is_read_back(dimension: Dimension, value: float) -> None:
    assert units.parse(units.format(value, dimension), dimension) == value


@given(st.integers(0, 10**9), st.sampled_from(["rate", "size", "time", "energy", "power"]))
def test_one_value_has_one_text(number: int, dimension: Dimension) -> None:
    unit = {"rate": "kbit/s", "size": "KiB", "time": "min", "energy": "mWh", "power": "mW"}
    value = units.parse(f"{number} {unit[dimension]}", dimension)
    text = units.format(value, dimension)
    assert units.format(units.parse(text, dimension), dimension) == text


@given(st.decimals(0, 10**6, places=3, allow_nan=False))
def test_every_spelling_of_a_quantity_is_the_same_float(number: object) -> None:
    assume(number)
    assert units.parse(f"{number} s", "time") == float(str(number))
    assert units.parse(f"{number}e3 ms", "time") == units.parse(f"{number} s", "time")
    assert units.parse(f"{number} kB", "size") == units.parse(f"{number}e3 B", "size")


def test_a_rate_is_written_in_bits() -> None:
    assert units.format(15e6, "rate") == "120 Mbit/s"
