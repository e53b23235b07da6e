"""Scripts on the kernel: what they are answered, what ends them, what they are refused."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import CausalityError, Dropped, HetsimError, NeedsLearning
from hetsim.core.ref import Ref
from hetsim.sim.clock import Call
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Observe,
    Outcome,
    Script,
    Sleep,
    Stream,
    Transfer,
)
from hetsim.sim.world import World, profile


def work(seconds: float, node: str = "a", **more: Any) -> Compute:
    return Compute(node=node, cost=Cost(flops=seconds), **more)


def send(size: float, node: str = "a", **more: Any) -> Transfer:
    return Transfer(source=node, target="server", size=size, **more)


def child(script: Script[Any], node: str = "a") -> Child:
    return Child(script=script, node=node)


async def do(*requests: Awaitable[Any]) -> str:
    for request in requests:
        await request
    return "done"


def causes(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.dropped.cause if outcome.dropped else "done" for outcome in outcomes]


def gather(world: World, *children: Child, **how: Any) -> list[Outcome]:
    """Gather in a world and return the outcomes."""
    outcomes: list[Outcome] = []

    async def server() -> None:
        outcomes.extend(await Gather(children=children, **how))

    world.run(server())
    return outcomes


# --- time ---------------------------------------------------------------------------------------


def test_requests_take_their_time_one_after_the_other(world: World):
    assert world.run(do(work(2.0), send(3.0), Sleep(duration=0.5))) == 5.5
    assert [(span.kind, span.t0, span.t1) for span in world.trace.spans] == [
        ("compute", 0.0, 2.0), ("transfer", 2.0, 5.0),
    ]  # fmt: skip


def test_the_end_is_that_of_the_script_not_of_the_clock(world: World):
    """A cancelled deadline stays queued; it neither prolongs the run nor charges anybody."""

    async def server() -> None:
        await Gather(children=(child(do(work(2.0))),), deadline=1e6)

    assert world.run(server()) == 2.0
    assert world.joules("a")["idle"] == 2.0


def test_every_instant_of_a_trace_was_an_event_of_the_environment(world: World):
    instants = {0.0}
    step = world.kernel.env.step

    def watched() -> None:
        step()
        instants.add(world.kernel.env.now)

    world.kernel.env.step = watched
    Call(world.kernel.env, lambda: world.kernel.kill(world.kernel.node("c"), "churn"), 1.75)
    scripts = [
        do(work(1.1), send(2.3), work(0.7)),
        do(send(1.9, "b"), work(3.0, "b")),
        do(work(9.0, "c")),
    ]
    gather(world, *(child(script, name) for script, name in zip(scripts, "abc", strict=True)),
           deadline=4.5)  # fmt: skip
    seen = {t for span in world.trace.spans for t in (span.t0, span.t1)}
    seen |= {counter.t for counter in world.trace.counters} | {n.t for n in world.trace.notes}
    assert len(world.trace.spans) == 6
    assert seen <= instants


def test_a_latency_passes_before_the_bytes_and_takes_no_bandwidth():
    world = World()
    world.server()
    for name in "ab":
        world.device(name)
    world.cell("switch", Ethernet(latency=2.0), {"a": 1.0, "b": 1.0}, uplink=1.0)

    async def late() -> None:
        await Sleep(duration=0.5)
        await send(1.0, "b")

    [a, b] = gather(world, child(do(send(0.5))), child(late(), "b"))
    assert (a.finished, b.finished) == (2.5, 3.5)


def test_a_transfer_dropped_in_its_latency_moved_nothing():
    world = World()
    world.server()
    world.device("a")
    world.cell("switch", Ethernet(latency=2.0), {"a": 1.0})
    [outcome] = gather(world, child(do(send(1.0))), deadline=1.0)
    assert outcome.dropped is not None
    assert outcome.dropped.progress == 0.0
    [span] = world.trace.spans
    assert (span.t1, span.size, span.energy, span.outcome) == (1.0, 0.0, 0.0, "deadline")
    assert world.run(do(Sleep(duration=9.0))) == 10.0
    assert len(world.trace.spans) == 1, "it did not start after all"


def test_an_empty_transfer_takes_its_latency_only():
    world = World()
    world.server()
    world.device("a")
    world.cell("switch", Ethernet(latency=0.25), {"a": 1.0})
    token = Ref.of("token")
    world.give("a", token)
    empty = send(0.0, carries=(token,))
    assert world.run(do(empty)) == 0.25
    assert world.run(do(Stream(stages=(empty, empty), items=3))) == 0.75
    assert world.trace.spans == []


def test_a_transfer_to_oneself_takes_no_time(world: World):
    assert world.run(do(Transfer(source="server", target="server", size=1e9))) == 0.0


def test_what_costs_no_time_is_done_at_once(world: World):
    """A device without an input pipeline spends nothing on samples."""
    assert world.run(do(work(0.0), Compute(node="a", cost=Cost(samples=9.0, traffic=9.0)))) == 0.0
    assert world.trace.spans == []


def test_thousands_of_immediate_answers_need_no_stack(world: World):
    async def busy() -> int:
        for _ in range(20_000):
            await work(0.0)
            await send(0.0)
        return 1

    assert gather(world, child(busy()))[0].value == 1


def test_ten_thousand_children_need_no_stack(world: World):
    async def leaf(i: int) -> int:
        await Sleep(duration=i % 7)
        return i

    outcomes = gather(world, *(child(leaf(i)) for i in range(10_000)))
    assert [outcome.value for outcome in outcomes] == list(range(10_000))


def test_deep_families_end(world: World):
    async def nest(depth: int) -> int:
        if not depth:
            await work(1.0)
            return 0
        [outcome] = await Gather(children=(child(nest(depth - 1)),))
        return outcome.value + 1

    assert gather(world, child(nest(50)))[0].value == 50


# --- families -----------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_children(world: World):
    outcomes = gather(world, child(do(work(3.0))), child(do(work(1.0, "b")), "b"))
    assert [(o.value, o.finished) for o in outcomes] == [("done", 3.0), ("done", 1.0)]


def test_an_empty_family_answers_at_once(world: World):
    assert gather(world) == []


def test_a_deadline_drops_the_unfinished(world: World):
    outcomes = gather(
        world, child(do(work(1.0))), child(do(work(4.0, "b")), "b"),
        child(do(Sleep(duration=8.0)), "c"), deadline=2.0,
    )  # fmt: skip
    assert causes(outcomes) == ["done", "deadline", "deadline"]
    assert [o.dropped.progress for o in outcomes if o.dropped] == [0.5, 0.25]
    assert [o.finished for o in outcomes] == [1.0, 2.0, 2.0]
    assert [(s.outcome, s.progress) for s in world.trace.spans] == [("done", 1), ("deadline", 0.5)]


def test_what_ends_at_the_deadline_is_in_time(world: World):
    outcomes = gather(
        world, child(do(work(2.0))), child(do(Sleep(duration=2.0)), "b"),
        child(do(work(1.0, "c"), send(1.0, "c")), "c"), deadline=2.0,
    )  # fmt: skip
    assert causes(outcomes) == ["done"] * 3


def test_a_deadline_of_nothing_still_asks(world: World):
    outcomes = gather(world, child(do(work(1.0))), child(do(work(0.0, "b")), "b"), deadline=0.0)
    assert causes(outcomes) == ["deadline", "done"]


def test_the_first_count_and_the_rest_is_dropped(world: World):
    scripts = [
        do(work(seconds, name)) for seconds, name in zip((3.0, 1.0, 2.0), "abc", strict=True)
    ]
    children = [child(script, name) for script, name in zip(scripts, "abc", strict=True)]
    assert causes(gather(world, *children, first=2)) == ["surplus", "done", "done"]
    assert world.kernel.env.now == 2.0


def test_of_two_that_finish_at_one_instant_the_first_counts(world: World):
    outcomes = gather(
        world, child(do(work(2.0))), child(do(work(2.0, "b")), "b"),
        child(do(send(2.0, "c")), "c"), first=1,
    )  # fmt: skip
    assert sorted(causes(outcomes)) == ["done", "surplus", "surplus"]
    assert all(node.activities == {} for node in world.kernel.nodes.values())


def test_equal_flows_of_one_component_finish_at_one_instant_for_the_first():
    """The second flow is complete when the first one's end drops it."""
    world = World()
    world.server()
    for name in "ab":
        world.device(name)
    world.cell("switch", Ethernet(latency=0.0), {"a": 1.0, "b": 1.0}, uplink=1.0)
    outcomes = gather(world, *(child(do(send(1.0, name)), name) for name in "ab"), first=1)
    assert causes(outcomes) == ["done", "surplus"]
    assert [outcome.finished for outcome in outcomes] == [2.0, 2.0]
    assert [span.progress for span in world.trace.spans] == [1.0, 1.0]


