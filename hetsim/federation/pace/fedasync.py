"""FedAsync: the server takes in every update as it arrives, the less the older its start is.

The server model becomes `(1 - a) x + a w` with `a = alpha * s(staleness)`, where staleness is the
number of server steps since the client was asked. As many clients as the selection's cohort are at
work at any time.

Source: Xie, Koyejo, Gupta, "Asynchronous Federated Optimization", 2019, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.federation.flight import Flight
from hetsim.federation.pace import _staleness
from hetsim.federation.pace._staleness import Weighting
from hetsim.federation.run import Demand, Reply, Run, Weigh
from hetsim.learn import ops


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAsync:
    """A server step for each update.

    Attributes:
        alpha: share of a fresh update in the new server model.
        weighting: how staleness counts: polynomial `(1 + t) ** -exponent`, hinge `1 / (1 + exponent
            * (t - grace))` beyond the grace, or constant.
        exponent: see weighting.
        grace: see weighting.
        max_staleness: server steps after which an update is refused.
    """

    alpha: float = 0.6
    weighting: Weighting = "polynomial"
    exponent: float = 0.5
    grace: int = 0
    max_staleness: float = inf

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha <= 1.0:
            raise SpecError(f"alpha is {self.alpha:g}", remedy="Choose it above 0 and up to 1.")
        _staleness.check(self.exponent, self.grace, self.max_staleness)

    @property
    def demands(self) -> frozenset[Demand]:
        """To take in updates of older models."""
        return frozenset({"stale"})

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: whoever delivered is replaced."""
        del cohort, able
        return 1, 1

    def begin(self, run: Run) -> Flight:
        """Clients in flight, one update a step."""

        def merge(model: Ref[Any], replies: list[Reply[Any]], weigh: Weigh) -> Ref[Any]:
            [reply] = replies
            stale = run.round - reply.participation.round
            share = self.alpha * _staleness.factor(self.weighting, stale, self.exponent, self.grace)
            return ops.mix(model, [reply.value], [model], [share])

        return Flight(run, merge, buffer=1, bound=self.max_staleness)
