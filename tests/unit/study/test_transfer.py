"""A workload of which a few settings are measured, on a board whose decomposition is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.study.anchors import anchors
from hetsim.study.board import Board, calibrated
from hetsim.study.transfer import (
    FACTORS,
    SPREADS,
    least_relative_error,
    posterior,
    prior,
    transfer,
    under,
)
from tests.unit.study.boards import CLOCKS, FORM, OTHER, mape, swept, unmeasured


@pytest.fixture(scope="module")
def board() -> Board:
    return calibrated(swept(FORM, noise=0.005))


def rest(rows: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(len(CLOCKS)), rows)


def test_eight_anchors_find_the_other_workload(board: Board) -> None:
    other = swept(OTHER, noise=0.005)
    rows = anchors(board, 8)
    found = transfer(board, other.take(rows), CLOCKS)
    left = rest(rows)
    assert mape(found.time[left], other.time[left]) < 1.5
    assert mape(found.energy[left], other.energy[left]) < 2.0
    assert found.validated is not None
    assert found.validated.time < 0.05
    assert found.validated.energy < 0.05


def test_one_anchor_is_worse_than_eight_and_says_so(board: Board) -> None:
    other = swept(OTHER)
    one, eight = (
        transfer(board, other.take(anchors(board, number)), CLOCKS) for number in (1, 8)
    )  # fmt: skip
    assert mape(one.time, other.time) > 2.0 * mape(eight.time, other.time)
    assert one.spread.mean() > 2.0 * eight.spread.mean()
    assert one.validated is None


def test_the_only_anchor_is_predicted_exactly(board: Board) -> None:
    other = swept(OTHER)
    row = anchors(board, 1)
    found = transfer(board, other.take(row), CLOCKS[row])
    assert found.time == pytest.approx(other.time[row])
    assert found.energy == pytest.approx(other.energy[row])
    assert found.middle == pytest.approx(other.time[row])


def test_the_same_workload_twice_as_large_needs_one_anchor(board: Board) -> None:
    source = swept(FORM)
    twice = replace(source, time=2.0 * source.time, energy=2.0 * source.energy)
    found = transfer(board, twice.take(anchors(board, 1)), CLOCKS)
    assert mape(found.middle, twice.time) < 3.0


def test_the_spread_covers_the_truth(board: Board) -> None:
    other = swept(OTHER, noise=0.005)
    for number in (1, 8):
        found = transfer(board, other.take(anchors(board, number)), CLOCKS)
        z = np.log(other.time / found.middle) / found.spread
        assert np.mean(z < 2.05) > 0.95


def test_without_anchors_the_posterior_is_the_prior(board: Board) -> None:
    known = posterior(board, CLOCKS[:0], np.empty((2, 0)), SPREADS[0])
    assert known.mode == pytest.approx(np.zeros(FACTORS))
    assert known.covariance == pytest.approx(np.diag(prior(SPREADS[0]) ** 2), abs=1e-9)


def test_factors_are_found_again_from_all_settings(board: Board) -> None:
    factors = np.array([0.3, 0.2, -0.1, 0.1, 0.05, 0.1, -0.1, 0.1])
    known = posterior(board, CLOCKS, under(board, factors, CLOCKS), SPREADS[-1])
    found = under(board, known.mode, CLOCKS)
    assert found == pytest.approx(under(board, factors, CLOCKS), abs=2e-3)


def test_draws_have_the_moments_of_the_posterior(board: Board) -> None:
    known = posterior(board, CLOCKS[-1:], under(board, np.zeros(FACTORS), CLOCKS[-1:]), 0.2)
    draws = known.draws()
    assert draws.mean(axis=0) == pytest.approx(known.mode, abs=1e-12)
    ratio = draws.std(axis=0) / np.sqrt(np.diag(known.covariance))
    assert np.all((ratio > 0.85) & (ratio < 1.15))


def test_the_estimate_has_the_least_relative_error_of_all() -> None:
    logs = np.random.default_rng(1).normal(scale=0.5, size=(301, 2))
    found = least_relative_error(logs)
    for column in range(2):
        truths = np.exp(logs[:, column])
        errors = [np.mean(np.abs(value / truths - 1.0)) for value in truths]
        assert found[column] == pytest.approx(truths[np.argmin(errors)])


def test_names_and_order_of_anchors_change_nothing(board: Board) -> None:
    other = swept(OTHER, noise=0.01)
    rows = anchors(board, 5)
    one = transfer(board, other.take(rows), CLOCKS)
    two = transfer(board, replace(other.take(rows[::-1]), name="x"), CLOCKS)
    assert two.time == pytest.approx(one.time, rel=1e-5)
    assert two.spread == pytest.approx(one.spread, rel=1e-3)


def test_settings_alone_are_no_anchors(board: Board) -> None:
    with pytest.raises(SpecError, match="no measured setting"):
        transfer(board, unmeasured(), CLOCKS)
    with pytest.raises(SpecError, match="full speed at least"):
        transfer(board, swept(OTHER).take(np.arange(0)), CLOCKS)
