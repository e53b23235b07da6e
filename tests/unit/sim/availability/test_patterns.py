from itertools import islice, pairwise
from typing import Any

import pytest

from hetsim.core.rng import rng
from hetsim.sim.availability.always import Always
from hetsim.sim.availability.base import Availability, Circumstances
from hetsim.sim.availability.charging import Charging
from hetsim.sim.availability.random import Random
from hetsim.sim.availability.replay import Replay
from hetsim.sim.availability.windows import Windows


def about(device: str = "pi-0", **known: Any) -> Circumstances:
    return Circumstances(rng=rng(0, "sim/churn", device), **known)


def first(pattern: Availability, count: int, device: str = "pi-0") -> list[tuple[float, bool]]:
    return list(islice(pattern.changes(about(device)), count))


def test_always_never_changes():
    assert first(Always(), 5) == []


def test_random_alternates_with_the_given_means():
    changes = [(0.0, True), *first(Random(up=30.0, down=5.0), 20_000)]
    spans = [(after - before, here) for (before, here), (after, _) in pairwise(changes)]
    assert [here for _, here in spans[:4]] == [True, False, True, False]
    assert min(length for length, _ in spans) >= 0.0
    for state, mean in ((True, 30.0), (False, 5.0)):
        lengths = [length for length, here in spans if here is state]
        assert sum(lengths) / len(lengths) == pytest.approx(mean, rel=0.05)


def test_random_depends_on_the_name_only():
    pattern = Random(up=30.0, down=5.0)
    assert first(pattern, 9) == first(pattern, 9)
    assert first(pattern, 9) != first(pattern, 9, "pi-1")


def test_windows_repeat():
    pattern = Windows(on=((1.0, 3.0), (5.0, 6.0)), period=10.0)
    assert first(pattern, 9) == [
        (0.0, False), (1.0, True), (3.0, False), (5.0, True), (6.0, False),
        (11.0, True), (13.0, False), (15.0, True), (16.0, False),
    ]  # fmt: skip


def test_a_window_from_the_start_begins_present():
    assert first(Windows(on=((0.0, 2.0),), period=5.0), 3) == [
        (2.0, False), (5.0, True), (7.0, False),
    ]  # fmt: skip


def test_windows_that_touch_over_midnight_are_one():
    pattern = Windows(on=((0.0, 6.0), (22.0, 24.0)), period=24.0)
    assert first(pattern, 4) == [(6.0, False), (22.0, True), (30.0, False), (46.0, True)]


@pytest.mark.parametrize("on", [((0.0, 24.0),), ((0.0, 0.3), (0.3, 24.0))])
def test_windows_without_gap_never_change(on: tuple[tuple[float, float], ...]):
    assert first(Windows(on=on, period=24.0), 1) == []


@pytest.mark.parametrize(
    "on", [(), ((1.0, 1.0),), ((2.0, 1.0),), ((0.0, 2.0), (1.0, 3.0)), ((20.0, 25.0),)]
)
def test_windows_that_cannot_be_are_refused(on: tuple[tuple[float, float], ...]):
    with pytest.raises(ValueError, match="the windows are"):
        Windows(on=on, period=24.0)


@pytest.mark.parametrize(("up", "down"), [(0.0, 1.0), (1.0, 0.0)])
def test_random_times_are_above_zero(up: float, down: float):
    with pytest.raises(ValueError, match="above zero"):
        Random(up=up, down=down)


def test_charging_is_there_while_a_source_offers_power():
    offered = iter([(0.0, 0.0), (2.0, 5.0), (3.0, 7.0), (4.0, 0.0), (12.0, 5.0)])
    changes = list(Charging().changes(about(offered=offered)))
    assert changes == [(0.0, False), (2.0, True), (4.0, False), (12.0, True)]


def test_charging_from_the_start():
    offered = iter([(0.0, 5.0), (4.0, 1.0)])
    assert list(Charging(least=2.0).changes(about(offered=offered))) == [(4.0, False)]


def test_a_source_that_comes_later_or_never():
    assert list(Charging().changes(about(offered=iter([(3.0, 5.0)])))) == [
        (0.0, False), (3.0, True)
    ]  # fmt: skip
    assert list(Charging().changes(about())) == [(0.0, False)]


STEPS = ((10.0, 1.0), (13.0, 0.0), (14.0, 0.2), (15.0, 1.0))


def test_a_trace_loops_from_its_first_row():
    changes = list(islice(Replay(file="x.csv").changes(about(steps=STEPS)), 4))
    assert changes == [(3.0, False), (5.0, True), (9.0, False), (11.0, True)]


def test_a_trace_may_end_as_it_is():
    changes = list(Replay(file="x.csv", end="clamp").changes(about(steps=STEPS)))
    assert changes == [(3.0, False), (5.0, True)]


def test_a_trace_that_begins_away():
    steps = ((0.0, 0.0), (2.0, 1.0))
    changes = list(islice(Replay(file="x.csv").changes(about(steps=steps)), 3))
    assert changes == [(0.0, False), (2.0, True), (4.0, False)]


def test_each_device_can_start_elsewhere_in_the_trace():
    pattern = Replay(file="x.csv", start="random")
    here, there = (list(islice(pattern.changes(about(name, steps=STEPS)), 6)) for name in "ab")
    assert here != there
    for changes in (here, there):
        lengths = {round(b - a, 9) for (a, _), (b, _) in pairwise(changes) if a > 0.0}
        assert lengths == {2.0, 4.0}
