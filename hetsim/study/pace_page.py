"""What pacing jobs by their deadlines would save on a board, from its sweep: the verb `pace`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Seconds, Watts
from hetsim.report.numbers import duration, joules
from hetsim.spec import units
from hetsim.study.explain import Sheet, Table
from hetsim.study.pacing import (
    ITEMS,
    JOBS,
    KNOWING,
    RATIOS,
    RESTING,
    TRYING,
    Bench,
    compare,
    named,
    read_bench,
)

POLICIES = ("performance", "schedutil", "best_single", "deadline_feedback", "deadline_oracle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paces:
    """What policies come to by several deadlines.

    Attributes:
        sweep: the file as the user knows it.
        known: rows that policies knew beforehand.
        settings: rows in all.
        fastest: seconds of an item at the fastest setting.
        items: of a job.
        idle: watts at rest, which are counted until the deadline.
        rows: as `compare` has them.
    """

    sweep: str
    known: int
    settings: int
    fastest: Seconds
    items: int
    idle: Watts
    rows: Sequence[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Plain values, units in the names."""
        return {
            "sweep": self.sweep, "settings": self.settings, "known": self.known,
            "items": self.items, "fastest_s": self.items * self.fastest, "idle_w": self.idle,
            "rows": [
                {
                    "ratio": row["ratio"], "deadline_s": self._deadline(row),
                    "policy": row["policy"], "knows": _knows(row["policy"]),
                    "joules": row["joules"],
                    "saving_percent": 100.0 * row["saving_performance"],
                    "saving_schedutil_percent": 100.0 * row["saving_schedutil"],
                    "regret_percent": 100.0 * row["regret"],
                    "met": row["met"], "of": row["of"],
                }
                for row in self.rows
            ],
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """The same for a person."""
        text = [
            f"{self._who_knows()} Joules are those of a job, in the mean, with "
            f"{units.format(self.idle, 'power')} at rest until the deadline.",
        ]
        if any(_late(row) for row in self.rows):
            text.append("In brackets: not all jobs were done in time, so no policy compares.")
        cells = [
            (
                f"{row['ratio']:g}", duration(self._deadline(row)), row["policy"],
                joules(row["joules"]), _compared(row, "saving_performance"),
                _compared(row, "regret"), f"{row['met']} of {row['of']}",
            )
            for row in self.rows
        ]  # fmt: skip
        columns = (
            "deadline / fastest", "deadline", "policy", "energy", "saved on highest clocks",
            "above the oracle", "in time",
        )  # fmt: skip
        title = f"{self.sweep}: jobs of {self.items} minibatches"
        return Sheet(title, text, [Table("", columns, cells)])

    def _who_knows(self) -> str:
        """What policies know of the settings before the first job."""
        names = {row["policy"]: _knows(row["policy"]) for row in self.rows}
        about = {
            "belief": f"{self.known} of {self.settings} settings and what `calibrate` makes of "
            "them",
            "truth": f"all {self.settings} settings",
            "nothing": "nothing, and finds out in its jobs",
            "load": "no settings, and follows the load",
        }
        said = [
            f"{' and '.join(who)} know{'s' if len(who) == 1 else ''} {what}"
            for kind, what in about.items()
            if (who := [name for name, knows in names.items() if knows == kind])
        ]
        return f"{'; '.join(said)}."

    def _deadline(self, row: dict[str, Any]) -> Seconds:
        return row["ratio"] * self.items * self.fastest


def paces(
    sweep: Path,
    *,
    policies: Sequence[str] | None = None,
    ratios: Sequence[float] | None = None,
    jobs: int = JOBS,
    items: int = ITEMS,
    fraction: float = 0.1,
    seed: int = 0,
    idle: str = "0 W",
) -> Paces:
    """Play jobs on a sweep.

    Args:
        sweep: file in which every setting was measured.
        policies: governors that plan, or stay at one setting; some of them.
        ratios: deadlines, as multiples of the time at the fastest setting.
        jobs: one after the other, per deadline and policy.
        items: minibatches of each.
        fraction: share of the rows that policies know beforehand.
        seed: of that choice.
        idle: power at rest, with its unit.

    Raises:
        SpecError: the file or an option is wrong.
    """
    chosen = [named(each) for each in dict.fromkeys(policies or POLICIES)]
    deadlines = sorted(dict.fromkeys(ratios or RATIOS))
    for ratio in deadlines:
        if not (isfinite(ratio) and ratio > 0.0):
            raise SpecError(f"{ratio:g} is no deadline.", where="--ratio", remedy="Write 1.2.")
    rest = _power(idle)
    bench = read_bench(sweep, fraction=fraction, seed=seed)
    return Paces(
        sweep=bench.sweep.name,
        known=len(bench.measured),
        settings=len(bench.sweep),
        fastest=bench.fastest,
        items=items,
        idle=rest,
        rows=_rows(bench, chosen, deadlines, jobs, items, rest),
    )


def _rows(
    bench: Bench, policies: list[str], ratios: list[float], jobs: int, items: int, rest: Watts
) -> list[dict[str, Any]]:
    return [
        row
        for ratio in ratios
        for row in compare(bench, ratio, policies, jobs=jobs, items=items, rest=rest)
    ]


def _power(text: str) -> Watts:
    try:
        return units.parse(text, "power")
    except SpecError as error:
        raise SpecError(error.what, where="--idle", remedy=error.remedy) from None


def _knows(policy: str) -> str:
    """What a policy knows beforehand: the "truth", a "belief", "nothing", or how busy it is."""
    if policy in RESTING:
        return "load"
    if policy in TRYING:
        return "nothing"
    return "truth" if policy in KNOWING else "belief"


def _late(row: dict[str, Any]) -> bool:
    return row["met"] < row["of"]


def _compared(row: dict[str, Any], column: str) -> str:
    """A share; in brackets where deadlines were missed."""
    return f"({_percent(row[column])})" if _late(row) else _percent(row[column])


def _percent(share: Fraction) -> str:
    return f"{round(100.0 * share, 2) + 0.0:.2f} %"
