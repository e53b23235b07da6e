"""Forecasts against the world itself."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.forecast import Act, drawn, forecast
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.requests import Child, Compute, Gather, Stream, Transfer
from hetsim.sim.world import World, domain, profile


def errand(device: str, *, flops: float, size: float, items: int) -> list[Act]:
    """Down, back and forth, up."""
    down = Transfer(source="server", target=device, size=size, kind="download")
    up = Transfer(source=device, target="server", size=size, kind="upload")
    stages = (
        Compute(node=device, cost=Cost(flops=flops)),
        up,
        Compute(node="server", cost=Cost(flops=2 * flops)),
        down,
        Compute(node=device, cost=Cost(flops=flops)),
    )
    return [down, Stream(stages=stages, items=items, window=1), up]


def world(technology: Any) -> World:
    """Three devices of different speeds in a cell, and a server that they keep busy."""
    made = World()
    made.server(profile(domain((4.0, 1.0))))
    for name, speed in (("a", 1.0), ("b", 2.0), ("c", 5.0)):
        made.device(name, profile(domain((speed, 3.0))))
    made.cell("cell", technology, {"a": 3.0, "b": 5.0, "c": 8.0}, power=(2.0, 1.0))
    return made


def play_all(made: World, errands: dict[str, list[Act]]) -> tuple[list[float], float]:
    """When each errand ends in the world itself, and what devices drew above idle by then."""
    over: dict[str, float] = {}

    async def follow(name: str) -> None:
        for act in errands[name]:
            await act
        over[name] = made.kernel.env.now

    async def everybody() -> None:
        await Gather(children=tuple(Child(script=follow(name), node=name) for name in errands))

    made.run(everybody())
    kinds = made.joules(*errands)
    return [over[name] for name in errands], sum(kinds.values()) - kinds["idle"]


@pytest.mark.parametrize("technology", [Wifi(latency=0.1), Ethernet(latency=0.5), Lte(latency=0.1)])
def test_a_forecast_is_what_comes_if_nothing_changes(technology: Any) -> None:
    errands = {
        "a": errand("a", flops=20.0, size=30.0, items=10),
        "b": errand("b", flops=40.0, size=60.0, items=25),
        "c": errand("c", flops=100.0, size=10.0, items=40),
    }
    made = world(technology)
    told = forecast(made.kernel, list(errands.values()))
    over, above = play_all(made, errands)
    assert [ends[-1] for ends in told] == pytest.approx(over, rel=1e-9)
    fresh = world(technology).kernel
    expected = sum(
        drawn(fresh, name, acts, ends) - ends[-1]  # without the 1 W of an idle device
        for (name, acts), ends in zip(errands.items(), told, strict=True)
    )
    if technology.states is None:
        assert expected == pytest.approx(above, rel=1e-9)
    else:  # but for the tails after the errands
        tail = technology.states.tail * technology.states.tailing
        assert expected <= above <= expected + 3 * tail


def test_an_outage_is_forecast_to_last() -> None:
    made = world(Ethernet())
    up, _ = made.kernel.network.ways("a")
    made.kernel.network.change(up, up=False)
    acts = errand("a", flops=1.0, size=1.0, items=2)
    [down, stream, last] = forecast(made.kernel, [acts])[0]
    assert down < stream == last == inf
    assert drawn(made.kernel, "a", acts, [down, stream, last]) == inf
