"""What a clock change costs."""

from __future__ import annotations

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.governors.base import Choice, View
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.node import Node
from hetsim.sim.pause import Pause
from hetsim.sim.requests import Child, Compute, Gather, Sleep, Stream, Transfer
from hetsim.sim.world import World, domain, profile


def test_a_pause_begins_with_each_change():
    pause = Pause(2.0)
    pause.change(10.0, (0,), (1,))
    assert pause.until == 12.0
    pause.change(11.0, (1,), (2,))
    assert pause.until == 13.0


def test_changes_of_one_instant_are_one_change():
    pause = Pause(2.0)
    pause.change(10.0, (0,), (1,))
    pause.change(10.0, (1,), (2,))
    assert pause.until == 12.0


def test_there_and_back_in_one_instant_is_no_change():
    pause = Pause(2.0)
    pause.change(10.0, (0,), (1,))
    pause.change(11.0, (1,), (0,))
    pause.change(11.0, (0,), (1,))
    assert pause.until == 12.0, "the earlier pause goes on"


class Plan:
    """Points by the clock: (until, point) pairs."""

    def __init__(self, *plan: tuple[float, int]) -> None:
        self.plan = plan
        self.node: Node | None = None

    def choose(self, view: View) -> Choice:
        now = self.node.env.now if self.node else 0.0
        until, point = next(step for step in self.plan if step[0] > now)
        return Choice((point,), until - now)


def planned(switch: float, *plan: tuple[float, int]) -> tuple[World, Node]:
    """A device at 1 flop/s and 1 W, or 2 flop/s and 5 W, above 1 W idle."""
    world, governor = World(), Plan(*plan)
    body = profile(domain((1.0, 1.0), (2.0, 5.0)), switch=switch)
    node = governor.node = world.device("a", body, governor=governor)
    world.server()
    return world, node


def test_work_stands_still_and_draws_idle_power_meanwhile():
    """10 flop: 4 s slow, a pause of half a second, 3 s fast."""
    world, node = planned(0.5, (4.0, 0), (100.0, 1))

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=10.0))

    assert world.run(work()) == 7.5
    assert node.energy == pytest.approx({"idle": 7.5, "compute": 4.0 * 1.0 + 3.0 * 5.0})


def test_a_change_within_a_pause_begins_another():
    """Up at 4 s, down again at 4.25 s: still until 4.75 s, then 6 s of slow work."""
    world, _ = planned(0.5, (4.0, 0), (4.25, 1), (100.0, 0))

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=10.0))

    assert world.run(work()) == 10.75


def test_a_job_that_starts_within_a_pause_waits_for_its_end():
    world, node = planned(0.5, (4.0, 0), (100.0, 1))

    async def work() -> None:
        await Sleep(duration=4.25)
        node.govern()
        await Compute(node="a", cost=Cost(flops=2.0))

    assert world.run(work()) == 4.5 + 1.0


def test_jobs_that_share_a_processor_stand_still_together():
    world, _ = planned(0.5, (4.0, 0), (100.0, 1))

    async def work(flops: float) -> None:
        await Compute(node="a", cost=Cost(flops=flops))

    async def both() -> None:
        await Gather(
            children=(Child(script=work(4.0), node="a"), Child(script=work(6.0), node="a"))
        )

    assert world.run(both()) == 7.5


def test_a_stream_stands_still_and_nothing_flows():
    world, _ = planned(0.5, (4.0, 0), (100.0, 1))
    world.cell("switch", Ethernet(latency=0.0), {"a": 8.0})

    async def stream() -> None:
        await Stream(
            stages=(
                Compute(node="a", cost=Cost(flops=10.0)),
                Transfer(source="a", target="server", size=10.0),
            ),
            items=100,
        )

    assert world.run(stream()) == pytest.approx(7.5, rel=2e-2)