def test_those_who_fail_do_not_count_as_first(world: World):
    async def fail() -> None:
        await work(0.5)
        raise Dropped("memory")

    outcomes = gather(world, child(fail()), child(do(work(1.0, "b")), "b"), first=1)
    assert causes(outcomes) == ["memory", "done"]


def test_children_begin_in_order_and_only_while_they_are_wanted(world: World):
    begun: list[str] = []

    async def script(name: str) -> str:
        begun.append(name)
        return name

    outcomes = gather(world, *(child(script(name)) for name in "abc"), first=2)
    assert causes(outcomes) == ["done", "done", "surplus"]
    assert begun == ["a", "b"]


def test_no_child_begins_after_one_that_fails(world: World):
    begun: list[str] = []

    async def script(name: str) -> None:
        begun.append(name)
        if name == "b":
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        gather(world, *(child(script(name)) for name in "abc"))
    assert begun == ["a", "b"]


def test_grandchildren_do_not_outlive_their_parents(world: World):
    ended: list[str] = []

    async def grandchild(name: str) -> None:
        try:
            await work(100.0, name)
        finally:
            ended.append(name)

    async def parent() -> None:
        await Gather(children=tuple(child(grandchild(name), name) for name in "bc"))

    outcomes = gather(world, child(parent()), deadline=2.0)
    assert causes(outcomes) == ["deadline"]
    assert ended == ["b", "c"]
    assert world.kernel.env.now == 2.0
    assert all(node.jobs == {} for node in world.kernel.nodes.values())


