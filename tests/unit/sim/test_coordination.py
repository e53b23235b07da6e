"""Requests that are cut, children that live on, and what the trace says of who waited for whom."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.core.trace import Span
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Inbox,
    Launch,
    Outcome,
    Receive,
    Script,
    Sleep,
    Transfer,
)
from hetsim.sim.world import World


def work(seconds: float, node: str = "a", **more: Any) -> Compute:
    return Compute(node=node, cost=Cost(flops=seconds), **more)


def send(size: float, node: str = "a", **more: Any) -> Transfer:
    return Transfer(source=node, target="server", size=size, **more)


async def do(*requests: Awaitable[Any]) -> str:
    for request in requests:
        await request
    return "done"


def child(*requests: Awaitable[Any], node: str = "a") -> Child:
    return Child(script=do(*requests), node=node)


def play(world: World, script: Script[None]) -> float:
    return world.run(script)


def chain(world: World, span: Span) -> list[tuple[str, float, float]]:
    """Back from a segment over those whose ends let the next begin."""
    by_serial = {each.serial: each for each in world.trace.spans}
    found: list[tuple[str, float, float]] = []
    while True:
        found.append((f"{span.actor}:{span.kind}", span.t0, span.t1))
        if span.after < 0:
            return found[::-1]
        span = by_serial[span.after]


# --- cut --------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [work(4.0, until=3.0), send(4.0, until=3.0)])
def test_what_is_cut_answers_with_the_share_that_was_done(world: World, request_: Any):
    answers: list[float] = []

    async def server() -> None:
        answers.append(await request_)

    assert play(world, server()) == 3.0
    assert answers == [0.75]
    [span] = world.trace.spans
    assert (span.t1, span.outcome, span.progress) == (3.0, "cut", 0.75)
    assert span.energy == pytest.approx(3.0 if span.kind == "compute" else 0.0)
    assert all(node.activities == {} for node in world.kernel.nodes.values())


def test_what_ends_at_the_instant_is_whole(world: World):
    answers: list[float] = []

    async def server() -> None:
        answers.append(await work(3.0, until=3.0))
        answers.append(await work(1.0, until=9.0))

    assert play(world, server()) == 4.0
    assert answers == [1.0, 1.0]
    assert [span.outcome for span in world.trace.spans] == ["done", "done"]


def test_an_instant_that_is_over_cuts_at_once(world: World):
    answers: list[float] = []

    async def server() -> None:
        await Sleep(duration=5.0)
        answers.append(await work(3.0, until=2.0))

    assert play(world, server()) == 5.0
    assert answers == [0.0]


def test_a_cut_at_the_deadline_is_still_in_time(world: World):
    """Both fall on one instant: the script is told first, and delivers."""
    outcomes: list[Outcome] = []

    async def server() -> None:
        outcomes.extend(await Gather(children=(child(work(9.0, until=2.0)),), deadline=2.0))

    play(world, server())
    assert [(o.dropped, o.value, o.finished) for o in outcomes] == [(None, "done", 2.0)]


def test_a_cut_job_that_waits_for_memory_has_done_nothing():
    world = World()
    world.server()
    world.device("a").memory.capacity = 1.0
    answers: list[float] = []

    async def second() -> None:
        answers.append(await Compute(node="a", cost=Cost(flops=1.0, memory=1.0), until=1.0))

    async def server() -> None:
        first = Compute(node="a", cost=Cost(flops=5.0, memory=1.0))
        await Gather(children=(child(first), Child(script=second(), node="a")))

    assert play(world, server()) == 5.0
    assert answers == [0.0]


# --- children that live on ----------------------------------------------------------------------


def test_children_deliver_in_the_order_in_which_they_end(world: World):
    inbox, heard = Inbox(), list[tuple[str, float]]()

    async def server() -> None:
        children = (child(work(3.0)), child(work(1.0, "b"), node="b"))
        await Launch(children=children, inbox=inbox)
        while inbox.playing:
            for outcome in await Receive(inbox=inbox):
                heard.append((outcome.node, world.kernel.env.now))

    assert play(world, server()) == 3.0
    assert heard == [("b", 1.0), ("a", 3.0)]


def test_what_has_arrived_before_is_answered_at_once(world: World):
    inbox, heard = Inbox(), list[tuple[int, float]]()

    async def server() -> None:
        await Launch(children=(child(work(1.0)), child(work(1.0, "b"), node="b")), inbox=inbox)
        await Sleep(duration=5.0)
        for count in (1, 5):
            heard.append((len(await Receive(inbox=inbox, count=count)), world.kernel.env.now))

    play(world, server())
    assert heard == [(1, 5.0), (1, 5.0)]


def test_patience_ends_with_what_there_is(world: World):
    inbox, heard = Inbox(), list[Sequence[str]]()

    async def server() -> None:
        await Launch(children=(child(work(1.0)), child(work(9.0, "b"), node="b")), inbox=inbox)
        outcomes = await Receive(inbox=inbox, count=2, patience=4.0)
        heard.append([outcome.node for outcome in outcomes])

    assert play(world, server()) == 4.0
    assert heard == [["a"]]


def test_children_end_with_the_script_that_launched_them(world: World):
    ends: list[tuple[str, float]] = []

    async def long() -> None:
        try:
            await work(9.0)
        except Dropped as dropped:
            ends.append((dropped.cause, world.kernel.env.now))
            raise

    async def parent() -> None:
        await Launch(children=(Child(script=long(), node="a"),), inbox=Inbox())
        await work(2.0, "b")

    async def server() -> None:
        await Gather(children=(Child(script=parent(), node="b"),))
        await work(3.0, "c")

    assert play(world, server()) == 5.0
    assert ends == [("deadline", 2.0)]


def test_the_loss_of_a_child_is_delivered_too(world: World):
    inbox, causes = Inbox(), list[str]()

    async def server() -> None:
        await Launch(children=(child(work(9.0)),), inbox=inbox)
        await Sleep(duration=1.0)
        world.kernel.kill(world.kernel.node("a"), "churn")
        for outcome in await Receive(inbox=inbox):
            assert outcome.dropped
            causes.append(outcome.dropped.cause)

    play(world, server())
    assert causes == ["churn"]


# --- who waited for whom --------------------------------------------------------------------------


def test_a_server_goes_on_after_the_last_of_its_children(world: World):
    async def server() -> None:
        slow, fast = child(work(3.0), send(1.0)), child(work(2.0, "b"), node="b")
        await Gather(children=(slow, fast))
        await work(1.0, "c")

    assert play(world, server()) == 5.0
    assert chain(world, world.trace.spans[-1]) == [
        ("a:compute", 0.0, 3.0), ("a:transfer", 3.0, 4.0), ("c:compute", 4.0, 5.0),
    ]  # fmt: skip


def test_a_server_goes_on_after_the_last_that_it_wanted(world: World):
    async def server() -> None:
        await Gather(children=(child(work(3.0)), child(work(2.0, "b"), node="b")), first=1)
        await work(1.0, "c")

    play(world, server())
    assert chain(world, world.trace.spans[-1])[0] == ("b:compute", 0.0, 2.0)


def test_a_deadline_is_put_down_to_one_who_missed_it(world: World):
    async def server() -> None:
        await Gather(children=(child(work(1.0)), child(work(9.0, "b"), node="b")), deadline=2.0)
        await work(1.0, "c")

    play(world, server())
    assert chain(world, world.trace.spans[-1])[0] == ("b:compute", 0.0, 2.0)


def test_who_was_not_waited_for_is_not_in_the_chain(world: World):
    inbox = Inbox()

    async def server() -> None:
        await Launch(children=(child(work(1.0)), child(work(4.0, "b"), node="b")), inbox=inbox)
        await Receive(inbox=inbox)
        await work(5.0, "c")
        await Receive(inbox=inbox)  # it has been there for two seconds
        await work(1.0, "c")

    play(world, server())
    assert chain(world, world.trace.spans[-1]) == [
        ("a:compute", 0.0, 1.0), ("c:compute", 1.0, 6.0), ("c:compute", 6.0, 7.0),
    ]  # fmt: skip


def test_a_named_sleep_is_in_the_trace(world: World):
    async def server() -> None:
        await Sleep(duration=2.0, kind="away")
        await work(1.0)

    play(world, server())
    assert chain(world, world.trace.spans[-1]) == [
        ("server:away", 0.0, 2.0), ("a:compute", 2.0, 3.0),
    ]  # fmt: skip


def test_alone_is_what_it_would_take_without_the_others(world: World):
    """Two uploads at once through one line, and two jobs on one device."""

    async def server() -> None:
        await Gather(children=(child(work(3.0)), child(work(3.0))))

    play(world, server())
    assert [(span.t1 - span.t0, span.alone) for span in world.trace.spans] == [(6.0, 3.0)] * 2
