"""Which settings of a board to measure for another workload: a design before any measurement.

The first is full speed. Each further one lowers most the variance that the prediction of
`hetsim.study.transfer` will have: of log time and log energy, mean over all settings. The factors
of the workload are unknown yet, so the criterion, the logarithm of that variance, is summed over
workloads drawn from the prior (Bayesian A-optimality: Chaloner and Verdinelli, Statistical Science
10(3), 1995). Only the clocks and the sweep of the source are looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.study.board import Board
from hetsim.study.transfer import FACTORS, SPREADS, prior, slopes
from hetsim.study.work import Floats

WORKLOADS = 8
"""Workloads drawn from the prior, beside the source's own."""
APART = 1.25
"""Ratio of some clock between two anchors: nearer settings share what the form gets wrong."""
_WORTHLESS = 1e-4
"""Variance below which more precision is worth nothing: 1 % of an estimate."""


class _Case(NamedTuple):
    """One possible workload.

    Attributes:
        slopes: [rows, 2, FACTORS] of log time and log power over the noise.
        wanted: [FACTORS, FACTORS] mean square of the slopes of log time and log energy.
    """

    slopes: Floats
    wanted: Floats


def full_speed(clocks: Floats) -> int:
    """The row of the highest clocks, all domains counted alike."""
    return int(np.argmax((clocks / clocks.max(axis=0)).sum(axis=1)))


def anchors(board: Board, number: int, among: Floats | None = None) -> NDArray[np.intp]:
    """Rows of `among` (default: the settings of the board's sweep) to measure, full speed first.

    Raises:
        SpecError: more settings wanted than there are, or none.
    """
    clocks = board.clocks if among is None else among
    if not 1 <= number <= len(clocks):
        what = f"{number} settings of {len(clocks)} cannot be chosen."
        raise SpecError(what, remedy=f"Ask for 1 to {len(clocks)}.")
    width = prior(SPREADS[-1])
    draws = rng(0, "sim/study/anchors").normal(size=(WORKLOADS, FACTORS)) * width
    draws[:, [0, 4]] = 0.0  # factors on everything change no slope
    cases = [_case(board, each, clocks) for each in (np.zeros(FACTORS), *draws)]
    known = [np.diag(width**-2.0)] * len(cases)
    chosen: list[int] = []
    row = full_speed(clocks)
    while True:
        chosen.append(row)
        if len(chosen) == number:
            return np.array(chosen, np.intp)
        known = [
            before + case.slopes[row].T @ case.slopes[row]
            for before, case in zip(known, cases, strict=True)
        ]
        score = np.sum([_score(*each) for each in zip(cases, known, strict=True)], axis=0)
        alike = _alike(clocks, clocks[chosen])
        score[chosen if alike.all() else alike] = np.inf
        row = int(np.argmin(score))


def _case(board: Board, factors: Floats, clocks: Floats) -> _Case:
    time, power = slopes(board, factors, clocks)
    energy = time + power
    wanted = (time.T @ time + energy.T @ energy) / (2.0 * len(clocks))
    return _Case(np.stack([time, power], axis=1) / board.noise[:, None], wanted)


def _alike(clocks: Floats, chosen: Floats) -> NDArray[np.bool_]:
    """Which settings are like a chosen one in every clock."""
    ratio = np.abs(np.log(clocks[:, None] / chosen[None])).max(axis=2)
    return (ratio < np.log(APART)).any(axis=1)


def _score(case: _Case, known: Floats) -> Floats:
    """[rows]: log variance of what is wanted, had each setting been measured too."""
    covariance = np.linalg.inv(known)
    gain = case.slopes @ covariance
    inner = np.eye(2) + gain @ case.slopes.swapaxes(1, 2)
    saved = np.linalg.solve(inner, gain @ case.wanted @ gain.swapaxes(1, 2))
    left = np.trace(case.wanted @ covariance) - np.trace(saved, axis1=1, axis2=2)
    return np.log(np.maximum(left, 0.0) + _WORTHLESS)
