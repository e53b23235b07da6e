"""The algebra of work: it adds up, the peak does not."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.cost import Cost

# Whole numbers that float64 holds exactly, so that the laws hold exactly too.
amounts = st.integers(0, 2**40).map(float)
ADDS = ("flops", "traffic", "steps", "samples", "operators")
costs = st.builds(Cost, **dict.fromkeys(("memory", *ADDS), amounts))


@given(costs, costs)
def test_work_adds_and_the_peak_is_the_higher_one(a: Cost, b: Cost) -> None:
    both = a + b
    assert all(getattr(both, name) == getattr(a, name) + getattr(b, name) for name in ADDS)
    assert both.memory == max(a.memory, b.memory)


@given(costs, costs, costs)
def test_the_order_of_work_does_not_matter(a: Cost, b: Cost, c: Cost) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@given(costs)
def test_no_work_adds_nothing(a: Cost) -> None:
    assert a + Cost() == a
    assert sum([a, a], Cost()) == a + a


@given(costs, st.integers(0, 1000))
def test_times_n_is_n_times_in_a_row(a: Cost, n: int) -> None:
    times = a * n
    assert all(getattr(times, name) == n * getattr(a, name) for name in ADDS)
    assert times.memory == a.memory


@given(costs, st.floats(0.0, 1.0))
def test_a_part_and_the_rest_are_the_whole(a: Cost, share: float) -> None:
    whole = a * share + a * (1.0 - share)
    assert all(
        math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-300)
        for x, y in zip(astuple(whole), astuple(a), strict=True)
    )


def test_a_cost_is_a_value() -> None:
    assert Cost(flops=1.0) == Cost(flops=1.0)
    assert len({Cost(flops=1.0), Cost(flops=1.0), Cost(flops=2.0)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cost().flops = 1.0  # pyright: ignore
    with pytest.raises(TypeError):
        Cost(1.0)  # pyright: ignore
