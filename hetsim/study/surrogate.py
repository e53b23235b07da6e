"""Seconds and joules of a training step by clock, learnt from measured rows.

The physics form comes first (`hetsim.study.physics`), a Gaussian process on what it leaves second
(`hetsim.study.residual`). Which terms the form has, and whether a residual stays, is decided by
cross-validation inside the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.study.physics import PowerForm, TimeForm, fit_power, fit_time
from hetsim.study.residual import Residual
from hetsim.study.sweep import Sweep

Floats = NDArray[np.float64]

FEWEST = 8
"""Rows from which a fit means something."""
_FOLDS, _MORE_FOLDS, _FEW = 5, 12, 60
"""Folds, and how many below `_FEW` rows, where a fold of a fifth would be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Which terms the physics form has: overlap of domains, power that a clock draws unused."""

    overlapping: bool
    clocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Mean absolute percentage errors."""

    time: float
    energy: float

    @classmethod
    def of(cls, predicted: tuple[Floats, Floats], rows: Sweep) -> Errors:
        """Of predicted seconds and joules against measured ones."""
        time, energy = predicted
        return cls(time=_mape(time, rows.time), energy=_mape(energy, rows.energy))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """Seconds and joules of a step by clock: physics, and a factor on each where it pays."""

    time: TimeForm
    power: PowerForm
    time_residual: Residual | None = None
    energy_residual: Residual | None = None

    def physics(self, clocks: Floats) -> tuple[Floats, Floats]:
        """Seconds and joules a step by the physics form alone."""
        time = self.time(clocks)
        return time, time * self.power(clocks, self.time.shares(clocks))

    def __call__(self, clocks: Floats) -> tuple[Floats, Floats]:
        """Seconds and joules a step at `clocks` ([rows, 3] Hz)."""
        time, energy = self.physics(clocks)
        if self.time_residual:
            time = time * self.time_residual(clocks)
        if self.energy_residual:
            energy = energy * self.energy_residual(clocks)
        return time, energy


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A surrogate, and its cross-validated errors without and with the residual."""

    model: Surrogate
    physics: Errors
    final: Errors


def fit(rows: Sweep, seed: int = 0) -> Fit:
    """The surrogate of these rows; `seed` decides the folds.

    Raises:
        SpecError: too few rows.
    """
    if len(rows) < FEWEST:
        what = f"{len(rows)} rows to fit are too few; at least {FEWEST}."
        raise SpecError(what, where=rows.name, remedy="Fit a larger part, or measure more.")
    folds = _folds(len(rows), seed)

    def error(forms: Forms, *, residual: bool = False) -> Errors:
        return _cross_validated(
            rows, folds, lambda part: fit_forms(part, forms, residual, residual)
        )

    found = {forms: error(forms) for forms in (
        Forms(overlapping=False, clocked=True), Forms(overlapping=True, clocked=True))}  # fmt: skip
    forms = min(found, key=lambda each: found[each].time)
    plain = replace(forms, clocked=False)
    found[plain] = error(plain)
    forms = min(plain, forms, key=lambda each: found[each].energy)
    physics, corrected = found[forms], error(forms, residual=True)
    on_time, on_energy = corrected.time < physics.time, corrected.energy < physics.energy
    return Fit(
        model=fit_forms(rows, forms, on_time, on_energy),
        physics=physics,
        final=Errors(
            time=min(corrected.time, physics.time), energy=min(corrected.energy, physics.energy)
        ),
    )


def fit_forms(
    rows: Sweep, forms: Forms, on_time: bool = False, on_energy: bool = False
) -> Surrogate:
    """The surrogate with these terms, and with a residual on time and on energy or without."""
    clocks = rows.clocks
    form = fit_time(clocks, rows.time, overlapping=forms.overlapping)
    power = fit_power(clocks, form.shares(clocks), rows.energy / rows.time, clocked=forms.clocked)
    model = Surrogate(time=form, power=power)
    time, energy = model.physics(clocks)
    return replace(
        model,
        time_residual=Residual(clocks, rows.time, time) if on_time else None,
        energy_residual=Residual(clocks, rows.energy, energy) if on_energy else None,
    )


def _folds(rows: int, seed: int) -> NDArray[np.intp]:
    """[rows] the fold of each."""
    folds = min(rows, _MORE_FOLDS) if rows < _FEW else _FOLDS
    return rng(seed, "sim/calibrate/folds").permutation(rows) % folds


def _cross_validated(
    rows: Sweep, folds: NDArray[np.intp], fitted: Callable[[Sweep], Surrogate]
) -> Errors:
    """Errors on each fold of surrogates that have seen the others."""
    time, energy = np.empty(len(rows)), np.empty(len(rows))
    for fold in range(folds.max() + 1):
        out = folds == fold
        model = fitted(rows.take(np.flatnonzero(~out)))
        time[out], energy[out] = model(rows.clocks[out])
    return Errors.of((time, energy), rows)


def _mape(predicted: Floats, measured: Floats) -> float:
    return float(100.0 * np.abs(predicted / measured - 1.0).mean())