def test_a_child_may_save_what_it_has(world: World):
    async def saving() -> float:
        try:
            await work(4.0)
        except Dropped as dropped:
            return dropped.progress
        return 1.0

    [outcome] = gather(world, child(saving()), deadline=1.0)
    assert (outcome.value, outcome.dropped) == (0.25, None)


def test_a_child_that_will_not_end_is_closed(world: World):
    tries: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await work(9.0)
            except Dropped as dropped:
                tries.append(dropped.cause)

    [outcome] = gather(world, child(stubborn()), deadline=1.0)
    assert causes([outcome]) == ["deadline"]
    assert 1 < len(tries) < 100


def test_a_doomed_child_starts_no_family(world: World):
    async def clinging() -> None:
        try:
            await work(9.0)
        except Dropped:
            await Gather(children=(child(do(work(1.0))),))

    assert causes(gather(world, child(clinging()), deadline=1.0)) == ["deadline"]


def test_a_parent_can_ask_again_at_the_instant_of_a_death(world: World):
    """The device is off before anyone hears of its death."""
    rounds: list[str] = []

    async def server() -> None:
        for _ in range(3):
            rounds.extend(causes(await Gather(children=(child(do(work(2.0))),))))

    Call(world.kernel.env, lambda: world.kernel.kill(world.kernel.node("a"), "churn"), 1.0)
    assert world.run(server()) == 1.0
    assert rounds == ["churn"] * 3
    assert world.kernel.node("a").jobs == {}


