"""What pacing is to reach on measured sweeps, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from hetsim.report.numbers import NONE
from hetsim.report.published import _target
from hetsim.report.published._bofl_published import words_of
from hetsim.report.published.base import Row, Table, Tables, column

FEEDBACK = "deadline_feedback"
_REGRET, _MET, _DISTURBED = 3.0, 98.0, 95.0
"""Percent: most joules above the bound, fewest deadlines met, and of those the fastest meets."""
_SAME = 1e-6
KINDS = {"job": "one factor a job", "item": "one factor a minibatch"}
"""Disturbances of the speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(_target.Target):
    """What is to be reached, in the mean or in all.

    Attributes:
        worst: the worst cell.
    """

    worst: str = NONE


def targets(tables: Tables) -> list[Target]:
    """All of them."""
    runs = [row for row in tables.get("pacing", ()) if row["policy"] == FEEDBACK]
    shaken = [row for row in tables.get("disturbed", ()) if row["policy"] == FEEDBACK]
    return [
        _regret(runs),
        _met(runs),
        *(_shaken(shaken, kind, words) for kind, words in KINDS.items()),
        _bound(tables.get("pacing", ())),
        _flips(tables.get("idle", ())),
    ]


def cell_of(row: Row) -> str:
    """A cell as a reader finds it again."""
    return f"{words_of(row['sweep'])}, deadline {row['ratio']:g}, seed {row['seed']}"


def flipping(idle: Table) -> list[Row]:
    """Rows of the cells in which stopping early and stretching differ."""
    return [row for row in idle if row["flip_w"] is not None]


def _regret(runs: Sequence[Row]) -> Target:
    what, wanted = "joules above deadline_oracle, mean", f"at most {_REGRET:g} %"
    if not runs:
        return Target(what=what, wanted=wanted)
    found = 100.0 * mean(column(runs, "regret"))
    worst = max(runs, key=lambda row: row["regret"])
    return Target(
        what=what, wanted=wanted, found=f"{found:.2f} %", verdict=found <= _REGRET,
        worst=f"{100.0 * worst['regret']:.2f} % ({cell_of(worst)})",
    )  # fmt: skip


def _met(runs: Sequence[Row]) -> Target:
    return _share("deadlines met", runs, _MET)


def _shaken(rows: Sequence[Row], kind: str, words: str) -> Target:
    part = [row for row in rows if row["kind"] == kind and row["of"]]
    what = f"speed off by up to 20 %, {words}: deadlines met of those that performance meets"
    return _share(what, part, _DISTURBED)


def _share(what: str, rows: Sequence[Row], least: float) -> Target:
    wanted = f"at least {least:g} %"
    if not rows:
        return Target(what=what, wanted=wanted)
    met, of = (sum(column(rows, name)) for name in ("met", "of"))
    worst = min(rows, key=lambda row: row["met"] / row["of"])
    all_met = worst["met"] == worst["of"]
    return Target(
        what=what, wanted=wanted, verdict=100.0 * met >= least * of,
        found=f"{met:,} of {of:,} ({100.0 * met / of:.2f} %)",
        worst="all, everywhere" if all_met
        else f"{worst['met']} of {worst['of']} ({cell_of(worst)})",
    )  # fmt: skip


def _bound(runs: Table) -> Target:
    what, wanted = "nobody who is in time takes fewer joules than deadline_oracle", "never"
    rows = [row for row in runs if row["met"] == row["of"] and row["policy"] != "deadline_oracle"]
    if not rows:
        return Target(what=what, wanted=wanted)
    least = min(rows, key=lambda row: row["regret"])
    return Target(
        what=what, wanted=wanted, verdict=least["regret"] >= -1e-9,
        found=f"{len(rows):,} cells, {sum(row['regret'] < -1e-9 for row in rows)} below",
        worst=f"{100.0 * least['regret']:.4f} % above ({least['policy']}, {cell_of(least)})",
    )  # fmt: skip


def _flips(idle: Table) -> Target:
    """Where the cheaper way changes in jobs played, and where the formula says."""
    what = "resting power at which stretching a job becomes cheaper than stopping early"
    rows = list({(row["sweep"], row["ratio"]): row for row in flipping(idle)}.values())
    wanted = "as the formula says"
    if not rows:
        return Target(what=what, wanted=wanted)
    off = [_off(row) for row in rows]
    return Target(
        what=what, wanted=wanted, verdict=max(off) <= _SAME,
        found=f"{sum(each <= _SAME for each in off)} of {len(off)} to 1e-6",
        worst=f"off by {max(off):.0e}",
    )  # fmt: skip


def _off(row: Row) -> float:
    seen = row["flip_seen_w"]
    return 1.0 if seen is None else abs(seen / row["flip_w"] - 1.0)
