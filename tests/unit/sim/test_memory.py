from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped, OutOfMemory
from hetsim.sim.availability.base import Away
from hetsim.sim.clock import Call
from hetsim.sim.incident import Incidents
from hetsim.sim.memory import MemoryState
from hetsim.sim.presence import Presence
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Hold,
    Inbox,
    Launch,
    Outcome,
    Request,
    Script,
    Sleep,
    Stream,
)
from hetsim.sim.world import World, profile


def test_jobs_share_the_memory() -> None:
    memory = MemoryState(capacity=10.0)
    memory.reserve(6.0)
    assert (memory.free(4.0), memory.free(4.1)) == (True, False)
    memory.reserve(4.0)
    memory.release(6.0)
    assert (memory.used, memory.peak) == (4.0, 10.0)


def test_what_can_never_run_is_refused_with_the_numbers() -> None:
    memory = MemoryState(capacity=10e6)
    memory.reserve(6e6)
    memory.check("pi", 9e6)
    with pytest.raises(OutOfMemory, match="pi: the job needs 11 MB and 10 MB are free"):
        memory.check("pi", 11e6)
    assert (memory.used, memory.peak) == (6e6, 6e6)


def play(*jobs: tuple[float, float, float], deadline: float = 1e9) -> tuple[World, list[Outcome]]:
    """Jobs of (start, seconds alone, bytes) on one node with 10 bytes."""
    world = World()
    world.server()
    world.device("a", profile(memory=10.0))

    async def job(start: float, work: float, size: float) -> None:
        await Sleep(duration=start)
        await Compute(node="a", cost=Cost(flops=work, memory=size))

    outcomes: list[Outcome] = []

    async def server() -> None:
        children = tuple(Child(script=job(*each), node="a") for each in jobs)
        outcomes.extend(await Gather(children=children, deadline=deadline))

    world.run(server())
    return world, outcomes


def waits(world: World) -> list[tuple[float, float, str]]:
    return [(s.t0, s.t1, s.outcome) for s in world.trace.spans if s.kind == "wait"]


def test_a_job_waits_for_memory_in_order() -> None:
    """The third would fit beside the first, but does not overtake the second."""
    world, outcomes = play((0.0, 4.0, 6.0), (1.0, 2.0, 6.0), (2.0, 1.0, 4.0))
    # 4 s alone; then the second and the third share the processor: the third is done 2 s later
    assert [outcome.finished for outcome in outcomes] == pytest.approx([4.0, 7.0, 6.0])
    assert waits(world) == [(1.0, 4.0, "done"), (2.0, 4.0, "done")]
    starts = {span.t1: span.t0 for span in world.trace.spans if span.kind == "compute"}
    assert starts == pytest.approx({4.0: 0.0, 6.0: 4.0, 7.0: 4.0}), "the wait is no work"
    assert world.kernel.node("a").memory.used == 0.0
    assert world.kernel.node("a").memory.peak == 10.0


def test_a_wait_ends_with_the_deadline_and_lets_the_next_go() -> None:
    world, outcomes = play((0.0, 4.0, 6.0), (1.0, 2.0, 6.0), deadline=3.0)
    assert [outcome.dropped.cause for outcome in outcomes if outcome.dropped] == ["deadline"] * 2
    assert waits(world) == [(1.0, 3.0, "deadline")]
    memory = world.kernel.node("a").memory
    assert (memory.used, len(memory.queue)) == (0.0, 0)


def test_what_no_node_could_hold_is_refused_and_does_not_wait() -> None:
    world, outcomes = play((0.0, 4.0, 6.0), (1.0, 2.0, 11.0))
    assert outcomes[1].dropped
    assert (outcomes[1].dropped.cause, outcomes[1].dropped.detail) == (
        "memory", "a: the job needs 11 B and 10 B are free",
    )  # fmt: skip
    assert [note[:3] for note in world.trace.notes] == [(1.0, "a", "memory")]
    assert waits(world) == []


