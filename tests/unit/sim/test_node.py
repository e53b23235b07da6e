"""A node in action: one base state at a time, joules by kind, batteries."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
import simpy

from hetsim.core.cost import Cost
from hetsim.core.trace import Trace
from hetsim.sim.clock import Call
from hetsim.sim.governors.base import Choice, View
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Sleep, Stream, Transfer
from hetsim.sim.sharing import Activity, Resource, Sharing
from hetsim.sim.world import World, domain, profile

PHONE = profile(name="phone", idle=2.0, sleep=0.5, off=0.125)


class Scheduled:
    """Points by the clock, whatever the load: (until, point) pairs."""

    def __init__(self, *plan: tuple[float, int]) -> None:
        self.plan = plan
        self.node: Node | None = None

    def choose(self, view: View) -> Choice:
        now = self.node.env.now if self.node else 0.0
        until, point = next(step for step in self.plan if step[0] > now)
        return Choice((point,), until - now)


def bare(**changes: Any) -> tuple[World, Node]:
    world = World()
    world.server(profile(idle=0.0))
    return world, world.device("a", PHONE, **changes)


async def nap(duration: float) -> None:
    await Sleep(duration=duration)


def test_each_base_state_has_its_power():
    world, node = bare()
    for t, state in ((1.0, "sleep"), (3.0, "off"), (11.0, "idle")):
        Call(world.kernel.env, lambda state=state: node.switch(state), t)
    world.run(nap(12.0))
    assert node.energy == {"idle": 2.0 * 2.0, "sleep": 0.5 * 2.0, "off": 0.125 * 8.0}
    assert node.total == 6.0
    assert node.active == 0.0


def test_compute_and_radio_are_increments_above_the_base():
    world, node = bare()
    world.cell("ap", Wifi(latency=0.0), {"a": 2.0}, power=(4.0, 1.0))

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=3.0))
        await Transfer(source="a", target="server", size=6.0)
        await Transfer(source="server", target="a", size=2.0)

    assert world.run(script()) == 7.0
    assert node.energy == {"idle": 14.0, "compute": 3.0, "radio": 3.0 * 4.0 + 1.0 * 1.0}
    assert node.active == 16.0
    assert node.busy == 3.0


def test_domains_of_memory_have_a_kind_of_their_own():
    world = World()
    world.server()
    memory = domain((1.0, 5.0), name="emc", kind="memory", flops_per_cycle=0, bytes_per_cycle=2)
    gpu = domain((1.0, 3.0), name="gpu", kind="gpu")
    world.device("a", profile(domain((1.0, 1.0)), gpu, memory))

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=4.0, traffic=6.0))

    assert world.run(script()) == 2.0 + 3.0
    assert world.joules("a") == {"idle": 5.0, "compute": 2.0 + 6.0, "memory": 15.0}


def test_radio_joules_follow_airtime_not_waiting():
    """Two stations at 6 and 54 B/s share the air: each pays for its own bytes over its own rate."""
    world = World()
    world.server()
    a, b = world.device("a"), world.device("b")
    world.cell("ap", Wifi(latency=0.0), {"a": 6.0, "b": 54.0}, power=(2.0, 1.0))

    async def upload(name: str) -> None:
        await Transfer(source=name, target="server", size=54.0)

    async def server() -> None:
        await Gather(children=tuple(Child(script=upload(name), node=name) for name in "ab"))

    assert world.run(server()) == pytest.approx(10.0)
    assert a.energy["radio"] == pytest.approx(2.0 * 54 / 6)
    assert b.energy["radio"] == pytest.approx(2.0 * 54 / 54)


def test_jobs_on_one_processor_get_equal_time():
    world, node = bare()

    async def work(flops: float) -> float:
        await Compute(node="a", cost=Cost(flops=flops))
        return world.kernel.env.now

    ends: list[Any] = []

    async def server() -> None:
        jobs = tuple(Child(script=work(flops), node="a") for flops in (1.0, 2.0, 9.0))
        ends.extend(outcome.value for outcome in await Gather(children=jobs))

    assert world.run(server()) == 12.0
    assert ends == [3.0, 5.0, 12.0]
    assert node.energy["compute"] == pytest.approx(12.0)
    assert node.busy == 12.0


def test_a_governor_reprices_a_job_midway_exactly():
    """10 flops: 2 s at 1 flop/s and 1 W, 1 s at 4 and 10 W, the other 4 at 1 again."""
    body = profile(domain((1.0, 1.0), (4.0, 10.0)))
    governor = Scheduled((2.0, 0), (3.0, 1), (inf, 0))
    world = World()
    world.server()
    governor.node = world.device("a", body, governor=governor)

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=10.0))
        await Sleep(duration=1.0)

    assert world.run(script()) == pytest.approx(8.0, rel=1e-12)
    assert world.joules("a") == pytest.approx({"idle": 8.0, "compute": 2 + 10 + 4}, rel=1e-12)
    [span] = world.trace.spans
    assert span.energy == pytest.approx(16.0)
    power = [(c.t, c.value) for c in world.trace.counters if c[1:3] == ("a", "power_w")]
    assert [value for _, value in power] == pytest.approx([2.0, 11.0, 2.0, 1.0])
    assert [t for t, _ in power] == pytest.approx([0.0, 2.0, 3.0, 7.0])


def test_a_battery_falls_by_what_the_ledger_says():
    world, node = bare(charge=100.0, efficiency=0.8)

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=4.0))
        await Sleep(duration=6.0)

    world.run(script())
    assert node.battery is not None
    assert node.energy == {"idle": 20.0, "compute": 4.0, "loss": pytest.approx(6.0)}
    assert 100.0 - node.battery.charge == pytest.approx(node.total, rel=1e-12)
    assert node.active == pytest.approx(5.0)


def test_an_idle_battery_empties_at_the_instant():
    world, node = bare(charge=100.0, efficiency=0.5)
    world.run(nap(1000.0))
    assert [note[:3] for note in world.trace.notes] == [(25.0, "a", "battery")]
    assert (node.state, node.total) == ("off", 100.0)
    assert node.battery is not None
    assert node.battery.charge == 0.0


def test_an_absent_device_empties_its_battery_and_then_draws_nothing():
    world, node = bare(charge=10.0)
    Call(world.kernel.env, lambda: world.kernel.kill(node, "churn"), 1.0)
    Call(world.kernel.env, lambda: world.kernel.revive(node), 500.0)
    world.run(nap(1000.0))
    assert [(note.t, note.cause) for note in world.trace.notes] == [
        (1.0, "churn"),
        (65.0, "battery"),
    ]
    assert node.energy == {"idle": 2.0, "off": 8.0}
    assert node.state == "off"


def test_a_battery_outlives_many_changes_of_power():
    """The alarm moves with the power, and the battery empties at the exact instant."""
    world, node = bare(charge=3000.0)

    async def script() -> None:
        while True:
            await Compute(node="a", cost=Cost(flops=1.0))
            await Sleep(duration=1.0)

    async def server() -> None:
        await Gather(children=(Child(script=script(), node="a"),))

    assert world.run(server()) == pytest.approx(1200.0, rel=1e-12)
    assert node.total == pytest.approx(3000.0, rel=1e-12)


@pytest.mark.parametrize("start", [1e8 + i / 7 for i in range(8)])
def test_a_small_battery_empties_late_in_time(start: float):
    """What the clock cannot resolve is empty: no endless looking at the same instant."""
    world = World()
    world.server(profile(idle=0.0))
    node = world.device("a", profile(idle=0.0), charge=1.0)

    async def script() -> None:
        await Sleep(duration=start)
        await Compute(node="a", cost=Cost(flops=5.0))

    async def server() -> None:
        await Gather(children=(Child(script=script(), node="a"),))

    assert world.run(server()) == pytest.approx(start + 1.0, abs=1e-6)
    assert node.state == "off"


def test_two_stages_on_one_node_enter_and_leave_it_once():
    world, node = bare()
    world.cell("ap", Wifi(latency=0.0), {"a": 1.0})
    work = Compute(node="a", cost=Cost(flops=4.0))

    async def script() -> None:
        there = Transfer(source="a", target="server", size=2.0)
        await Stream(stages=(work, there, work), items=4)

    assert world.run(script()) == pytest.approx(4.0 + 4.0)  # one processor does both
    assert node.jobs == {}
    assert node.activities == {}
    assert node.energy["compute"] == pytest.approx(8.0)


def test_counters_are_steps():
    world, _ = bare()
    world.run(nap(5.0))
    assert [(c.actor, c.track, c.value) for c in world.trace.counters] == [
        ("server", "frequency_hz.cpu", 1.0), ("a", "frequency_hz.cpu", 1.0),
        ("server", "power_w", 0.0), ("a", "power_w", 2.0),
    ]  # fmt: skip


def test_a_steady_draw_lasts_until_it_is_ended():
    world, node = bare()
    env = world.kernel.env
    Call(env, lambda: node.steady("modem", "radio_tail", 3.0), 1.0)
    Call(env, lambda: node.steady("lamp", "radio_tail", 0.5), 2.0)
    Call(env, lambda: node.steady("modem", "radio_tail", 0.0), 5.0)
    world.run(nap(6.0))
    assert node.energy == {"idle": 12.0, "radio_tail": 3.0 * 4.0 + 0.5 * 4.0}
    power = [(c.t, c.value) for c in world.trace.counters if c[1:3] == ("a", "power_w")]
    assert power == [(0.0, 2.0), (1.0, 5.0), (2.0, 5.5), (5.0, 2.5)]


def test_base_power_waits_until_someone_asks():
    """Ends of activities charge what they drew; the counter has base power in it all the same."""
    env, trace = simpy.Environment(), Trace()
    node = Node(env, trace, "n", "device", base={"idle": {"idle": 2.0}})
    line, sharing = Resource("line", 1.0), Sharing(env)
    sharing.start(Activity(4.0, {line: 1.0}, lambda: None, payers={node: {"radio": 3.0}}))
    env.run(10.0)
    assert node.energy == {"radio": 12.0}
    node.settle(10.0)
    assert node.energy == {"radio": 12.0, "idle": 20.0}
    steps = [(step.t, step.value) for step in trace.counters if step.track == "power_w"]
    assert steps == [(0.0, 5.0), (4.0, 2.0)]
