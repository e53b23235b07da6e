import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.sim.dvfs import Timing, effort
from hetsim.sim.world import domain

LITTLE = domain((1.0, 1.0), (2.0, 3.0), name="little")
BIG = domain((4.0, 5.0), name="big", flops_per_cycle=2.0)
MEMORY = domain((10.0, 0.5), name="memory", kind="memory", flops_per_cycle=0, bytes_per_cycle=4.0)


def test_arithmetic_runs_side_by_side():
    work = effort([LITTLE, BIG], (1, 0), Cost(flops=20.0))
    assert work.duration == 2.0  # at 2 + 8 flop/s
    assert work.busy == (2.0, 2.0)
    assert work.joules == (6.0, 10.0)


def test_every_other_term_adds():
    device = domain((2.0, 1.0), cycles_per_step=6.0, cycles_per_sample=2.0, cycles_per_operator=3)
    cost = Cost(flops=4.0, traffic=80.0, steps=2, samples=5, operators=4)
    work = effort([device, MEMORY], (0, 0), cost, Timing(overhead=0.5))
    assert work.duration == 2 * 0.5 + 4 / 2 + (2 * 6 + 5 * 2 + 4 * 3) / 2 + 80 / 4 / 10
    assert work.busy == (2 + 17, 2.0)
    assert work.joules == (19.0, 1.0)


def test_the_input_pipeline_costs_who_only_infers_as_much_as_who_trains():
    """It goes by samples read; a tail that works on activations reads none."""
    device = domain((2.0, 1.0), cycles_per_sample=8.0)
    forward, train = Cost(flops=10.0, samples=5), Cost(flops=30.0, samples=5, steps=1)
    assert effort([device], (0,), forward).duration == 10 / 2 + 5 * 8 / 2
    assert effort([device], (0,), train).duration == 30 / 2 + 5 * 8 / 2
    assert effort([device], (0,), Cost(flops=20.0)).duration == 20 / 2


def test_a_device_without_arithmetic_computes_nothing():
    with pytest.raises(ValueError, match="no domain does arithmetic"):
        effort([MEMORY], (0,), Cost(flops=1.0))
    assert effort([MEMORY], (0,), Cost(traffic=40.0)).duration == 1.0


CPU = domain((2.0, 1.0), (4.0, 3.0), flops_per_cycle=0.0, cycles_per_operator=4.0, background=1.0)
GPU = domain((10.0, 5.0), (20.0, 9.0), name="gpu", kind="gpu", flops_per_cycle=2.0)
BOARD = (CPU, GPU, MEMORY)
STEP = Cost(flops=120.0, traffic=160.0, operators=3.0, steps=1.0)
"""Host 12 cycles, computing 60 cycles, moving 40 cycles."""


@pytest.mark.parametrize(
    ("timing", "duration"),
    [
        (Timing(), 12 / 1 + 6 + 4),
        (Timing(memory=2.0), 12 + math.hypot(6, 4)),
        (Timing(host=2.0), math.hypot(12, 10)),
        (Timing(host=1000.0), 12.0),
        (Timing(host=1000.0, overhead=0.5), 12.5),
        (Timing(launch=1.0), 12 + 3 + 6 + 4),
    ],
)
def test_the_parts_overlap_as_far_as_stated(timing: Timing, duration: float):
    """The CPU has one cycle a second left beside what the system takes."""
    work = effort(BOARD, (0, 0, 0), STEP, timing)
    assert work.duration == pytest.approx(duration, rel=1e-12)
    assert work.busy == (12.0, 6.0, 4.0)
    assert work.joules == (12.0, 30.0, 2.0)


def test_a_host_beside_the_device_hides_its_work_or_is_hidden():
    """The board of a server GPU: at small batches the host's launches take all the time."""
    gpu = (GPU,)
    ahead = Timing(launch=1.0, host=1000.0)
    short, long = Cost(flops=40.0, operators=8.0), Cost(flops=400.0, operators=8.0)
    assert effort(gpu, (1,), short, ahead).duration == pytest.approx(8.0)
    assert effort(gpu, (0,), short, ahead).duration == pytest.approx(8.0), "the clock is hidden"
    assert effort(gpu, (1,), long, ahead).duration == pytest.approx(10.0)
    assert effort(gpu, (1,), short, ahead).busy == (1.0,), "it mostly waits, and draws as little"


amounts = st.floats(0.0, 1e12)
costs = st.builds(
    Cost, flops=amounts, traffic=amounts, steps=amounts, samples=amounts, operators=amounts
)
timings = st.builds(
    Timing,
    overhead=st.floats(0.0, 1.0), launch=st.floats(0.0, 1.0),
    host=st.floats(1.0, 50.0), memory=st.floats(1.0, 50.0),
)  # fmt: skip


@given(costs, timings)
def test_time_falls_with_every_clock_and_nobody_works_longer_than_it_takes(
    cost: Cost, timing: Timing
):
    slow = effort(BOARD, (0, 0, 0), cost, timing)
    for points in ((1, 0, 0), (0, 1, 0), (1, 1, 0)):
        fast = effort(BOARD, points, cost, timing)
        assert fast.duration <= slow.duration * (1 + 1e-12)
    for work in (slow, fast):
        assert all(joules >= 0.0 for joules in work.joules)
        assert all(seconds <= work.duration * (1 + 1e-12) for seconds in work.busy)


@given(costs, timings, st.floats(0.0, 1.0))
def test_a_part_of_the_work_takes_that_part_of_time_and_joules(
    cost: Cost, timing: Timing, share: float
):
    whole = effort(BOARD, (0, 1, 0), cost, timing)
    parts = [effort(BOARD, (0, 1, 0), cost * part, timing) for part in (share, 1.0 - share)]
    assert sum(part.duration for part in parts) == pytest.approx(whole.duration, rel=1e-9, abs=1e-9)
    for index, joules in enumerate(whole.joules):
        split = sum(part.joules[index] for part in parts)
        assert split == pytest.approx(joules, rel=1e-9, abs=1e-9)
