"""Mixes of settings: exact, in time, and the same as a solver's."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from hetsim.sim.governors._mix import blend, front, hull, mix

TABLES = st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(-1.0, 3.0)), min_size=1, max_size=12)
COARSE = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=8)


def split(table: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [float(t) for t, _ in table], [float(e) for _, e in table]


def cost(counts: dict[int, int], values: Sequence[float]) -> float:
    return sum(values[i] * n for i, n in counts.items())


def solver(times: Sequence[float], energies: Sequence[float], items: int, seconds: float) -> float:
    """The integer program; the time is scaled so that the solver's tolerance is 1e-11 of it."""
    ones, scaled = np.ones((1, len(times))), np.array([times]) * 1e5 / seconds
    rules = [LinearConstraint(ones, items, items), LinearConstraint(scaled, -np.inf, 1e5)]
    found = milp(
        energies, constraints=rules, integrality=np.ones(len(times)), bounds=Bounds(0, items),
        options={"mip_rel_gap": 0},
    )  # fmt: skip
    assert found.success
    return float(found.fun)


def test_front_and_hull_of_a_table():
    times = [3.0, 1.0, 2.0, 2.0, 4.0, 2.5]
    energies = [1.0, 9.0, 7.0, 6.0, 1.0, 5.5]
    assert front(times, energies) == [1, 3, 5, 0]
    assert hull(times, energies) == [1, 0]


def test_of_equal_settings_the_first_is_kept():
    assert front([1.0, 1.0], [2.0, 2.0]) == [0]


def test_points_on_a_line_are_no_corners():
    assert hull([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == [0, 2]


@given(table=COARSE, items=st.integers(1, 5), seconds=st.floats(1.0, 30.0))
@settings(max_examples=100)
def test_equals_trying_everything(table: list[tuple[int, int]], items: int, seconds: float) -> None:
    times, energies = split(table)
    best = min(
        (
            sum(energies[i] for i in each)
            for each in combinations_with_replacement(range(len(table)), items)
            if sum(times[i] for i in each) <= seconds
        ),
        default=None,
    )
    counts = mix(times, energies, items, seconds)
    assert sum(counts.values()) == items
    if best is None:
        assert {times[i] for i in counts} == {min(times)}
    else:
        assert cost(counts, times) <= seconds * (1 + 1e-9)
        assert cost(counts, energies) == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("seed", range(25))
def test_equals_a_solver(seed: int) -> None:
    draw = random.Random(seed)
    items, number = draw.randint(1, 200), draw.randint(1, 60)
    times = [draw.uniform(0.1, 1.0) for _ in range(number)]
    energies = [draw.uniform(1.0, 1.4) + 0.3 / t for t in times]
    seconds = items * min(times) * draw.uniform(1.0001, 4.0)
    counts = mix(times, energies, items, seconds)
    best = solver(times, energies, items, seconds)
    assert cost(counts, times) <= seconds * (1 + 1e-9)
    assert cost(counts, energies) == pytest.approx(best, rel=1e-7)


def test_equals_a_solver_on_measured_sweeps(shared: Path) -> None:
    draw = random.Random(3)
    for path in sorted((shared / "measured" / "traces" / "bofl").glob("*.csv")):
        with path.open() as file:
            rows = [
                (float(row["time_s_per_minibatch"]), float(row["energy_j_per_minibatch"]))
                for row in csv.DictReader(file)
            ]
        times, energies = split(rows)
        kept = front(times, energies)
        times, energies = [times[i] for i in kept], [energies[i] for i in kept]
        for items in (200, 75, 12, 5):
            seconds = items * times[0] * draw.uniform(1.0, 1.5)
            counts = mix(times, energies, items, seconds)
            assert cost(counts, times) <= seconds * (1 + 1e-9)
            best = solver(times, energies, items, seconds)
            assert cost(counts, energies) == pytest.approx(best, rel=1e-7)


@given(table=TABLES, items=st.integers(1, 30), ratios=st.tuples(*[st.floats(1.0, 5.0)] * 2))
def test_more_time_never_costs_more(
    table: list[tuple[float, float]], items: int, ratios: tuple[float, float]
) -> None:
    times, energies = split(table)
    short, long = (items * min(times) * each for each in sorted(ratios))
    scale = items * max(map(abs, energies)) + 1e-9
    less = cost(mix(times, energies, items, long), energies)
    assert less <= cost(mix(times, energies, items, short), energies) + 1e-8 * scale


@given(table=TABLES, items=st.integers(1, 30), ratio=st.floats(1.0, 5.0))
def test_divided_items_are_the_bound_of_whole_ones(
    table: list[tuple[float, float]], items: int, ratio: float
) -> None:
    times, energies = split(table)
    seconds = items * min(times) * ratio
    parts = blend(times, energies, float(items), seconds)
    assert sum(n for _, n in parts) == pytest.approx(items)
    assert sum(times[i] * n for i, n in parts) <= seconds * (1 + 1e-9)
    bound = sum(energies[i] * n for i, n in parts)
    scale = items * max(map(abs, energies)) + 1e-9
    assert bound <= cost(mix(times, energies, items, seconds), energies) + 1e-8 * scale


@given(table=TABLES, items=st.floats(0.1, 30.0), ratio=st.floats(1.01, 5.0))
@settings(max_examples=50)
def test_divided_items_equal_the_linear_program(
    table: list[tuple[float, float]], items: float, ratio: float
) -> None:
    times, energies = split(table)
    seconds = items * min(times) * ratio
    found = linprog(energies, A_ub=[times], b_ub=[seconds], A_eq=[[1.0] * len(times)], b_eq=[items])
    mine = sum(energies[i] * n for i, n in blend(times, energies, items, seconds))
    assert mine == pytest.approx(found.fun, rel=1e-6, abs=1e-6)


def test_too_little_time_takes_the_fastest():
    assert mix([2.0, 1.0], [1.0, 5.0], 3, 2.0) == {1: 3}
    assert blend([2.0, 1.0], [1.0, 5.0], 3.0, 0.0) == [(1, 3.0)]


def test_all_the_time_takes_the_cheapest():
    assert mix([2.0, 1.0], [1.0, 5.0], 3, inf) == {0: 3}
    assert blend([2.0, 1.0], [1.0, 5.0], 0.5, inf) == [(0, 0.5)]


def test_nothing_to_do():
    assert mix([1.0], [1.0], 0, 1.0) == {}
    assert blend([1.0], [1.0], 0.0, 1.0) == []


def test_just_enough_time_is_enough():
    times, energies = [0.1, 0.3], [3.0, 1.0]
    seconds = sum([0.1] * 7 + [0.3] * 3)
    assert mix(times, energies, 10, seconds) == {0: 7, 1: 3}


def test_settings_on_one_line_end_the_search():
    """Dozens of them, none of which fills the time: equally good choices without end."""
    times = [1.0 + 0.1 * i for i in range(30)]
    energies = [9.0 - 0.2 * i for i in range(30)]
    counts = mix(times, energies, 60, 95.123)
    assert cost(counts, times) == pytest.approx(95.1)
    assert cost(counts, energies) == pytest.approx(60 * 9.0 - 2.0 * 35.1)
