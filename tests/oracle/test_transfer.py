"""A board calibrated on one measured workload predicts the other, and meets its deadlines.

Two boards with two public sweeps each: four ordered pairs. Nothing here is fitted on a target but
its anchors; the few constants of the method (`hetsim.study.transfer`) were set on these pairs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hetsim.study.anchors import anchors
from hetsim.study.board import Board, calibrated
from hetsim.study.deadline import Outcome, study
from hetsim.study.sweep import Sweep, read_sweep
from hetsim.study.transfer import transfer

PAIRS = (
    ("agx_cifar10", "agx_imagenet"),
    ("agx_imagenet", "agx_cifar10"),
    ("tx2_cifar10", "tx2_imdb"),
    ("tx2_imdb", "tx2_cifar10"),
)
LIMITS = {1: (12.0, 7.0), 8: (6.0, 5.0)}
"""Largest errors of time and energy, per cent, by the number of anchors."""


@cache
def sweep(folder: Path, name: str) -> Sweep:
    return read_sweep(folder / "measured" / "traces" / "bofl" / f"{name}.csv")


@cache
def board(folder: Path, name: str) -> Board:
    return calibrated(sweep(folder, name))


@cache
def outcome(folder: Path, source: str, target: str, number: int) -> tuple[float, float, Outcome]:
    """Errors of time and energy at the settings that are no anchors, and the deadlines."""
    truth = sweep(folder, target)
    rows = anchors(board(folder, source), number, truth.clocks)
    found = transfer(board(folder, source), truth.take(rows), truth.clocks)
    rest = np.setdiff1d(np.arange(len(truth)), rows)
    time, energy = (
        100.0 * float(np.mean(np.abs(estimate[rest] / value[rest] - 1.0)))
        for estimate, value in ((found.time, truth.time), (found.energy, truth.energy))
    )
    return time, energy, study(found, truth)


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(LIMITS))
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_another_workload_is_predicted(shared: Path, source: str, target: str, number: int) -> None:
    time, energy, _ = outcome(shared, source, target, number)
    assert time <= LIMITS[number][0]
    assert energy <= LIMITS[number][1]


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(LIMITS))
def test_deadlines_are_met_with_few_joules_above_the_best(shared: Path, number: int) -> None:
    outcomes = [outcome(shared, *pair, number)[2] for pair in PAIRS]
    assert np.mean([each.met for each in outcomes]) >= 0.98
    assert np.mean([each.excess for each in outcomes]) <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_design_looks_at_the_source_alone(shared: Path, source: str, target: str) -> None:
    settings = sweep(shared, target).clocks
    assert np.array_equal(settings, board(shared, source).clocks)
    assert np.array_equal(
        anchors(board(shared, source), 4), anchors(board(shared, source), 4, settings)
    )
