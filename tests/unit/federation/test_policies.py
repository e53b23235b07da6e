"""Uniform selection and synchronous rounds."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.federation.pace.sync import Sync
from hetsim.federation.selection.random import Random
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing import tiny

CLIENTS = tiny("cost_only=true", "fleet[0].count=8").world(CostOnlyLab()).clients


def test_random_is_uniform_and_in_fleet_order() -> None:
    times = Counter[str]()
    for number in range(1000):
        chosen = Random().choose(CLIENTS, 3, rng(0, "sim/selection", number))
        places = [client.index for client in chosen]
        assert places == sorted(places)
        times.update(client.id for client in chosen)
    assert len(times) == 10
    assert 250 < min(times.values()) <= max(times.values()) < 350


def test_random_takes_all_without_drawing_when_few_are_there() -> None:
    stream = rng(0, "sim/selection", 0)
    before = stream.bit_generator.state
    assert Random().choose(CLIENTS[:3], 3, stream) == CLIENTS[:3]
    assert stream.bit_generator.state == before


@pytest.mark.parametrize("cohort", [0, -3])
def test_random_asks_somebody(cohort: int) -> None:
    with pytest.raises(SpecError, match=f"cohort is {cohort}"):
        Random(cohort=cohort)


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_sync_gives_time(deadline: float) -> None:
    with pytest.raises(SpecError, match="deadline"):
        Sync(deadline=deadline)


@pytest.mark.parametrize("times", [0.0, 0.99, -1.0])
def test_sync_asks_at_least_the_cohort(times: float) -> None:
    with pytest.raises(SpecError, match="over_selection"):
        Sync(over_selection=times)


def test_sync_waits_for_ever_by_default() -> None:
    assert Sync().deadline == inf
