"""Areas by hand, and expected gains beside the mean of many draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.sim.governors._hypervolume import expected_gain, hypervolume, pareto, reference

FRONT = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 1.0]])
BEYOND = np.array([6.0, 7.0])


def test_areas_by_hand() -> None:
    assert hypervolume(FRONT[:1], BEYOND) == 5 * 2
    assert hypervolume(FRONT, BEYOND) == 5 * 2 + 4 * 2 + 2 * 2
    assert hypervolume(np.array([[6.0, 1.0], [1.0, 7.0]]), BEYOND) == 0.0


def test_the_reference_is_beyond_the_worst() -> None:
    points = np.array([[1.0, 9.0], [5.0, 3.0], [2.0, 3.0], [4.0, 4.0]])
    assert reference(points).tolist() == [5.0 + 2 * 4 / 4, 9.0 + 2 * 6 / 4]
    assert reference(points[:1]).tolist() == [1.0, 9.0]


def test_the_front_is_ordered_and_without_ties() -> None:
    points = np.array([[4.0, 1.0], [2.0, 3.0], [1.0, 5.0], [2.0, 4.0], [5.0, 1.0], [3.0, 3.0]])
    assert pareto(points).tolist() == FRONT.tolist()


PAIRS = st.lists(st.tuples(st.floats(0, 8), st.floats(0, 8)), min_size=1, max_size=8)


@given(PAIRS)
def test_the_area_is_that_of_a_fine_grid(pairs: list[tuple[float, float]]) -> None:
    points = np.array(pairs, np.float64).round(1)
    cells = np.arange(0.05, 7.0, 0.1)
    times, energies = cells[cells < BEYOND[0]][:, None, None], cells[:, None]
    had = ((points[:, 0] <= times) & (points[:, 1] <= energies)).any(-1)
    assert hypervolume(points, BEYOND) == pytest.approx(0.01 * had.sum(), abs=1e-6)


def test_the_expected_gain_is_the_mean_of_gains() -> None:
    random = np.random.default_rng(3)
    means = np.array([[1.5, 0.5, 3.0, 6.5, 2.0], [2.0, 6.5, 4.0, 0.5, 3.0]])
    spreads = np.array([[0.5, 0.3, 2.0, 1.0, 0.01], [1.0, 0.4, 2.0, 0.2, 0.01]])
    found = expected_gain(means, spreads**2, FRONT, BEYOND)
    had = hypervolume(FRONT, BEYOND)
    for place, gain in enumerate(found):
        draws = random.normal(means[:, place], spreads[:, place], (2000, 2))
        gains = [hypervolume(np.vstack([FRONT, draw]), BEYOND) - had for draw in draws]
        error = np.std(gains) / len(gains) ** 0.5
        assert gain == pytest.approx(np.mean(gains), abs=4 * error + 1e-9)


def test_what_is_certain_gains_what_it_gains() -> None:
    points = np.array([[1.5, 2.0], [3.0, 3.5], [0.5, 0.5], [7.0, 0.1]])
    found = expected_gain(points.T, np.zeros((2, 4)), FRONT, BEYOND)
    gains = [
        hypervolume(np.vstack([FRONT, point]), BEYOND) - hypervolume(FRONT, BEYOND)
        for point in points
    ]
    assert found == pytest.approx(gains, abs=1e-9)
