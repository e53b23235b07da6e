"""TiFL: clients of like speed are asked together, so that nobody waits for one much slower.

Rounds of profiling measure how long each client takes from being asked to having delivered. The
clients are then sorted by their mean and dealt into tiers of one size; each round draws a tier, and
the selection chooses the cohort inside it. The policies give the fastest tier first:

    uniform   1/n each                        fast   1, 0, 0, ...
    random    0.7, 0.1, 0.1, 0.05, 0.05       slow   ..., 0, 0, 1

With `adaptive` the chances begin equal. Every `interval` rounds the accuracy of the server's model
on each tier is looked at; if that of the tier drawn last has not grown since the last look, tier by
tier in the order of accuracy, the worst first, gets chances in proportion to n - 1, n - 2, ..., 0.
A tier can be drawn as often as it has `credits`.

Source: Chai, Ali, Zawad, Truex, Anwar, Baracaldo, Zhou, Ludwig, Yan, Cheng, "TiFL: A Tier-based
Federated Learning System", HPDC 2020, sections 4.2 and 4.3; `random` and its numbers are those of
table 1 for five tiers. Here, where the paper profiles apart from the training, the updates of the
profiling rounds are used. Assumed: equal tiers (the paper cuts a histogram), means that go on
taking in every later delivery, the slowest tier for who has delivered nothing yet (the paper leaves
out who cannot be profiled), and the next slower tier, after the slowest the fastest, where nobody
of the tier drawn can be asked; where nobody at all can be, whoever is the first to come. For
`adaptive` (algorithm 2) tiers are scored on what their clients train on, by everybody present, who
receives the model, evaluates it and reports, and pays for that: no client here holds test data.
Assumed there: the interval, that tiers without credits keep their place in the order, and that all
get their credits again once none has any left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any, Literal

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.core.rng import rng
from hetsim.federation.client import Client
from hetsim.federation.rounds import Rounds
from hetsim.federation.run import Asked, Demand, Reply, Run

_RANDOM: tuple[Fraction, ...] = (0.7, 0.1, 0.1, 0.05, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiFL:
    """One cohort at a time, all of it from one tier.

    Attributes:
        tiers: groups of like speed.
        policy: how often each tier is drawn: uniform, random, fast, slow or adaptive.
        interval: rounds from one look at the tiers' accuracy to the next, under adaptive.
        credits: how often a tier may be drawn, under adaptive.
        profiling: first rounds, in which everybody present is asked and timed.
    """

    tiers: int = 5
    policy: Literal["uniform", "random", "fast", "slow", "adaptive"] = "uniform"
    interval: int = 10
    credits: float = inf
    profiling: int = 1

    def __post_init__(self) -> None:
        if self.tiers < 1:
            raise SpecError(f"tiers is {self.tiers}", remedy="Make at least one tier.")
        if self.profiling < 1:
            raise SpecError(
                f"profiling is {self.profiling}",
                remedy="Time everybody in at least one round; there are no tiers before.",
            )
        if self.interval < 1 or self.credits < 1:
            raise SpecError(
                f"interval is {self.interval}, credits are {self.credits:g}",
                remedy="Look every round at the most, and let each tier be drawn at least once.",
            )
        if self.policy == "random" and self.tiers != len(_RANDOM):
            raise SpecError(
                f'the policy "random" has no chances for {self.tiers} tiers',
                remedy=f"Make {len(_RANDOM)} tiers, or choose uniform, fast or slow.",
            )

    @property
    def demands(self) -> frozenset[Demand]:
        """Nothing: these are synchronous rounds."""
        return frozenset()

    @property
    def observes(self) -> bool:
        """Whether it looks at learned values."""
        return self.policy == "adaptive"

    @property
    def chances(self) -> tuple[Fraction, ...]:
        """How often each tier is drawn, the fastest first; adaptive: to begin with.

        >>> TiFL(tiers=4).chances
        (0.25, 0.25, 0.25, 0.25)
        """
        last = self.tiers - 1
        match self.policy:
            case "uniform" | "adaptive":
                return (1.0 / self.tiers,) * self.tiers
            case "random":
                return _RANDOM
            case "fast":
                return (1.0, *(0.0,) * last)
            case "slow":
                return (*(0.0,) * last, 1.0)

    def begin(self, run: Run) -> Rounds:
        """Nobody is timed yet."""
        return Rounds(run, Tiers(self, run).ask)


class Tiers:
    """The tiers of one run, by the times that the server knows of."""

    def __init__(self, settings: TiFL, run: Run) -> None:
        self._settings, self._run = settings, run
        self._profiled = 0
        self._chances = settings.chances
        self._credits = [self._most] * settings.tiers
        self._drawn = -1
        self._looked = -inf
        self._accuracy: dict[int, float] = {}

    async def ask(self, script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        """Ask everybody while they are profiled, then a cohort of the tier that is drawn."""
        run = self._run
        if self._profiled < self._settings.profiling:
            self._profiled += 1
            clients = await run.select(len(run.clients))
        else:
            clients = await self._cohort()
        return await run.gather(script, clients, *args)

    def tiers(self) -> list[list[Client]]:
        """The tiers as of now, the fastest first; some are empty where clients are few."""
        clients = self._run.clients
        known = [candidate.usual for candidate in self._run.roster.candidates(clients)]
        timed = sorted(
            (usual, client.index) for usual, client in zip(known, clients, strict=True)
            if usual is not None
        )  # fmt: skip
        tiers = dealt([clients[index] for _, index in timed], self._settings.tiers)
        tiers[-1] += [client for usual, client in zip(known, clients, strict=True) if usual is None]
        return tiers

    async def _cohort(self) -> list[Client]:
        """A cohort of the tier drawn, or of the next one of which somebody can be asked."""
        run = self._run
        tiers = self.tiers()
        if self._settings.policy == "adaptive":
            await self._adapt(tiers)
        drawn = self._draw()
        for tier in tiers[drawn:] + tiers[:drawn]:
            if clients := await run.choose(run.selection.cohort, set(tier).__contains__):
                return clients
        return await run.select(run.selection.cohort)

    @property
    def _most(self) -> float:
        """How often a tier may be drawn until all have been."""
        return self._settings.credits if self._settings.observes else inf

    def _draw(self) -> int:
        """A tier that has credits left; it loses one."""
        settings, run = self._settings, self._run
        if max(self._credits) <= 0:
            self._credits = [self._most] * settings.tiers
        chances = [
            chance if left > 0 else 0.0
            for chance, left in zip(self._chances, self._credits, strict=True)
        ]
        if not any(chances):  # those with credits have no chances
            chances = [float(left > 0) for left in self._credits]
        whole = sum(chances)
        stream = rng(run.seed, "sim/pace", run.round)
        self._drawn = int(stream.choice(settings.tiers, p=[each / whole for each in chances]))
        self._credits[self._drawn] -= 1
        return self._drawn

    async def _adapt(self, tiers: Sequence[Sequence[Client]]) -> None:
        """Look at every tier's accuracy if it is time, and favour the worst if nothing grows."""
        run = self._run
        if run.round - self._looked < self._settings.interval:
            return
        self._looked = run.round
        place = {client: tier for tier, clients in enumerate(tiers) for client in clients}
        scores: dict[int, list[float]] = {}
        answers = await run.survey([client for client in place if client.free])
        for client, score in answers:
            scores.setdefault(place[client], []).append(score["accuracy"])
        before = self._accuracy
        self._accuracy = {tier: sum(each) / len(each) for tier, each in scores.items()}
        now, last = self._accuracy.get(self._drawn), before.get(self._drawn)
        if now is not None and last is not None and now <= last:
            self._chances = favoured(self._accuracy, self._settings.tiers)


def favoured(accuracy: Mapping[int, float], tiers: int) -> tuple[Fraction, ...]:
    """Chances of tiers in proportion to how many are better, so that the best has none.

    A tier whose accuracy is not known counts as the best.

    >>> favoured({0: 0.9, 1: 0.5, 2: 0.7}, 3)
    (0.0, 0.6666666666666666, 0.3333333333333333)
    """
    order = sorted(range(tiers), key=lambda tier: (accuracy.get(tier, inf), tier))
    whole = max(tiers * (tiers - 1) / 2, 1.0)
    better = [tiers - 1 - order.index(tier) for tier in range(tiers)]
    return tuple(count / whole for count in better) if tiers > 1 else (1.0,)


def dealt(clients: Sequence[Client], count: int) -> list[list[Client]]:
    """`count` runs of neighbours whose sizes differ by one at most, the larger ones first."""
    size, rest = divmod(len(clients), count)
    ends = [place * size + min(place, rest) for place in range(count + 1)]
    return [list(clients[start:end]) for start, end in pairwise(ends)]
