"""Coming and going: reasons overlap, joules are those of the base state, work in hand is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped, HetsimError
from hetsim.sim.battery import BatteryPack
from hetsim.sim.clock import Call
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.node import Node
from hetsim.sim.presence import Presence
from hetsim.sim.requests import (
    Child,
    Compute,
    Doze,
    Gather,
    Hold,
    Inbox,
    Launch,
    Outcome,
    Request,
    Sleep,
    Stream,
    Transfer,
)
from hetsim.sim.world import World, domain, profile


@pytest.fixture
def world() -> World:
    world = World()
    world.server(profile(idle=0.0, sleep=0.0))
    world.device("a", profile(domain((1.0, 4.0)), idle=2.0, sleep=0.5))
    return world


def presence(world: World) -> tuple[Node, Presence]:
    node = world.kernel.node("a")
    return node, Presence(world.kernel, node)


def at(world: World, when: float, what: Callable[[], None]) -> None:
    Call(world.kernel.env, what, when)


def wait(world: World, seconds: float) -> None:
    async def server() -> None:
        await Sleep(duration=seconds)

    world.run(server())


def test_away_draws_the_base_state_that_is_asked_for(world: World) -> None:
    _, coming = presence(world)
    at(world, 1.0, lambda: coming.leave("night", "sleep"))
    at(world, 4.0, lambda: coming.come("night"))
    wait(world, 5.0)
    assert world.joules("a") == {"idle": pytest.approx(2.0 * 2.0), "sleep": pytest.approx(1.5)}


def test_reasons_overlap_and_the_lowest_state_holds(world: World) -> None:
    node, coming = presence(world)
    seen: list[tuple[bool, str]] = []
    steps = [
        lambda: coming.leave("night", "sleep"), lambda: coming.leave("crash", "off"),
        lambda: coming.come("crash"), lambda: coming.come("night"),
    ]  # fmt: skip
    for when, step in enumerate(steps, start=1):
        at(world, when, step)
        at(world, when + 0.5, lambda: seen.append((node.present, node.state)))
    wait(world, 10.0)
    assert seen == [(False, "sleep"), (False, "off"), (False, "sleep"), (True, "idle")]


def test_the_same_reason_twice_is_one(world: World) -> None:
    node, coming = presence(world)
    coming.leave("night", "sleep")
    coming.leave("night", "off")
    assert node.absences == {"night": "sleep"}
    coming.come("night")
    coming.come("night")
    assert node.present


def test_what_it_did_is_lost_and_charged_as_far_as_it_got(world: World) -> None:
    _, coming = presence(world)
    outcomes: list[Outcome] = []

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=10.0))

    async def server() -> None:
        outcomes.extend(await Gather(children=(Child(script=work(), node="a"),)))
        await Sleep(duration=5.0)

    at(world, 2.5, lambda: coming.leave("night", "sleep"))
    world.run(server())
    [outcome] = outcomes
    assert isinstance(outcome.dropped, Dropped)
    assert (outcome.dropped.cause, outcome.dropped.progress) == ("churn", pytest.approx(0.25))
    assert world.joules("a")["compute"] == pytest.approx(2.5 * 4.0)


def test_a_node_that_sleeps_takes_no_work(world: World) -> None:
    _, coming = presence(world)
    coming.leave("night", "sleep")

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=1.0))

    async def server() -> Outcome:
        [outcome] = await Gather(children=(Child(script=work(), node="a"),))
        return outcome

    outcomes: list[Outcome] = []

    async def ask() -> None:
        outcomes.append(await server())

    world.run(ask())
    assert outcomes[0].dropped is not None
    assert outcomes[0].dropped.cause == "churn"


def test_changes_are_followed(world: World) -> None:
    node, coming = presence(world)

    def changes() -> Iterator[tuple[float, bool]]:
        yield from ((0.0, False), (1.0, True), (3.0, False), (6.0, True))

    coming.follow("night", changes(), "off")
    assert not node.present
    wait(world, 10.0)
    assert node.present
    assert world.joules("a")["idle"] == pytest.approx(2.0 * (2.0 + 4.0))


def test_a_battery_that_is_charged_while_its_node_is_away_does_not_bring_it_back() -> None:
    """It sleeps on, and is back when nothing keeps it away."""
    world = World()
    world.server(profile(idle=0.0, sleep=0.0))
    battery = BatteryPack(capacity=10.0, restart=0.5).charged(0.2)
    node = world.device("a", profile(domain((1.0, 4.0)), idle=2.0, sleep=1.0), battery=battery)
    node.feed(iter([(0.0, 0.0), (4.0, 6.0)]))
    coming = Presence(world.kernel, node)
    at(world, 0.5, lambda: coming.leave("night", "sleep"))
    at(world, 9.0, lambda: coming.come("night"))
    seen: list[tuple[bool, str]] = []
    for when in (1.0, 3.0, 8.0, 9.5):
        at(world, when, lambda: seen.append((node.present, node.state)))
    wait(world, 10.0)
    assert seen == [(False, "sleep"), (False, "off"), (False, "sleep"), (True, "idle")]


# --- dozing ---------------------------------------------------------------------------------------


@pytest.fixture
def lab() -> World:
    """A server of 1 flop/s and a device of 2 W idle, 0.5 W asleep and 4 W more at work."""
    world = World()
    world.server(profile(idle=0.0))
    world.device("a", profile(domain((1.0, 4.0)), idle=2.0, sleep=0.5, memory=10.0))
    world.cell("switch", Ethernet(latency=0.0), {"a": 1.0}, power=(1.0, 0.0))
    return world


def work(node: str, seconds: float) -> Compute:
    return Compute(node=node, cost=Cost(flops=seconds))


def test_a_device_sleeps_while_the_server_works_for_it_and_wakes_when_asked(lab: World):
    """A replay round: 1 s at work, 5 s asleep, then 2 s of sending and 1 s idle."""

    async def client() -> None:
        await work("a", 1.0)
        await Doze(node="a")
        await work("server", 5.0)
        await Transfer(source="a", target="server", size=2.0)
        await Sleep(duration=1.0)

    async def server() -> None:
        await Gather(children=(Child(script=client(), node="a"),))

    assert lab.run(server()) == 9.0
    node = lab.kernel.node("a")
    assert node.energy == pytest.approx(
        {"idle": 2.0 * 4.0, "sleep": 0.5 * 5.0, "compute": 4.0, "radio": 2.0}
    )
    assert (node.state, node.present) == ("idle", True)
    power = [(c.t, c.value) for c in lab.trace.counters if c[1:3] == ("a", "power_w")]
    assert power == [(0.0, 6.0), (1.0, 0.5), (6.0, 3.0), (8.0, 2.0)]


@pytest.mark.parametrize("ask", [
    work("a", 0.0), Transfer(source="server", target="a", size=0.0),
    Stream(stages=(work("server", 0.5), Transfer(source="server", target="a", size=0.5)), items=5),
])  # fmt: skip
def test_whoever_asks_wakes_it(lab: World, ask: Request[Any]):
    async def server() -> None:
        await Doze(node="a")
        await Sleep(duration=3.0)
        await ask
        await Sleep(duration=1.0)

    end = lab.run(server())
    node = lab.kernel.node("a")
    assert node.energy["sleep"] == pytest.approx(1.5)
    assert node.energy["idle"] == pytest.approx(2.0 * (end - 3.0))


def test_it_sleeps_on_while_memory_is_held_and_others_work(lab: World):
    async def server() -> None:
        await Doze(node="a")
        await Doze(node="a")
        await Hold(node="a", name="activations", size=3.0)
        await work("server", 2.0)
        assert lab.kernel.node("a").memory.held == {"activations": 3.0}

    lab.run(server())
    assert lab.kernel.node("a").energy == pytest.approx({"sleep": 1.0})


def test_who_is_at_work_cannot_doze(lab: World):
    async def busy() -> None:
        await Gather(children=(Child(script=_await(work("a", 2.0)), node="a"),))

    async def server() -> None:
        await Launch(children=(Child(script=busy(), node="a"),), inbox=Inbox())
        await Sleep(duration=1.0)
        with pytest.raises(HetsimError, match="a cannot doze while it is at work"):
            await Doze(node="a")
        await Sleep(duration=2.0)
        await Doze(node="a")
        await Sleep(duration=1.0)

    lab.run(server())
    assert lab.kernel.node("a").energy == pytest.approx({"idle": 6.0, "compute": 8.0, "sleep": 0.5})


async def _await(request: Request[Any]) -> None:
    await request


def test_it_is_awake_when_it_comes_back_and_nobody_dozes_who_is_away(lab: World):
    node, comings = presence(lab)
    told: list[str] = []

    async def server() -> None:
        await Doze(node="a")
        await Sleep(duration=3.0)
        try:
            await Doze(node="a")
        except Dropped as dropped:
            told.append(f"{dropped.cause}: {dropped.detail}")
        await Sleep(duration=3.0)

    at(lab, 2.0, lambda: comings.leave("churn", "off"))
    at(lab, 4.0, lambda: comings.come("churn"))
    lab.run(server())
    assert told == ["churn: a is away"]
    assert node.energy == pytest.approx({"sleep": 1.0, "idle": 4.0})


def test_a_battery_lasts_longer_asleep():
    """Of 3 J, 2 go in a second idle; the third lasts for two asleep."""
    world = World()
    world.server(profile(idle=0.0))
    body = profile(domain((1.0, 4.0)), idle=2.0, sleep=0.5)
    node = world.device("a", body, charge=3.0)
    emptied: list[float] = []

    async def server() -> None:
        await Sleep(duration=1.0)
        await Doze(node="a")
        await Sleep(duration=1.9)
        assert node.present
        await Sleep(duration=1.0)
        emptied.append(node.energy["sleep"])

    world.run(server())
    assert (node.state, emptied) == ("off", [pytest.approx(1.0)])
