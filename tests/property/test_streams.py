"""Streams and held memory, whatever happens: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from dataclasses import replace
from math import floor, inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.sim.clock import Call
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.pipeline import Stop, loop_time, pipeline_time
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Hold,
    Outcome,
    Script,
    Sleep,
    Stream,
    Transfer,
)
from hetsim.sim.world import World, profile

seconds = st.floats(0.1, 5.0)
windows = st.sampled_from([1, 2, 3, 8, inf])


@st.composite
def streams(draw: st.DrawFn, device: str) -> Stream:
    """Forward, up and the server's step; often down and backward, too."""
    stages: list[Compute | Transfer] = [
        Compute(node=device, cost=Cost(flops=draw(seconds), memory=1.0), kind="forward"),
        Transfer(source=device, target="server", size=draw(seconds), kind="activations"),
        Compute(node="server", cost=Cost(flops=draw(seconds), memory=1.0), kind="tail"),
    ]
    if draw(st.booleans()):
        stages += [
            Transfer(source="server", target=device, size=draw(seconds), kind="gradients"),
            Compute(node=device, cost=Cost(flops=draw(seconds), memory=1.0), kind="backward"),
        ]
    return Stream(stages=tuple(stages), items=draw(st.integers(1, 40)), window=draw(windows))


def campus(count: int, **device: Any) -> World:
    """Devices on one Wi-Fi channel, where up and down share the air; 3 W to send."""
    world = World()
    world.server(profile(memory=inf))
    for i in range(count):
        world.device(f"d{i}", profile(memory=10.0), **device)
    rates = {f"d{i}": 1.0 + i for i in range(count)}
    world.cell("ap", Wifi(latency=0.01), rates, to="edge", power=(3.0, 0.0))
    return world


def play(world: World, scripts: list[Script[Any]], deadline: float = inf) -> list[Outcome]:
    outcomes: list[Outcome] = []

    async def server() -> None:
        children = [Child(script=script, node=f"d{i}") for i, script in enumerate(scripts)]
        outcomes.extend(await Gather(children=tuple(children), deadline=deadline))

    world.run(server())
    return outcomes


async def ask(request: Stream) -> float:
    return await request


@given(st.data(), st.integers(1, 4), st.one_of(st.just(inf), st.floats(0.5, 30.0)))
def test_every_stage_pays_for_what_was_done_of_it(data: st.DataObject, count: int, until: float):
    """Cut at an instant or not: joules and bytes by stage, whole items for the script."""
    asked = [replace(data.draw(streams(f"d{i}")), until=until) for i in range(count)]
    world = campus(count)
    outcomes = play(world, [ask(stream) for stream in asked])
    work = dict.fromkeys(world.kernel.nodes, 0.0)
    for i, (stream, outcome) in enumerate(zip(asked, outcomes, strict=True)):
        spans = [span for span in world.trace.spans if f"d{i}" in (span.actor, span.peer)]
        share = outcome.value
        assert 0.0 <= share <= 1.0
        assert share * stream.items == pytest.approx(round(share * stream.items))
        for span in spans:
            if span.kind in ("forward", "backward"):
                [cost] = [each.cost.flops for each in stream.stages
                          if isinstance(each, Compute) and each.kind == span.kind]  # fmt: skip
                assert span.energy == pytest.approx(cost * span.progress)
                assert share <= span.progress * (1.0 + 1e-9)
    for span in world.trace.spans:
        assert span.t1 <= until + 1e-9
        if span.kind in ("forward", "backward", "tail"):
            work[span.actor] += span.energy
    for name, node in world.kernel.nodes.items():
        assert node.energy.get("compute", 0.0) == pytest.approx(work[name])
        assert (node.jobs, node.activities, node.memory.used) == ({}, {}, 0.0)
    if until == inf:
        assert [outcome.value for outcome in outcomes] == [1.0] * count
        busy = max(work.values())
        assert max(outcome.finished for outcome in outcomes) >= busy * (1.0 - 1e-9)


