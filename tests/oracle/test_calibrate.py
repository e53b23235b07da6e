"""Calibration on the public DVFS sweeps: what it has to reach, on rows it has not seen."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from hetsim.study.calibrate import Calibration, calibrate
from hetsim.study.sweep import read_sweep

SWEEPS = ("agx_cifar10", "agx_imagenet", "tx2_cifar10", "tx2_imdb")
TIME = {"agx": 1.5, "tx2": 2.0}
"""Percent, mean over the seeds."""
ENERGY = 3.0
DESIGNED_TIME, DESIGNED_ENERGY = 5.0, 6.0


def path_of(shared: Path, name: str) -> Path:
    return shared / "measured" / "traces" / "bofl" / f"{name}.csv"


def errors(found: Calibration) -> tuple[float, float, float, float]:
    """Time and energy by physics, time and energy."""
    assert found.physics is not None
    assert found.final is not None
    return found.physics.time, found.physics.energy, found.final.time, found.final.energy


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_a_tenth_of_a_sweep_predicts_the_rest(shared: Path, name: str) -> None:
    rows = [errors(calibrate(path_of(shared, name), seed=seed)) for seed in range(5)]
    physics_time, physics_energy, time, energy = (fmean(each) for each in zip(*rows, strict=True))
    assert time <= TIME[name[:3]]
    assert energy <= ENERGY
    assert time < physics_time <= 3.0
    assert energy < physics_energy <= 4.0


@pytest.mark.parametrize("name", SWEEPS)
def test_24_designed_settings_predict_the_rest(shared: Path, name: str) -> None:
    found = calibrate(path_of(shared, name), design=24)
    _, _, time, energy = errors(found)
    assert found.fitted == 24
    assert time <= DESIGNED_TIME
    assert energy <= DESIGNED_ENERGY


def test_the_name_of_a_sweep_and_the_order_of_its_rows_say_nothing(
    shared: Path, tmp_path: Path
) -> None:
    source = path_of(shared, "tx2_imdb")
    header, *rows = source.read_text().splitlines()
    other = tmp_path / "agx_something.csv"
    other.write_text("\n".join([header, *reversed(rows)]) + "\n")
    one, turned = calibrate(source, design=24), calibrate(other, design=24)
    assert one.design is not None
    assert turned.design is not None
    assert one.design.tolist() == turned.design.tolist()
    assert errors(one) == pytest.approx(errors(turned), rel=1e-6)


@pytest.mark.parametrize("name", ["agx_imagenet", "tx2_cifar10"])
def test_a_corner_that_was_not_measured_is_predicted_sanely(shared: Path, name: str) -> None:
    """Fitted without the lowest third of each clock, asked there: no blow-up, no sign change."""
    from hetsim.study.surrogate import fit

    sweep = read_sweep(path_of(shared, name))
    low = np.quantile(sweep.clocks, 1 / 3, axis=0)
    inner = np.flatnonzero((sweep.clocks >= low).all(axis=1))
    outside = np.setdiff1d(np.arange(len(sweep)), inner)
    model = fit(sweep.take(inner[:: len(inner) // 60])).model
    time, energy = model(sweep.clocks[outside])
    assert np.abs(np.log(time / sweep.time[outside])).max() < np.log(2.0)
    assert np.abs(np.log(energy / sweep.energy[outside])).max() < np.log(2.0)
