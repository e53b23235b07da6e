"""Fits what a training step takes on a device, by clock, from a part of its DVFS sweep.

The rows that are fitted are a random part, the settings that a design chose from the clocks alone,
or those of a second file. The others are held out, and looked at once, for the error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError, si
from hetsim.core.rng import rng
from hetsim.spec import units
from hetsim.study.design import design as design_of
from hetsim.study.explain import Sheet, Table
from hetsim.study.surrogate import FEWEST, Errors, Fit, fit
from hetsim.study.sweep import CLOCKS, MEASURED, Sweep, read_sweep

Floats = NDArray[np.float64]

Choice = Literal["random", "design", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What `calibrate` found.

    Attributes:
        sweep: the file as the user knows it.
        grid: [rows, 3] Hz, all its settings, measured or not.
        chosen: how the fitted rows were chosen.
        seed: as given.
        fraction: as given; None where it did not choose the rows.
        design: [N, 3] Hz, the settings most worth measuring; None if not asked for.
        rows: that were fitted; None where nothing is measured.
        rest: rows held out.
        fit: model and cross-validated errors; None where nothing is measured.
        physics, final: errors on the rest, of the physics form and with the residual; None where
            nothing is held out.
    """

    sweep: str
    grid: Floats
    chosen: Choice
    seed: int
    fraction: float | None = None
    design: Floats | None = None
    rows: Sweep | None = None
    rest: Sweep | None = None
    fit: Fit | None = None
    physics: Errors | None = None
    final: Errors | None = None

    @property
    def fitted(self) -> int:
        """How many rows were fitted."""
        return len(self.rows) if self.rows else 0

    @property
    def held_out(self) -> int:
        """How many measured rows were not."""
        return len(self.rest) if self.rest else 0

    def as_json(self) -> dict[str, Any]:
        """Plain values, units in the names."""
        found: dict[str, Any] = {
            "sweep": self.sweep, "rows": len(self.grid), "chosen": self.chosen,
            "rows_fitted": self.fitted, "rows_held_out": self.held_out,
            "fraction": self.fraction, "seed": self.seed,
        }  # fmt: skip
        groups = {"": self.final, "physics_": self.physics,
                  "cv_": self.fit and self.fit.final,
                  "cv_physics_": self.fit and self.fit.physics}  # fmt: skip
        if self.chosen == "design":
            groups["design_"] = self.final
        for prefix, errors in groups.items():
            found[f"{prefix}time_mape_percent"] = errors and errors.time
            found[f"{prefix}energy_mape_percent"] = errors and errors.energy
        if self.fit:
            model = self.fit.model
            found["physics"] = {"time": asdict(model.time), "power": asdict(model.power)}
            found["residual"] = {
                "time": model.time_residual is not None,
                "energy": model.energy_residual is not None,
            }
        if self.design is not None:
            found["design"] = [
                {column: round(clock / unit)
                 for (column, unit), clock in zip(CLOCKS.items(), setting, strict=True)}
                for setting in self.design.tolist()
            ]  # fmt: skip
        return found

    def sheet(self) -> Sheet:
        """The same for a person."""
        tables: list[Table] = []
        if self.design is not None:
            settings = [
                (str(place), *(units.format(clock, "frequency") for clock in setting))
                for place, setting in enumerate(self.design.tolist(), start=1)
            ]
            columns = ("", "CPU", "GPU", "memory")
            tables.append(Table("Settings most worth measuring", columns, settings))
        if self.fit:
            tables += [self._errors(self.fit), *_terms(self.fit, self.grid.max(axis=0))]
        return Sheet(f"{self.sweep}: {len(self.grid)} settings", [self._words()], tables)

    def _errors(self, fit: Fit) -> Table:
        shown = (
            ("fitted, cross-validated", self.fitted, fit.physics, fit.final),
            ("held out", self.held_out, self.physics, self.final),
        )
        rows = [
            (name, str(count), *(
                f"{value:.2f}" if value is not None else "-"
                for errors in (physics, final)
                for value in ((errors.time, errors.energy) if errors else (None, None))
            ))
            for name, count, physics, final in shown
        ]  # fmt: skip
        columns = ("settings", "rows", "time, physics", "energy, physics", "time", "energy")
        return Table("Mean absolute error, % of the measured value", columns, rows)

    def _words(self) -> str:
        if self.fit is None:
            return (
                f"Measure these, then fit them with --train. (Nothing is fitted here: that takes "
                f"measured columns and at least {FEWEST} settings.)"
            )
        how = {
            "random": f"a random part (fraction {self.fraction}, seed {self.seed})",
            "design": "those that the design names, not a random part",
            "file": "those of the training file",
        }[self.chosen]
        model = self.fit.model
        kept = [
            name
            for name, each in (("time", model.time_residual), ("energy", model.energy_residual))
            if each
        ]
        pays = f"pays for {' and '.join(kept)}" if kept else "does not pay"
        return (
            f"Fitted on {self.fitted} settings: {how}. Held out: {self.held_out}. "
            f"By cross-validation a residual on the physics form {pays}."
        )


