"""What a board keeps of a residual: the effects of levels, not the noise of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.study.board import FEWEST, calibrated
from tests.unit.study.boards import CLOCKS, FORM, swept, unmeasured

STEP = CLOCKS[:, 1] == np.unique(CLOCKS[:, 1])[4]
"""Settings at one GPU clock."""


def test_a_voltage_step_is_carried() -> None:
    sweep = swept(FORM)
    board = calibrated(replace(sweep, energy=np.where(STEP, 1.1, 1.0) * sweep.energy))
    watts = board.work.predict(CLOCKS)[1] + board.carried(CLOCKS)[1] - FORM.predict(CLOCKS)[1]
    assert watts[STEP].mean() == pytest.approx(np.log(1.1), abs=0.02)
    assert watts[~STEP].mean() == pytest.approx(0.0, abs=0.01)


def test_the_noise_of_a_run_is_not_carried() -> None:
    board = calibrated(swept(FORM, noise=0.03))
    assert board.noise == pytest.approx([0.03, 0.03], rel=0.15)
    assert np.all(board.carried(CLOCKS).std(axis=1) < 0.6 * board.noise)


def test_an_unknown_setting_takes_the_effect_of_the_nearest_level() -> None:
    board = calibrated(swept(FORM, noise=0.03))
    beside = CLOCKS * np.array([1.01, 0.99, 1.01])
    assert np.array_equal(board.carried(beside), board.carried(CLOCKS))


def test_the_name_of_a_sweep_changes_nothing() -> None:
    sweep = swept(FORM, noise=0.02)
    one, two = calibrated(sweep), calibrated(replace(sweep, name="another"))
    assert one.work.time == two.work.time
    assert np.array_equal(one.carried(CLOCKS), two.carried(CLOCKS))


def test_a_grid_stands_for_no_board() -> None:
    with pytest.raises(SpecError, match="settings without measurements"):
        calibrated(unmeasured())


def test_a_short_sweep_stands_for_no_board() -> None:
    sweep = swept(FORM)
    with pytest.raises(SpecError, match=f"at least {FEWEST}"):
        calibrated(sweep.take(np.arange(FEWEST - 1)))
