from __future__ import annotations

import numpy as np
import pytest

from hetsim.study.design import design
from tests.unit.study.synthetic_board import grid


def chosen(clocks: np.ndarray, size: int) -> set[tuple[float, ...]]:
    return {tuple(row) for row in clocks[design(clocks, size)].tolist()}


def test_settings_are_distinct_and_reach_both_ends_of_every_clock() -> None:
    clocks = grid()
    found = clocks[design(clocks, 24)]
    assert len(set(map(tuple, found.tolist()))) == 24
    assert (found.min(axis=0) == clocks.min(axis=0)).all()
    assert (found.max(axis=0) == clocks.max(axis=0)).all()


def test_the_order_of_the_rows_does_not_matter() -> None:
    clocks = grid()
    assert chosen(clocks, 12) == chosen(clocks[::-1], 12)


def test_a_smaller_design_is_the_start_of_a_larger_one() -> None:
    clocks = grid()
    assert design(clocks, 9).tolist() == design(clocks, 20)[:9].tolist()


def test_a_whole_grid_can_be_asked_for() -> None:
    clocks = grid()[:30]
    assert sorted(design(clocks, 30).tolist()) == list(range(30))


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_clock_that_does_not_change_is_no_trouble(frozen: int) -> None:
    clocks = grid()
    clocks = clocks[clocks[:, frozen] == clocks[0, frozen]]
    assert len(chosen(clocks, 10)) == 10


def test_a_large_grid_is_judged_on_a_part_of_it() -> None:
    levels = [np.linspace(1e8, 2e9, 18)] * 3
    clocks = np.array(np.meshgrid(*levels)).reshape(3, -1).T
    found = clocks[design(clocks, 8)]
    assert (np.ptp(np.log(found), axis=0) > 0.8 * np.log(20.0)).all()
