"""Components: paces worked out by hand, from the last choice of capped members and from none."""

from __future__ import annotations

from itertools import count
from math import inf

import pytest

from hetsim.sim.activity import Activity, Resource
from hetsim.sim.bundle import Bundle
from hetsim.sim.component import Component


class Mesh:
    """Bundles over lines of given capacities."""

    def __init__(self, *capacities: float) -> None:
        self.lines = [Resource(f"l{i}", capacity) for i, capacity in enumerate(capacities)]
        self.bundles: dict[Bundle, float] = {}
        self._serial = count(1).__next__

    def bundle(self, *lines: int, ceilings: tuple[float, ...] = (inf,)) -> Bundle:
        key = tuple(self.lines[i] for i in lines)
        bundle = Bundle(key, False, 0.0, self._serial)
        self.bundles[bundle] = 0.0
        for line in key:
            line.bundles[bundle] = None
        for ceiling in ceilings:
            activity = Activity(1.0, dict.fromkeys(key, 1.0), lambda: None)
            activity.ceiling = ceiling
            bundle.add(activity, 0.0)
        return bundle

    def solve(self) -> list[float]:
        Component(self.bundles, self.lines).solve(0.0, {})
        return [bundle.pace for bundle in self.bundles]


def test_bundles_stop_where_their_first_resource_is_full():
    mesh = Mesh(10.0, 4.0)
    mesh.bundle(0, 1)
    mesh.bundle(0)
    mesh.bundle(1)
    assert mesh.solve() == [2.0, 8.0, 2.0]


def test_ceilings_leave_their_rest_to_others_elsewhere():
    mesh = Mesh(10.0, 20.0)
    mesh.bundle(0, 1, ceilings=(1.0, inf))
    mesh.bundle(0, ceilings=(inf, 2.0))
    mesh.bundle(1)
    assert mesh.solve() == [3.5, 3.5, 15.5]


@pytest.mark.parametrize("patience", [0, 1, 24])
def test_the_choice_from_nothing_is_the_mended_one(patience: int, monkeypatch: pytest.MonkeyPatch):
    """A line that grows and shrinks: those who were capped must rise again."""
    monkeypatch.setattr("hetsim.sim.component._PATIENCE", patience)
    mesh = Mesh(3.0, 30.0)
    both = mesh.bundle(0, 1, ceilings=(0.5, 1.0, 2.0, inf))
    one = mesh.bundle(1, ceilings=(4.0, 8.0, 16.0))
    assert mesh.solve() == pytest.approx([2.5 / 3, 15.0])
    assert [len(both.capped), len(one.capped)] == [1, 2]
    mesh.lines[0].capacity, mesh.lines[1].capacity = 30.0, 10.0
    assert mesh.solve() == pytest.approx([1.7, 1.7])
    assert [len(both.capped), len(one.capped)] == [2, 0]


def test_a_line_that_is_down_stops_those_who_use_it():
    mesh = Mesh(0.0, 5.0)
    mesh.bundle(0, 1)
    mesh.bundle(1)
    assert mesh.solve() == [0.0, 5.0]


def test_ceilings_that_just_fill_a_line_are_all_reached():
    mesh = Mesh(0.1 + 0.2 + 0.3)
    group = mesh.bundle(0, ceilings=(0.1, 0.2, 0.3))
    mesh.solve()
    rates = sorted(activity.rate for activity in (*group.open.values(), *group.capped.values()))
    assert rates == pytest.approx([0.1, 0.2, 0.3], rel=1e-12)
