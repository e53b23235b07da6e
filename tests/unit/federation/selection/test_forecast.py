"""Forecasts of availability from what was seen."""

from __future__ import annotations

from math import exp

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.roster import Sightings, Situation
from hetsim.federation.selection.forecast import Forecast, stay, there
from hetsim.testing.selection import known, situation

HOUR = 3600.0


def seen(departures: int, hours: float, away: float = 0.0) -> Sightings:
    """Left so often in so many hours; there now, since this very instant."""
    return Sightings(
        here=True, since=10 * HOUR, present=hours * HOUR, absent=away * HOUR,
        departures=departures, returns=departures,
    )  # fmt: skip


def at_ten(seed: int = 0) -> Situation:
    return Situation(10 * HOUR, 5, situation(5, seed=seed).rng)


def test_rates_are_counts_over_time_with_a_prior() -> None:
    # left twice in 5 h, and once in the assumed hour: 3 in 6 h
    assert stay(seen(2, 5.0), 10 * HOUR, 2 * HOUR, HOUR) == pytest.approx(exp(-1.0))
    # and since then it was there for another 6 h: 3 in 12 h
    assert stay(seen(2, 5.0), 16 * HOUR, 2 * HOUR, HOUR) == pytest.approx(exp(-0.5))


def test_there_is_the_mean_over_the_slot_of_the_two_state_process() -> None:
    sightings = seen(2, 5.0, away=2.0)  # leaves at 3 / 6 h, returns at 3 / 3 h
    a, b, t = 0.5, 1.0, 2.0
    steps = 20_000
    slot = [t + t * (step + 0.5) / steps for step in range(steps)]
    mean = sum((b + a * exp(-(a + b) * when)) / (a + b) for when in slot) / steps
    assert there(sightings, 10 * HOUR, t * HOUR, HOUR) == pytest.approx(mean, rel=1e-8)
    assert there(sightings, 10 * HOUR, 0.0, HOUR) == 1.0


def test_those_who_stay_are_preferred() -> None:
    fleet = [known(place, sightings=seen(left, 9.0)) for place, left in enumerate([5, 0, 3, 1, 8])]
    chosen = Forecast().choose(fleet, 2, at_ten())
    assert [candidate.index for candidate in chosen] == [1, 3]


def test_who_needs_long_must_stay_long() -> None:
    fleet = [
        known(0, usual=100.0, sightings=seen(4, 9.0)),  # 5 in 10 h, for 100 s
        known(1, usual=HOUR, sightings=seen(1, 9.0)),  # 2 in 10 h, for an hour
    ]
    [chosen] = Forecast().choose(fleet, 1, at_ten())
    assert chosen.index == 0


def test_a_newcomer_is_expected_to_take_as_long_as_the_others() -> None:
    fleet = [
        known(0, usual=HOUR, sightings=seen(1, 9.0)),
        known(1, usual=1.0, sightings=seen(9, 9.0)),
        known(2, usual=2 * HOUR, sightings=seen(9, 9.0)),
        known(3, sightings=seen(0, 9.0)),  # for an hour: exp(-0.1) against exp(-0.2) of the first
    ]
    chosen = Forecast().choose(fleet, 2, at_ten())
    assert [candidate.index for candidate in chosen] == [1, 3]


def test_the_scarce_are_those_who_will_hardly_be_there() -> None:
    fleet = [
        known(0, usual=HOUR, sightings=seen(9, 9.0, away=1.0)),  # leaves often, returns at once
        known(1, usual=HOUR, sightings=seen(9, 9.0, away=90.0)),  # leaves often, stays away
        known(2, usual=HOUR, sightings=seen(0, 9.0)),
    ]
    [chosen] = Forecast(prefer="scarce").choose(fleet, 1, at_ten())
    assert chosen.index == 1
    [chosen] = Forecast(prefer="stay").choose(fleet, 1, at_ten())
    assert chosen.index == 2


def test_where_nothing_was_seen_chance_decides() -> None:
    fleet = [known(index) for index in range(5)]
    first = {Forecast().choose(fleet, 1, situation(0, seed=seed))[0].index for seed in range(60)}
    assert first == set(range(5))


def test_chance_decides_among_those_who_are_sure_to_stay() -> None:
    fleet = [known(place, usual=float(place), sightings=seen(0, 9.0)) for place in range(5)]
    first = {Forecast().choose(fleet, 1, at_ten(seed))[0].index for seed in range(60)}
    assert first == set(range(5)), "a few seconds more or less are no reason"


def test_it_assumes_something_beforehand() -> None:
    with pytest.raises(SpecError, match="prior is 0"):
        Forecast(prior=0.0)
