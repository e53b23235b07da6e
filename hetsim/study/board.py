"""A board as one workload shows it: a form, and what the form leaves unexplained.

The form (`hetsim.study.work`) misses what belongs to single clock levels: a voltage step, a
memory clock that behaves like the one below. Its residual, in logarithms of seconds and watts, is
split by alternating means (backfitting) into

    residual = effect of (GPU, memory) levels + effect of the CPU level + rest

The two effects belong to the board and are carried to other workloads; the rest (a run measured
warm, a batch measured on another day) belongs to the run and is not. Each mean counts `PSEUDO` rows
of zero beside its own, so that a level seen once or twice in a thin sweep says little.

Measured, on two boards with two public sweeps each: between the workloads of a board the effects on
seconds and watts correlate by 0.88-0.95, the rest by 0.5-0.6 (seconds) and 0.1-0.4 (watts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.study.sweep import Sweep
from hetsim.study.work import Floats, Work, fit_work

PSEUDO = 1.0
"""Rows of zero residual that each level's mean counts beside the measured ones."""
FEWEST = 20
"""Rows below which the form is not fitted: less says nothing about three clocks."""
_PASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Effects of the levels of some domains on the logarithms of seconds and watts.

    Attributes:
        domains: columns of a setting that make up a level.
        clocks: [levels, domains] hertz.
        effects: [2, levels].
    """

    domains: tuple[int, ...]
    clocks: Floats
    effects: Floats

    def at(self, settings: Floats) -> Floats:
        """[2, rows]: the effect at the level nearest to each setting, by ratio of clocks."""
        wanted = np.log(settings[:, list(self.domains)])
        apart = ((wanted[:, None] - np.log(self.clocks)[None]) ** 2).sum(axis=2)
        return self.effects[:, apart.argmin(axis=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What a measured sweep of one workload tells about a board.

    Attributes:
        clocks: [rows, 3] hertz, the settings of the sweep.
        work: the form fitted on it.
        levels: what else the levels of its clocks do.
        noise: [2] standard deviation of the form's residual, in logarithms of seconds and watts.
    """

    clocks: Floats
    work: Work
    levels: tuple[Levels, ...]
    noise: Floats

    def carried(self, settings: Floats) -> Floats:
        """[2, rows]: logarithms of seconds and watts to add to the form at these settings."""
        return np.sum([each.at(settings) for each in self.levels], axis=0)


def calibrated(sweep: Sweep) -> Board:
    """The board that a fully measured sweep of one workload shows.

    Raises:
        SpecError: the sweep is a grid of settings, or too short.
    """
    if not sweep.measured or len(sweep) < FEWEST:
        what = f"{len(sweep)} measured rows" if sweep.measured else "settings without measurements"
        remedy = f"Give a measured sweep of at least {FEWEST} settings of this board."
        raise SpecError(f"{what} cannot stand for a board.", where=sweep.name, remedy=remedy)
    work = fit_work(sweep)
    measured = np.log(np.stack([sweep.time, sweep.energy / sweep.time]))
    residual = measured - work.predict(sweep.clocks)
    return Board(
        clocks=sweep.clocks,
        work=work,
        levels=_backfit(sweep.clocks, residual),
        noise=residual.std(axis=1),
    )


def _backfit(clocks: Floats, residual: Floats) -> tuple[Levels, ...]:
    """Split a residual [2, rows] into effects of levels by alternating means."""
    groups = ((1, 2), (0,))
    found = [np.unique(clocks[:, list(each)], axis=0, return_inverse=True) for each in groups]
    effects = [np.zeros((2, len(levels))) for levels, _ in found]
    for _ in range(_PASSES):
        for this, (levels, place) in enumerate(found):
            rest = residual - sum(
                effects[other][:, found[other][1].ravel()]
                for other in range(len(groups))
                if other != this
            )
            place = place.ravel()
            rows = np.bincount(place, minlength=len(levels)) + PSEUDO
            effects[this] = np.stack([np.bincount(place, each) / rows for each in rest])
    return tuple(
        Levels(domains=each, clocks=levels, effects=effect)
        for each, (levels, _), effect in zip(groups, found, effects, strict=True)
    )
