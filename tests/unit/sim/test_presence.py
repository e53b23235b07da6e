"""Coming and going: reasons overlap, joules are those of the base state, work in hand is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.sim.battery import BatteryPack
from hetsim.sim.clock import Call
from hetsim.sim.node import Node
from hetsim.sim.presence import Presence
from hetsim.sim.requests import Child, Compute, Gather, Outcome, Sleep
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
