"""FedBuff: clients work asynchronously, and the server steps once for every few updates.

With `K` updates in the buffer the server model moves by `lr * sum_i p_i s(t_i) (w_i - b_i)`, where
`b_i` is the model that client i started from, `t_i` the server steps since then and `p_i` its share
of the buffer by the method's weights (1 / K in the source, for which methods have `weighting:
uniform`). As many clients as the selection's cohort are at work at any time.

Source: Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba, "Federated Learning with Buffered
Asynchronous Aggregation", AISTATS 2022, algorithm 1; polynomial staleness with exponent 1/2 as in
its experiments.
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
class FedBuff:
    """A server step for each buffer of updates.

    Attributes:
        buffer: updates a server step.
        lr: of the server; 1 takes the mean of what clients moved.
        weighting: how staleness counts: polynomial `(1 + t) ** -exponent`, hinge `1 / (1 + exponent
            * (t - grace))` beyond the grace, or constant.
        exponent: see weighting.
        grace: see weighting.
        max_staleness: server steps after which an update is refused.
    """

    buffer: int = 5
    lr: float = 1.0
    weighting: Weighting = "polynomial"
    exponent: float = 0.5
    grace: int = 0
    max_staleness: float = inf

    def __post_init__(self) -> None:
        if self.buffer < 1:
            raise SpecError(f"buffer is {self.buffer}", remedy="Take at least one update a step.")
        if self.lr <= 0.0:
            raise SpecError(f"lr is {self.lr:g}", remedy="Choose it above 0, such as 1.")
        _staleness.check(self.exponent, self.grace, self.max_staleness)

    @property
    def demands(self) -> frozenset[Demand]:
        """To take in updates of older models."""
        return frozenset({"stale"})

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: whoever delivered is replaced."""
        del cohort, able
        return self.buffer, self.buffer

    def begin(self, run: Run) -> Flight:
        """Clients in flight, a buffer a step."""

        def merge(model: Ref[Any], replies: list[Reply[Any]], weigh: Weigh) -> Ref[Any]:
            weights = [weigh(reply.client) for reply in replies]
            whole = sum(weights)
            shares = [
                self.lr * weight / whole * _staleness.factor(
                    self.weighting, run.round - reply.participation.round,
                    self.exponent, self.grace,
                )
                for weight, reply in zip(weights, replies, strict=True)
            ]  # fmt: skip
            starts = [reply.model for reply in replies if reply.model]
            return ops.mix(model, [reply.value for reply in replies], starts, shares)

        return Flight(run, merge, buffer=self.buffer, bound=self.max_staleness)
