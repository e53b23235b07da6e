from __future__ import annotations

from math import inf

from hetsim.sim.stores.linear import Linear


def test_it_never_holds_less_than_nothing_nor_more_than_all() -> None:
    tank = Linear(capacity=10.0, stored=4.0)
    assert (tank.advance(3.0, 2.0), tank.stored) == (4.0, 0.0)
    assert (tank.advance(-3.0, 4.0), tank.stored) == (-10.0, 10.0)


def test_a_level_ahead_a_level_passed_and_one_that_is_never_reached() -> None:
    tank = Linear(capacity=10.0, stored=4.0)
    assert (tank.until(0.0, 2.0), tank.until(0.5, 2.0)) == (2.0, 0.0)
    assert (tank.until(1.0, -2.0), tank.until(0.25, -2.0)) == (3.0, 0.0)
    assert tank.until(0.0, 0.0) == inf


def test_it_can_be_set_to_a_level() -> None:
    tank = Linear(capacity=10.0, stored=4.0)
    tank.snap(0.75)
    assert (tank.stored, tank.level) == (7.5, 0.75)
