"""`hetsim calibrate TARGET --from SOURCE`: one workload of a board told from another.

The source is a full sweep of the board under one workload, the target a few measured settings under
another. Where the target holds more than the settings used, the others say how good the prediction
is, and what choosing by it for a range of deadlines would have cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.report.numbers import duration, joules, significant
from hetsim.spec import units
from hetsim.study.anchors import anchors
from hetsim.study.board import Board, calibrated
from hetsim.study.deadline import CONFIDENCE, MULTIPLES, Choice, Outcome, choose, study
from hetsim.study.explain import Sheet, Table
from hetsim.study.sweep import CLOCKS, Sweep, read_sweep
from hetsim.study.transfer import CrossValidated, transfer
from hetsim.study.work import Floats

MOST = 64
"""Settings that are used at most: from there on a fit of their own (`calibrate`) is better."""
_STRANGE = 0.1
"""Share of a sweep's clocks that the other of the same board may lack."""
_COLUMNS = ("CPU", "GPU", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What `calibrate --from` found.

    Attributes:
        source, target: the files as the user knows them.
        settings: [points, 3] hertz of the target, those used, or those to measure.
        measured: whether the target was; else nothing below is known.
        held_out: other settings of the target.
        time, energy: mean absolute relative errors there; None where there are none.
        validated: errors by leaving out the settings used; None with a single one.
        deadlines: what choices for `MULTIPLES` of the fastest time came to; None if none held out.
        choice: the setting for the deadline that was asked for.
    """

    source: str
    target: str
    settings: Floats
    measured: bool
    held_out: int = 0
    time: Fraction | None = None
    energy: Fraction | None = None
    validated: CrossValidated | None = None
    deadlines: Outcome | None = None
    choice: Choice | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, units in the names."""
        validated, deadlines, choice = self.validated, self.deadlines, self.choice
        return {
            "sweep": self.target,
            "from": self.source,
            "points": len(self.settings),
            "design": [_named(each) for each in self.settings],
            "rows_held_out": self.held_out,
            "time_mape_percent": _percent(self.time),
            "energy_mape_percent": _percent(self.energy),
            "cv_time_mape_percent": _percent(validated and validated.time),
            "cv_energy_mape_percent": _percent(validated and validated.energy),
            "excess_joules_percent": _percent(deadlines and deadlines.excess),
            "deadlines_met_percent": _percent(deadlines and deadlines.met),
            "choice": choice and {
                **_named(choice.clocks),
                "time_s": choice.time,
                "time_bound_s": choice.bound,
                "energy_j": choice.energy,
                "confidence": CONFIDENCE,
                "safe": choice.safe,
            },
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """The same for a person."""
        rows = [(str(place), *_shown(each)) for place, each in enumerate(self.settings, start=1)]
        title = "Settings used" if self.measured else "Settings most worth measuring"
        tables = [Table(title, ("", *_COLUMNS), rows)]
        if self.choice:
            tables.append(_choice_table(self.choice))
        return Sheet(f"{self.target}, told from {self.source}", self._words(), tables)

    def _words(self) -> list[str]:
        if not self.measured:
            return ["Measure these, then give a file of them with --from and without --points."]
        words: list[str] = []
        if self.validated:
            words.append(
                "Each setting used, told from the others: "
                f"{_errors(self.validated.time, self.validated.energy)}."
            )
        if self.time is not None and self.energy is not None:
            words.append(f"Held out: {self.held_out} settings, {_errors(self.time, self.energy)}.")
        if self.deadlines:
            words.append(
                f"Deadlines of {MULTIPLES[0]:g} to {MULTIPLES[-1]:g} times the fastest minibatch, "
                f"each by the setting chosen for it: {_share(self.deadlines.met)} met, with "
                f"{_share(self.deadlines.excess)} more joules than the best setting takes."
            )
        return words


def carry(
    target: Path, source: Path, *, points: int | None = None, deadline: str | None = None
) -> Carried:
    """Tell a workload from a sweep of the same board under another, and some settings of its own.

    Args:
        target: settings of the board under the workload; a grid of settings will do with `points`.
        source: a full sweep of the board under another workload.
        points: use this many settings of the target, full speed first; default: all of them.
        deadline: the longest that a minibatch may take, with its unit; a setting is chosen for it,
            of the target's if others of it are held out, else of the source's.

    Raises:
        SpecError: a file is wrong, nothing is measured, or more points are wanted than there are.
    """
    limit = None if deadline is None else _deadline(deadline)
    sweep, known = read_sweep(target), read_sweep(source)
    board = calibrated(known)
    _one_board(sweep, known)
    rows = np.arange(len(sweep)) if points is None else _rows(board, sweep, points)
    if not sweep.measured:
        if points is None or limit is not None:
            remedy = "Ask for --points N alone, measure those, and give them."
            raise SpecError("nothing is measured there.", where=f"{sweep.name}:1", remedy=remedy)
        return Carried(
            source=known.name, target=sweep.name, settings=sweep.clocks[rows], measured=False
        )
    if len(rows) > MOST:
        what = f"{len(rows)} settings are more than a few to tell the others from."
        remedy = f"Use some of them, at most {MOST}, such as --points 8; or fit without --from."
        raise SpecError(what, where="--points", remedy=remedy)
    rest = np.setdiff1d(np.arange(len(sweep)), rows)
    held_out = len(rest) > 0
    found = transfer(board, sweep.take(rows), sweep.clocks if held_out else known.clocks)
    return Carried(
        source=known.name,
        target=sweep.name,
        settings=sweep.clocks[rows],
        measured=True,
        held_out=len(rest),
        time=_mape(found.time[rest], sweep.time[rest]) if held_out else None,
        energy=_mape(found.energy[rest], sweep.energy[rest]) if held_out else None,
        validated=found.validated,
        deadlines=study(found, sweep) if held_out else None,
        choice=None if limit is None else choose(found, limit),
    )


def _one_board(sweep: Sweep, known: Sweep) -> None:
    """Refuse sweeps whose clocks differ: what one board does says nothing of another.

    Raises:
        SpecError: they are of two boards.
    """
    for place, name in enumerate(_COLUMNS):
        mine, theirs = set(sweep.clocks[:, place].tolist()), set(known.clocks[:, place].tolist())
        if len(mine - theirs) > _STRANGE * len(mine):
            what = f"{len(mine - theirs)} of {len(mine)} {name} clocks are not in {known.name}."
            remedy = "Give a sweep of the same board, under another workload."
            raise SpecError(what, where=f"--from {known.name}", remedy=remedy)


def _rows(board: Board, sweep: Sweep, points: int) -> NDArray[np.intp]:
    if not 1 <= points <= len(sweep):
        what = f"{points} settings of {len(sweep)}."
        remedy = f"Write a number from 1 to {len(sweep)}."
        raise SpecError(what, where="--points", remedy=remedy)
    return anchors(board, points, sweep.clocks)


def _deadline(text: str) -> float:
    try:
        return units.parse(text, "time", positive=True)
    except SpecError as error:
        raise SpecError(error.what, where="--deadline", remedy=error.remedy) from None


def _mape(estimate: Floats, truth: Floats) -> Fraction:
    return float(np.mean(np.abs(estimate / truth - 1.0)))


def _named(clocks: Floats) -> dict[str, int]:
    """A setting in the columns of a sweep."""
    return {
        column: round(clock / unit)
        for (column, unit), clock in zip(CLOCKS.items(), clocks.tolist(), strict=True)
    }


def _shown(clocks: Floats) -> tuple[str, ...]:
    return tuple(units.format(clock, "frequency") for clock in clocks.tolist())


def _choice_table(choice: Choice) -> Table:
    title = "For the deadline" if choice.safe else "No setting is sure to be in time; the surest"
    columns = (*_COLUMNS, "time", f"in {_share(CONFIDENCE)} below", "energy")
    cells = (duration(choice.time), duration(choice.bound), joules(choice.energy))
    return Table(title, columns, [(*_shown(choice.clocks), *cells)])


def _errors(time: Fraction, energy: Fraction) -> str:
    return f"time {_share(time)} off, energy {_share(energy)} off, in the mean"


def _percent(share: Fraction | None) -> float | None:
    return None if share is None else 100.0 * share


def _share(share: Fraction) -> str:
    return f"{significant(100.0 * share)} %"
