from itertools import islice, pairwise

import pytest

from hetsim.core.rng import rng
from hetsim.sim.availability.always import Always
from hetsim.sim.availability.base import Availability
from hetsim.sim.availability.random import Random
from hetsim.sim.availability.windows import Windows


def first(pattern: Availability, count: int, device: str = "pi-0") -> list[tuple[float, bool]]:
    return list(islice(pattern.changes(rng(0, "sim/churn", device)), count))


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
