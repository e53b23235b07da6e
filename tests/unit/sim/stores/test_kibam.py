"""The closed form against `tests/oracle`; here what it does at its edges."""

from __future__ import annotations

from math import exp, inf

import pytest

from hetsim.sim.stores.kibam import Kibam


def wells(stored: float = 100.0, gap: float = 0.0, rate: float = 0.01) -> Kibam:
    return Kibam(capacity=100.0, stored=stored, share=0.4, rate=rate, gap=gap)


def test_wells_at_rest_stand_at_one_height() -> None:
    state = wells(50.0)
    assert (state.available, state.bound, state.level) == pytest.approx((20.0, 30.0, 0.5))


def test_a_pause_makes_bound_charge_available() -> None:
    state = wells()
    state.advance(state.until(0.0, 4.0) and 4.0, state.until(0.0, 4.0))
    assert state.level == pytest.approx(0.0, abs=1e-12)
    bound = state.bound
    assert bound > 10.0
    state.advance(0.0, 1e6)
    assert state.available == pytest.approx(0.4 * bound)
    assert state.stored == pytest.approx(bound)


def test_a_slow_draw_takes_nearly_all() -> None:
    state = wells()
    assert state.until(0.0, 1e-4) * 1e-4 == pytest.approx(100.0, rel=0.02)
    fast = state.until(0.0, 1e4) * 1e4
    assert fast == pytest.approx(40.0, rel=1e-3)


def test_the_root_holds_after_charging_and_after_a_rest() -> None:
    """A gap above its limit: the height rises first, and the root lies beyond."""
    state = wells(60.0, gap=90.0)
    assert state.level == pytest.approx(0.06)
    left = state.until(0.0, 0.2)
    state.advance(0.2, left / 3)
    assert state.level > 0.06
    assert state.until(0.0, 0.2) == pytest.approx(left * 2 / 3, rel=1e-12)
    state.advance(0.2, left * 2 / 3)
    assert state.level == pytest.approx(0.0, abs=1e-12)


def test_a_full_available_well_lets_in_what_flows_on() -> None:
    """At h1 = capacity the gap decays as exp(-k c t), whatever more is offered."""
    state = wells(70.0)
    filled = state.until(1.0, -5.0)
    came = state.advance(-5.0, filled)
    assert came == pytest.approx(-5.0 * filled)
    state.snap(1.0)
    gap, stored = state.gap, state.stored
    assert gap < 0.0
    more = -state.advance(-5.0, 30.0)
    assert state.gap == pytest.approx(gap * exp(-0.01 * 0.4 * 30.0), rel=1e-12)
    assert more == pytest.approx(0.6 * -gap * (1.0 - exp(-0.12)), rel=1e-12)
    assert state.stored == pytest.approx(stored + more, rel=1e-14)
    assert state.level == pytest.approx(1.0, rel=1e-14)


def test_a_charge_that_passes_full_is_the_same_in_one_step_and_in_two() -> None:
    one, two = wells(70.0), wells(70.0)
    total = one.advance(-5.0, 40.0)
    half = two.advance(-5.0, two.until(1.0, -5.0))
    rest = two.advance(-5.0, 40.0 - half / -5.0)
    assert half + rest == pytest.approx(total, rel=1e-13)
    assert two.stored == pytest.approx(one.stored, rel=1e-14)


def test_a_weak_charger_lets_a_full_well_fall_and_come_back() -> None:
    state = wells(50.0, gap=-250.0 / 3)
    assert state.level == pytest.approx(1.0)
    state.advance(-0.01, 5.0)
    assert state.level < 1.0
    assert state.stored == pytest.approx(50.05)


def test_levels_that_are_never_reached() -> None:
    assert wells().until(0.0, 0.0) == inf
    assert wells(0.0).until(0.0, 1.0) == 0.0
    assert wells(50.0).until(0.2, -1.0) == 0.0
    assert wells(60.0, gap=90.0).until(0.0, 5e-324) == inf
