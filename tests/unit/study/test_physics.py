from __future__ import annotations

import numpy as np
import pytest

from hetsim.study.physics import TimeForm, fit_power, fit_time
from tests.unit.study.synthetic_board import ADDITIVE, CLOCKED, LEAN, OVERLAPPING, grid, sweep

SOME = np.arange(0, len(grid()), 5)


def test_additive_coefficients_come_back() -> None:
    clocks = grid()[SOME]
    found = fit_time(clocks, ADDITIVE(clocks), overlapping=False)
    assert found.overhead == pytest.approx(ADDITIVE.overhead, rel=1e-6)
    assert found.cycles == pytest.approx(ADDITIVE.cycles, rel=1e-6)
    assert (found.background, found.ahead, found.overlap) == (0.0, 1.0, 1.0)


def test_overlapping_coefficients_come_back() -> None:
    clocks = grid()[SOME]
    found = fit_time(clocks, OVERLAPPING(clocks), overlapping=True)
    assert found.cycles == pytest.approx(OVERLAPPING.cycles, rel=0.01)
    assert found.background == pytest.approx(OVERLAPPING.background, rel=0.03)
    assert found.overlap == pytest.approx(OVERLAPPING.overlap, rel=0.03)
    assert found(grid()) == pytest.approx(OVERLAPPING(grid()), rel=2e-3)


@pytest.mark.parametrize("power", [LEAN, CLOCKED])
def test_powers_come_back(power) -> None:
    clocks = grid()
    shares = OVERLAPPING.shares(clocks)
    watts = power(clocks, shares)
    found = fit_power(clocks, shares, watts, clocked=power is CLOCKED)
    assert found.base == pytest.approx(power.base, rel=1e-6)
    for one, other in zip(found.busy + found.clocked, power.busy + power.clocked, strict=True):
        assert one[1] == pytest.approx(other[1], rel=1e-4, abs=1e-33)
    for one, other in zip(found.clocked, power.clocked, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-16)
    assert found(clocks, shares) == pytest.approx(watts, rel=1e-9)


def test_linear_terms_while_busy_are_determined_as_a_sum() -> None:
    clocks = grid()
    shares = ADDITIVE.shares(clocks)
    found = fit_power(clocks, shares, LEAN(clocks, shares), clocked=False)
    joules = [
        sum(a * cycles for (a, _), cycles in zip(form.busy, ADDITIVE.cycles, strict=True))
        for form in (found, LEAN)
    ]
    assert joules[0] == pytest.approx(joules[1], rel=1e-6)


def test_a_form_by_hand() -> None:
    form = TimeForm(overhead=1.0, cycles=(6.0, 3.0, 4.0), background=1.0, ahead=1.0, overlap=2.0)
    clocks = np.array([[3.0, 1.0, 1.0]])
    assert form.busy(clocks).tolist() == [[3.0, 3.0, 4.0]]
    assert form(clocks).tolist() == [pytest.approx(1.0 + 3.0 + 5.0)]
    assert form.shares(clocks)[0] == pytest.approx([3 / 9, 3 / 9, 4 / 9])


@pytest.mark.parametrize("overlapping", [False, True])
def test_far_outside_what_was_measured_it_stays_positive_and_falls_with_each_clock(
    overlapping: bool,
) -> None:
    inside = sweep(noise=0.03)
    clocks = inside.clocks[SOME]
    clocks = clocks[clocks[:, 0] > 300e6]
    form = fit_time(clocks, OVERLAPPING(clocks), overlapping=overlapping)
    for domain in range(3):
        path = np.tile(np.median(clocks, axis=0), (60, 1))
        path[:, domain] = np.geomspace(1e6, 1e11, 60)
        times = form(path)
        assert np.isfinite(times).all()
        assert (times > 0.0).all()
        assert (np.diff(times) <= 1e-12 * times[:-1]).all()


def test_a_domain_without_a_term_draws_nothing_busy() -> None:
    clocks = grid()
    form = TimeForm(overhead=0.0, cycles=(0.0, 1e8, 1e8))
    found = fit_power(clocks, form.shares(clocks), np.full(len(clocks), 5.0), clocked=False)
    assert found.busy[0] == (0.0, 0.0)
    assert found.base == pytest.approx(5.0)
