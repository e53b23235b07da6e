"""How a configuration is evaluated: cheap questions first, and none that cannot change the answer.

Its price needs no run. A cost-only run tells time, joules and bytes without learning; a run of few
rounds whether the accuracy is there that early; then comes the whole run, with the first seed and
with the others. After each rung goes who surely misses a goal, or is surely no better than a
configuration that is known to meet all goals. Surely: time, joules and bytes only grow, so a run
that ends at an accuracy takes at least its first round, and all rounds in which it was not there
yet; of several seeds the worst counts, so a further seed mends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.spec import units
from hetsim.spec.schema import Spec, load_topology
from hetsim.study.campaign import Failed, Identified, Known, Players, Variant, answers, identified
from hetsim.study.errand import Means
from hetsim.study.front import dominates
from hetsim.study.goals import QUANTITIES, Goal
from hetsim.study.prices import Prices
from hetsim.study.space import Point, Space
from hetsim.study.tally import GROWING, tally, with_deadlines

RUNGS = ("none", "price", "cost", "few", "full")
"""How far a configuration came: refused by its spec, priced, costed, a few rounds, played."""
_TOGETHER = 4
"""Whole runs after which those that wait are looked at again."""


@dataclass(slots=True, kw_only=True, eq=False)
class Candidate:
    """A configuration, and what is known of it.

    Attributes:
        number: from 0 on, in the order of being looked at.
        point: its values.
        step: whether it was looked at for being a step away from another one.
        rung: one of `RUNGS`.
        values: what it comes to, the worst of its seeds; what is not known is not in it.
        least: what it comes to at least, or at most for what should be high.
        seeds: how many seeds were played to the end.
        cut: why it went no further, or "".
        failed: why it cannot be played, or "".
        digest, hash: of its spec; of the trace with the first seed.
        whole: whether all that is asked is known.
    """

    number: int
    point: Point
    step: bool = False
    rung: str = "none"
    values: dict[str, float | None] = field(default_factory=dict[str, float | None])
    least: dict[str, float] = field(default_factory=dict[str, float])
    seeds: int = 0
    cut: str = ""
    failed: str = ""
    digest: str = ""
    hash: str = ""
    whole: bool = False

    def misses(self, goals: Sequence[Goal]) -> list[float]:
        """By how much it misses each goal, as far as is known; zero or less where it does not."""
        known = self.values if self.whole else {**self.least, "price": self.values.get("price")}
        return [goal.miss(known) if goal.column in known else 0.0 for goal in goals]

    def meets(self, goals: Sequence[Goal]) -> bool:
        """Whether it is known to meet all goals."""
        return self.whole and not self.failed and all(miss <= 0.0 for miss in self.misses(goals))

    def vector(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """Its objectives, all to be low; of one that is cut, bounds from below."""
        known = {**self.least, **self.values}
        return tuple(lowered(name, known.get(name)) for name in objectives)


def lowered(name: str, value: float | None) -> float:
    """A value of an objective as one that should be low; what is not known is as low as can be."""
    if value is None:
        return -math.inf
    return -value if QUANTITIES[name].high else value


@dataclass(slots=True, kw_only=True)
class Ladder:
    """Evaluates configurations; equal ones once.

    Attributes:
        topology: file or name.
        overrides: of all configurations.
        space: of the points.
        goals: to be met.
        objectives: names of quantities.
        prices: of what it is made of.
        seeds: to be played; None for the topology's own.
        few: rounds of the rung before the last; None for a fifth.
        work: folder of the plan.
        means: how to play.
        players: who plays.
        seen: all configurations so far, by their points.
        played: runs that were not kept from before.
    """

    topology: str
    overrides: tuple[str, ...]
    space: Space
    goals: tuple[Goal, ...]
    objectives: tuple[str, ...]
    prices: Prices
    seeds: tuple[int | None, ...]
    few: int | None
    work: Path
    means: Means
    players: Players
    seen: dict[Point, Candidate] = field(default_factory=dict[Point, Candidate])
    played: int = 0
    _known: Known = field(default_factory=dict[object, Any])
    _specs: dict[Point, Spec] = field(default_factory=dict[Point, Spec])
    _noted: set[str] = field(default_factory=set[str])

    @property
    def learns(self) -> bool:
        """Whether anything that is asked only training can tell."""
        names = (*(goal.quantity for goal in self.goals), *self.objectives)
        return any(QUANTITIES[name].learned for name in names)

    @property
    def target(self) -> float | None:
        """The accuracy at which a run may end: where it is a goal and not to be as high as can be.

        What a goal wants at a time counts too.
        """
        if any(QUANTITIES[name].learned for name in self.objectives):
            return None
        return max((goal.limit for goal in self.goals if goal.about.learned), default=None)

    def best(self) -> list[Candidate]:
        """Configurations that meet all goals."""
        return [each for each in self.seen.values() if each.meets(self.goals)]

    def evaluate(self, points: Iterable[Point], *, step: bool = False) -> list[Candidate]:
        """Look at points, and cut those that cannot change the answer."""
        return self._evaluate(points, step=step, whole=False)

    def complete(self, points: Iterable[Point]) -> list[Candidate]:
        """Look at points and cut none."""
        return self._evaluate(points, step=True, whole=True)

    # --- a configuration as a run -----------------------------------------------------------------

    def variant(self, point: Point, *texts: str, seed: int | None = None) -> Variant:
        """The whole run of a point."""
        return Variant(
            topology=self.topology,
            overrides=(*self.overrides, *self.space.assignments(point), *texts),
            seed=seed,
            name=f"configuration {self.space.words(point)}",
        )

    def ending(self, point: Point, *, rounds: int | None = None, target: bool = True) -> str:
        """When a run of a point ends, as an override."""
        stop = self._specs[point].stop
        parts = [f"rounds: {min(rounds or stop.rounds, stop.rounds)}"]
        if stop.time is not None:
            parts.append(f"time: {units.format(stop.time, 'time')}")
        accuracy = stop.accuracy if self.target is None else self.target
        if target and accuracy is not None:
            parts.append(f"accuracy: {accuracy!r}")
        return f"stop={{{', '.join(parts)}}}"

    def whole(self, point: Point, seed: int | None) -> Variant:
        """The run that decides about a point, as one would play it alone."""
        return self.variant(point, self.ending(point), seed=seed)

    def try_out(self, point: Point) -> None:
        """Look whether a point can be a run at all.

        Raises:
            SpecError: it cannot.
        """
        identified([self.variant(point)], tally, data=self.means.data, known=self._known)

    # --- rungs ------------------------------------------------------------------------------------

    def _evaluate(self, points: Iterable[Point], *, step: bool, whole: bool) -> list[Candidate]:
        asked: list[Candidate] = []
        new: list[Candidate] = []
        for point in points:
            if point not in self.seen:
                self.seen[point] = Candidate(number=len(self.seen), point=point, step=step)
                new.append(self.seen[point])
            asked.append(self.seen[point])
        self._price(new)
        if whole:
            waiting = [each for each in asked if not each.failed and each.seeds < len(self.seeds)]
            for each in waiting:
                each.cut = ""
        else:
            waiting = self._left(new)
            waiting = self._left(self._cost(waiting))
            waiting = self._left(self._begin(waiting))
        self._finish(waiting, whole=whole)
        return asked

    def _left(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that may still change the answer; the others are cut."""
        vectors = [each.vector(self.objectives) for each in self.best()]
        left: list[Candidate] = []
        for each in candidates:
            if each.failed or each.whole:
                continue
            known = {**each.least, "price": each.values["price"]}
            surely = [goal for goal, miss in zip(self.goals, each.misses(self.goals), strict=True)
                      if miss > 0.0]  # fmt: skip
            vector = each.vector(self.objectives)
            if surely:
                each.cut = "; ".join(f"{goal.about.title} at best {goal.missed_by(known)}"
                                     for goal in surely)  # fmt: skip
            elif any(dominates(other, vector) or other == vector for other in vectors):
                each.cut = "at best no better than one that meets all goals"
            else:
                left.append(each)
        return left

    def _price(self, candidates: Sequence[Candidate]) -> None:
        for each in candidates:
            try:
                self._specs[each.point] = spec = self._load(each.point)
            except SpecError as error:
                each.failed = str(error)
                continue
            each.rung = "price"
            each.values["price"] = self.prices.of(spec)

    def _load(self, point: Point) -> Spec:
        variant = self.variant(point)
        spec = load_topology(variant.topology, overrides=variant.overrides)
        for note in spec.notes:
            if note not in self._noted:
                self._noted.add(note)
                self.means.note(note)
        return spec

    def _cost(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Without learning, where that is not the whole run."""
        costed = {
            each.number: ("cost_only=true", self.ending(each.point, target=False))
            for each in candidates
            if self.learns and not self._specs[each.point].cost_only
        }
        for each, told in self._answers(candidates, costed, optional=True):
            each.rung = "cost"
            if isinstance(told, Failed):
                each.failed = told.why
            elif self.target is None:
                each.least |= _known(told["values"])
            else:
                each.least |= {**told["first"], "excluded": told["values"]["excluded"]}
        return list(candidates)

    def _begin(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The first few rounds, where a run may end at an accuracy."""
        begun: dict[int, tuple[str, ...]] = {}
        for each in candidates:
            spec = self._specs[each.point]
            few = self.few or math.ceil(spec.stop.rounds / 5)
            if self.target is not None and not spec.cost_only and few < spec.stop.rounds:
                begun[each.number] = (self.ending(each.point, rounds=few),)
        for each, told in self._answers(candidates, begun):
            each.rung = "few"
            if isinstance(told, Failed):
                each.failed = told.why
            elif self.target is not None and (told["values"]["accuracy"] or 0.0) < self.target:
                each.least |= {name: told["values"][name] for name in GROWING}
        return list(candidates)

    def _finish(self, candidates: Sequence[Candidate], *, whole: bool) -> None:
        """The whole runs, some at a time; those that wait are looked at again in between."""
        waiting = list(candidates)
        while waiting:
            some, waiting = waiting[:_TOGETHER], waiting[_TOGETHER:]
            for place, seed in enumerate(self.seeds):
                self._play(
                    [each for each in some if not each.failed and each.seeds == place
                     and (whole or not place or each.meets(self.goals))],
                    seed,
                )  # fmt: skip
            if not whole:
                waiting = self._left(waiting)

    def _play(self, candidates: Sequence[Candidate], seed: int | None) -> None:
        texts = {
            each.number: (*self._free(each.point), self.ending(each.point)) for each in candidates
        }
        for each, told in self._answers(candidates, texts, seed=seed, fallback=True):
            each.rung = "full"
            if isinstance(told, Failed):
                each.failed, each.whole = told.why, False
                continue
            self._check_told(told)
            each.values = _worst(each.values, with_deadlines(told, self.goals))
            each.seeds += 1
            each.hash = each.hash or told["trace_hash"]
            each.whole = True

    def _free(self, point: Point) -> tuple[str, ...]:
        """What spares training where nobody asks what only training can tell."""
        spec = self._specs[point]
        return () if self.learns or spec.cost_only else ("cost_only=true",)

    def _check_told(self, told: dict[str, Any]) -> None:
        for goal in self.goals:
            if goal.quantity in told["untold"]:
                raise SpecError(
                    "a run of this fleet does not tell it.",
                    where=f"--goal {goal.quantity}",
                    remedy="Batteries are told where each begins with some charge and devices are "
                    "simulated one by one. Leave the goal out, or change the fleet.",
                )

    # --- runs -------------------------------------------------------------------------------------

    def _answers(
        self, candidates: Sequence[Candidate], texts: dict[int, tuple[str, ...]], *,
        seed: int | None = None, optional: bool = False, fallback: bool = False,
    ) -> Iterator[tuple[Candidate, Any]]:  # fmt: skip
        """Play candidates with these overrides; each with what is told of it, or `Failed`.

        Args:
            candidates: of which those without texts are passed over.
            texts: overrides by number.
            seed: of the runs.
            optional: pass over those that cannot be played so.
            fallback: learn what cannot be had without learning.
        """
        seed = self.seeds[0] if seed is None else seed
        runs: list[tuple[Candidate, Identified]] = []
        for each in candidates:
            if each.number not in texts:
                continue
            changes = texts[each.number]
            try:
                run = self._identified(each.point, changes, seed)
            except SpecError as error:
                if optional:
                    continue
                if fallback and changes[0] == "cost_only=true":
                    try:
                        run = self._identified(each.point, changes[1:], seed)
                    except SpecError as other:
                        each.failed = str(other)
                        continue
                else:
                    each.failed = str(error)
                    continue
            each.digest = run.digest
            runs.append((each, run))
        if not runs:
            return
        kept = self.work / "runs"
        new = {run.key for _, run in runs if not (kept / f"{run.key}.json").is_file()}
        found = answers(
            [run for _, run in runs], tally, work=self.work, store=self.means.store,
            data=self.means.data, known=self._known, failures=True, players=self.players,
        )  # fmt: skip
        self.played += len(new)
        yield from ((each, told) for (each, _), told in zip(runs, found, strict=True))

    def _identified(self, point: Point, texts: Sequence[str], seed: int | None) -> Identified:
        variant = self.variant(point, *texts, seed=seed)
        [run] = identified([variant], tally, data=self.means.data, known=self._known)
        return run


def _known(values: dict[str, float | None]) -> dict[str, float]:
    """What a run without learning tells."""
    return {
        name: value for name, value in values.items()
        if value is not None and not QUANTITIES[name].learned
    }  # fmt: skip


def _worst(one: dict[str, float | None], other: dict[str, float | None]) -> dict[str, float | None]:
    """The worse of each value; none where one of two has none."""
    worst = dict(one)
    for name, value in other.items():
        old = one.get(name, value)
        quantity = QUANTITIES.get(name) or QUANTITIES["accuracy"]  # or that at a time
        worse = min if quantity.high else max
        worst[name] = None if old is None or value is None else worse(old, value)
    return worst
