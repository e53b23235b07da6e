"""Another workload of a known board, predicted from a few measured settings (anchors).

The board is known from a sweep of one workload (`hetsim.study.board`). Another workload does other
amounts of the same things: every term of the form is scaled by one factor, and the terms of each
clock domain by one factor of that domain, in time and in active power (8 factors, logarithms x):

    x ~ N(0, prior^2),    log measured = log form(x) + carried residual + N(0, noise^2)

with the noise of the source's own fit. The posterior is taken at its mode, as a normal distribution
by Gauss-Newton. With one anchor it says what is common and leaves the domains to the prior; with
more it is a ridge regression towards that answer. How far the domains may differ is chosen by
leaving out one anchor after the other (`SPREADS`; with one anchor the first).

A prediction is a sample of possible truths per setting. Its point estimate minimises the expected
relative error, which is the median of the sample weighted by 1 / value: where little is known it is
lower than the middle. Its spread is widened by the ratio of cross-validated to expected errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.optimize import least_squares

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.study.board import Board
from hetsim.study.sweep import Sweep
from hetsim.study.work import Floats

SPREADS = (0.2, 0.5)
"""Prior standard deviations of the log factors of a domain's time beside the common one. Assumed:
on the two boards with public sweeps of two workloads the domains differ by 0.2 to 0.6; the first
errs to what is common, since one anchor cannot correct it."""
COMMON, COMMON_POWER, ACTIVITY = 3.0, 0.5, 0.2
"""Prior standard deviations of the other log factors: all time, all watts, a domain's watts."""
FACTORS = 8
DRAWS = 256
"""Possible truths per prediction; the second half mirrors the first."""
_STEP = 1e-4
_HALF = NormalDist().inv_cdf(0.75)
"""Half of normal errors are within this many standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidated:
    """What leaving out each anchor in turn showed.

    Attributes:
        time, energy: mean absolute relative error at the anchor left out.
        ratio: the spread of log time over the one expected, by the median of their errors (one
            anchor at the edge of the grid tells nothing about the middle of it).
    """

    time: float
    energy: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Seconds and joules of a step at settings of a board; arrays of one length.

    Attributes:
        clocks: [rows, 3] hertz.
        time, energy: estimates of least expected relative error.
        middle: seconds that are exceeded as often as not.
        spread: standard deviation of the logarithm of seconds, cross-validated where that is known.
        mean_energy: expected joules.
        validated: the cross-validated error; None with a single anchor.
    """

    clocks: Floats
    time: Floats
    energy: Floats
    middle: Floats
    spread: Floats
    mean_energy: Floats
    validated: CrossValidated | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Factors of a workload after its anchors: a normal distribution of their logarithms."""

    mode: Floats
    covariance: Floats

    def draws(self) -> Floats:
        """[DRAWS, FACTORS] log factors, the same for the same posterior."""
        half = rng(0, "sim/study/transfer").normal(size=(DRAWS // 2, FACTORS))
        return self.mode + np.concatenate([half, -half]) @ np.linalg.cholesky(self.covariance).T


def transfer(board: Board, anchors: Sweep, clocks: Floats) -> Prediction:
    """Predict a workload at the settings `clocks` [rows, 3] from its measured anchors.

    Raises:
        SpecError: the anchors hold no measurement.
    """
    if not anchors.measured or not len(anchors):
        what = "no measured setting of the workload to predict."
        raise SpecError(what, where=anchors.name, remedy="Measure it at full speed at least.")
    logs = np.log(np.stack([anchors.time, anchors.energy / anchors.time]))
    logs -= board.carried(anchors.clocks)
    spread, validated = _cross_validate(board, anchors.clocks, logs)
    draws = posterior(board, anchors.clocks, logs, spread).draws()
    off = np.stack([under(board, each, anchors.clocks) for each in draws]) - logs
    sample = np.stack([under(board, each, clocks) for each in draws])
    sample += board.carried(clocks) - off.mean(axis=2, keepdims=True)
    time, energy = sample[:, 0], sample.sum(axis=1)
    widened = max(1.0, validated.ratio) if validated else 1.0
    return Prediction(
        clocks=clocks,
        time=least_relative_error(time),
        energy=least_relative_error(energy),
        middle=np.exp(time.mean(axis=0)),
        spread=widened * np.sqrt(time.var(axis=0) + board.noise[0] ** 2),
        mean_energy=np.exp(energy).mean(axis=0),
        validated=validated,
    )


def under(board: Board, factors: Floats, clocks: Floats) -> Floats:
    """[2, rows]: logarithms of seconds and watts by the form, under work of these log factors."""
    return board.work.scaled(factors[:4], factors[4:]).predict(clocks)


def slopes(board: Board, factors: Floats, clocks: Floats) -> Floats:
    """[2, rows, FACTORS]: derivatives of `under` by the log factors, by central differences."""
    rises = [
        under(board, factors + each, clocks) - under(board, factors - each, clocks)
        for each in _STEP * np.eye(FACTORS)
    ]
    return np.stack(rises, axis=-1) / (2.0 * _STEP)


def prior(spread: float) -> Floats:
    """[FACTORS] prior standard deviations, if domains differ by `spread` in time."""
    return np.array([COMMON, *[spread] * 3, COMMON_POWER, *[ACTIVITY] * 3])


def posterior(board: Board, clocks: Floats, logs: Floats, spread: float) -> Posterior:
    """What `logs` [2, rows], measured less carried, say about the factors."""
    width, noise = prior(spread), board.noise[:, None]

    def misfit(factors: Floats) -> Floats:
        off = (under(board, factors, clocks) - logs) / noise
        return np.concatenate([off.ravel(), factors / width])

    found = least_squares(misfit, np.zeros(FACTORS), max_nfev=200)
    return Posterior(mode=found.x, covariance=np.linalg.inv(found.jac.T @ found.jac))


def least_relative_error(logs: Floats) -> Floats:
    """[rows] values x of least mean |x / truth - 1| over the truths exp(`logs`) [draws, rows]."""
    order = np.sort(logs, axis=0)
    weight = np.cumsum(np.exp(order.min(axis=0) - order), axis=0)
    middle = np.argmax(weight >= 0.5 * weight[-1], axis=0)
    return np.exp(np.take_along_axis(order, middle[None], axis=0)[0])


def _cross_validate(
    board: Board, clocks: Floats, logs: Floats
) -> tuple[float, CrossValidated | None]:
    """The spread of `SPREADS` that predicts left-out anchors best, and how well it does."""
    if len(clocks) == 1:
        return SPREADS[0], None
    tried = {each: _left_out(board, clocks, logs, each) for each in SPREADS}
    spread = min(SPREADS, key=lambda each: tried[each].time)
    return spread, tried[spread]


def _left_out(board: Board, clocks: Floats, logs: Floats, spread: float) -> CrossValidated:
    errors, expected = np.empty_like(logs), np.empty(len(clocks))
    for row in range(len(clocks)):
        rest = np.arange(len(clocks)) != row
        known = posterior(board, clocks[rest], logs[:, rest], spread)
        slope = slopes(board, known.mode, clocks[[row]])[0, 0]
        errors[:, row] = under(board, known.mode, clocks[[row]])[:, 0] - logs[:, row]
        expected[row] = np.sqrt(slope @ known.covariance @ slope + board.noise[0] ** 2)
    return CrossValidated(
        time=float(np.abs(np.expm1(errors[0])).mean()),
        energy=float(np.abs(np.expm1(errors.sum(axis=0))).mean()),
        ratio=float(np.median(np.abs(errors[0]) / expected)) / _HALF,
    )
