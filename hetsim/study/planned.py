"""What a plan found: the chosen configuration, the Pareto front, what steps from it buy.

The front is that of the configurations that meet all goals, or, where none does, of all that were
played to the end. Its files begin with the chosen configuration and go on in the order of the first
objective.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from hetsim.report.numbers import SPACE, count, significant
from hetsim.report.parallel import brief
from hetsim.study import axes as _axes
from hetsim.study import rows as _rows
from hetsim.study.errand import Errand
from hetsim.study.explain import Sheet, Table
from hetsim.study.front import front as front_of
from hetsim.study.goals import QUANTITIES, Goal
from hetsim.study.ladder import RUNGS, Candidate, Ladder

if TYPE_CHECKING:
    import pandas as pd

ERRAND = Errand(
    "plan", "plan.yaml", 'hetsim plan TOPOLOGY --goal "time<=4 h" --vary KEY=A,B --out DIR'
)
EVALUATIONS, PAGE, RESULT, FRONT = "evaluations.parquet", "plan.html", "plan.json", "front"
COLUMNS = {
    "price": "price", "accuracy": "accuracy", "time": "time_s", "energy": "energy_j",
    "device_energy": "device_j", "active_energy": "active_j", "bytes": "bytes_sent",
    "battery_end": "battery_end", "dropouts": "dropouts", "excluded": "excluded",
}  # fmt: skip
"""Columns of the table by quantity; `battery_end` and `dropouts` are shares."""
_TYPES = {"step": "bool", "seeds": "int64"} | dict.fromkeys(
    ("status", "rung", "why", "spec_hash", "trace_hash"), "string"
)
"""Of the columns that are no numbers, but for those of the keys."""
_SHOWN = 12
"""Rows of the front in the terminal."""
_BOTH = 24
"""Letters up to which a step is told with what it leads away from."""
_RUNGS = {
    "none": "refused", "price": "priced alone", "cost": "costed without learning",
    "few": "played for a few rounds", "full": "played to the end",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A configuration one step from the chosen one.

    Attributes:
        place: of the key that differs.
        to: the configuration.
    """

    place: int
    to: Candidate


