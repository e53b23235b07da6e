"""Jobs: what a unit of progress takes, and how a stream shares."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.clock import Call
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.pipeline import Stop, loop_time
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


@pytest.fixture
def far() -> World:
    """A server and a device on a switch at 2 B/s, half a second away."""
    world = World()
    world.server()
    world.device("a")
    world.cell("switch", Ethernet(latency=0.5), {"a": 2.0})
    return world


@pytest.mark.parametrize(("window", "ends"), [(inf, 7.25), (2, 8.0 + 3.0), (1, 16.0)])
def test_latencies_are_paid_once_or_by_every_item(far: World, window: float, ends: float):
    """8 items of 0.75, 0.5 and 0.25 s: one takes 2 s, and two of them at a time 0.75 s more."""
    assert pipeline_time([0.75, 0.5, 0.25], 8, window, 0.5) == (8.75 if window == 2 else ends)
    expected = {"x": pytest.approx(8.75 if window == 2 else ends)}
    assert together(far, x=stream(8, window)) == expected


def test_a_message_without_bytes_delays_every_item(far: World):
    """A token back: its latency counts though nothing flows."""
    there = stream(4, 1)
    token = Transfer(source="server", target="a", size=0.0)
    both = Stream(stages=(*there.stages, token), items=4, window=1)
    assert together(far, x=both)["x"] == pytest.approx(12.0 + 4 * 2 * 0.5)


def test_a_stream_of_one_flow_is_a_stream(far: World):
    """Each item waits for the one before, or for nothing."""
    work = Compute(node="a", cost=Cost())
    flow = Transfer(source="a", target="server", size=8.0)
    free = Stream(stages=(work, flow), items=4)
    slow = Stream(stages=(flow,), items=4, window=1)
    assert together(far, free=free)["free"] == pytest.approx(4.5)
    ends = far.run(_play(slow)) - 4.5
    assert ends == pytest.approx(6.0)


async def _play(request: Request[Any]) -> None:
    await request


def loop(items: int, window: float = inf, back: float = 3.0) -> Stream:
    """A device does 2 s forward and some seconds backward, 4 s up and 1 s of the server between."""
    return Stream(
        stages=(
            Compute(node="a", cost=Cost(flops=2.0), kind="forward"),
            Transfer(source="a", target="server", size=8.0, kind="activations"),
            Compute(node="server", cost=Cost(flops=1.0), kind="tail"),
            Compute(node="a", cost=Cost(flops=back), kind="backward"),
        ),
        items=items,
        window=window,
    )


@pytest.mark.parametrize(
    ("request_", "portions"),
    [
        (stream(8, window=1), [6.0, 4.0, 2.0]),
        (stream(8, window=inf), [6.0, 0.5, 0.25]),
        (loop(8, window=1), [2.0, 4.0, 1.0, 3.0]),
    ],
)
def test_what_each_stage_is_of_a_stream(duo: World, request_: Stream, portions: list[float]):
    """With a window of one all of its turns; else one turn, and the longest one the rest."""
    together(duo, x=request_)
    assert [span.held for span in duo.trace.spans] == pytest.approx(portions)
    assert [span.alone for span in duo.trace.spans] == pytest.approx(portions)


def test_the_stages_of_a_stream_that_is_cut_are_its_time(duo: World):
    task = replace(stream(8), until=3.0)
    together(duo, x=task)
    assert sum(span.held for span in duo.trace.spans) == pytest.approx(3.0)


@pytest.mark.parametrize("window", [1, 2, 3, inf])
def test_a_loop_takes_what_its_items_take(duo: World, window: float):
    """The device serves forward and backward passes in the order in which they come."""
    stops = [Stop(0, 0.2), Stop(1, 0.4), Stop(2, 0.1), Stop(0, 0.3)]
    expected = loop_time(tuple(stops), 10, window)
    assert together(duo, x=loop(10, window))["x"] == pytest.approx(expected)
    assert expected == pytest.approx({1: 10.0, inf: 10 * 0.5}.get(window, expected))
    spans = {span.kind: span.energy for span in duo.trace.spans if span.actor == "a"}
    assert spans == pytest.approx({"forward": 2.0, "activations": 12.0, "backward": 3.0})


def test_a_loop_is_as_slow_as_the_device_that_has_both_ends(duo: World):
    """It draws all the time, and a step is counted once."""
    assert together(duo, x=loop(10, back=8.0))["x"] == pytest.approx(10.0)
    assert duo.joules("a")["compute"] == pytest.approx(10.0)


def test_a_stream_is_told_what_it_would_take_alone(duo: World):
    """Two on one device: what each would take with it to itself, stage by stage, and how long."""
    two = {name: stream(8) for name in ("x", "y")}
    ends = together(duo, **two)
    assert max(ends.values()) == pytest.approx(2 * 6.0 + 0.75)
    spans = duo.trace.spans
    for stages in (spans[:3], spans[3:]):
        assert [span.alone for span in stages] == pytest.approx([6.0, 4.0 / 8, 2.0 / 8])
        waited = stages[0].t1 - 6.75
        assert [span.held for span in stages] == pytest.approx([6.0 + waited, 4.0 / 8, 2.0 / 8])
        assert [span.after for span in stages[1:]] == [span.serial for span in stages[:2]]


def test_a_stream_may_be_cut_at_an_instant(duo: World):
    """It answers with whole items; in the drain, too."""
    for until, share in ((0.7, 0.0), (4.6, 5 / 8), (6.6, 7 / 8), (6.75, 1.0), (9.0, 1.0)):
        world = World()
        world.server()
        world.device("a")
        world.cell("switch", Ethernet(latency=0.0), {"a": 2.0})
        answers: list[float] = []

        async def script(until: float = until, answers: list[float] = answers) -> None:
            answers.append(await replace(stream(8), until=until))

        assert world.run(script()) == min(until, 6.75)
        assert answers == [share]
        assert world.kernel.node("a").jobs == {}


def test_a_stream_started_in_an_outage_goes_on_after_it(duo: World):
    """As if it began then: 8 items at 0.75 s, and the first one's way through the other stages."""
    [line] = duo.kernel.network.route("a", "server").uses.keys() - {*duo.kernel.network.resources()}
    rate, line.capacity = line.capacity, 0.0
    Call(duo.kernel.env, lambda: duo.kernel.sharing.resize(line, rate), 10.0)
    assert together(duo, x=stream(8))["x"] == pytest.approx(16.75)