def test_a_stream_reserves_all_its_stages_or_none() -> None:
    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0))

    def stages(size: float) -> tuple[Compute, ...]:
        return (Compute(node="a", cost=Cost(flops=1.0, memory=size)),) * 2

    async def stream(size: float) -> None:
        await Stream(stages=stages(size), items=2)

    outcomes: list[Outcome] = []

    async def server() -> None:
        children = tuple(Child(script=stream(size), node="a") for size in (5.0, 5.0, 6.0))
        outcomes.extend(await Gather(children=children))

    world.run(server())
    assert [outcome.dropped is None for outcome in outcomes] == [True, True, False]
    assert outcomes[1].finished > outcomes[0].finished
    assert (node.memory.used, node.memory.peak) == (0.0, 10.0)


def hold(size: float, name: str = "buffer", node: str = "a") -> Hold:
    return Hold(node=node, name=name, size=size)


def job(work: float, size: float) -> Compute:
    return Compute(node="a", cost=Cost(flops=work, memory=size))


def side_by_side(*scripts: Script[Any], **device: Any) -> tuple[World, list[Outcome]]:
    """Scripts of one device with 10 bytes, played by the server."""
    world = World()
    world.server()
    world.device("a", profile(memory=10.0), **device)
    outcomes: list[Outcome] = []

    async def server() -> None:
        outcomes.extend(await Gather(children=tuple(Child(script=s, node="a") for s in scripts)))

    world.run(server())
    return world, outcomes


def causes(outcomes: list[Outcome]) -> list[str]:
    return [outcome.dropped.cause if outcome.dropped else "" for outcome in outcomes]


def test_what_is_held_outlives_the_script_and_counts_in_the_peak() -> None:
    memories: list[MemoryState] = []
    world = World()
    node = world.server(profile(memory=10.0))

    async def one() -> None:
        await hold(4.0, node="server")

    async def server() -> None:
        await Gather(children=(Child(script=one(), node="server"),))
        memories.append(replace(node.memory, held=dict(node.memory.held)))
        await Compute(node="server", cost=Cost(flops=1.0, memory=5.0))

    world.run(server())
    assert (memories[0].used, memories[0].held) == (4.0, {"buffer": 4.0})
    assert (node.memory.peak, node.memory.used, node.memory.held) == (9.0, 0.0, {})


def test_holding_again_replaces_and_letting_go_makes_room() -> None:
    seen: list[dict[str, float]] = []

    async def script() -> None:
        memory = world.kernel.node("server").memory
        for size in (4.0, 9.0, 2.0, 0.0):
            await hold(size, node="server")
            seen.append(dict(memory.held))
            assert memory.used == size

    world = World()
    world.server(profile(memory=10.0))
    world.run(script())
    assert seen == [{"buffer": 4.0}, {"buffer": 9.0}, {"buffer": 2.0}, {}]
    assert world.kernel.node("server").memory.peak == 9.0, "the old value makes room for the new"


def test_what_does_not_fit_beside_what_is_held_is_refused_with_the_numbers() -> None:
    async def script() -> list[str]:
        told: list[str] = []
        await hold(6.0)
        for request in (hold(5.0, "replica"), hold(11.0), job(1.0, 5.0)):
            try:
                await request
            except Dropped as dropped:
                told.append(f"{dropped.cause}: {dropped.detail}")
        return told

    world, [outcome] = side_by_side(script())
    assert outcome.value == [
        'memory: a: "replica" needs 5 B and 4 B are free',
        'memory: a: "buffer" needs 11 B and 10 B are free',
        "memory: a: the job needs 5 B and 4 B are free",
    ]
    assert [note.cause for note in world.trace.notes] == ["memory"] * 3
    assert outcome.finished == 0.0


