"""Joules and waits of a cellular radio in any sequence of transfers, worked out apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.quantities import Bytes, Joules, Seconds
from hetsim.sim.network.lte import Lte
from hetsim.sim.requests import Sleep, Transfer
from hetsim.sim.world import SERVER, World

RATE = 4.0
TIMES, WATTS = st.floats(0.0, 10.0), st.floats(0.0, 5.0)


@given(
    gaps=st.lists(st.tuples(st.floats(0.001, 25.0), st.floats(0.5, 60.0)), min_size=1, max_size=6),
    promotion=TIMES, promoting=WATTS, connected=WATTS, tail=TIMES, tailing=WATTS,
)  # fmt: skip
def test_every_second_has_one_state(
    gaps: list[tuple[Seconds, Bytes]], promotion: float, promoting: float, connected: float,
    tail: float, tailing: float,
) -> None:  # fmt: skip
    world = World()
    world.server()
    world.device("a")
    lte = Lte(latency=0.0, promotion=promotion, promoting=promoting, connected=connected,
              tail=tail, tailing=tailing)  # fmt: skip
    world.cell("cell", lte, {"a": RATE})

    async def script() -> None:
        for gap, size in gaps:
            await Sleep(duration=gap)
            await Transfer(source="a", target=SERVER, size=size)
        await Sleep(duration=100.0)

    joules: Joules = 0.0
    now: Seconds = 0.0
    quiet: Seconds = float("inf")
    for gap, size in gaps:
        now, quiet = now + gap, quiet + gap
        joules += min(quiet, tail) * tailing if quiet < float("inf") else 0.0
        if quiet >= tail:
            joules += promotion * promoting
            now += promotion
        joules += size / RATE * connected
        now, quiet = now + size / RATE, 0.0
    joules += min(100.0, tail) * tailing
    assert world.run(script()) == pytest.approx(now + 100.0)
    assert world.joules("a").get("radio_tail", 0.0) == pytest.approx(joules, abs=1e-9)
