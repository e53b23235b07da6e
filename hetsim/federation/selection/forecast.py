"""Those who will stay: a forecast of availability from when clients were seen to come and go.

A client that leaves at rate a while it is present and comes back at rate b while it is away is
still there after a time t, without having left, with probability

    stay(t) = exp(-a t)

and there at t, whatever it did in between, with probability

    there(t) = b / (a + b) + a / (a + b) exp(-(a + b) t)

The rates are what the server saw, with one change a `prior` of time assumed beforehand (the mean of
a Gamma distribution given the sightings):

    a = (departures + 1) / (time seen present + prior)        b = (returns + 1) / (away + prior)

t is the time that a client took from being asked to having delivered, mean of its times; for one
that has never delivered, the median of the others'. Forecasts that differ by less than a percent
say the same, so chance decides among those who are all but certain to stay.

`stay` takes the highest stay(t) first: the cohort least likely to lose its work. `scarce` takes the
lowest mean of there() from t to 2 t first: who will hardly be there next round is asked while it is
there.

Own design. `scarce` is in the spirit of the selection of REFL (Abdelmoniem, Sahu, Canini, Fahmy,
"REFL: Resource-Efficient Federated Learning", EuroSys 2023), which takes those least likely to be
available in the slot that follows the round; there each client forecasts from its own log by the
time of day, here the server does from its sightings, and days do not enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import median_low
from typing import Literal

from hetsim.core.quantities import Fraction, Seconds
from hetsim.federation.roster import Candidate, Sightings, Situation
from hetsim.federation.selection.base import Memoryless, best, check_cohort, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast(Memoryless):
    """By how likely a client is to stay, or to be there again.

    Attributes:
        cohort: clients a round.
        prefer: "stay", those who will most probably deliver, or "scarce", those who will hardly be
            there next time.
        prior: time in which a client is assumed to leave once, and to come back once, before
            anything was seen of it.
    """

    cohort: int = 10
    prefer: Literal["stay", "scarce"] = "stay"
    prior: Seconds = 3600.0

    def __post_init__(self) -> None:
        check_cohort(self.cohort)
        require(self.prior > 0.0, "prior is 0", 'Assume some time, such as "1 h".')

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """The `count` of best forecast in fleet order; among equals chance decides."""
        known = [candidate.usual for candidate in candidates if candidate.usual is not None]
        typical = median_low(known) if known else _UNKNOWN

        def score(candidate: Candidate) -> float:
            took = typical if candidate.usual is None else candidate.usual
            if self.prefer == "stay":
                return round(stay(candidate.sightings, about.now, took, self.prior), _DIGITS)
            return -round(there(candidate.sightings, about.now, took, self.prior), _DIGITS)

        return best(candidates, count, score, about.rng)


_UNKNOWN: Seconds = 60.0
"""Taken where nobody has delivered yet; the order of the candidates hardly depends on it."""
_DIGITS = 2


def stay(seen: Sightings, now: Seconds, duration: Seconds, prior: Seconds) -> Fraction:
    """Probability to stay for `duration`.

    >>> seen = Sightings(here=True, since=0.0)
    >>> round(stay(seen, now=3600.0, duration=7200.0, prior=3600.0), 4)
    0.3679
    """
    return exp(-_leaving(seen, now, prior) * duration)


def there(seen: Sightings, now: Seconds, duration: Seconds, prior: Seconds) -> Fraction:
    """Probability to be there in the slot from `duration` to twice that from now, its mean.

    >>> seen = Sightings(here=True, since=0.0)
    >>> round(there(seen, now=0.0, duration=1.0, prior=3600.0), 4)
    0.9996
    """
    leaving, coming = _leaving(seen, now, prior), _coming(seen, now, prior)
    both = leaving + coming
    spell = both * duration
    mean = (exp(-spell) - exp(-2.0 * spell)) / spell if spell > 0.0 else 1.0
    return (coming + leaving * mean) / both


def _leaving(seen: Sightings, now: Seconds, prior: Seconds) -> float:
    return (seen.departures + 1) / (seen.time_present(now) + prior)


def _coming(seen: Sightings, now: Seconds, prior: Seconds) -> float:
    return (seen.returns + 1) / (seen.time_absent(now) + prior)
