"""A cellular radio's states: times and joules by hand."""

from typing import Any

import pytest

from hetsim.core.errors import Dropped
from hetsim.core.quantities import Seconds
from hetsim.sim.clock import Call
from hetsim.sim.network.lte import Lte
from hetsim.sim.radio import RadioState, RadioStates
from hetsim.sim.requests import Child, Gather, Request, Sleep, Transfer
from hetsim.sim.world import SERVER, World

STATES = {"promotion": 2.0, "promoting": 3.0, "connected": 5.0, "tail": 10.0, "tailing": 0.5}


@pytest.fixture
def world() -> World:
    """A server, and a phone on a cell of 4 B/s without latency, 100 J a byte sent."""
    world = World()
    world.server()
    world.device("phone")
    world.cell("cell", Lte(latency=0.0, **STATES), {"phone": 4.0}, power=(5.0 + 400.0, 0.0))
    return world


def upload(size: float) -> Transfer:
    return Transfer(source="phone", target=SERVER, size=size)


def play(world: World, *requests: Request[Any]) -> Seconds:
    async def script() -> None:
        for request in requests:
            await request

    return world.run(script())


def test_a_transfer_from_idle_waits_for_the_promotion(world: World) -> None:
    assert play(world, upload(8.0)) == 2.0 + 2.0


def test_joules_of_each_state_are_exact(world: World) -> None:
    assert play(world, upload(8.0), Sleep(duration=100.0)) == 104.0
    joules = world.joules("phone")
    assert joules["radio_tail"] == pytest.approx(2 * 3.0 + 2 * 5.0 + 10 * 0.5, rel=1e-12)
    assert joules["idle"] == pytest.approx(104.0)


def test_in_the_tail_nothing_waits_and_the_tail_starts_again(world: World) -> None:
    end = play(world, upload(8.0), Sleep(duration=6.0), upload(4.0), Sleep(duration=50.0))
    assert end == 4.0 + 6.0 + 1.0 + 50.0
    spent = 2 * 3.0 + 2 * 5.0 + 6 * 0.5 + 1 * 5.0 + 10 * 0.5
    assert world.joules("phone")["radio_tail"] == pytest.approx(spent, rel=1e-12)


def test_after_the_tail_it_is_promoted_again(world: World) -> None:
    end = play(world, upload(8.0), Sleep(duration=11.0), upload(4.0))
    assert end == 4.0 + 11.0 + 2.0 + 1.0


def test_a_second_transfer_waits_for_what_is_left_of_the_promotion(world: World) -> None:
    ended: list[Seconds] = []

    async def one(after: Seconds) -> None:
        await Sleep(duration=after)
        await upload(4.0)
        ended.append(world.kernel.env.now)

    async def both() -> None:
        await Gather(children=tuple(Child(script=one(after), node="phone") for after in (0, 0.5)))

    world.run(both())
    assert ended == [4.0, 4.0]
    assert world.joules("phone")["radio_tail"] == pytest.approx(2 * 3.0 + 2 * 5.0)


def test_a_transfer_that_is_given_up_leaves_a_tail(world: World) -> None:
    async def child() -> None:
        await upload(1000.0)

    async def script() -> None:
        await Gather(children=(Child(script=child(), node="phone"),), deadline=1.0)
        await Sleep(duration=99.0)

    world.run(script())
    assert world.joules("phone")["radio_tail"] == pytest.approx(2 * 3.0 + 10 * 0.5)


def test_a_node_that_stops_drops_its_state_at_once(world: World) -> None:
    phone = world.kernel.node("phone")

    async def child() -> None:
        with pytest.raises(Dropped):
            await upload(1000.0)
        raise Dropped("churn")

    async def script() -> None:
        await Gather(children=(Child(script=child(), node="phone"),))
        await Sleep(duration=5.0)
        world.kernel.revive(phone)
        await upload(4.0)

    Call(world.kernel.env, lambda: world.kernel.kill(phone, "churn"), 3.0)
    assert world.run(script()) == 3.0 + 5.0 + 2.0 + 1.0
    spent = 2 * 3.0 + 1 * 5.0 + 2 * 3.0 + 1 * 5.0
    assert world.joules("phone")["radio_tail"] == pytest.approx(spent)


def test_states_without_duration_are_passed_at_once() -> None:
    world = World()
    world.server()
    node = world.device("phone")
    states = RadioStates(promotion=0.0, promoting=9.0, connected=1.0, tail=0.0, tailing=9.0)
    radio = RadioState(node, states)
    assert radio.begin(None) == 0.0
    assert radio.state == "connected"
    radio.end(None)
    assert radio.state == "idle"
    assert node.energy.get("radio_tail", 0.0) == 0.0


def test_frames_pay_only_what_is_above_the_connected_state() -> None:
    assert Lte(latency=0.0, **STATES).states is not None
    world = World()
    world.server()
    world.device("phone")
    world.cell("cell", Lte(latency=0.0, **STATES), {"phone": 4.0}, power=(8.0, 1.0))
    play(world, upload(8.0))
    assert world.joules("phone")["radio"] == pytest.approx(8 * (8.0 - 5.0) / 4.0)