@dataclass(frozen=True, kw_only=True, repr=False)
class Planned:
    """A finished plan.

    Its frames are made when they are first asked for, and once.

    Attributes:
        name: of the topology.
        folder: where it is.
        keys: of the dimensions.
        goals: that were asked.
        objectives: names of quantities.
        exact: whether every configuration of the space was looked at.
        size: of the space; infinite if a key has a range.
        candidates: all configurations, in the order of being looked at.
        front: of those that meet all goals, or of all if none does.
        chosen: the cheapest that meets all goals, or the nearest miss; None if none can be played.
        steps: around it.
        free: profiles without a price, where there are prices.
        seeds: in how many a goal must hold.
        played: runs that were played this time; the others were kept.
    """

    name: str
    folder: Path
    keys: tuple[str, ...]
    goals: tuple[Goal, ...]
    objectives: tuple[str, ...]
    exact: bool
    size: float
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    chosen: Candidate | None
    steps: tuple[Step, ...]
    free: tuple[str, ...]
    seeds: int
    played: int

    @property
    def met(self) -> bool:
        """Whether a configuration meets all goals."""
        return self.chosen is not None and self.chosen.meets(self.goals)

    @property
    def files(self) -> dict[str, Candidate]:
        """Topology files of the front, the chosen one first."""
        return {f"{FRONT}/{place:02}.yaml": each for place, each in enumerate(self.front, 1)}

    def status(self, each: Candidate) -> str:
        """What became of a configuration, in a word."""
        if each.failed:
            return "failed"
        if each is self.chosen:
            return "chosen" if self.met else "nearest"
        if any(each is other for other in self.front):
            return "front"
        if not each.whole:
            return "cut"
        return "meets" if each.meets(self.goals) else "misses"

    # --- rows -------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Of `evaluations.parquet`."""
        chosen = _axes.columns(self.keys, [each.point for each in self.candidates])
        return [
            {
                "configuration": each.number,
                **{key: chosen[key][place] for key in self.keys},
                "status": self.status(each), "rung": each.rung, "step": each.step,
                **self.values(each),
                **{f"miss_{goal.column}": _finite(goal.miss(each.values)) if each.whole else None
                   for goal in self.goals},
                "seeds": each.seeds, "why": each.failed or each.cut or None,
                "spec_hash": each.digest or None, "trace_hash": each.hash or None,
            }
            for place, each in enumerate(self.candidates)
        ]  # fmt: skip

    def values(self, each: Candidate) -> dict[str, float | None]:
        """What a configuration comes to, by column; what is not known is None."""
        known = each.values
        late = {f"accuracy_at_{goal.within:g}_s": known.get(goal.column)
                for goal in self.goals if goal.within is not None}  # fmt: skip
        values = {COLUMNS[name]: known.get(name) for name in COLUMNS}
        return {
            name: None if value is None else float(value) for name, value in (values | late).items()
        }

    def write_table(self, file: BinaryIO) -> None:
        """Write the rows as a Parquet file; equal rows give equal bytes."""
        _rows.write(file, self.rows(), ("configuration", *self.keys), _TYPES)

    # --- for notebooks ----------------------------------------------------------------------------

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """One row a configuration that was looked at; columns of `evaluations.parquet`."""
        return _rows.frame(self.rows(), ("configuration", *self.keys), _TYPES)

    @cached_property
    def pareto(self) -> pd.DataFrame:
        """The rows of the front by their files, the chosen one first."""
        return self._picked(self.front, "file", list(self.files))

    @cached_property
    def nearby(self) -> pd.DataFrame:
        """The rows one step from the chosen one by what the step is, with `<objective>_change`.

        A change is a share of what it was: 0.25 for a quarter more.
        """
        words = [self.step_words(step) for step in self.steps]
        found = self._picked([step.to for step in self.steps], "step", words)
        changes = [self.changes(step) for step in self.steps]
        for name in self.objectives:
            found[f"{name}_change"] = np.array([change[name] for change in changes], np.float64)
        return found

    def _picked(self, some: Sequence[Candidate], title: str, names: Sequence[str]) -> pd.DataFrame:
        """Rows of some configurations under names of their own."""
        places = [self.candidates.index(each) for each in some]
        found = self.configurations.drop(columns="step").iloc[places].copy()
        found.insert(0, title, list(names))
        return found.set_index(title)

    def __repr__(self) -> str:
        return f"<plan {self.name} in {self.folder}: {self.words()[0]}>"

    # --- words ------------------------------------------------------------------------------------

    def story(self, each: Candidate) -> dict[str, str]:
        """What a topology file says of itself, by title."""
        told = {"configuration": f"{each.number} of a plan of {self.name}"}
        told |= dict(zip(self.keys, each.point, strict=True))
        told |= {name: _shown(name, each.values.get(name)) for name in self._told(each)}
        missed = self._missed(each)
        told["goals"] = "all met" if not missed else f"misses {'; '.join(missed)}"
        told["played with"] = f"{count(each.seeds, 'seed')}, the worst counts".replace(SPACE, " ")
        return told

    def _told(self, each: Candidate) -> list[str]:
        names = dict.fromkeys((*self.objectives, *(goal.quantity for goal in self.goals)))
        return [name for name in names if each.values.get(name) is not None]

    def _missed(self, each: Candidate) -> list[str]:
        return [
            f"{goal.quantity} {goal.missed_by(each.values)}".replace(SPACE, " ")
            for goal in self.goals
            if goal.miss(each.values) > 0.0
        ]

    def counts(self) -> dict[str, int]:
        """How many configurations came how far, by rung."""
        found = Counter(each.rung for each in self.candidates)
        return {rung: found[rung] for rung in RUNGS if found[rung]}

    def words(self) -> list[str]:
        """The answer in sentences."""
        if self.chosen is None:
            answer = "No configuration can be played: column `why` says what stands against each."
        elif self.met:
            meeting = sum(each.meets(self.goals) for each in self.candidates)
            cheapest = "cheapest" if "price" in self.objectives else "best"
            answer = (
                f"{count(meeting, 'configuration')} of {count(len(self.candidates))} that were "
                f"looked at {'meets' if meeting == 1 else 'meet'} all goals. "
                f"The {cheapest}: {self._at(self.chosen)}."
            )
        else:
            nothing = f"None of {count(self.size, 'configuration')} meets all goals."
            answer = (
                f"{nothing if self.exact else 'Nothing that was looked at meets all goals.'} "
                f"The nearest miss: {self._at(self.chosen)}; "
                f"its {'; '.join(self._missed(self.chosen))}."
            )
        which, came = self.looked()
        looked = f"Looked at: {count(len(self.candidates), 'configuration')} ({which}): {came}"
        return [answer.replace(SPACE, " "), looked.replace(SPACE, " ")]

    def _at(self, each: Candidate) -> str:
        settings = ", ".join(map("=".join, zip(self.keys, each.point, strict=True)))
        told = ", ".join(f"{name} {_shown(name, each.values[name])}" for name in self._told(each))
        return f"{settings} ({told})"

    def looked(self) -> tuple[str, str]:
        """Which configurations were looked at, and how far each came, in words."""
        which = "all that there are" if self.exact else (
            "ranges have no end of them" if self.size == inf else f"of {count(self.size)}"
        )  # fmt: skip
        if stepped := sum(each.step for each in self.candidates):
            which += f"; {count(stepped)} as steps from the best"
        came = ", ".join(f"{count(of)} {_RUNGS[rung]}" for rung, of in self.counts().items())
        front = "is exact" if self.exact else "is what was found"
        return which, f"{came}. The front {front}."

    def changes(self, step: Step) -> dict[str, float | None]:
        """What a step does to each objective, as a share of what it was."""
        assert self.chosen is not None
        changes: dict[str, float | None] = {}
        for name in self.objectives:
            old, new = self.chosen.values.get(name), step.to.values.get(name)
            changes[name] = new / old - 1.0 if step.to.whole and old and new is not None else None
        return changes

    def _change(self, step: Step, name: str, share: float | None) -> str:
        """A change as a share; of what was nothing, in its own unit."""
        assert self.chosen is not None
        old, new = self.chosen.values.get(name), step.to.values.get(name)
        if share is None and step.to.whole and old == 0.0 and new is not None:
            return f"+{_shown(name, new)}" if new else _percent(0.0)
        return _percent(share)

    def step_words(self, step: Step) -> str:
        """A step in words: "2 more pi4", "governor schedutil → powersave"."""
        assert self.chosen is not None
        key, place = self.keys[step.place], step.place
        old, new = self.chosen.point[place], step.to.point[place]
        if key.endswith(".count") and old.isdecimal() and new.isdecimal():
            more = int(new) - int(old)
            return f"{abs(more)} {'more' if more > 0 else 'fewer'} {_axes.counted(key)}"
        old, new = brief(old), brief(new)
        return f"{key} {old} → {new}" if len(old) + len(new) <= _BOTH else f"{key} {new}"

    # --- for others -------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Content of `plan.json`."""
        return {
            "name": self.name, "keys": list(self.keys), "goals": [str(goal) for goal in self.goals],
            "objectives": list(self.objectives), "seeds": self.seeds, "met": self.met,
            "exact": self.exact, "space": None if self.size == inf else int(self.size),
            "looked_at": len(self.candidates), "rungs": self.counts(),
            "answer": self.words()[0],
            "chosen": self._plain(self.chosen) if self.chosen and self.met else None,
            "nearest_miss": self._plain(self.chosen) if self.chosen and not self.met else None,
            "front": [{"file": name, **self._plain(each)} for name, each in self.files.items()],
            "steps": [
                {"step": self.step_words(step), "key": self.keys[step.place],
                 "to": step.to.point[step.place], "changes": self.changes(step),
                 **self._plain(step.to)}
                for step in self.steps
            ],
            "without_price": list(self.free),
        }  # fmt: skip

    def _plain(self, each: Candidate) -> dict[str, Any]:
        return {
            "configuration": each.number,
            "settings": dict(zip(self.keys, each.point, strict=True)),
            "values": self.values(each), "meets": each.meets(self.goals),
            "misses": self._missed(each) if each.whole else [],
            "status": self.status(each), "why": each.failed or each.cut or None,
        }  # fmt: skip

    def page(self) -> dict[str, Any]:
        """What the page is made of."""
        which, came = self.looked()
        return {
            **self.as_json(), "columns": [COLUMNS[name] for name in self.objectives],
            "limits": [
                {"column": COLUMNS[goal.quantity], "limit": goal.limit, "high": goal.about.high,
                 "text": str(goal).replace("<=", "≤").replace(">=", "≥")}
                for goal in self.goals if goal.within is None
            ],
            "how": f"{which[0].upper()}{which[1:]}: {came}", "rows": self.rows(),
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """What a person reads at the end."""
        text = self.words()
        if self.free:
            text.append(f"Without a price, and so free: {', '.join(self.free)}.")
        if self.seeds > 1:
            text.append(f"Of {self.seeds} seeds the worst counts.")
        text.append(f"Written to {self.folder}: {PAGE}, {EVALUATIONS}, {RESULT}, {FRONT}/")
        text += filter(None, [ERRAND.left(self.folder).replace(SPACE, " ")])
        tables = [self._front_table()] if self.front else []
        if self.steps:
            tables.append(self._steps_table())
        return Sheet(f"Plan of {self.name}", text, tables)

    def _front_table(self) -> Table:
        shown = list(self.files.items())[:_SHOWN]
        varied = [place for place in range(len(self.keys))
                  if len({each.point[place] for _, each in shown}) > 1]  # fmt: skip
        rows = [
            (
                name, *(brief(each.point[place]) for place in varied),
                *(_shown(o, each.values.get(o)) for o in self.objectives),
                "all" if each.meets(self.goals) else "; ".join(self._missed(each)),
            )
            for name, each in shown
        ]  # fmt: skip
        title = "Pareto front"
        if len(self.front) > len(shown):
            title += f", its first {len(shown)} of {len(self.front)}"
        same = [f"{key}={self.front[0].point[place]}" for place, key in enumerate(self.keys)
                if place not in varied]  # fmt: skip
        if same and len(shown) > 1:
            title += f"; all with {', '.join(same)}"
        heads = _axes.heads([self.keys[place] for place in varied])
        return Table(title, ("", *heads, *self.objectives, "meets"), rows)

    def _steps_table(self) -> Table:
        rows = [
            (
                self.step_words(step),
                *(self._change(step, name, share) for name, share in self.changes(step).items()),
                "all" if step.to.meets(self.goals)
                else _first_line(step.to.failed) or "; ".join(self._missed(step.to)),
            )
            for step in self.steps
        ]  # fmt: skip
        around = "chosen configuration" if self.met else "nearest miss"
        return Table(f"One step from the {around}", ("step", *self.objectives, "meets"), rows)


def put_together(
    name: str, folder: Path, ladder: Ladder, chosen: Candidate | None, steps: Sequence[Step], *,
    free: Sequence[str],
) -> Planned:  # fmt: skip
    """The plan that a search has come to."""
    best = ladder.best() or [
        each for each in ladder.seen.values() if each.whole and not each.failed
    ]
    vectors = [each.vector(ladder.objectives) for each in best]
    front = [best[place] for place in front_of(vectors)]
    front.sort(key=lambda each: (each is not chosen, each.vector(ladder.objectives), each.number))
    return Planned(
        name=name, folder=folder, keys=ladder.space.keys, goals=ladder.goals,
        objectives=ladder.objectives, exact=len(ladder.seen) >= ladder.space.size,
        size=ladder.space.size, candidates=tuple(ladder.seen.values()), front=tuple(front),
        chosen=chosen, steps=tuple(steps), free=tuple(free), seeds=len(ladder.seeds),
        played=ladder.played,
    )  # fmt: skip


def _first_line(text: str) -> str:
    """Of a message."""
    return text.partition("\n")[0]


def _shown(name: str, value: float | None) -> str:
    return QUANTITIES[name].shown(value).replace(SPACE, " ")


def _percent(change: float | None) -> str:
    if change is None:
        return "–"
    if not round(change, 4):
        return "same"
    return f"{'+' if change > 0 else '−'}{significant(abs(100.0 * change), 2)} %"


def _finite(value: float) -> float | None:
    return value if abs(value) != inf else None
