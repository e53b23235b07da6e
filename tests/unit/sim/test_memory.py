from __future__ import annotations

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import OutOfMemory
from hetsim.sim.memory import MemoryState
from hetsim.sim.requests import Child, Compute, Gather, Outcome, Sleep, Stream
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