def test_holding_waits_in_order_for_what_jobs_release() -> None:
    async def late(request: Request[Any]) -> float:
        await Sleep(duration=1.0)
        await request
        return world.kernel.env.now

    async def first() -> None:
        await job(4.0, 8.0)

    async def script() -> list[Outcome]:
        scripts = (first(), late(hold(6.0)), late(job(2.0, 1.0)))
        return await Gather(children=tuple(Child(script=each, node="a") for each in scripts))

    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0))
    ends: list[float] = []

    async def server() -> None:
        ends.extend(outcome.finished for outcome in await script())

    world.run(server())
    assert ends == pytest.approx([4.0, 4.0, 6.0])
    assert [span[:4] for span in world.trace.spans if span.kind == "wait"] == [
        (1.0, 4.0, "a", "wait"), (1.0, 4.0, "a", "wait"),
    ]  # fmt: skip
    assert node.memory.peak == 8.0


def test_a_job_that_waits_is_refused_once_something_is_held_for_good() -> None:
    """The second fits beside the first job, once that is done; but not beside what is held."""

    async def first() -> None:
        await job(4.0, 6.0)

    async def holder() -> None:
        await hold(3.0)
        await Sleep(duration=9.0)

    async def waiter() -> None:
        await job(1.0, 8.0)

    async def soon(script: Script[Any], when: float) -> None:
        await Sleep(duration=when)
        await script

    world, outcomes = side_by_side(first(), soon(waiter(), 2.0), soon(holder(), 1.0))
    assert causes(outcomes) == ["", "memory", ""]
    assert outcomes[1].finished == 2.0
    world, outcomes = side_by_side(first(), soon(waiter(), 1.0), soon(holder(), 2.0))
    assert causes(outcomes) == ["", "", ""], "it holds behind the waiter, and waits for it"
    assert outcomes[1].finished == 5.0
    assert world.kernel.node("a").memory.queue == deque()


def test_a_wait_to_hold_ends_when_the_node_leaves() -> None:
    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0))
    told: list[Dropped] = []

    async def busy() -> None:
        await job(9.0, 8.0)

    async def server() -> None:
        inbox = Inbox()
        await Launch(children=(Child(script=busy(), node="a"),), inbox=inbox)
        await Sleep(duration=1.0)
        try:
            await hold(5.0)
        except Dropped as dropped:
            told.append(dropped)
        with pytest.raises(Dropped, match="away"):
            await hold(1.0)

    Call(world.kernel.env, lambda: world.kernel.kill(node, "churn"), 3.0)
    world.run(server())
    assert [dropped.cause for dropped in told] == ["churn"]
    assert (node.memory.used, node.memory.queue, node.memory.held) == (0.0, deque(), {})


@pytest.mark.parametrize(
    ("away", "kept"), [("off", {}), ("sleep", {"buffer": 4.0}), ("idle", {"buffer": 4.0})]
)
def test_memory_is_lost_with_the_power_and_kept_asleep(away: Away, kept: dict[str, float]) -> None:
    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0))
    presence = Presence(world.kernel, node)
    seen: list[dict[str, float]] = []

    async def server() -> None:
        await hold(4.0)
        await Sleep(duration=2.0)
        seen.append(dict(node.memory.held))

    Call(world.kernel.env, lambda: presence.leave("churn", away), 1.0)
    world.run(server())
    assert seen == [kept]
    lost = [note.text for note in world.trace.notes if note.cause == "memory"]
    assert lost == ([] if kept else ["lost 4 B that it held in memory"])


def test_a_crash_loses_memory_though_the_node_boots_at_its_idle_power() -> None:
    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0))
    Incidents(world.kernel, {"a": Presence(world.kernel, node)}).crash("a", 1.0, 1.0)
    seen: list[float] = []

    async def server() -> None:
        await hold(4.0)
        await Sleep(duration=3.0)
        seen.append(node.memory.used)

    world.run(server())
    assert (seen, node.state, node.memory.peak) == ([0.0], "idle", 4.0)


def test_an_empty_battery_loses_memory() -> None:
    world = World()
    world.server()
    node = world.device("a", profile(memory=10.0), charge=5.0)
    seen: list[float] = []

    async def server() -> None:
        await hold(4.0)
        await Sleep(duration=4.0)
        seen.append(node.memory.used)
        await Sleep(duration=2.0)
        seen.append(node.memory.used)

    world.run(server())
    assert seen == [4.0, 0.0]
