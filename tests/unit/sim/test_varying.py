"""Bandwidths that change under way: times and joules by hand."""

from __future__ import annotations

import pytest

from hetsim.core.cost import Cost
from hetsim.core.quantities import Seconds
from hetsim.core.rng import rng
from hetsim.sim.bandwidth.base import Points
from hetsim.sim.bandwidth.replay import Replay
from hetsim.sim.network.base import Technology
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.network_model import Lv08
from hetsim.sim.requests import Child, Compute, Gather, Sleep, Stream, Transfer
from hetsim.sim.varying import Varying
from hetsim.sim.world import SERVER, World

RISING = Points(times=(0.0, 2.0, 4.0), rates=(4.0, 1.0, 8.0))
OUTAGE = Points(times=(0.0, 2.0, 4.0), rates=(4.0, 0.0, 8.0))


def made(points: Points, technology: Technology, names: str = "a", power: float = 0.0) -> World:
    """Stations of 4 B/s on a cell, the first of which follows `points`, looping after 6 s."""
    world = World()
    world.server()
    for name in names:
        world.device(name)
    world.cell("cell", technology, dict.fromkeys(names, 4.0), power=(power, 0.0))
    follow(world, points)
    return world


def follow(world: World, points: Points) -> Varying:
    network = world.kernel.network
    signal = Replay(file="x.csv").signal(points, rng(0, "sim/bandwidth", "a"))
    return Varying(world.kernel.env, network, network.ways("a"), signal)


def upload(name: str, size: float) -> Transfer:
    return Transfer(source=name, target=SERVER, size=size)


def together(world: World, **sizes: float) -> dict[str, Seconds]:
    """When each station has sent its bytes."""
    ended: dict[str, Seconds] = {}

    async def one(name: str) -> None:
        await upload(name, sizes[name])
        ended[name] = world.kernel.env.now

    async def everyone() -> None:
        await Gather(children=tuple(Child(script=one(name), node=name) for name in sizes))

    world.run(everyone())
    return ended


@pytest.mark.parametrize("technology", [Ethernet(latency=0.0), Wifi(latency=0.0)])
def test_a_flow_follows_the_trace(technology: Technology) -> None:
    assert together(made(RISING, technology), a=18.0) == {"a": pytest.approx(5.0)}


@pytest.mark.parametrize("technology", [Ethernet(latency=0.0), Wifi(latency=0.0)])
def test_a_flow_waits_during_an_outage(technology: Technology) -> None:
    assert together(made(OUTAGE, technology), a=12.0) == {"a": pytest.approx(4.5)}


def test_a_flow_that_begins_in_an_outage_waits_too() -> None:
    world = made(OUTAGE, Wifi(latency=0.0))

    async def script() -> None:
        await Sleep(duration=3.0)
        await upload("a", 8.0)

    assert world.run(script()) == pytest.approx(5.0)


def test_a_slower_station_is_on_the_air_for_longer() -> None:
    world = made(RISING, Wifi(latency=0.0), power=2.0)
    together(world, a=18.0)
    assert world.joules("a")["radio"] == pytest.approx(2.0 * 5.0)


def test_under_dcf_a_station_that_slows_down_slows_down_the_other() -> None:
    halves = Points(times=(0.0, 2.0), rates=(4.0, 1.0))
    ended = together(made(halves, Wifi(latency=0.0), "ab"), a=4.0 + 0.8, b=4.0 + 0.8)
    assert ended == {"a": pytest.approx(3.0), "b": pytest.approx(3.0)}  # then 1 / (1 / 4 + 1) each


def test_under_airtime_a_station_that_slows_down_does_not() -> None:
    halves = Points(times=(0.0, 2.0), rates=(4.0, 1.0))
    ended = together(made(halves, Wifi(latency=0.0, share="airtime"), "ab"), a=4.5, b=6.0)
    assert ended == {"a": pytest.approx(3.0), "b": pytest.approx(3.0)}


def test_an_idle_link_makes_no_events() -> None:
    many = Points(times=tuple(map(float, range(1000))), rates=(1.0, 2.0) * 500)
    world = made(many, Ethernet(latency=0.0))
    network = world.kernel.network
    asked: list[Seconds] = []
    [varying] = [party for party in network.ways("a")[0].parties if isinstance(party, Varying)]
    at = varying._signal.at
    varying._signal.at = lambda now: asked.append(now) or at(now)  # type: ignore[method-assign]

    async def script() -> None:
        await Sleep(duration=500.0)
        await upload("a", 2.5)
        await Sleep(duration=400.0)

    assert world.run(script()) == pytest.approx(901.75)
    assert asked == [500.0, 501.0]
    assert varying.transfers == 0


def test_two_transfers_follow_one_signal() -> None:
    world = made(RISING, Ethernet(latency=0.0))

    async def one(size: float) -> None:
        await upload("a", size)

    async def both() -> None:
        await Gather(children=tuple(Child(script=one(size), node="a") for size in (5.0, 13.0)))

    assert world.run(both()) == pytest.approx(5.0)


def test_a_pipeline_stands_still_during_an_outage() -> None:
    world = made(OUTAGE, Wifi(latency=0.0))
    stages = (Compute(node="a", cost=Cost(flops=2.0)), upload("a", 12.0))

    async def script() -> None:
        await Stream(stages=stages, items=1000)

    sent_before, computed_after = 2 / 3, 1 / 3  # then computing, 2 s for all, is what limits it
    assert sent_before + computed_after == 1
    assert world.run(script()) == pytest.approx(4.0 + 2.0 * computed_after, abs=0.02)


@pytest.mark.parametrize("model", [None, Lv08()])
def test_a_line_follows_a_trace_and_its_joules_the_load(model: Lv08 | None) -> None:
    world = World()
    world.server()
    world.device("a")
    network = world.kernel.network
    if model:
        network.model = model
    payer = world.device("line")
    world.cell("cell", Ethernet(latency=0.0), {"a": 1e9})
    network.add_cell("far")
    network.add_link("edge", "far", 4.0, 0.0, node=payer, power=6.0)
    network.place("store", "far")
    world.device("store")
    signal = Replay(file="x.csv").signal(RISING, rng(0, "sim/bandwidth", "l"))
    Varying(world.kernel.env, network, (network.line("edge", "far"),), signal)

    async def script() -> None:
        await Transfer(source="a", target="store", size=18.0)

    slower = 1.0 / 0.97 if model else 1.0
    acknowledged = 0.05 if model else 0.0
    end = world.run(script())
    amount = 18.0 * slower
    assert end == pytest.approx(4.0 + (amount - 10.0) / 8.0)
    busy = 6.0 * end + acknowledged * 6.0 * amount / 4.0
    assert world.joules("line")["link"] == pytest.approx(busy)
