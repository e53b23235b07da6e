"""A flow on a link that follows a trace against the plain integral of that trace."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.rng import rng
from hetsim.sim.bandwidth.base import Points
from hetsim.sim.bandwidth.replay import Replay
from hetsim.sim.network.base import Technology
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.requests import Sleep, Transfer
from hetsim.sim.varying import Varying
from hetsim.sim.world import SERVER, World

RATES = st.one_of(st.just(0.0), st.floats(0.1, 50.0))
STEPS = st.lists(st.tuples(st.floats(0.05, 10.0), RATES), min_size=2, max_size=8).filter(
    lambda steps: any(rate for _, rate in steps)
)
TECHNOLOGIES = st.sampled_from([Ethernet(latency=0.0), Wifi(latency=0.0), Ethernet(duplex="hub")])
POWER = 2.0
_ROUNDING = 1e-12


def points_of(steps: list[tuple[Seconds, float]]) -> Points:
    """Rows that begin at 0 and are as far apart as the steps say, the last as the one before."""
    times = [0.0]
    for length, _ in steps[:-1]:
        times.append(times[-1] + length)
    return Points(times=tuple(times), rates=tuple(rate for _, rate in steps))


def by_hand(points: Points, start: Seconds, size: Bytes) -> tuple[Seconds, Seconds]:
    """When `size` bytes that begin at `start` are through, and how long something moved.

    What rounding leaves at the end of a step waits for no other step.
    """
    times, rates = points.times, points.rates
    lengths = [b - a for a, b in pairwise(times)]
    lengths.append(lengths[-1])
    now, left, moved = 0.0, size, 0.0
    for step in count():
        end = now + lengths[step % len(rates)]
        rate, begin = rates[step % len(rates)], max(now, start)
        if end > begin and rate * (end - begin) >= left - _ROUNDING * size:
            return begin + left / rate, moved + left / rate
        if end > begin and rate:
            left -= rate * (end - begin)
            moved += end - begin
        now = end
    raise AssertionError


@example(steps=[(1.0, 0.0), (1.0, 1.0)], technology=Ethernet(latency=0.0), start=0.0, size=1.0)
@example(steps=[(0.1, 0.0), (0.1, 10.0)], technology=Wifi(latency=0.0), start=0.5, size=3.0)
@given(steps=STEPS, technology=TECHNOLOGIES, start=st.floats(0.0, 30.0), size=st.floats(1.0, 500.0))
def test_a_flow_ends_when_the_integral_says(
    steps: list[tuple[Seconds, float]], technology: Technology, start: Seconds, size: Bytes
) -> None:
    points = points_of(steps)
    world = World()
    world.server()
    world.device("a")
    world.cell("cell", technology, {"a": 5.0}, power=(POWER, 0.0))
    network = world.kernel.network
    signal = Replay(file="x.csv").signal(points, rng(0, "sim/bandwidth", "a"))
    Varying(world.kernel.env, network, network.ways("a"), signal)

    async def script() -> None:
        await Sleep(duration=start)
        await Transfer(source="a", target=SERVER, size=size)

    latency = network.route("a", SERVER).latency
    end, moved = by_hand(points, start + latency, size)
    assert world.run(script()) == pytest.approx(end, rel=1e-9, abs=1e-6)
    if isinstance(technology, Wifi):
        assert world.joules("a")["radio"] == pytest.approx(POWER * moved, rel=1e-6)
    [span] = world.trace.spans
    assert span.size == size
