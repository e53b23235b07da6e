"""What an event costs: uploads over one shared link, beside as many bare SimPy processes.

As a test this asserts counts. `make bench` measures both in the same process, creation included;
their ratio is the price of sharing, of joules and of spans.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import pytest
import simpy

from hetsim.core.cost import Cost
from hetsim.core.trace import Span, Trace
from hetsim.sim.collector import at_rest
from hetsim.sim.network.base import Technology
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Stream, Transfer
from hetsim.sim.sharing import Activity, Resource, Sharing
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


class Fleet:
    """Devices with a line each and one line for all: the sharing alone, without scripts."""

    def __init__(self, count: int) -> None:
        self.env, self.trace = simpy.Environment(), Trace()
        base = {"idle": {"idle": 1.0}}
        self.nodes = [
            Node(self.env, self.trace, f"d{i}", "device", base=base) for i in range(count)
        ]
        self.lines = [Resource(f"d{i}", rate(i)) for i in range(count)]
        self.uplink = Resource("uplink", 0.25e6 * count)
        self.sharing = Sharing(self.env)

    def upload(self) -> None:
        """Every device at once; a finished upload is a span with its joules.

        The collector rests, as it does whenever the kernel runs the engine.
        """
        with at_rest():
            for i in range(len(self.nodes)):
                Upload(self, i)
            self.env.run()
            for node in self.nodes:
                node.settle(self.env.now)


class Upload:
    """One device's: a flow, and a span when it is over."""

    __slots__ = ("fleet", "flow", "i")

    def __init__(self, fleet: Fleet, i: int) -> None:
        self.fleet, self.i = fleet, i
        self.flow = Activity(
            size(i),
            {fleet.lines[i]: 1.0, fleet.uplink: 1.0},
            self,
            payers={fleet.nodes[i]: {"radio": 0.5 / rate(i)}},
        )
        fleet.sharing.start(self.flow)

    def __call__(self) -> None:
        """It is over."""
        fleet, flow, i = self.fleet, self.flow, self.i
        now, name = fleet.env.now, fleet.nodes[i].name
        fleet.trace.spans.append(Span(0.0, now, name, "upload", flow.joules, flow.amount, "", i))


@pytest.fixture
def beside_bare(benchmark: Benchmark, row: Callable[..., None]) -> Callable[..., None]:
    """Put the time of as many bare processes beside what was measured, medians of five."""

    def compare(count: int, target: float) -> None:
        seconds: list[float] = []
        for _ in range(5):
            gc.collect()
            began = process_time()
            assert bare(count) > 0.0
            seconds.append(process_time() - began)
        if benchmark.enabled:
            ours, theirs = benchmark.stats.stats.median, median(seconds)
            row(
                f"{benchmark.name}, completions a second / bare SimPy's", theirs / ours, target,
                at_least=True, ours=f"{ours * 1e3:.4g} ms", theirs=f"{theirs * 1e3:.4g} ms",
            )  # fmt: skip

    return compare


@pytest.mark.benchmark(timer=process_time)
def test_engine_alone(benchmark: Benchmark, beside_bare: Callable[..., None]) -> None:
    """One solution and two counters a completion, whatever else is in progress."""
    count = 10_000 if benchmark.enabled else 200
    fleet = benchmark.pedantic(
        lambda fleet: (fleet.upload(), fleet)[1],
        setup=lambda: (((Fleet(count),), {}), gc.collect())[0],
        rounds=5 if benchmark.enabled else 1,
    )
    spans = fleet.trace.spans
    assert len(spans) == count
    assert fleet.sharing.solves == count
    assert len(fleet.trace.counters) <= 2 * count
    assert sum(span.energy for span in spans) == pytest.approx(
        sum(node.energy["radio"] for node in fleet.nodes), rel=1e-12
    )
    beside_bare(count, 0.5)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("technology", [Ethernet(), Wifi()], ids=["ethernet", "wifi"])
def test_star(
    technology: Technology, benchmark: Benchmark, beside_bare: Callable[..., None]
) -> None:
    """A script a device: one solve a completion, none for latencies, and counters in proportion."""
    count = 10_000 if benchmark.enabled else 60
    world = benchmark.pedantic(
        lambda world: (upload_all(world, count), world)[1],
        setup=lambda: (((star(count, technology),), {}), gc.collect())[0],
        rounds=3 if benchmark.enabled else 1,
    )
    assert len(world.trace.spans) == count
    assert count <= world.kernel.sharing.solves <= count + 1
    assert len(world.trace.counters) <= 5 * (count + 1)
    beside_bare(count, 0.2)


@pytest.mark.parametrize("watched", [0, 1, 10])
def test_only_who_watches_is_redrawn(watched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion redraws the nodes that need their power at every instant, and no others."""
    fleet, redraws = Fleet(50), list[str]()
    redraw = Node.redraw
    monkeypatch.setattr(
        Node, "redraw", lambda node, now: (redraws.append(node.name), redraw(node, now))
    )
    for node in fleet.nodes[:watched]:
        node.watching = True
    fleet.upload()
    assert {f"d{i}" for i in range(watched)} == set(redraws)
    assert len(redraws) <= watched * (50 + 1)


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
