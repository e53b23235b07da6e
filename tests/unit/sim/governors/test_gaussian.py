"""The process of BoFL's optimiser, beside scikit-learn's and beside finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hetsim.sim.governors import _gaussian
from hetsim.sim.governors._gaussian import Outlook, Shape, learn

NOISE = 1e-3
RNG = np.random.default_rng(4)
SETTINGS = RNG.random((18, 3))
CANDIDATES = RNG.random((40, 3))
VALUES = np.sin(4 * SETTINGS[:, 0]) + SETTINGS[:, 1] ** 2 - 0.3 * SETTINGS[:, 2]
SHAPE = Shape(mean=0.4, variance=0.7, lengths=np.array([0.5, 0.9, 1.7]))


def theirs(settings: np.ndarray, values: np.ndarray) -> GaussianProcessRegressor:
    kernel = ConstantKernel(SHAPE.variance) * Matern(cast(Any, SHAPE.lengths), nu=2.5)
    process = GaussianProcessRegressor(kernel, alpha=NOISE, optimizer=cast(Any, None))
    return process.fit(settings, values - SHAPE.mean)


def test_what_is_expected_is_what_scikit_learn_expects() -> None:
    view = Outlook(SHAPE, NOISE, SETTINGS, VALUES, CANDIDATES)
    mean, spread = cast(Any, theirs(SETTINGS, VALUES).predict(CANDIDATES, return_std=True))
    assert view.mean == pytest.approx(mean + SHAPE.mean, abs=1e-9)
    assert view.variance == pytest.approx(spread**2, abs=1e-9)


def test_what_is_imagined_is_what_a_second_fit_expects() -> None:
    view = Outlook(SHAPE, NOISE, SETTINGS, VALUES, CANDIDATES)
    before = view.mean.copy()
    for candidate in (3, 11, 3):
        view.imagine(candidate)
    more = [3, 11, 3]
    settings = np.vstack([SETTINGS, CANDIDATES[more]])
    again = Outlook(SHAPE, NOISE, settings, np.append(VALUES, before[more]), CANDIDATES)
    assert view.mean == pytest.approx(before, abs=0)
    assert view.mean == pytest.approx(again.mean, abs=1e-9)
    assert view.variance == pytest.approx(again.variance, abs=1e-9)


def test_the_likelihood_is_scikit_learns_and_the_prior_is_log_normal() -> None:
    prior = replace(SHAPE, variance=1.3, lengths=np.array([0.2, 0.9, 1.0]))
    loss = _gaussian._Loss(SETTINGS, VALUES, prior, NOISE)
    found, _ = loss(np.append(SHAPE.logs, SHAPE.mean))
    kernel = theirs(SETTINGS, VALUES).kernel + WhiteKernel(NOISE)
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=cast(Any, None))
    process.fit(SETTINGS, VALUES - SHAPE.mean)
    likelihood = cast(Any, process).log_marginal_likelihood_value_
    off = SHAPE.logs - prior.logs
    assert found == pytest.approx(-likelihood + 0.5 * off @ off + SHAPE.logs.sum(), rel=1e-9)


def test_the_slope_is_the_one_of_finite_differences() -> None:
    loss = _gaussian._Loss(SETTINGS, VALUES, SHAPE, NOISE)
    at = np.append(SHAPE.logs + 0.3, 0.1)
    _, slope = loss(at)
    step = 1e-6 * np.eye(len(at))
    close = [(loss(at + each)[0] - loss(at - each)[0]) / 2e-6 for each in step]
    assert slope == pytest.approx(close, rel=1e-5, abs=1e-5)


def test_nothing_near_is_more_likely_than_what_is_learnt() -> None:
    prior = Shape.start(VALUES, np.ptp(SETTINGS, axis=0))

    def found(seed: int) -> Shape:
        return learn(
            SETTINGS, VALUES, last=prior, prior=prior, noise=NOISE,
            random=np.random.default_rng(seed),
        )  # fmt: skip

    shape = found(0)
    loss = _gaussian._Loss(SETTINGS, VALUES, prior, NOISE)
    best = np.append(shape.logs, shape.mean)
    near = [best + 0.05 * step for step in RNG.standard_normal((50, len(best)))]
    assert loss(best)[0] < min(loss(each)[0] for each in near)
    assert loss(best)[0] < loss(np.append(prior.logs, prior.mean))[0] - 1.0
    assert found(1).logs == pytest.approx(shape.logs, abs=0.02)


def test_learning_begins_at_the_moments_of_the_values() -> None:
    start = Shape.start(np.array([1.0, 3.0]), np.array([0.5, 1.0, 2.0]))
    assert (start.mean, start.variance) == (2.0, 1.0)
    assert start.lengths == pytest.approx(0.2 * 3**0.5 * np.array([0.5, 1.0, 2.0]))
