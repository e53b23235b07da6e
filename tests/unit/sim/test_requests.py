"""Requests are plain data: scripts can be played by hand, without a clock."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.core.ref import Ref
from hetsim.sim.pipeline import Stop, loop_time, pipeline_time
from hetsim.sim.requests import Compute, Gather, Observe, Sleep, Stream, Transfer

times = st.lists(st.integers(0, 50).map(float), min_size=1, max_size=5)


def flow_shop(stages: list[float], items: int, window: float) -> float:
    """When the last part leaves, told part by part: a part starts a stage when it has left the one
    before, when the part ahead has left this one, and enters when a place in the window is free."""
    end: dict[tuple[int, int], float] = {}
    for item in range(items):
        for stage, seconds in enumerate(stages):
            waits_for = [(item, stage - 1), (item - 1, stage)]
            if stage == 0 and window < inf:
                waits_for.append((item - int(window), len(stages) - 1))
            end[item, stage] = max(end.get(each, 0.0) for each in waits_for) + seconds
    return end[items - 1, len(stages) - 1]


@given(times, st.integers(1, 12), st.one_of(st.just(inf), st.integers(1, 14)))
def test_pipeline_time_is_that_of_a_flow_shop(stages: list[float], items: int, window: float):
    assert pipeline_time(stages, items, window) == flow_shop(stages, items, window)


def test_a_wider_window_is_never_slower():
    makespans = [pipeline_time([1.0, 3.0, 2.0], items=6, window=w) for w in range(1, 8)]
    assert makespans == sorted(makespans, reverse=True)
    assert makespans[0] == 36.0
    assert makespans[-1] == 21.0


async def client(device: str, model: Ref[Any]) -> str:
    await Transfer(source="server", target=device, size=8.0, carries=(model,))
    try:
        await Compute(node=device, cost=Cost(flops=2.0))
    except Dropped as dropped:
        return f"half of it: {dropped.progress}"
    [loss] = await Observe((model,), device)
    return f"loss {loss}"


def test_a_script_is_played_by_hand():
    model = Ref.of("initial", seed=1)
    script = client("phone", model)
    first = script.send(None)
    assert first == Transfer(source="server", target="phone", size=8.0, carries=(model,))
    assert script.send(None) == Compute(node="phone", cost=Cost(flops=2.0))
    assert script.send(None) == Observe((model,), "phone")
    with pytest.raises(StopIteration) as end:
        script.send([0.25])
    assert end.value.value == "loss 0.25"


def test_a_misfortune_is_thrown_into_a_script():
    script = client("phone", Ref.of("initial", seed=1))
    script.send(None)
    script.send(None)
    with pytest.raises(StopIteration) as end:
        script.throw(Dropped("battery", 0.5))
    assert end.value.value == "half of it: 0.5"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Sleep(duration=-1.0), "a sleep of -1.0 s"),
        (lambda: Sleep(duration=nan), "a sleep of nan s"),
        (lambda: Transfer(source="a", target="b", size=-1.0), "a transfer of -1.0 bytes"),
        (lambda: Stream(stages=(), items=1), "without stages"),
        (lambda: Stream(stages=(Compute(node="a", cost=Cost()),), items=0), "0 items"),
        (lambda: Stream(stages=(Compute(node="a", cost=Cost()),), items=2, window=0.5), "window"),
        (lambda: Gather(children=(), deadline=-1.0), "a deadline of -1.0 s"),
        (lambda: Gather(children=(), first=0), "the first 0 children"),
    ],
)
def test_what_cannot_be_asked_is_refused_where_it_is_written(make: Any, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize("window", [1, 2, 7, inf])
def test_a_long_loop_goes_on_as_it_began(window: float):
    """However many items there are, counting them one by one ends at some number."""
    stops = (Stop(0, 1.0), Stop(1, 2.0, 0.5), Stop(0, 0.75))
    step = loop_time(stops, 2000, window) - loop_time(stops, 1000, window)
    many = loop_time(stops, 1_002_000, window)
    assert many == pytest.approx(loop_time(stops, 2000, window) + 1000 * step)
    assert many == pytest.approx(1_002_000 * {1.0: 4.25, 2.0: 2.125}.get(window, 2.0), rel=1e-3)
