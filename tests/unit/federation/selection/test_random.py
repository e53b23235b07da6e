"""Uniform selection."""

from __future__ import annotations

from collections import Counter

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.federation.selection.random import Random
from hetsim.testing.selection import known, situation

FLEET = [known(index) for index in range(10)]


def test_it_is_uniform_and_in_fleet_order() -> None:
    times = Counter[str]()
    for number in range(1000):
        chosen = Random().choose(FLEET, 3, situation(number))
        places = [candidate.index for candidate in chosen]
        assert places == sorted(places)
        times.update(candidate.id for candidate in chosen)
    assert len(times) == 10
    assert 250 < min(times.values()) <= max(times.values()) < 350


def test_its_draws_are_those_of_numpy() -> None:
    for number in range(20):
        picks = rng(0, "sim/selection", number).choice(10, size=3, replace=False)
        chosen = Random().choose(FLEET, 3, situation(number))
        assert [candidate.index for candidate in chosen] == sorted(picks.tolist())


def test_it_takes_all_without_drawing_when_few_are_there() -> None:
    about = situation()
    before = about.rng.bit_generator.state
    assert Random().choose(FLEET[:3], 3, about) == FLEET[:3]
    assert about.rng.bit_generator.state == before


@pytest.mark.parametrize("cohort", [0, -3])
def test_it_asks_somebody(cohort: int) -> None:
    with pytest.raises(SpecError, match=f"cohort is {cohort}"):
        Random(cohort=cohort)
