"""Which settings the design asks for."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.study.anchors import APART, anchors, full_speed
from hetsim.study.board import Board, calibrated
from hetsim.study.transfer import transfer
from tests.unit.study.boards import CLOCKS, FORM, OTHER, mape, swept


@pytest.fixture(scope="module")
def board() -> Board:
    return calibrated(swept(FORM, noise=0.005))


def test_full_speed_comes_first(board: Board) -> None:
    assert anchors(board, 1).tolist() == [len(CLOCKS) - 1]
    assert anchors(board, 4)[0] == len(CLOCKS) - 1


def test_full_speed_without_the_corner_is_the_nearest_to_it() -> None:
    clocks = np.array([[1.0, 4.0, 2.0], [2.0, 3.9, 2.0], [2.0, 1.0, 1.0]])
    assert full_speed(clocks) == 1


def test_a_longer_design_begins_with_the_shorter(board: Board) -> None:
    assert anchors(board, 8)[:5].tolist() == anchors(board, 5).tolist()


def test_anchors_are_apart(board: Board) -> None:
    chosen = CLOCKS[anchors(board, 8)]
    for row, one in enumerate(chosen):
        for other in chosen[:row]:
            assert max(np.maximum(one / other, other / one)) >= APART


def test_all_of_a_small_set_can_be_asked_for(board: Board) -> None:
    few = CLOCKS[-1] * np.array([[1.0, 1.0, 1.0], [0.95, 1.0, 1.0], [1.0, 0.95, 1.0]])
    assert sorted(anchors(board, 3, few).tolist()) == [0, 1, 2]


def test_the_design_beats_settings_at_random(board: Board) -> None:
    other = swept(OTHER, noise=0.01)
    designed = transfer(board, other.take(anchors(board, 5)), CLOCKS)
    errors = [
        mape(transfer(board, other.take(rows), CLOCKS).time, other.time)
        for seed in range(4)
        for rows in [np.random.default_rng(seed).choice(len(CLOCKS), 5, replace=False)]
    ]
    assert mape(designed.time, other.time) < np.mean(errors)


@pytest.mark.parametrize("number", [0, len(CLOCKS) + 1])
def test_more_settings_than_there_are_is_refused(board: Board, number: int) -> None:
    with pytest.raises(SpecError, match=f"{number} settings of {len(CLOCKS)}"):
        anchors(board, number)
