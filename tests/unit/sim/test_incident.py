"""Incidents: each is an instant or two, they may overlap, and everything else goes on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.incident import Incidents
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.presence import Presence
from hetsim.sim.requests import Child, Compute, Gather, Outcome, Transfer
from hetsim.sim.world import SERVER, World, domain, profile


@pytest.fixture
def world() -> World:
    """Two devices of 1 flop/s behind lines of 4 B/s, and a line of 4 B/s to the server."""
    world = World()
    world.server(profile(domain((1.0, 4.0)), idle=0.0))
    for name in "ab":
        world.device(name, profile(domain((1.0, 4.0)), idle=1.0, sleep=0.5, off=0.0))
    world.cell("switch", Ethernet(latency=0.0), {"a": 4.0, "b": 4.0}, uplink=4.0)
    return world


@pytest.fixture
def incidents(world: World) -> Incidents:
    nodes = world.kernel.nodes
    return Incidents(world.kernel, {name: Presence(world.kernel, nodes[name]) for name in "ab"})


def play(world: World, *acts: tuple[str, object]) -> list[Outcome]:
    """How the acts ended, all begun at 0."""
    outcomes: list[Outcome] = []

    async def script(act: object) -> None:
        await act  # pyright: ignore[reportGeneralTypeIssues]

    async def server() -> None:
        children = tuple(Child(script=script(act), node=node) for node, act in acts)
        outcomes.extend(await Gather(children=children))

    world.run(server())
    return outcomes


def upload(node: str, size: float) -> tuple[str, Transfer]:
    return node, Transfer(source=node, target=SERVER, size=size)


def work(node: str, flops: float) -> tuple[str, Compute]:
    return node, Compute(node=node, cost=Cost(flops=flops))


def test_a_flow_waits_for_the_end_of_an_outage(world: World, incidents: Incidents) -> None:
    network = world.kernel.network
    incidents.outage("switch--edge", network.legs("switch--edge"), 1.0, 5.0)
    [outcome] = play(world, upload("a", 8.0))
    assert outcome.finished == pytest.approx(2.0 + 5.0)


def test_outages_overlap(world: World, incidents: Incidents) -> None:
    legs = world.kernel.network.legs("switch--edge")
    incidents.outage("switch--edge", legs, 1.0, 3.0)
    incidents.outage("switch--edge", legs, 2.0, 6.0)
    [outcome] = play(world, upload("a", 8.0))
    assert outcome.finished == pytest.approx(8.0 + 1.0)


def test_a_device_or_a_cell_can_lose_its_lines(world: World, incidents: Incidents) -> None:
    network = world.kernel.network
    incidents.outage("a", network.ways("a"), 0.0, 3.0)
    first, second = play(world, upload("a", 4.0), upload("b", 8.0))
    assert (first.finished, second.finished) == (pytest.approx(4.0), pytest.approx(2.0))

    fresh = World()
    fresh.server(profile(domain((1.0, 4.0)), idle=0.0))
    fresh.device("a")
    fresh.cell("switch", Ethernet(latency=0.0), {"a": 4.0}, uplink=4.0)
    fate = Incidents(fresh.kernel, {})
    fate.outage("switch", fresh.kernel.network.legs("switch"), 0.5, 3.0)
    [outcome] = play(fresh, upload("a", 4.0))
    assert outcome.finished == pytest.approx(4.0)


def test_another_bandwidth_for_a_while(world: World, incidents: Incidents) -> None:
    incidents.bandwidth("switch--edge", world.kernel.network.legs("switch--edge"), 1.0, 1.0, 2.0)
    [outcome] = play(world, upload("a", 10.0))
    assert outcome.finished == pytest.approx(1.0 + 2.0 + 1.0)


@pytest.mark.parametrize(
    "second", [(2.0, 10.0), (2.0, 1.0), (9.0, 1.0)], ids=["crossed", "nested", "apart"]
)
def test_of_bandwidths_that_overlap_the_newest_holds(
    world: World, incidents: Incidents, second: tuple[float, float]
) -> None:
    """12 B: 4 B/s, from 1 on 2 B/s until 5, in the second one 0.5 B/s; then 4 B/s again."""
    legs = world.kernel.network.legs("switch--edge")
    incidents.bandwidth("switch--edge", legs, 2.0, 1.0, 4.0)
    incidents.bandwidth("switch--edge", legs, 0.5, *second)
    [outcome] = play(world, upload("a", 12.0))
    moved, now = 0.0, 0.0
    steps = sorted({0.0, 1.0, 5.0, second[0], sum(second), 100.0})
    for begin, end in pairwise(steps):
        held = second[0] <= begin < sum(second)
        rate = 0.5 if held else 2.0 if 1.0 <= begin < 5.0 else 4.0
        if moved + rate * (end - begin) >= 12.0:
            now = begin + (12.0 - moved) / rate
            break
        moved += rate * (end - begin)
    assert outcome.finished == pytest.approx(now)


def test_a_trace_goes_on_behind_a_bandwidth_that_is_imposed(world: World) -> None:
    network = world.kernel.network
    [leg, *_] = network.legs("switch--edge")
    network.impose(leg, "incident", 1.0)
    network.change(leg, rate=8.0)
    assert leg.bandwidth == 1.0
    network.impose(leg, "incident", None)
    assert leg.bandwidth == 8.0


def test_a_pause_stops_the_work_and_its_joules(world: World, incidents: Incidents) -> None:
    incidents.pause("a", 1.0, 4.0)
    incidents.pause("a", 2.0, 5.0)
    [outcome] = play(world, work("a", 3.0))
    assert outcome.finished == pytest.approx(3.0 + 6.0)
    joules = world.joules("a")
    assert joules == {"compute": pytest.approx(3.0 * 4.0), "idle": pytest.approx(9.0)}


def test_a_paused_server_lets_transfers_pass(world: World, incidents: Incidents) -> None:
    incidents.pause(SERVER, 0.0, 10.0)
    [outcome] = play(world, upload("a", 8.0))
    assert outcome.finished == pytest.approx(2.0)


def test_a_crash_loses_the_work_and_draws_idle_power(world: World, incidents: Incidents) -> None:
    incidents.crash("a", 1.0, 4.0)
    first, second = play(world, work("a", 3.0), work("b", 8.0))
    assert first.dropped is not None
    assert (first.dropped.cause, first.finished) == ("churn", pytest.approx(1.0))
    assert second.finished == pytest.approx(8.0)
    assert world.joules("a") == {"compute": pytest.approx(4.0), "idle": pytest.approx(8.0)}
    assert world.kernel.node("a").present


def test_a_crash_for_good_is_off(world: World, incidents: Incidents) -> None:
    incidents.crash("a", 1.0, None)
    play(world, work("b", 8.0))
    assert not world.kernel.node("a").present
    assert world.joules("a").get("idle") == pytest.approx(1.0)


def test_work_is_called_off_and_the_device_stays(world: World, incidents: Incidents) -> None:
    incidents.cancel("a", 1.0)
    [outcome] = play(world, work("a", 3.0))
    assert outcome.dropped is not None
    assert (outcome.dropped.cause, outcome.finished) == ("deadline", pytest.approx(1.0))
    assert world.kernel.node("a").present


@pytest.mark.parametrize("begin", [lambda i: i.pause("a", 1.0, 1.0), lambda i: i.cancel("a", 1.0)])
def test_the_trace_says_what_happened(
    world: World, incidents: Incidents, begin: Callable[[Incidents], None]
) -> None:
    begin(incidents)
    play(world, work("b", 4.0))
    assert next(note.actor for note in world.trace.notes if note.cause == "event") == "a"
