"""Guided participant selection: learn who is worth asking. What Oort and its kin share.

The algorithm, its source and the departures from it stand in `hetsim.federation.selection.oort`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log, sqrt
from typing import ClassVar

from hetsim.core.quantities import Fraction, Seconds
from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.selection.base import check_cohort, draw, in_fleet_order, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Guided:
    """Abstract: by reward, with exploration and a pacer.

    Attributes:
        cohort: clients a round.
        exploration: share of the cohort that is new, in the first round (epsilon).
        decay: what is left of it a round later.
        exploration_least: what it never falls below.
        clip: quantile of the statistical utilities at which they are clipped.
        confidence: share of the cut-off reward that is enough to be admitted (c).
        penalty: how hard it counts to be slower than preferred (alpha).
        preferred: quantile of the durations seen that is the preferred one at first (T).
        delta: by how much that quantile grows when learning slows down.
        window: rounds between two looks at that (W).
        most: participations after which a client is asked no more; none: no limit.
    """

    cohort: int = 10
    exploration: Fraction = 0.9
    decay: Fraction = 0.98
    exploration_least: Fraction = 0.2
    clip: Fraction = 0.95
    confidence: Fraction = 0.95
    penalty: float = 2.0
    preferred: Fraction = 0.3
    delta: Fraction = 0.05
    window: int = 20
    most: int | None = None
    observes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_cohort(self.cohort)
        require(self.penalty >= 0.0, f"penalty is {self.penalty:g}", "Choose 0 or more.")
        require(self.window >= 1, f"window is {self.window}", "Let a round go by.")
        require(self.most is None or self.most >= 1, f"most is {self.most}", "Ask once or more.")

    @abstractmethod
    def reward(self, candidate: Candidate, utility: float) -> float:
        """What it is worth to ask this one, whose utility to learning this is; not negative."""

    def begin(self) -> Guide:
        """A guide that knows nothing yet."""
        return Guide(self)

    def epsilon(self, round: int) -> Fraction:
        """Share of new clients in a round, from 0."""
        return max(self.exploration * self.decay**round, self.exploration_least)


class Guide:
    """What guided selection remembers in a run.

    Attributes:
        preferred: quantile of the durations that is the preferred one now.
    """

    def __init__(self, rules: Guided) -> None:
        self.preferred = rules.preferred
        self._rules = rules
        self._asked: dict[str, tuple[Candidate, int]] = {}
        self._achieved: defaultdict[int, float] = defaultdict(float)
        self._looked = 0

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """New clients and rewarding ones, in fleet order."""
        self._learn(about.round)
        self._pace(about.round)
        chosen = list(candidates)
        if count < len(candidates):
            chosen = self._pick(self._allowed(candidates, count), count, about)
        for candidate in chosen:
            self._asked[candidate.id] = (candidate, about.round)
        return in_fleet_order(chosen)

    def utilities(self, explored: Sequence[Candidate], round: int) -> list[float]:
        """What each of these would do for learning, and how soon.

        One that was asked and never delivered counts as the least of them.
        """
        rules = self._rules
        gains = [gain(candidate) for candidate in explored]
        low, high = min(gains), quantile(gains, rules.clip)
        limit = self._limit(explored)
        utilities: list[float] = []
        for candidate, achieved in zip(explored, gains, strict=True):
            scaled = (min(achieved, high) - low) / (high - low) if high > low else 1.0
            bonus = sqrt(0.1 * log(round + 1) / (max(candidate.heard, 0) + 1))
            took = candidate.seconds or 0.0
            slow = (limit / took) ** rules.penalty if took > limit else 1.0
            utilities.append((scaled + bonus) * slow)
        return utilities

    def _learn(self, round: int) -> None:
        """Credit the round before this one with those who have reported since it was chosen."""
        for name, (candidate, asked) in list(self._asked.items()):
            if candidate.heard >= asked:
                self._achieved[round - 1] += gain(candidate)
                del self._asked[name]

    def _pace(self, round: int) -> None:
        """Prefer longer rounds if less was learned in this window than in the one before."""
        window = self._rules.window
        if round < self._looked + window:
            return
        self._looked = round
        if round < 2 * window:
            return
        before, lately = (
            sum(self._achieved[number] for number in range(end - window, end))
            for end in (round - window, round)
        )
        if before > lately:
            self.preferred = min(1.0, self.preferred + self._rules.delta)
        for number in [number for number in self._achieved if number < round - window]:
            del self._achieved[number]

    def _allowed(self, candidates: Sequence[Candidate], count: int) -> Sequence[Candidate]:
        most = self._rules.most
        if most is None:
            return candidates
        allowed = [candidate for candidate in candidates if candidate.delivered < most]
        return allowed if len(allowed) >= count else candidates

    def _pick(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        explored = [candidate for candidate in candidates if candidate.asked]
        new = [candidate for candidate in candidates if not candidate.asked]
        share = count * self._rules.epsilon(about.round)
        wanted = int(share) + (about.rng.random() < share - int(share))
        exploit = min(count - min(wanted, len(new)), len(explored))
        chosen = self._exploit(explored, exploit, about) if exploit else []
        return chosen + draw(new, count - exploit, [1.0] * len(new), about.rng)

    def _exploit(
        self, explored: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """`count` of those whose reward is close to the cut-off or above."""
        utilities = self.utilities(explored, about.round)
        rewards = [
            self._rules.reward(candidate, utility)
            for candidate, utility in zip(explored, utilities, strict=True)
        ]
        cut_off = self._rules.confidence * sorted(rewards, reverse=True)[count - 1]
        admitted = [place for place, reward in enumerate(rewards) if reward >= cut_off]
        weights = [rewards[place] for place in admitted]
        return [explored[place] for place in draw(admitted, count, weights, about.rng)]

    def _limit(self, explored: Sequence[Candidate]) -> Seconds:
        """The preferred duration of a round (T)."""
        known = [candidate.seconds for candidate in explored if candidate.seconds is not None]
        return quantile(known, self.preferred) if known else 0.0


def gain(candidate: Candidate) -> float:
    """Statistical utility: how much there is to learn from its data.

    Nothing where the loss is no number: the model has diverged.
    """
    loss = candidate.loss
    return candidate.samples * loss if loss is not None and isfinite(loss) else 0.0


def quantile(values: Sequence[float], share: Fraction) -> float:
    """The value that `share` of them are below, one of them.

    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5), quantile([3.0, 1.0, 2.0, 4.0], 1.0)
    (3.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