# --- misfortune ---------------------------------------------------------------------------------


def test_a_battery_empties_in_the_middle_of_a_step():
    """2 W from 10 J: 5 s, half of the job, 5 J for it."""
    world = World()
    world.server()
    node = world.device("a", charge=10.0)
    [outcome] = gather(world, child(do(work(10.0))))
    assert outcome.dropped is not None
    assert (outcome.dropped.cause, outcome.dropped.progress) == ("battery", 0.5)
    assert outcome.finished == 5.0
    [span] = world.trace.spans
    assert (span.t1, span.energy, span.outcome, span.progress) == (5.0, 5.0, "battery", 0.5)
    assert node.energy == {"idle": 5.0, "compute": 5.0}
    assert [note[:3] for note in world.trace.notes] == [(5.0, "a", "battery")]
    assert causes(gather(world, child(do(work(1.0))))) == ["battery"], "and it stays empty"


def test_a_node_that_leaves_ends_what_it_does(world: World):
    node = world.kernel.node("a")
    Call(world.kernel.env, lambda: world.kernel.kill(node, "churn"), 1.0)
    Call(world.kernel.env, lambda: world.kernel.revive(node), 5.0)
    outcomes = gather(
        world, child(do(work(4.0))), child(do(send(2.0))), child(do(Sleep(duration=9.0))),
        child(do(work(4.0, "b")), "b"),
    )  # fmt: skip
    assert causes(outcomes) == ["churn", "churn", "churn", "done"]
    assert world.run(do(Sleep(duration=2.0))) == 6.0
    assert node.state == "idle"
    assert node.energy["idle"] == 2.0, "there until 1 and from 5 on"
    assert causes(gather(world, child(do(work(1.0))))) == ["done"]
    assert [(note.t, note.text) for note in world.trace.notes] == [(1.0, "left"), (5.0, "back")]


def test_a_node_that_is_away_is_refused_at_once(world: World):
    world.kernel.kill(world.kernel.node("a"), "churn")
    assert causes(gather(world, child(do(work(1.0))), child(do(send(1.0)), "b"))) == ["churn"] * 2
    assert world.kernel.env.now == 0.0


def test_the_partner_of_a_node_that_leaves_is_told(world: World):
    async def server() -> str:
        try:
            await Transfer(source="server", target="a", size=4.0)
        except Dropped as dropped:
            return f"{dropped.cause} {dropped.progress}"
        return "arrived"

    Call(world.kernel.env, lambda: world.kernel.kill(world.kernel.node("a"), "churn"), 1.0)
    [outcome] = gather(world, child(server(), "server"))
    assert outcome.value == "churn 0.25"


def test_a_script_on_a_dead_node_runs_no_further(world: World):
    async def parent() -> None:
        await Gather(children=(child(do(work(4.0))),))
        await work(1.0)

    Call(world.kernel.env, lambda: world.kernel.kill(world.kernel.node("a"), "churn"), 1.0)
    assert causes(gather(world, child(parent()))) == ["churn"]
    assert [span.progress for span in world.trace.spans] == [0.25]


def test_too_much_memory_is_refused_with_the_numbers():
    world = World()
    world.server()
    node = world.device("a", profile(memory=10e6))

    def job(memory: float) -> Compute:
        return Compute(node="a", cost=Cost(flops=1.0, memory=memory))

    outcomes = gather(world, child(do(job(6e6))), child(do(job(11e6))), child(do(job(4e6))))
    assert causes(outcomes) == ["done", "memory", "done"]
    assert str(outcomes[1].dropped) == "a: the job needs 11 MB and 10 MB are free"
    assert [note[1:] for note in world.trace.notes] == [
        ("a", "memory", "a: the job needs 11 MB and 10 MB are free")
    ]
    assert (node.memory.used, node.memory.peak) == (0.0, 10e6)