def calibrate(
    path: Path,
    *,
    fraction: float = 0.1,
    seed: int = 0,
    design: int | None = None,
    train: Path | None = None,
) -> Calibration:
    """Fit a sweep and say how well.

    Args:
        path: the sweep; a grid of settings will do if `design` or `train` is given.
        fraction: share of the rows to fit, chosen at random.
        seed: of that choice and of the folds.
        design: fit the rows at this many settings instead, chosen from the clocks alone.
        train: fit the rows of this file instead; held out is what it does not have.

    Raises:
        SpecError: a file is wrong, options contradict each other, or there are too few rows.
    """
    if design is not None and train is not None:
        raise SpecError("contradicts --train", where="--design", remedy="Leave one of them out.")
    sweep = read_sweep(path)
    name, grid = sweep.name, sweep.clocks
    if train is not None:
        fitted = read_sweep(train)
        _need_measured(fitted)
        seen = set(map(tuple, fitted.clocks.tolist()))
        new = np.array([tuple(each) not in seen for each in grid.tolist()])
        rest = sweep.take(np.flatnonzero(new & sweep.measured))
        return _fitted(Calibration(sweep=name, grid=grid, chosen="file", seed=seed), fitted, rest)
    if design is not None:
        rows = _designed(grid, design)
        found = Calibration(sweep=name, grid=grid, chosen="design", seed=seed, design=grid[rows])
        if not sweep.measured or len(rows) < FEWEST:
            return found
    else:
        _need_measured(sweep)
        rows = _some(len(sweep), fraction, seed)
        found = Calibration(sweep=name, grid=grid, chosen="random", seed=seed, fraction=fraction)
    return _fitted(found, sweep.take(rows), sweep.take(np.setdiff1d(np.arange(len(sweep)), rows)))


def _fitted(found: Calibration, rows: Sweep, rest: Sweep) -> Calibration:
    """What is found once `rows` are fitted and looked at on the rest."""
    fitted = fit(rows, found.seed)
    model, clocks = fitted.model, rest.clocks
    some = len(rest) > 0
    return replace(
        found, rows=rows, rest=rest, fit=fitted,
        physics=Errors.of(model.physics(clocks), rest) if some else None,
        final=Errors.of(model(clocks), rest) if some else None,
    )  # fmt: skip


def _some(count: int, fraction: float, seed: int) -> NDArray[np.intp]:
    if not 0.0 < fraction <= 1.0:
        what = f"{fraction} is no share of the rows."
        raise SpecError(what, where="--fraction", remedy="Write a number above 0, at most 1.")
    mixed = rng(seed, "sim/calibrate/rows").permutation(count)
    return np.sort(mixed[: round(fraction * count)])


def _designed(grid: Floats, size: int) -> NDArray[np.intp]:
    if not 1 <= size <= len(grid):
        what = f"{size} settings of {len(grid)}."
        remedy = f"Write a whole number from 1 to {len(grid)}."
        raise SpecError(what, where="--design", remedy=remedy)
    return design_of(grid, size)


def _need_measured(sweep: Sweep) -> None:
    if not sweep.measured:
        raise SpecError(
            "nothing is measured there: the file has clocks only.",
            where=f"{sweep.name}:1",
            remedy=f"Add the columns {' and '.join(MEASURED)}, or ask for --design N.",
        )


def _terms(fit: Fit, top: Floats) -> list[Table]:
    """The coefficients of the physics form; powers at the highest clocks."""
    time, power = fit.model.time, fit.model.power
    rows = [
        (name, f"{cycles:.4g}", f"{units.format(clock, 'frequency')}",
         *(f"{a * clock + b * clock**3:.2f} W" for a, b in (busy, clocked)))
        for name, cycles, clock, busy, clocked in zip(
            ("CPU", "GPU", "memory"), time.cycles, top.tolist(), power.busy, power.clocked,
            strict=True,
        )
    ]  # fmt: skip
    columns = ("domain", "cycles a step", "highest clock", "draws busy", "draws in any case")
    others = [
        ("seconds that no clock shortens", f"{si(time.overhead)}s"),
        ("CPU clock that the system takes for itself", f"{si(time.background)}Hz"),
        ("launching ahead of the GPU, p", f"{time.ahead:.3g}"),
        ("arithmetic beside memory traffic, q", f"{time.overlap:.3g}"),
        ("power without clocks", f"{power.base:.2f} W"),
    ]
    return [Table("Physics form", columns, rows), Table("", ("term", "value"), others)]