def test_a_stream_cut_short_tells_its_progress(duo: World):
    """Whole items; what was begun of the others is paid, too."""

    async def script() -> None:
        await stream(8)

    progress: list[float] = []

    async def server() -> None:
        [outcome] = await Gather(children=(Child(script=script(), node="a"),), deadline=4.6)
        assert outcome.dropped is not None
        progress.append(outcome.dropped.progress)

    assert duo.run(server()) == 4.6
    assert progress == [5 / 8], "the fifth item is through at 1.5 + 4 * 0.75 = 4.5 s"
    forward, wire, _ = duo.trace.spans
    assert (forward.outcome, forward.progress) == ("deadline", pytest.approx(4.6 / 6.0))
    assert (wire.size, wire.energy) == (pytest.approx(8.0 * 4.6 / 6.0), pytest.approx(9.2))


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
    """6 s of work, 4 s on the wire at 2 B/s and 1 s at 8: what it needs alone is renewed."""
    [line] = duo.kernel.network.route("a", "server").uses.keys() - {*duo.kernel.network.resources()}
    stages = stream(1).stages[:2]
    Call(duo.kernel.env, lambda: duo.kernel.sharing.resize(line, 8.0), 5.0)
    assert together(duo, x=Stream(stages=stages, items=1))["x"] == pytest.approx(6.0 + 1.0)
    assert line.followers == {}
