"""Sums lose nothing to terms that have gone."""

from __future__ import annotations

from fractions import Fraction

from hetsim.core.rng import rng
from hetsim.sim.sum import Sum


def test_a_sum_keeps_the_least_when_the_largest_goes():
    total = Sum()
    for value in (0.1, 1e17, 0.2, -1e17):
        total.add(value)
    assert total.total + total.error == 0.1 + 0.2


def test_a_sum_of_what_is_left_after_a_hundred_thousand_changes():
    dice = rng(1, "sim/sum")
    total, present = Sum(), list[float]()
    for _ in range(100_000):
        if present and dice.random() < 0.5:
            total.add(-present.pop(int(dice.integers(len(present)))))
        else:
            present.append(float(10 ** dice.uniform(-6, 9)))
            total.add(present[-1])
    exact = float(sum(map(Fraction, present)))
    assert abs(total.total + total.error - exact) <= 1e-14 * exact
