"""What an event costs: uploads over one shared link, beside as many bare SimPy processes.

As a test this asserts counts. `make bench` measures both; their ratio is the price of sharing.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest
import simpy

from hetsim.core.cost import Cost
from hetsim.sim.network.base import Technology
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.requests import Child, Compute, Gather, Stream, Transfer
from hetsim.sim.world import World

Benchmark = Any  # pytest-benchmark has no types


def rate(i: int) -> float:
    """Mixed rates: a thousand different ones between 0.1 and 3.1 MB/s."""
    return 1e5 + 3e3 * (i * 7919 % 1000)


def size(i: int) -> float:
    """Mixed sizes about a megabyte, so that uploads end one at a time."""
    return 1e6 + 1e3 * (i * 104729 % 997) + i


def star(count: int, technology: Technology) -> World:
    """`count` devices behind one line of a quarter of a megabyte a second each."""
    world = World()
    world.server()
    names = [f"d{i}" for i in range(count)]
    for name in names:
        world.device(name)
    rates = {name: rate(i) for i, name in enumerate(names)}
    world.cell("switch", technology, rates, uplink=0.25e6 * count, power=(1.0, 0.5))
    return world


def upload_all(world: World, count: int) -> float:
    async def upload(i: int) -> None:
        await Transfer(source=f"d{i}", target="server", size=size(i))

    async def server() -> None:
        await Gather(children=tuple(Child(script=upload(i), node=f"d{i}") for i in range(count)))

    return world.run(server())


def bare(count: int) -> float:
    """As many processes with one timeout each."""
    env = simpy.Environment()

    def process(i: int) -> Any:
        yield env.timeout(size(i) / rate(i))

    for i in range(count):
        env.process(process(i))
    env.run()
    return env.now


@pytest.mark.parametrize("technology", [Ethernet(), Wifi()], ids=["ethernet", "wifi"])
def test_star(technology: Technology, benchmark: Benchmark) -> None:
    """One solve a completion, whatever the rates: none for latencies, none left over."""
    count = 1000 if benchmark.enabled else 60
    world = benchmark.pedantic(
        lambda world: (upload_all(world, count), world)[1],
        setup=lambda: ((star(count, technology),), {}),
        rounds=1,
    )
    assert len(world.trace.spans) == count
    assert count <= world.kernel.sharing.solves <= count + 1
    began = perf_counter()
    assert bare(count) > 0.0
    bare_s = perf_counter() - began
    if benchmark.enabled:
        benchmark.extra_info["bare_s"] = bare_s
        benchmark.extra_info["ratio"] = bare_s / benchmark.stats.stats.min


def test_a_fleet_that_shares_nothing_is_solved_alone(benchmark: Benchmark) -> None:
    """Every job is a component of its own, solved when it comes and never again."""
    count = 10_000 if benchmark.enabled else 200

    def run() -> World:
        world = World()
        world.server()
        for i in range(count):
            world.device(f"d{i}")

        async def work(i: int) -> None:
            await Compute(node=f"d{i}", cost=Cost(flops=1.0 + i))

        async def server() -> None:
            await Gather(children=tuple(Child(script=work(i), node=f"d{i}") for i in range(count)))

        world.run(server())
        return world

    world = benchmark.pedantic(run, rounds=1)
    assert world.kernel.sharing.solves == count
    assert len(world.trace.spans) == count


def test_a_stream_is_one_activity_however_many_items(benchmark: Benchmark) -> None:
    """A shared pipeline costs events when streams come and go, not for each item."""
    count, items = 20, 100_000

    def run() -> World:
        world = star(count, Ethernet())

        async def stream(i: int) -> None:
            work = Compute(node=f"d{i}", cost=Cost(flops=5.0 + i))
            wire = Transfer(source=f"d{i}", target="server", size=size(i))
            await Stream(stages=(work, wire), items=items)

        async def server() -> None:
            await Gather(
                children=tuple(Child(script=stream(i), node=f"d{i}") for i in range(count))
            )

        world.run(server())
        return world

    world = benchmark.pedantic(run, rounds=1)
    assert world.kernel.sharing.solves <= count + 1
    assert len(world.trace.spans) == 2 * count