def test_a_refused_stream_reserves_nothing(world: World):
    ref = Ref.of("never made")
    body = profile(memory=10.0)
    node = world.device("d", body)
    fits = Compute(node="d", cost=Cost(flops=1.0, memory=6.0))
    for stages in ((fits, fits), (fits, work(1.0, needs=(ref,))), (fits, work(1.0, "nobody"))):

        async def script(stages: Any = stages) -> None:
            with pytest.raises(HetsimError):
                await Stream(stages=stages, items=2)

        world.run(script())
    assert node.memory.used == 0.0
    assert node.jobs == {}


# --- what scripts do wrong ----------------------------------------------------------------------


def test_an_exception_surfaces_with_its_traceback(world: World):
    resumed: list[str] = []

    async def broken() -> None:
        await work(1.0)
        raise ZeroDivisionError("in the middle of a script")

    async def server() -> None:
        await Gather(children=(child(broken()), child(do(work(9.0, "b")), "b")))
        resumed.append("went on without the child's result")

    with pytest.raises(ZeroDivisionError, match="in the middle") as error:
        world.run(server())
    assert "broken" in [entry.name for entry in error.traceback]
    assert world.kernel.env.now == 1.0
    assert resumed == []


def test_a_server_that_is_dropped_is_an_error(world: World):
    async def server() -> None:
        raise Dropped("memory", detail="no room")

    with pytest.raises(HetsimError, match="the server stopped: no room"):
        world.run(server())


def test_a_foreign_awaitable_is_named_where_it_is_awaited(world: World):
    class Foreign:
        def __await__(self) -> Any:
            return (yield self)

        def __repr__(self) -> str:
            return "<a future of another library>"

    async def confused() -> None:
        await Foreign()

    with pytest.raises(HetsimError, match="awaits <a future of another library>") as error:
        world.run(confused())
    assert "confused" in [entry.name for entry in error.traceback]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (work(1.0, "aa"), 'no node "aa". Did you mean "a"?'),
        (send(1.0, "nobody"), 'no node "nobody".'),
        (Gather(children=()), ""),
    ],
)
def test_an_unknown_node_is_named(world: World, request_: Any, complaint: str):
    if not complaint:
        request_ = Gather(children=(child(do(work(1.0))), child(do(work(1.0)), "servr")))
        complaint = 'no node "servr". Did you mean "server"?'
    with pytest.raises(HetsimError, match=complaint.replace("?", r"\?")):
        world.run(do(request_))


def test_a_node_outside_the_network_sends_nothing(world: World):
    world.device("loner")
    with pytest.raises(HetsimError, match='"loner" is not in the network'):
        world.run(do(send(1.0, "loner")))


def test_a_deadlock_says_so(world: World):
    closed: list[str] = []

    async def forever() -> None:
        try:
            await Sleep(duration=inf)
        finally:
            closed.append("yes")

    with pytest.raises(HetsimError, match="nothing is left to happen, and the server still waits"):
        gather(world, child(forever()))
    assert closed == ["yes"]


