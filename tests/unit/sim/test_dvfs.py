import pytest

from hetsim.core.cost import Cost
from hetsim.sim.dvfs import effort
from hetsim.sim.world import domain

LITTLE = domain((1.0, 1.0), (2.0, 3.0), name="little")
BIG = domain((4.0, 5.0), name="big", flops_per_cycle=2.0)
MEMORY = domain((10.0, 0.5), name="memory", kind="memory", flops_per_cycle=0, bytes_per_cycle=4.0)


def test_arithmetic_runs_side_by_side():
    work = effort([LITTLE, BIG], (1, 0), Cost(flops=20.0), overhead=0.0)
    assert work.duration == 2.0  # at 2 + 8 flop/s
    assert work.busy == (2.0, 2.0)
    assert work.joules == (6.0, 10.0)


def test_every_other_term_adds():
    device = domain((2.0, 1.0), cycles_per_step=6.0, cycles_per_sample=2.0)
    cost = Cost(flops=4.0, traffic=80.0, steps=2, samples=5)
    work = effort([device, MEMORY], (0, 0), cost, overhead=0.5)
    assert work.duration == 2 * 0.5 + 4 / 2 + (2 * 6 + 5 * 2) / 2 + 80 / 4 / 10
    assert work.busy == (2 + 11, 2.0)
    assert work.joules == (13.0, 1.0)


def test_a_device_without_arithmetic_computes_nothing():
    with pytest.raises(ValueError, match="no domain does arithmetic"):
        effort([MEMORY], (0,), Cost(flops=1.0), overhead=0.0)
    assert effort([MEMORY], (0,), Cost(traffic=40.0), overhead=0.0).duration == 1.0
