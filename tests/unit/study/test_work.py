"""A board at work: what its power is made of, how other work scales it, that a fit finds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.study.work import ACTIVE, fit_work, power_basis
from tests.unit.study.boards import CLOCKS, FORM, mape, swept

FULL = CLOCKS[-1:]


def test_power_at_full_speed_is_the_sum_of_what_is_drawn() -> None:
    time = FORM.time
    host, arithmetic, traffic = time.busy(FULL)[0]
    device = (arithmetic**time.overlap + traffic**time.overlap) ** (1.0 / time.overlap)
    shares = np.array([host, device, arithmetic, traffic]) / time(FULL)
    pairs = FORM.watts[1:].reshape(7, 2).sum(axis=1)
    expected = FORM.watts[0] + pairs[:4] @ shares + pairs[4:].sum()
    assert np.exp(FORM.predict(FULL)[1, 0]) == pytest.approx(expected)


def test_a_clock_that_works_draws_its_first_and_its_steep_power() -> None:
    columns = power_basis(FORM.time, CLOCKS, FORM.top, FORM.steepness)
    assert np.all(columns >= 0.0)
    v = CLOCKS / FORM.top
    assert columns[:, 9:] == pytest.approx(
        np.stack([v[:, 0], v[:, 0] ** 3, v[:, 1], v[:, 1] ** 4.5, v[:, 2], v[:, 2] ** 3], axis=1)
    )


def test_twice_the_work_takes_twice_as_long_at_the_same_power() -> None:
    twice = FORM.scaled(np.log([2.0, 1.0, 1.0, 1.0]), np.zeros(4))
    change = twice.predict(CLOCKS) - FORM.predict(CLOCKS)
    assert change[0] == pytest.approx(np.log(2.0))
    assert change[1] == pytest.approx(0.0, abs=1e-12)


def test_the_work_of_a_domain_scales_its_cycles_alone() -> None:
    for domain in range(3):
        factors = np.zeros(4)
        factors[1 + domain] = np.log(3.0)
        other = FORM.scaled(factors, np.zeros(4))
        expected = [3.0 if each == domain else 1.0 for each in range(3)]
        assert np.array(other.time.cycles) / FORM.time.cycles == pytest.approx(expected)
        assert replace(other.time, cycles=FORM.time.cycles) == FORM.time
        assert np.array_equal(other.watts, FORM.watts)


def test_the_activity_of_a_domain_scales_its_watts_alone() -> None:
    for place, active in enumerate(ACTIVE.values()):
        factors = np.zeros(4)
        factors[1 + place] = np.log(2.0)
        other = FORM.scaled(np.zeros(4), factors)
        expected = np.ones(len(FORM.watts))
        expected[active] = 2.0
        assert other.watts / FORM.watts == pytest.approx(expected)
        assert other.time == FORM.time


def test_a_fit_finds_the_form_behind_an_exact_sweep() -> None:
    sweep = swept(FORM)
    time, power = np.exp(fit_work(sweep).predict(CLOCKS))
    assert mape(time, sweep.time) < 0.3
    assert mape(power, sweep.energy / sweep.time) < 0.3


def test_a_fit_is_not_pulled_by_outliers() -> None:
    sweep = swept(FORM)
    wrong = np.random.default_rng(0).choice(len(sweep), 10, replace=False)
    energy = sweep.energy.copy()
    energy[wrong] *= 3.0
    found = fit_work(replace(sweep, energy=energy))
    assert mape(np.exp(found.predict(CLOCKS)[1]), sweep.energy / sweep.time) < 1.0


def test_a_fit_needs_no_variation_of_a_clock() -> None:
    at_one = CLOCKS[CLOCKS[:, 2] == CLOCKS[-1, 2]]
    sweep = swept(FORM, at_one)
    time, power = np.exp(fit_work(sweep).predict(at_one))
    assert mape(time, sweep.time) < 0.5
    assert mape(power, sweep.energy / sweep.time) < 0.5


def test_the_same_sweep_gives_the_same_fit_and_no_negative_watts() -> None:
    one, two = fit_work(swept(FORM, noise=0.05)), fit_work(swept(FORM, noise=0.05))
    assert one.time == two.time
    assert np.array_equal(one.watts, two.watts)
    assert np.all(one.watts >= 0.0)
