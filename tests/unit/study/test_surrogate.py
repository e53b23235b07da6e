from __future__ import annotations

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.study.residual import Residual
from hetsim.study.surrogate import Errors, fit
from tests.unit.study.synthetic_board import ADDITIVE, CLOCKED, LEAN, OVERLAPPING, grid, sweep

SOME = np.sort(np.random.default_rng(0).permutation(len(grid()))[:60])
REST = np.setdiff1d(np.arange(len(grid())), SOME)


@pytest.mark.parametrize(
    ("time", "overlapping"), [(ADDITIVE, False), (OVERLAPPING, True)], ids=["adds", "overlaps"]
)
def test_cross_validation_finds_which_form_made_the_data(time, overlapping) -> None:
    rows = sweep(time, CLOCKED, noise=0.002)
    found = fit(rows.take(SOME))
    assert (found.model.time.ahead > 1.5) == overlapping
    assert any(b > 0.0 for _, b in found.model.power.clocked)
    errors = Errors.of(found.model(rows.clocks[REST]), rows.take(REST))
    assert errors.time < 0.4
    assert errors.energy < 0.6


def test_a_clock_that_draws_nothing_unused_is_found_too() -> None:
    rows = sweep(OVERLAPPING, LEAN)
    found = fit(rows.take(SOME))
    assert Errors.of(found.model(rows.clocks), rows).energy < 0.2
    assert sum(b for _, b in found.model.power.clocked) < 0.02 * 3e-27


def test_what_no_form_has_is_left_to_the_residual() -> None:
    """A ripple over the GPU clock of a tenth, as voltage steps would make it."""
    plain = sweep(OVERLAPPING, LEAN)
    ripple = np.exp(0.1 * np.sin(4.0 * np.log(plain.gpu)))
    rows = type(plain)(
        name="", lines=plain.lines, cpu=plain.cpu, gpu=plain.gpu, emc=plain.emc,
        time=plain.time * ripple, energy=plain.energy,
    )  # fmt: skip
    found = fit(rows.take(SOME))
    assert found.model.time_residual is not None
    rest = rows.take(REST)
    without = Errors.of(found.model.physics(rest.clocks), rest)
    with_it = Errors.of(found.model(rest.clocks), rest)
    assert with_it.time < 0.5 * without.time
    assert found.final.time < found.physics.time


def test_far_from_the_data_a_residual_is_physics_and_never_exceeds_what_was_seen() -> None:
    clocks = grid()
    physics = OVERLAPPING(clocks)
    residual = Residual(clocks, physics * np.exp(0.1 * np.sin(4.0 * np.log(clocks[:, 1]))), physics)
    assert residual(clocks[5:6] * 1e6) == pytest.approx(1.0, abs=0.02)
    anywhere = np.exp(np.linspace(-30.0, 30.0, 200))[:, None] * clocks[[70]]
    factors = residual(anywhere)
    assert (np.abs(np.log(factors)) <= 0.1 + 1e-9).all()


def test_a_perfect_form_needs_no_residual() -> None:
    clocks = grid()
    physics = OVERLAPPING(clocks)
    assert Residual(clocks, physics, physics)(clocks) == pytest.approx(1.0, abs=1e-6)


def test_predictions_stay_positive_and_slower_clocks_are_no_faster_outside() -> None:
    rows = sweep(noise=0.01)
    inner = np.flatnonzero((rows.cpu > 250e6) & (rows.cpu < 2e9) & (rows.gpu > 300e6))
    model = fit(rows.take(inner[::2])).model
    slower = rows.clocks[inner] * np.array([0.4, 0.3, 1.0])
    faster = rows.clocks[inner] * np.array([1.5, 1.5, 1.0])
    for clocks in (slower, faster):
        time, energy = model(clocks)
        assert (time > 0.0).all()
        assert (energy > 0.0).all()
    time, _ = model(rows.clocks[inner])
    assert (model(slower)[0] > time).all()
    assert (model(faster)[0] < time).all()


def test_the_seed_and_nothing_else_decides() -> None:
    rows = sweep(noise=0.01).take(SOME[:20])
    one, other = fit(rows, 3), fit(rows, 3)
    assert one.final == other.final
    assert one.model.time == other.model.time
    assert [each.tobytes() for each in one.model(grid())] == [
        each.tobytes() for each in other.model(grid())
    ]
    assert fit(rows, 4).final != one.final


def test_too_few_rows() -> None:
    rows = sweep()
    assert fit(rows.take(SOME[:8])).model.time(grid()).min() > 0.0
    with pytest.raises(SpecError, match="7 rows to fit are too few; at least 8"):
        fit(rows.take(SOME[:7]))


def test_a_sweep_of_one_memory_clock_is_enough_to_predict_that_clock() -> None:
    rows = sweep(noise=0.002)
    rows = rows.take(np.flatnonzero(rows.emc == rows.emc.max()))
    some = np.random.default_rng(1).permutation(len(rows))
    found, rest = fit(rows.take(some[:20])), rows.take(some[20:])
    errors = Errors.of(found.model(rest.clocks), rest)
    assert errors.time < 1.0
    assert errors.energy < 1.5
