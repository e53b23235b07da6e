from __future__ import annotations

from itertools import pairwise

import pytest

from hetsim.sim.stores.voltage import Voltage

TABLE = ((0.0, 3.0), (0.2, 3.5), (0.6, 3.5), (1.0, 4.3))


def cell(charge: float = 1.0, cutoff: float = 0.0) -> Voltage:
    return Voltage(361.0, charge, TABLE, cutoff)


def test_coulombs_follow_from_joules_and_the_mean_voltage() -> None:
    assert cell().full == pytest.approx(361.0 / 3.61)
    assert (cell().stored, cell(0.0).stored) == (361.0, 0.0)


@pytest.mark.parametrize("charge", [0.0, 0.05, 0.2, 0.4, 0.6, 0.9, 1.0])
def test_charge_and_voltage_are_those_of_the_table(charge: float) -> None:
    state = cell(charge)
    assert state.charge / state.full == pytest.approx(charge, abs=1e-14)
    for (x0, v0), (x1, v1) in pairwise(TABLE):
        if x0 <= charge <= x1:
            voltage = v0 + (v1 - v0) * (charge - x0) / (x1 - x0)
            assert state.voltage == pytest.approx(voltage, rel=1e-14)


def test_current_is_power_over_voltage() -> None:
    state = cell(0.9)
    before = state.charge
    state.advance(7.0, 1e-3)
    assert (before - state.charge) / 1e-3 == pytest.approx(7.0 / 4.1, rel=1e-4)


def test_the_charge_that_is_drawn_is_the_integral_of_the_current() -> None:
    state, charge, dt = cell(1.0), cell().full, 0.01
    for _ in range(1000):  # the midpoint rule
        state.advance(10.0, dt / 2)
        charge -= 10.0 / state.voltage * dt
        state.advance(10.0, dt / 2)
    assert state.charge == pytest.approx(charge, rel=1e-9)


def test_it_stops_at_the_cutoff_and_counts_its_level_from_there() -> None:
    state = cell(1.0, cutoff=3.9)
    assert state.level == 1.0
    left = state.until(0.0, 5.0)
    assert state.advance(5.0, left) == pytest.approx(100.0 * 0.2 * 4.1)
    assert state.voltage == pytest.approx(3.9, rel=1e-14)
    assert state.level == pytest.approx(0.0, abs=1e-15)
    assert state.advance(5.0, 10.0) == pytest.approx(0.0, abs=1e-12), "what is below stays there"


def test_a_flat_stretch_is_cut_at_its_lower_end() -> None:
    state = cell(1.0, cutoff=3.5)
    state.advance(5.0, 1e3)
    assert state.charge / state.full == pytest.approx(0.2)


def test_what_starts_below_the_cutoff_has_to_be_charged_first() -> None:
    state = cell(0.1, cutoff=3.5)
    assert state.level < 0.0
    assert state.until(0.0, 5.0) == 0.0
    assert state.advance(5.0, 1.0) == 0.0
    missing = -state.level * (361.0 - 65.0)
    assert state.until(0.0, -2.0) == pytest.approx(missing / 2.0)


def test_a_cutoff_above_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="never above"):
        cell(1.0, cutoff=4.3)
