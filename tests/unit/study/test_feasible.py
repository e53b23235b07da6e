"""Ranges that measurements leave open, and the likeliest of what they leave, worked out by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from hetsim.core.errors import HetsimError
from hetsim.study.feasible import Feasible, Floats, Observed, Terms, Unknown, value_of


def unknown(name: str, expected: float = 1.0, low: float = 0.1, high: float = 10.0) -> Unknown:
    return Unknown(
        name=name, unit="s", expected=expected, low=low, high=high, spread=log(10.0), why="assumed"
    )


def terms(*rows: tuple[float, ...]) -> Terms:
    return [np.array(row) for row in rows]


def feasible(*measured: Observed, tolerance: float = 0.1, low: float = 0.1) -> Feasible:
    return Feasible(
        unknowns=[unknown("x", low=low), unknown("y", low=low)], measured=measured,
        tolerance=tolerance,
    )  # fmt: skip


X, Y = terms((1.0, 0.0, 0.0)), terms((0.0, 1.0, 0.0))
SUM = Observed(terms=terms((1.0, 1.0, 0.0)), values=[4.0])


def test_without_measurements_the_bounds_are_left() -> None:
    assert feasible().extent(X) == pytest.approx((0.1, 10.0))
    assert feasible().extent(X, Y) == pytest.approx((0.01, 100.0))


def test_a_sum_leaves_each_part_open() -> None:
    found = feasible(SUM)
    assert found.extent(SUM.terms) == pytest.approx((3.6, 4.4))
    assert found.extent(X) == pytest.approx((0.1, 4.3))
    assert found.extent(X, Y) == pytest.approx((0.1 / 4.3, 43.0))


def test_a_constant_is_no_unknown() -> None:
    found = feasible(Observed(terms=terms((1.0, 0.0, 3.0)), values=[4.0]))
    assert found.extent(X) == pytest.approx((0.6, 1.4))


def test_measurements_of_the_same_must_all_be_reproduced() -> None:
    found = feasible(Observed(terms=X, values=[2.0, 2.2]))
    assert found.extent(X) == pytest.approx((0.9 * 2.2, 1.1 * 2.0))


def test_one_of_the_terms_is_the_longest_and_nobody_knows_which() -> None:
    found = feasible(Observed(terms=[*X, *Y], values=[2.0]))
    assert found.extent([*X, *Y]) == pytest.approx((1.8, 2.2))
    assert found.extent(X) == pytest.approx((0.1, 2.2))
    assert found.extent(terms((1.0, 1.0, 0.0))) == pytest.approx((1.9, 4.4))
    assert found.extent(X, [*X, *Y]) == pytest.approx((0.1 / 2.2, 1.0))
    assert found.extent([*X, *Y], Y) == pytest.approx((1.0, 22.0))


def test_extents_are_those_of_what_a_grid_finds() -> None:
    measured = Observed(terms=terms((2.0, 1.0, 0.5), (0.0, 3.0, 0.0)), values=[5.0])
    found, ratio = feasible(measured), (terms((1.0, 2.0, 0.0)), terms((0.5, 0.0, 1.0)))
    points = [
        np.array([x, y])
        for x in np.linspace(0.1, 10.0, 400)
        for y in np.linspace(0.1, 10.0, 400)
        if abs(value_of(measured.terms, np.array([x, y])) / 5.0 - 1.0) <= 0.1
    ]
    values = [value_of(ratio[0], point) / value_of(ratio[1], point) for point in points]
    assert found.extent(*ratio) == pytest.approx((min(values), max(values)), rel=0.02)


def test_numbers_of_any_size() -> None:
    tiny = Unknown(
        name="x", unit="s/B", expected=2e-10, low=1e-10, high=8e-10, spread=log(2.0), why="assumed"
    )
    found = Feasible(
        unknowns=[tiny], measured=[Observed(terms=terms((1e10, 0.0)), values=[3.0])], tolerance=0.1
    )
    assert found.extent(terms((1.0, 0.0))) == pytest.approx((2.7e-10, 3.3e-10))
    assert found.likeliest() == pytest.approx([3e-10], rel=0.01)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(HetsimError, match="no values"):
        feasible(Observed(terms=X, values=[100.0])).extent(X)


def test_nothing_measured_is_as_expected() -> None:
    assert feasible().likeliest() == pytest.approx([1.0, 1.0])


def test_what_can_move_alike_moves_alike() -> None:
    x, y = feasible(SUM, tolerance=0.001).likeliest()
    assert x == pytest.approx(2.0, rel=1e-3)
    assert y == pytest.approx(x, rel=1e-4)


def test_the_longest_of_several_is_seen_through() -> None:
    """Only the larger term has to move, and the other one must stay below it."""
    both: Floats = feasible(Observed(terms=[*X, *Y], values=[2.0]), tolerance=0.001).likeliest()
    assert sorted(both.tolist()) == pytest.approx([1.0, 2.0], rel=1e-3)


def test_the_bounds_hold() -> None:
    found = feasible(Observed(terms=X, values=[4.0]), tolerance=0.001)
    capped = Feasible(
        unknowns=[unknown("x", high=3.0), unknown("y")], measured=found.measured, tolerance=0.001
    )
    assert found.likeliest()[0] == pytest.approx(4.0, rel=1e-3)
    assert capped.likeliest()[0] == pytest.approx(3.0)
