"""Votes on candidates, weighed by what became of earlier votes.

A voter proposes its best candidates with their scores. The server gives voter i a weight w_i and
takes the candidate of the largest

    V(b) = sum over i of w_i s_i(b),    s_i(b) = 0 where i did not propose b

of those that somebody proposed: scores may be below zero, and what nobody wants would be above.

Reconstructed; all that is established of "RL-weighted aggregation" in Zhan et al., "FedStitch"
(arXiv 2409.07202, IWQoS 2024) is that an epsilon-greedy policy adjusts the weights of clients round
by round, driven by the scores of the chosen blocks. Here every voter has a value Q_i, 1 / m when it
first votes as one of m. With probability 1 - epsilon weights are softmax(Q / tau), else they are
drawn from a flat Dirichlet; epsilon shrinks by `decay` a vote. Once the worth x of a winner is
known, R = x - mean of all earlier ones (0 for the first), and those who voted then have

    Q_i <- Q_i + eta (R a_i - Q_i),    a_i = cosine(what i proposed, the winner alone)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log, sqrt
from typing import Literal

from hetsim.core.quantities import Fraction
from hetsim.core.rng import rng

Weights = Literal["rl", "uniform", "samples"]
"""Of voters: learned, equal, by the samples that they hold."""
Vote = Mapping[int, float]
"""The candidates that one voter proposes, with their scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """How a vote went.

    Attributes:
        winner: the candidate that won; of several the first one, and so if nobody proposed any.
        values: V of each candidate.
        weights: of each voter.
        votes: of each voter.
    """

    winner: int
    values: Mapping[int, float]
    weights: Mapping[str, Fraction]
    votes: Mapping[str, Vote]


class Ballot:
    """The voters of one run, and what the server thinks of them.

    Args:
        weights: how they are weighed.
        epsilon: chance of random weights in the first vote.
        decay: what it is multiplied by from one vote to the next.
        eta: by how much of a difference a value moves.
        tau: how far values may be apart before the lower one hardly counts.
        seed: of the run.
    """

    def __init__(
        self,
        *,
        weights: Weights = "rl",
        epsilon: Fraction = 0.2,
        decay: Fraction = 0.9,
        eta: Fraction = 0.3,
        tau: float = 0.2,
        seed: int,
    ) -> None:
        self._weights, self._epsilon, self._decay = weights, epsilon, decay
        self._eta, self._tau, self._seed = eta, tau, seed
        self.values: dict[str, float] = {}
        self._held = 0
        self._worths: list[float] = []

    def elect(
        self, candidates: Sequence[int], votes: Mapping[str, Vote], samples: Mapping[str, int]
    ) -> Election:
        """Count votes; in whatever order they come, the outcome is the same.

        Args:
            candidates: that may win.
            votes: of each voter.
            samples: that each voter holds.
        """
        voters = sorted(votes)
        weights = self._weigh(voters, samples)
        values = {
            candidate: fsum(weights[voter] * votes[voter].get(candidate, 0.0) for voter in voters)
            for candidate in sorted(candidates)
        }
        self._held += 1
        proposed = [block for block in values if any(block in vote for vote in votes.values())]
        winner = max(proposed or values, key=lambda candidate: (values[candidate], -candidate))
        return Election(winner=winner, values=values, weights=weights, votes=dict(votes))

    def reward(self, election: Election, worth: float) -> None:
        """The winner of a vote has turned out to be worth so much."""
        earlier = self._worths
        gain = worth - fsum(earlier) / len(earlier) if earlier else 0.0
        for voter, vote in election.votes.items():
            part = gain * credit(vote, election.winner)
            self.values[voter] += self._eta * (part - self.values[voter])
        self._worths.append(worth)

    def _weigh(self, voters: Sequence[str], samples: Mapping[str, int]) -> dict[str, Fraction]:
        for voter in voters:
            self.values.setdefault(voter, 1.0 / len(voters))
        if self._weights == "rl":
            return _shares(self._learned(voters))
        counted = self._weights == "samples"
        return _shares({voter: float(samples[voter]) if counted else 1.0 for voter in voters})

    def _learned(self, voters: Sequence[str]) -> dict[str, float]:
        """By value, or by chance: exponential draws have a flat Dirichlet's proportions."""
        chance = rng(self._seed, "sim/ballot", self._held)
        if chance.random() < self._epsilon * self._decay**self._held:
            return {voter: -log(1.0 - chance.random()) for voter in voters}
        most = max((self.values[voter] for voter in voters), default=0.0)
        return {voter: exp((self.values[voter] - most) / self._tau) for voter in voters}


def best(scores: Vote, count: int) -> dict[int, float]:
    """The `count` candidates of the highest scores; of equals the first ones.

    >>> best({3: 0.5, 1: 0.2, 2: 0.5, 0: -0.1}, 2)
    {2: 0.5, 3: 0.5}
    """
    order = sorted(scores, key=lambda candidate: (-scores[candidate], candidate))
    return {candidate: scores[candidate] for candidate in order[:count]}


def credit(vote: Vote, winner: int) -> float:
    """Cosine of what was proposed and the winner alone.

    >>> credit({0: 3.0, 1: 4.0}, 1), credit({0: 3.0}, 1), credit({}, 1)
    (0.8, 0.0, 0.0)
    """
    length = sqrt(fsum(score * score for score in vote.values()))
    return vote.get(winner, 0.0) / length if length else 0.0


def mean(values: Iterable[tuple[float, float]]) -> float:
    """The weighted mean of pairs (weight, value).

    >>> mean([(1.0, 2.0), (3.0, 6.0)])
    5.0
    """
    pairs = list(values)
    return fsum(weight * value for weight, value in pairs) / fsum(weight for weight, _ in pairs)


def _shares(masses: Mapping[str, float]) -> dict[str, Fraction]:
    whole = fsum(masses.values())
    return {voter: mass / whole for voter, mass in masses.items()}
