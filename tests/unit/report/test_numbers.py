"""Numbers for people: the right size, never an exponent, never a zero that is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hetsim.report import numbers

positive = st.floats(1e-9, 1e15)


def plain(text: str) -> str:
    return text.replace(numbers.SPACE, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 J"), (0.0123, "12.3 mJ"), (999.6, "1.00 kJ"), (1000.0, "1.00 kJ"),
        (38_249.0, "38.2 kJ"), (1.5e7, "15.0 MJ"), (-2.5e3, "-2.50 kJ"), (3e-9, "3e-09 J"),
    ],
)  # fmt: skip
def test_joules(value: float, text: str) -> None:
    assert plain(numbers.joules(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"), (0.25, "250 ms"), (59.94, "59.9 s"), (60.0, "1 min"), (61.2, "1 min 1 s"),
        (3599.9, "60 min"), (3600.0, "1 h"), (5400.0, "1 h 30 min"), (90_000.0, "1 d 1 h"),
        (1e9, "11,574 d 2 h"),
    ],
)  # fmt: skip
def test_duration(value: float, text: str) -> None:
    assert plain(numbers.duration(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 B"), (12.0, "12 B"), (960e3, "960 kB"), (1.2e7, "12.0 MB")]
)
def test_size(value: float, text: str) -> None:
    assert plain(numbers.size(value)) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 2, "50 %"), (0, 2, "0 %"), (2, 2, "100 %"), (1, 900, "< 1 %"), (899.5, 900, "> 99 %"),
     (0, 0, numbers.NONE)],
)  # fmt: skip
def test_share_tells_little_from_nothing(part: float, whole: float, text: str) -> None:
    assert plain(numbers.share(part, whole)) == text


@given(positive)
def test_significant_is_close_and_plain(value: float) -> None:
    text = numbers.significant(value)
    assert "e" not in text
    assert math.isclose(float(text.replace(",", "")), value, rel_tol=0.0051)


@example([1000.0, 0.5])
@given(st.lists(positive | st.none() | st.just(0.0), min_size=1, max_size=20))
def test_a_column_shows_nothing_as_zero_that_is_not(values: list[float | None]) -> None:
    cells = numbers.fixed(values)
    for value, cell in zip(values, cells, strict=True):
        if value is None:
            assert cell == numbers.NONE
        else:
            assert (float(cell.replace(",", "")) == 0.0) == (value == 0.0)


@given(st.floats(0.001, 1e8))
def test_axes_end_at_a_number_one_can_read(value: float) -> None:
    assert 0.5 <= value * numbers.time_scale(value).factor <= 1500
    assert 0.9 <= value * numbers.si_scale(value, "J").factor < 1000.5


@given(st.lists(st.text(min_size=1, max_size=60), max_size=30, unique=True), st.integers(6, 30))
def test_labels_are_short_and_unique(names: list[str], width: int) -> None:
    short = numbers.labels(names, width)
    assert len(set(short.values())) == len(names)
    assert all(len(label) <= width + len(" (30)") for label in short.values())
