"""Jobs: what a unit of progress takes, and how a stream shares."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.clock import Call
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Request,
    Sleep,
    Stream,
    Transfer,
    pipeline_time,
)
from hetsim.sim.world import World, profile


@pytest.fixture
def duo() -> World:
    """A fast server, and two devices on a switch at 2 B/s."""
    world = World()
    world.server()
    world.device("a")
    world.device("b")
    world.cell("switch", Ethernet(latency=0.0), {"a": 2.0, "b": 2.0}, power=(3.0, 0.0))
    return world


def together(world: World, **requests: Request[Any]) -> dict[str, float]:
    """Play one request each at the same time; when each ended."""
    ends: dict[str, float] = {}

    async def one(name: str, request: Request[Any]) -> None:
        await request
        ends[name] = world.kernel.env.now

    async def server() -> None:
        await Gather(
            children=tuple(
                Child(script=one(name, request), node="a") for name, request in requests.items()
            )
        )

    world.run(server())
    return ends


def stream(items: int, window: float = inf) -> Stream:
    """6 s on the device, 4 s on the wire, 2 s on the server."""
    return Stream(
        stages=(
            Compute(node="a", cost=Cost(flops=6.0), kind="forward"),
            Transfer(source="a", target="server", size=8.0, kind="activations"),
            Compute(node="server", cost=Cost(flops=2.0), kind="tail"),
        ),
        items=items,
        window=window,
    )


@pytest.mark.parametrize(("items", "window"), [(1, inf), (2, inf), (8, 1), (8, 2), (8, inf)])
def test_a_stream_alone_takes_its_closed_form(duo: World, items: int, window: float):
    each = [6.0 / items, 4.0 / items, 2.0 / items]
    expected = pipeline_time(each, items, window)
    assert together(duo, x=stream(items, window)) == {"x": pytest.approx(expected)}


def test_each_part_of_a_stream_has_a_span_and_its_joules(duo: World):
    together(duo, x=stream(4))
    spans = {span.kind: span for span in duo.trace.spans}
    assert {kind: span.energy for kind, span in spans.items()} == pytest.approx(
        {"forward": 6.0, "activations": 3.0 * 8 / 2, "tail": 2.0}
    )
    assert [span.t0 for span in spans.values()] == [0.0] * 3
    assert [span.t1 for span in spans.values()] == pytest.approx([7.5] * 3)
    assert [spans[kind].actor for kind in spans] == ["a", "a", "server"]
    assert spans["activations"].size == 8.0


def test_a_stream_and_a_job_get_equal_time_of_a_processor(duo: World):
    """However many bytes the stream moves beside its work."""
    for size in (1e-6, 1.0):
        work = Compute(node="a", cost=Cost(flops=10.0))
        wire = Transfer(source="b", target="server", size=size)
        pipeline = Stream(stages=(work, wire), items=1000)
        world = World()
        world.server()
        world.device("a")
        world.device("b")
        world.cell("switch", Ethernet(latency=0.0), {"a": 2.0, "b": 2.0})
        ends = together(world, stream=pipeline, job=Compute(node="a", cost=Cost(flops=5.0)))
        assert ends["job"] == pytest.approx(10.0, rel=1e-3)
        assert ends["stream"] == pytest.approx(15.0, rel=1e-2)


def test_a_stream_shares_a_link_like_a_flow(duo: World):
    """Its bytes compete as bytes do, whatever else it does."""
    pipeline = Stream(
        stages=(
            Compute(node="server", cost=Cost(flops=0.5)),
            Transfer(source="a", target="server", size=8.0),
        ),
        items=1000,
    )
    plain = Transfer(source="a", target="server", size=8.0)
    ends = together(duo, stream=pipeline, plain=plain)
    assert ends == pytest.approx({"stream": 8.0, "plain": 8.0}, rel=1e-2)


def test_a_stream_pays_the_latency_once():
    world = World()
    world.server()
    world.device("a")
    world.cell("ap", Wifi(latency=0.5), {"a": 2.0})
    assert together(world, x=stream(1))["x"] == pytest.approx(12.5)


def test_a_stream_started_in_an_outage_goes_on_after_it(duo: World):
    """As if it began then: 8 items at 0.75 s, and the first one's way through the other stages."""
    [line] = duo.kernel.network.route("a", "server").uses.keys() - {*duo.kernel.network.resources()}
    rate, line.capacity = line.capacity, 0.0
    Call(duo.kernel.env, lambda: duo.kernel.sharing.resize(line, rate), 10.0)
    assert together(duo, x=stream(8))["x"] == pytest.approx(16.75)


def test_a_stream_cut_short_tells_its_progress(duo: World):
    async def script() -> None:
        await stream(1)

    progress: list[float] = []

    async def server() -> None:
        [outcome] = await Gather(children=(Child(script=script(), node="a"),), deadline=3.0)
        assert outcome.dropped is not None
        progress.append(outcome.dropped.progress)

    assert duo.run(server()) == 3.0
    assert progress == [pytest.approx(0.25)]
    forward, wire, _ = duo.trace.spans
    assert (forward.outcome, forward.progress) == ("deadline", pytest.approx(0.25))
    assert (wire.size, wire.energy) == (pytest.approx(2.0), pytest.approx(3.0))


def test_a_job_knows_what_it_drew():
    world = World()
    world.server()
    body = profile(idle=5.0)
    world.device("a", body)

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=2.0), kind="train")
        await Sleep(duration=1.0)

    world.run(script())
    [span] = world.trace.spans
    assert (span.kind, span.energy, span.t0, span.t1) == ("train", 2.0, 0.0, 2.0)


def test_a_stream_speeds_up_with_its_line(duo: World):
    """6 s of work, 4 s on the wire at 2 B/s and 1 s at 8: its bound when alone is renewed."""
    [line] = duo.kernel.network.route("a", "server").uses.keys() - {*duo.kernel.network.resources()}
    stages = stream(1).stages[:2]
    Call(duo.kernel.env, lambda: duo.kernel.sharing.resize(line, 8.0), 5.0)
    assert together(duo, x=Stream(stages=stages, items=1))["x"] == pytest.approx(5.0 + 3.5)
    assert line.followers == {}
