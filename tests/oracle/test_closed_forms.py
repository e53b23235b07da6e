"""Equal flows and shared processors against exact answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.clock import Call
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.requests import Child, Compute, Gather, Sleep, Transfer, pipeline_time
from hetsim.sim.world import World

TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, dict[str, Any]]:
    found = json.loads((shared / "oracle" / "closed_form.json").read_text())
    return {case["id"]: case for case in found["cases"]}


def test_equal_flows(cases: dict[str, dict[str, Any]]):
    case = cases["equal_flows"]
    count, rate = case["count"], float(case["bandwidth_Bps"])
    world = World()
    world.server()
    names = [f"d{i}" for i in range(count)]
    for name in names:
        world.device(name)
    world.cell("switch", Ethernet(latency=0.0), dict.fromkeys(names, rate), uplink=rate)

    async def upload(name: str) -> None:
        await Sleep(duration=case["start_s"])
        await Transfer(source=name, target="server", size=case["bytes"])

    async def server() -> None:
        outcomes = await Gather(children=tuple(Child(script=upload(n), node=n) for n in names))
        finishes = [outcome.finished for outcome in outcomes]
        assert finishes == pytest.approx([case["expected"]["finish_s"]] * count, rel=TOLERANCE)

    world.run(server())


def test_a_processor_shared_by_equals_is_a_slower_processor():
    """k jobs of w seconds that start together all take k w."""
    world = World()
    world.server()

    async def work() -> None:
        await Compute(node="server", cost=Cost(flops=3.0))

    async def server() -> None:
        await Gather(children=tuple(Child(script=work(), node="server") for _ in range(7)))

    assert world.run(server()) == pytest.approx(21.0, rel=1e-12)


def test_staggered_flows_on_one_link():
    """Flows of s bytes that start every d seconds: processor sharing, worked out in closed form.

    With two, the first has c d bytes when the second comes; they share until it is done.
    """
    size, rate, lag = 100.0, 7.0, 5.0
    world = World()
    world.server()
    for name in "ab":
        world.device(name)
    world.cell("switch", Ethernet(latency=0.0), {"a": 1e9, "b": 1e9}, uplink=rate)
    ends: list[float] = []

    async def upload(name: str, start: float) -> None:
        await Sleep(duration=start)
        await Transfer(source=name, target="server", size=size)
        ends.append(world.kernel.env.now)

    async def server() -> None:
        await Gather(
            children=(Child(script=upload("a", 0.0), node="a"),
                      Child(script=upload("b", lag), node="b")),
        )  # fmt: skip

    world.run(server())
    first = lag + 2 * (size - rate * lag) / rate
    assert ends == pytest.approx([first, 2 * size / rate], rel=1e-12)


def test_a_window_of_one_is_no_pipeline():
    assert pipeline_time([2.0, 3.0], items=10, window=1) == 50.0


def test_mains_and_battery_draw_the_same():
    """A loss-free battery changes who pays, not what."""
    totals: list[float] = []
    for charge in (1e6, float("inf")):
        world = World()
        world.server()
        node = world.device("a", charge=charge)
        Call(world.kernel.env, lambda node=node: node.switch("sleep"), 9.0)

        async def script() -> None:
            await Compute(node="a", cost=Cost(flops=5.0))
            await Sleep(duration=20.0)

        world.run(script())
        totals.append(node.total)
    assert totals[0] == totals[1] == pytest.approx(9.0 + 5.0 + 16 * 0.1)