def test_a_script_that_insists_on_the_impossible_is_stopped(world: World):
    async def insisting() -> None:
        while True:
            try:
                await send(1.0, "a")
            except Dropped:
                continue

    world.kernel.kill(world.kernel.node("a"), "churn")
    with pytest.raises(HetsimError, match=r"refused 10000 times at t = 0 s.*a is away") as error:
        gather(world, child(insisting(), "b"))
    assert "Sleep" in str(error.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("how", ["deadlock", "exception", "end"])
def test_no_script_is_left_hanging(world: World, how: str):
    """Started or not, every coroutine is closed: Python warns about none."""
    closed: list[str] = []

    async def hanging(name: str) -> None:
        try:
            await Sleep(duration=inf)
        finally:
            closed.append(name)

    async def exploding() -> None:
        if how == "exception":
            raise ValueError("boom")
        await Sleep(duration=1.0)

    async def server() -> None:
        loose = [hanging("b"), Gather(children=(child(hanging("c"), "c"),))]
        for script, name in ((loose[0], "b"), (do(loose[1]), "c")):
            world.kernel.start(script, world.kernel.node(name), lambda _: None)
        if how == "deadlock":
            await Sleep(duration=inf)
        await Gather(children=(child(exploding()), child(do(work(1.0, "b")), "b")))

    if how == "end":
        world.run(server())
    else:
        with pytest.raises((HetsimError, ValueError)):
            world.run(server())
    gc.collect()
    assert set(closed) <= {"b", "c"}
    assert how == "exception" or sorted(closed) == ["b", "c"]


def test_what_still_runs_at_the_end_is_accounted_for(world: World):
    """The run ends with its script; what others had begun is a span cut short."""

    async def server() -> None:
        world.kernel.start(do(work(10.0)), world.kernel.node("a"), lambda _: None)
        await Sleep(duration=4.0)

    assert world.run(server()) == 4.0
    [span] = world.trace.spans
    assert (span.t1, span.energy, span.outcome, span.progress) == (4.0, 4.0, "deadline", 0.4)
    assert world.joules("a") == {"idle": 4.0, "compute": 4.0}


# --- observations -------------------------------------------------------------------------------


def observed_world(**how: Any) -> tuple[World, list[list[str]]]:
    batches: list[list[str]] = []

    def observer(refs: Sequence[Ref[Any]]) -> list[Any]:
        batches.append([ref.op for ref in refs])
        return [len(ref.op) for ref in refs]

    world = World(observer=observer, **how)
    world.server()
    for name in "ab":
        world.device(name)
    world.cell("switch", Ethernet(latency=0.0), {"a": 1.0, "b": 1.0})
    return world, batches


def test_observations_wait_until_the_clock_is_about_to_move():
    world, batches = observed_world()

    async def look(*ops: str, after: int = 0) -> list[Any]:
        for _ in range(after):
            await Sleep(duration=0.0)
        return await Observe(tuple(Ref.of(op) for op in ops))

    async def twice() -> list[Any]:
        return [*await look("one"), *await look("three", "seven")]

    outcomes = gather(
        world, child(twice()), child(look("four", after=3)), child(look("fifteen"), "b")
    )
    assert [outcome.value for outcome in outcomes] == [[3, 5, 5], [4], [7]]
    assert batches == [["one", "fifteen", "four"], ["three", "seven"]]
    assert world.kernel.env.now == 0.0


def test_an_observation_nobody_waits_for_is_not_made():
    world, batches = observed_world()

    async def look() -> None:
        await Observe((Ref.of("ghost"),))

    assert causes(gather(world, child(look()), child(do(work(0.0, "b")), "b"), first=1)) == [
        "surplus", "done",
    ]  # fmt: skip
    assert batches in ([], [[]])


def test_a_run_without_learning_has_nothing_to_observe(world: World):
    ref = Ref.of("score")
    world.give("server", ref)
    with pytest.raises(NeedsLearning, match="this run computes no learned values"):
        world.run(do(Observe((ref,), "server")))


# --- causality ----------------------------------------------------------------------------------

MODEL = Ref.of("initial", seed=1)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (work(1.0, needs=(MODEL,)), r"a works on <Ref initial .{8}> but never received it: "
                                    r"`await device.download\(...\)` first"),
        (send(1.0, carries=(MODEL,)), r"a sends <Ref initial .{8}> but never received it: compute"),
        (Observe((MODEL,), "a"), r"a observes <Ref initial .{8}> but never received it: upload"),
    ],
)  # fmt: skip
def test_a_value_must_have_been_there(world: World, request_: Any, complaint: str):
    async def script() -> None:
        await request_

    with pytest.raises(CausalityError, match=complaint) as error:
        world.run(script())
    assert "script" in [entry.name for entry in error.traceback]


