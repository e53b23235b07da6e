"""Bundles: members that cross over, levels that stay small."""

from __future__ import annotations

from itertools import count
from math import inf

import pytest

from hetsim.sim.activity import Activity, Resource
from hetsim.sim.bundle import Bundle

LINE = Resource("line", 10.0)


def bundle() -> Bundle:
    return Bundle((LINE,), False, 0.0, count(1).__next__)


def member(
    group: Bundle, amount: float = 1.0, ceiling: float = inf, weight: float = 1.0
) -> Activity:
    activity = Activity(amount, {LINE: 1.0}, lambda: None, weight=weight)
    activity.ceiling = ceiling
    group.add(activity, group.at)
    return activity


def test_members_cross_over_at_their_ceiling():
    group = bundle()
    low, high, free = member(group, ceiling=2.0), member(group, ceiling=5.0), member(group)
    assert group.alone(LINE) == 10.0 / 3
    assert not group.fits(10.0 / 3)
    group.fit(10.0 / 3, 1, {})
    assert (low.capped, high.capped, free.capped) == (True, False, False)
    assert group.alone(LINE) == 4.0
    assert group.fits(4.0)
    group.fit(6.0, 1, {})
    assert high.capped
    group.fit(1.0, 1, {})
    assert (low.capped, high.capped) == (True, False)  # the highest first, one at a time
    group.fit(1.0, 1, {})
    assert not low.capped


def test_due_is_the_first_of_those_who_rise_and_those_who_are_held():
    group = bundle()
    group.pace = 2.0
    member(group, amount=12.0)
    assert group.due() == 6.0
    member(group, amount=3.0, ceiling=1.0)
    group.fit(2.0, 1, {})
    assert group.due() == 3.0


def test_without_members_nothing_is_left_of_rounding():
    group = bundle()
    activities = [member(group, weight=0.1 * i) for i in range(1, 9)]
    group.pace = 0.3
    group.advance(1.0)
    assert group.level == 0.3
    for activity in activities:
        activity.settle(1.0)
        group.remove(activity)
    assert group.load(LINE) == group.level == 0.0
    assert group.due() == inf


@pytest.mark.parametrize("steps", [10, 1000])
def test_the_level_is_counted_anew_before_it_grows_large(steps: int):
    group = bundle()
    long = member(group, amount=1e6)
    group.pace = 1.0
    for step in range(steps):
        group.advance(float(step + 1))
    assert group.level <= 100.0
    long.settle(float(steps))
    assert long.done == steps
    assert group.due() == pytest.approx(1e6)


def test_entries_of_those_who_left_do_not_pile_up():
    group = bundle()
    member(group, amount=1e6, ceiling=5.0)
    for _ in range(1000):
        group.remove(member(group, amount=1e6, ceiling=5.0))
        assert group.due() == inf
    assert len(group._targets) < 100
    assert len(group._ceilings) < 100
