"""Which points a plan looks at next: a tree-structured Parzen estimator over several objectives.

Points are asked for in batches whose size does not depend on who evaluates them, and what comes
back is told in the order of asking; so the points are a function of the seed and of the answers. No
point is given out twice: what the sampler repeats it is told again, and where it does nothing but
repeat, a point is drawn at random. A space that is no larger than what may be looked at is given
out whole.

Source: Bergstra, Bardenet, Bengio, Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011;
Ozaki, Tanigaki, Watanabe, Onishi, "Multiobjective tree-structured Parzen estimator for
computationally expensive optimization problems", GECCO 2020; as in Optuna (Akiba et al., "Optuna: a
next-generation hyperparameter optimization framework", KDD 2019, arXiv 1907.10902). That the first
eighth of the points is random, 8 at least and 32 at most, is a choice made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hetsim.core.rng import entropy, rng
from hetsim.study.space import Choice, Dimension, Point, Space

BATCH = 8
"""Points that are asked for together."""
_RANDOM = (8, 32, 8)
"""Least and most points at random, and the share of all that they are in between."""
_PATIENCE = 4
"""Repeated points, in batches, after which one is drawn at random."""
_WORST = 10.0
"""By how many times a limit a goal counts as missed at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a point.

    Attributes:
        values: of the objectives, all to be low; None where they are not known.
        misses: by how much each goal is missed; zero or less where it is met.
    """

    values: tuple[float | None, ...]
    misses: tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class Search:
    """A search through a space; the same answers lead it to the same points.

    Attributes:
        space: the space.
        objectives: how many.
        seed: of its draws.
        most: points to give out.
    """

    space: Space
    objectives: int
    seed: int
    most: int
    _known: dict[Point, Told] = field(default_factory=dict[Point, Told], init=False)
    _asked: dict[Point, Any] = field(default_factory=dict[Point, Any], init=False)
    _study: Any = field(default=None, init=False)
    _stream: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._stream = rng(self.seed, "sim/plan/points")
        if not self.whole:
            self._study = _study(self.objectives, self.seed, self.most)

    @property
    def whole(self) -> bool:
        """Whether every point of the space is given out."""
        return self.space.size <= self.most

    @property
    def given(self) -> int:
        """Points given out so far."""
        return len(self._known) + len(self._asked)

    def ask(self) -> list[Point]:
        """The next points, at most `BATCH`; none when there are no more."""
        wanted = min(BATCH, self.most - self.given)
        if self.whole:
            rest = (point for point in self.space.points() if point not in self._known)
            self._asked = dict.fromkeys(islice(rest, BATCH))
        else:
            self._asked = {}
            for _ in range(wanted):
                point, trial = self._new()
                self._asked[point] = trial
        return list(self._asked)

    def tell(self, answers: Sequence[Told]) -> None:
        """What became of the points of the last batch, in their order."""
        for (point, trial), told in zip(self._asked.items(), answers, strict=True):
            self._known[point] = told
            if self._study is not None:
                self._tell(self._trial(point) if trial is None else trial, told)
        self._asked = {}

    def _new(self) -> tuple[Point, Any]:
        """A point that was not given out yet; without trial if the sampler has none."""
        for _ in range(_PATIENCE * BATCH):
            trial = self._study.ask(self._distributions())
            point = self._point(trial.params)
            if point not in self._known and point not in self._asked:
                return point, trial
            if point in self._known:
                self._tell(trial, self._known[point])
            else:
                self._study.tell(trial, state=_failed())
        while True:
            point = self.space.drawn(self._stream)
            if point not in self._known and point not in self._asked:
                return point, None

    def _tell(self, trial: Any, told: Told) -> None:
        for place, miss in enumerate(told.misses):
            trial.set_constraint(f"goal {place}", min(max(miss, -_WORST), _WORST))
        if None in told.values:  # an unknown value of what misses a goal: as bad as any so far
            values = [
                max((v for each in self._known.values() if (v := each.values[place]) is not None),
                    default=0.0)
                if value is None else value
                for place, value in enumerate(told.values)
            ]  # fmt: skip
        else:
            values = told.values
        self._study.tell(trial, values)

    def _trial(self, point: Point) -> Any:
        """A trial at a point of our own."""
        params = {
            each.key: _number(each, value)
            for each, value in zip(self.space.dimensions, point, strict=True)
        }
        self._study.enqueue_trial(params)
        return self._study.ask(self._distributions())

    def _distributions(self) -> dict[str, Any]:
        return {each.key: _distribution(each) for each in self.space.dimensions}

    def _point(self, params: dict[str, Any]) -> Point:
        return tuple(
            each.values[params[each.key]]
            if isinstance(each, Choice)
            else each.text(params[each.key])
            for each in self.space.dimensions
        )


def _study(objectives: int, seed: int, most: int) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    least, top, share = _RANDOM
    sampler = optuna.samplers.TPESampler(
        seed=entropy(seed, "sim/plan/search") % 2**32,
        multivariate=True,
        constant_liar=True,
        n_startup_trials=min(max(least, most // share), top),
    )
    directions = [optuna.study.StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(directions=directions, sampler=sampler)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def _distribution(each: Dimension) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(each, Choice):
        places = len(each.values)
        if each.ordered:
            return IntDistribution(0, places - 1)
        return CategoricalDistribution(list(range(places)))
    low, high, log = each.range.low, each.range.high, each.range.log
    if each.range.whole:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _number(each: Dimension, value: str) -> float | int:
    if isinstance(each, Choice):
        return each.values.index(value)
    number = each.number(value)
    return int(number) if each.range.whole else number