def test_values_travel_by_compute_and_transfer(world: World):
    update = Ref.of("train", MODEL)
    world.give("server", MODEL)
    world.run(
        do(
            Transfer(source="server", target="a", size=1.0, carries=(MODEL,)),
            work(1.0, needs=(MODEL,), makes=update),
            send(1.0, carries=(update,)),
            Transfer(source="server", target="b", size=1.0, carries=(update,)),
        )
    )
    assert [span.key for span in world.trace.spans] == [
        MODEL.key, update.key, update.key, update.key,
    ]  # fmt: skip


def test_a_value_that_was_cut_short_has_not_arrived(world: World):
    world.give("server", MODEL)
    download = Transfer(source="server", target="a", size=4.0, carries=(MODEL,))
    assert causes(gather(world, child(do(download)), deadline=3.0)) == ["deadline"]
    with pytest.raises(CausalityError):
        world.run(do(work(1.0, needs=(MODEL,))))


# --- spans --------------------------------------------------------------------------------------


def test_spans_name_the_device_first_and_the_round(world: World):
    world.kernel.round = 3
    up = send(2.0, kind="upload")
    down = Transfer(source="server", target="b", size=1.0, kind="download")
    world.run(do(up, down, Transfer(source="a", target="b", size=1.0, kind="gossip")))
    assert [(s.actor, s.peer, s.kind, s.size, s.round, s.serial) for s in world.trace.spans] == [
        ("a", "server", "upload", 2.0, 3, 1), ("b", "server", "download", 1.0, 3, 2),
        ("a", "b", "gossip", 1.0, 3, 3),
    ]  # fmt: skip


def test_a_long_run_leaves_nothing_behind(world: World):
    """After many rounds with far deadlines, nothing that scripts returned is reachable."""
    tokens: list[weakref.ref[Any]] = []

    class Token:
        pass

    async def script(token: Token) -> Token:
        await work(1.0)
        await send(1.0)
        return token

    def children() -> tuple[Child, ...]:
        fresh = [Token() for _ in "abc"]
        tokens.extend(weakref.ref(token) for token in fresh)
        return tuple(child(script(token)) for token in fresh)

    async def server() -> None:
        for _ in range(50):
            await Gather(children=children(), deadline=1e9)
        gc.collect()
        alive.append(sum(token() is not None for token in tokens))

    alive: list[int] = []
    world.run(server())
    assert len(tokens) == 150
    assert alive[0] <= 3


def test_a_finished_family_goes_without_the_collector(world: World):
    """A family and its tasks know each other; once it has answered they know no longer."""

    class Token:
        pass

    async def script(token: Token) -> Token:
        await work(1.0)
        return token

    async def server() -> None:
        token = Token()
        known = weakref.ref(token)
        children = (child(script(token)),)
        del token
        await Gather(children=children)
        del children
        await Sleep(duration=1.0)  # the one that ended last has called the server
        alive.append(known() is not None)

    alive: list[bool] = []
    gc.disable()
    try:
        world.run(server())
    finally:
        gc.enable()
    assert alive == [False]


def test_the_same_world_gives_the_same_trace():
    def play() -> str:
        world = World()
        world.server()
        for name in "abc":
            world.device(name, charge=40.0 if name == "c" else inf)
        world.cell("switch", Ethernet(), {"a": 1.0, "b": 0.7, "c": 0.3}, uplink=1.5)

        def script(i: int, name: str) -> Callable[[], Script[str]]:
            return lambda: do(work(1.0 + i, name), send(2.0, name), work(0.3, name))

        gather(world, *(child(script(i, name)(), name) for i, name in enumerate("abcabc")),
               deadline=30.0)  # fmt: skip
        return world.trace.hash()

    assert play() == play()
