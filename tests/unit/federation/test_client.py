"""What a script may do with a client and a hub beside computing and moving values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import CausalityError
from hetsim.core.ref import Ref
from hetsim.federation.client import Client, Hub
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.requests import Child, Gather, Request, Stream
from hetsim.sim.world import World, profile


def lab() -> tuple[World, Client, Hub]:
    """A server and a device with 100 bytes each; 1 W idle, 0.1 W asleep."""
    world = World()
    server = world.server(profile(memory=100.0))
    device = world.device("pi", profile(memory=100.0))
    nowhere: Any = None
    return world, Client(device, 0, None, 0, nowhere), Hub(server)


def test_values_are_held_by_name_where_they_are_kept():
    world, pi, hub = lab()
    acts = Ref.of("forward", nbytes=40, seed=1)
    seen: list[tuple[bool, bool, float, float]] = []

    def look() -> None:
        used = pi.node.memory.used, hub.node.memory.used
        seen.append((pi.holds("acts"), hub.holds("buffer/pi"), *used))

    async def client() -> None:
        await pi.hold("acts", acts)
        await hub.hold("buffer/pi", 10.0)
        look()
        await hub.hold("buffer/pi", acts)
        await pi.let_go("acts")
        look()
        await hub.let_go("buffer/pi")
        await hub.let_go("buffer/pi")
        look()

    async def server() -> None:
        await Gather(children=(Child(script=client(), node="pi"),))

    world.run(server())
    assert seen == [
        (True, True, 40.0, 10.0), (False, True, 0.0, 40.0), (False, False, 0.0, 0.0),
    ]  # fmt: skip
    assert (pi.node.memory.peak, hub.node.memory.peak) == (40.0, 40.0)


def test_a_client_dozes_until_it_is_asked():
    world, pi, _ = lab()

    async def server() -> None:
        await pi.doze()
        await pi.sleep(10.0)

    world.run(server())
    assert pi.node.energy == pytest.approx({"sleep": 1.0})


def test_a_pipeline_is_told_in_verbs():
    """What its stages make and bring is there for the next ones, and afterwards."""
    world = World(causality=True)
    hub = Hub(world.server())
    run: Any = SimpleNamespace(server=hub)
    pi = Client(world.device("pi"), 0, None, 0, run)
    world.cell("switch", Ethernet(latency=0.0), {"pi": 1.0})
    front, back = Ref.of("initial", seed=1), Ref.of("initial", seed=2)
    acts = Ref.of("forward", front, nbytes=4, cost=Cost(flops=2.0))
    tail = Ref.of("fit", back, acts, cost=Cost(flops=1.0))
    world.give("pi", front)
    world.give("server", back)

    async def client() -> None:
        stages = (pi.work(acts), pi.uplink(acts), hub.work(tail), pi.downlink(4.0))
        assert await Stream(stages=stages, items=4) == 1.0
        await hub.compute(tail, needs=(acts, tail))
        with pytest.raises(CausalityError, match="pi works on"):
            await Stream(stages=(pi.work(tail), pi.downlink(tail)), items=4)

    async def server() -> None:
        await Gather(children=(Child(script=client(), node="pi"),))

    assert world.run(server()) == pytest.approx(4.0 + 0.5 + 0.25 + 1.0 + 1.0)
    moved = {span.kind: span.size for span in world.trace.spans}
    assert (moved["upload"], moved["download"]) == (4.0, 4.0)


def test_verbs_are_requests():
    """A script can be played by hand."""
    _, pi, hub = lab()
    told: list[Request[Any]] = [
        pi.hold("x", 1.0).send(None), hub.let_go("x").send(None), pi.doze().send(None),
    ]  # fmt: skip
    assert [repr(request) for request in told] == [
        "Hold(node='pi', name='x', size=1.0)",
        "Hold(node='server', name='x', size=0.0)",
        "Doze(node='pi')",
    ]
