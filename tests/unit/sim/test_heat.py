"""What heat does at its edges; its course stands in `tests/oracle` and `tests/property`."""

from __future__ import annotations

from math import inf, log

import pytest

from hetsim.sim.heat import Body, HeatState, Trip
from hetsim.sim.world import domain

BODY = Body(
    resistance=10.0, capacity=2.0,
    trips=(
        Trip(domain="cpu", at=60.0, resume=50.0, point=2),
        Trip(domain="cpu", at=70.0, resume=65.0, point=0),
        Trip(domain="gpu", at=70.0, resume=55.0, point=1),
    ),
)  # fmt: skip
POINTS = ((1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0))
DOMAINS = (domain(*POINTS), domain(*POINTS, name="gpu", kind="gpu"))


def test_it_rests_where_idling_keeps_it() -> None:
    assert BODY.at_rest(20.0, 1.5).temperature == 35.0
    compute = Body(resistance=10.0, capacity=2.0, power="compute")
    assert compute.at_rest(20.0, 1.5).temperature == 20.0


def test_the_lowest_of_the_active_trips_holds() -> None:
    heat = BODY.at(20.0, 20.0)
    assert heat.limits(DOMAINS) == (3, 3)
    heat = BODY.at(61.0, 20.0)
    assert heat.limits(DOMAINS) == (2, 3)
    heat = BODY.at(70.0, 20.0)
    assert heat.tripped == [True, True, True]
    assert heat.limits(DOMAINS) == (0, 1)


def test_trips_begin_and_end_one_after_the_other() -> None:
    heat = BODY.at(20.0, 20.0)
    hot, cold = {"compute": 6.0}, dict[str, float]()
    seen: list[tuple[float, list[bool]]] = []
    for draw in (hot, hot, cold, cold, cold):
        left = heat.horizon(draw)
        assert 0.0 < left < inf
        heat.advance({kind: watts * left for kind, watts in draw.items()}, left)
        assert heat.reach(draw)
        seen.append((heat.temperature, list(heat.tripped)))
    assert seen == [
        (60.0, [True, False, False]), (70.0, [True, True, True]), (65.0, [True, False, True]),
        (55.0, [True, False, False]), (50.0, [False, False, False]),
    ]  # fmt: skip
    assert heat.hottest == 70.0
    assert heat.horizon(cold) == inf


def test_a_trip_at_the_very_limit_of_the_power_is_not_reached() -> None:
    heat = BODY.at(20.0, 20.0)
    assert heat.horizon({"compute": 4.0}) == inf
    assert heat.horizon({"compute": 4.0 + 1e-9}) == pytest.approx(20.0 * log(4e9), rel=1e-6)


def test_a_body_next_to_its_trip_is_there() -> None:
    """Where a step would be lost in rounding, no alarm can be waited for."""
    heat = HeatState(body=BODY, ambient=20.0, temperature=60.0 - 3e-14)
    heat.tripped = [False, False, False]
    assert heat.horizon({"compute": 4.0 + 1e-12}) == 0.0


def test_a_moment_divides_the_change_and_not_the_time() -> None:
    heat = BODY.at(20.0, 20.0)
    heat.advance({"compute": 120.0}, 30.0)
    warmer = BODY.at(20.0, 20.0)
    when = heat.moment(0.5, 30.0)
    assert when < 15.0
    warmer.advance({"compute": 4.0 * when}, when)
    assert warmer.temperature - 20.0 == pytest.approx((heat.temperature - 20.0) / 2, rel=1e-12)
