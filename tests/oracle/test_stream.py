"""Streams on one server: closed forms, and the same told item by item in SimPy."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from random import Random

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.requests import Child, Compute, Gather, Stream, Transfer
from hetsim.sim.world import World
from tests.oracle import item_by_item
from tests.oracle.item_by_item import Line, Stage


def build(streams: Sequence[Line]) -> World:
    """A server, and a device of 1 flop/s at 1 B/s for each stream."""
    world = World()
    world.server()
    rates = {f"d{i}": 1.0 for i in range(len(streams))}
    for name in rates:
        world.device(name)
    latency = max(stage.latency for line in streams for stage in line.stages)
    world.cell("switch", Ethernet(latency=latency), rates)
    return world


def request(line: Line, device: str) -> Stream:
    """The stream of a device whose stages are at it, on its lines and at the server."""
    stages: list[Compute | Transfer] = []
    for stage in line.stages:
        total = stage.seconds * line.items
        if stage.place.startswith("up"):
            stages.append(Transfer(source=device, target="server", size=total))
        elif stage.place.startswith("down"):
            stages.append(Transfer(source="server", target=device, size=total))
        else:
            where = "server" if stage.place == "server" else device
            stages.append(Compute(node=where, cost=Cost(flops=total)))
    return Stream(stages=tuple(stages), items=line.items, window=line.window)


def play(streams: Sequence[Line]) -> tuple[list[float], int]:
    """When each ends, and how many events that takes."""
    world, ends, events = build(streams), [0.0] * len(streams), 0
    step = world.kernel.env.step

    def counted() -> None:
        nonlocal events
        events += 1
        step()

    world.kernel.env.step = counted

    async def one(index: int, line: Line) -> None:
        await request(line, f"d{index}")
        ends[index] = world.kernel.env.now

    async def server() -> None:
        children = [Child(script=one(i, line), node=f"d{i}") for i, line in enumerate(streams)]
        await Gather(children=tuple(children))

    world.run(server())
    return ends, events


def line(
    i: int, times: Sequence[float], items: int, window: float = inf, latency: float = 0.0
) -> Line:
    """Forward, up and the server's step; if there are five times, down and backward too."""
    ways = ((f"d{i}", 0.0), (f"up{i}", latency), ("server", 0.0), (f"down{i}", latency))
    places = (*ways, ways[0])
    stages = [
        Stage(place, seconds, lag) for (place, lag), seconds in zip(places, times, strict=False)
    ]
    return Line(tuple(stages), items, window)


@pytest.mark.parametrize("window", [1, inf])
@pytest.mark.parametrize("clients", range(1, 21))
def test_a_round_takes_the_closed_form_of_the_shared_server(clients: int, window: float):
    """K clients at once, n items of F + U + S seconds: the server is the bottleneck or it is not.

    With c = the time between two items of one client alone, its slowest stage or, with window 1,
    all of it: the server is busy all the time once K S >= c, and then the round takes K n S and
    the way of an item to it. Else the last client waits for K - 1 others once, as all came at once.
    """
    forward, up, step, items = 0.6, 0.4, 0.1, 200
    alone = forward + up + step
    cycle = alone if window == 1 else max(forward, up, step)
    if clients * step >= cycle:
        expected = clients * items * step + forward + up
    else:
        expected = alone + (items - 1) * cycle + (clients - 1) * step
    streams = [line(i, (forward, up, step), items, window) for i in range(clients)]
    ends, events = play(streams)
    exact, each = item_by_item.play(streams)
    assert max(exact) == pytest.approx(expected, rel=1e-9)
    assert max(ends) == pytest.approx(expected, rel=5e-3 if clients * step > cycle - step else 1e-9)
    assert ends == pytest.approx(exact, rel=0.03)
    assert each >= 100 * events


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("seed", range(24))
def test_equal_streams_end_with_their_items(seed: int, in_turn: bool):
    """Whatever is the bottleneck, with gradients back or without, windows and latencies."""
    draw = Random(seed)
    clients, items = draw.randint(1, 20), draw.choice([50, 100, 200])
    times = [draw.uniform(1.0, 3.0) for _ in range(draw.choice([3, 5]))]
    times[2] *= draw.choice([1.0, 1.0 / clients])
    window, latency = draw.choice([1, 2, 4, 8, inf]), draw.choice([0.0, 0.3])
    streams = [line(i, times, items, window, latency) for i in range(clients)]
    exact, each = item_by_item.play(streams, in_turn)
    ends, events = play(streams)
    assert max(ends) == pytest.approx(max(exact), rel=0.01 if items >= 100 else 0.015)
    assert ends == pytest.approx(exact, rel=0.03)
    assert each >= 100 * events


@pytest.mark.parametrize("seed", range(24))
def test_streams_that_differ_end_with_the_last_item(seed: int):
    """Threefold differences in every stage; four items inside; they are served in turn."""
    draw = Random(seed)
    clients, items = draw.randint(2, 20), draw.choice([100, 200])
    window, kind = draw.choice([4, 8, 16, inf]), draw.choice([3, 5])
    busy = draw.choice([1.0, 1.0 / clients])
    streams: list[Line] = []
    for i in range(clients):
        times = [draw.uniform(1.0, 3.0) for _ in range(kind)]
        times[2] *= busy
        streams.append(line(i, times, items, window))
    exact, _ = item_by_item.play(streams, in_turn=True)
    ends, _ = play(streams)
    assert max(ends) == pytest.approx(max(exact), rel=0.02)


def test_alone_each_window_is_exact():
    """A stream that shares nothing is its items to the last bit of rounding."""
    draw = Random(1)
    for _ in range(100):
        times = [draw.uniform(0.1, 3.0) for _ in range(draw.choice([3, 5]))]
        window, latency = draw.choice([1, 2, 3, 5, 8, inf]), draw.choice([0.0, 0.3])
        streams = [line(0, times, draw.randint(1, 60), window, latency)]
        assert play(streams)[0] == pytest.approx(item_by_item.play(streams)[0], rel=1e-9)


@pytest.mark.parametrize("clients", [1, 2, 5, 20])
def test_a_loop_over_awaits_shares_the_server_by_time(clients: int):
    """Equal clients that await each of n items stay in step, and all wait for all: n (F + U + K S).

    As a stream of window 1 they are served in turn, and the server works while others send.
    """
    forward, up, step, items = 0.6, 0.4, 0.1, 50
    streams = [line(i, (forward, up, step), items, 1) for i in range(clients)]
    world = build(streams)

    async def one(device: str) -> None:
        for _ in range(items):
            await Compute(node=device, cost=Cost(flops=forward))
            await Transfer(source=device, target="server", size=up)
            await Compute(node="server", cost=Cost(flops=step))

    async def server() -> None:
        children = [Child(script=one(f"d{i}"), node=f"d{i}") for i in range(clients)]
        await Gather(children=tuple(children))

    awaited, streamed = world.run(server()), max(play(streams)[0])
    assert awaited == pytest.approx(items * (forward + up + clients * step))
    if clients == 1:
        assert streamed == pytest.approx(awaited)
    else:
        assert streamed < awaited