@given(st.data(), st.floats(0.0, 30.0), st.sampled_from(["churn", "battery", "deadline"]))
def test_who_is_cut_off_is_told_whole_items(data: st.DataObject, when: float, cause: str):
    """Whatever ends it; the others go on, and what was begun of the rest is paid."""
    asked = [data.draw(streams(f"d{i}")) for i in range(2)]
    world = campus(2)
    node = world.kernel.node("d0")
    if cause != "deadline":
        Call(world.kernel.env, lambda: world.kernel.kill(node, cause), when)  # pyright: ignore
    first, second = play(
        world, [ask(stream) for stream in asked], when if cause == "deadline" else inf
    )
    if first.dropped:
        items = first.dropped.progress * asked[0].items
        assert first.dropped.cause == cause
        assert items == pytest.approx(round(items))
        assert items <= asked[0].items
    if cause != "deadline":
        assert second.value == 1.0
    assert world.kernel.node("server").jobs == {}


@given(st.lists(seconds, min_size=1, max_size=4), st.integers(1, 40), st.floats(0.0, 1.0),
       st.sampled_from([1, inf]))  # fmt: skip
def test_an_item_is_through_when_it_would_be(
    times: list[float], items: int, share: float, window: float
):
    """Alone: item k leaves when a stream of k items ends."""
    world = World()
    for i in range(len(times)):
        world.device(f"d{i}")
    world.server(profile(idle=0.0))
    stages = [Compute(node=f"d{i}", cost=Cost(flops=t * items)) for i, t in enumerate(times)]
    until = share * pipeline_time(times, items, window)
    stream = Stream(stages=tuple(stages), items=items, window=window, until=until)
    [outcome] = play(world, [ask(stream)])
    ends = [pipeline_time(times, k, window) for k in range(1, items + 1)]
    if window == 1 or items > 1:
        sure = sum(end < until * (1.0 - 1e-9) for end in ends)
        near = sum(end <= until * (1.0 + 1e-9) for end in ends)
        assert sure <= floor(outcome.value * items + 1e-6) <= near


@given(st.lists(seconds, min_size=1, max_size=5), st.integers(1, 30), windows)
def test_a_loop_that_never_comes_back_is_a_pipeline(times: list[float], items: int, window: float):
    stops = tuple(Stop(i, each) for i, each in enumerate(times))
    assert loop_time(stops, items, window) == pytest.approx(pipeline_time(times, items, window))


@given(st.lists(st.tuples(st.floats(0.0, 5.0), seconds, st.floats(0.0, 12.0), st.sampled_from(
    ["job", "hold a", "hold b", "drop a"])), max_size=12))  # fmt: skip
def test_memory_is_never_overdrawn_and_nobody_waits_for_ever(
    acts: list[tuple[float, float, float, str]],
):
    """Jobs and holds on 10 bytes: everyone is served or refused, and all comes back at the end."""
    world = campus(1)
    memory = world.kernel.node("d0").memory
    ended: list[str] = []

    async def one(when: float, work: float, size: float, what: str) -> None:
        await Sleep(duration=when)
        try:
            if what == "job":
                await Compute(node="d0", cost=Cost(flops=work, memory=size))
            else:
                size = size if what.startswith("hold") else 0.0
                await Hold(node="d0", name=what[-1], size=size)
        except Dropped as dropped:
            ended.append(dropped.cause)
        else:
            ended.append("")
        assert sum(memory.held.values()) <= memory.used + 1e-9 <= 10.0 + 2e-9

    async def server() -> None:
        await Gather(children=tuple(Child(script=one(*act), node="server") for act in acts))

    world.run(server())
    assert len(ended) == len(acts)
    assert {*ended} <= {"", "memory"}
    assert memory.used == pytest.approx(0.0, abs=1e-9)
    assert (memory.held, len(memory.queue)) == ({}, 0)
    assert memory.peak <= 10.0 + 1e-9
