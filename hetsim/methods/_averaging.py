"""What FedAvg and its kin share: a cohort trains the server model, which becomes the mean."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.methods._sgd import Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging(Sgd):
    """Abstract: the server model becomes the mean of what clients make of it.

    Attributes:
        weighting: by shard size, or the same for all.
    """

    weighting: Literal["samples", "uniform"] = "samples"

    async def server(self, run: Run) -> None:
        """Rounds of: select, let them train, average, report."""
        model = self.start(run)
        run.require(lambda client: self.work(client, model))
        while run.going:
            model = await run.average(self.client, model, weigh=self.weigh)
            await run.report(model)

    @abstractmethod
    def start(self, run: Run) -> Ref[Any]:
        """The first server model."""

    @abstractmethod
    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """What a round asks of a client."""

    @abstractmethod
    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """What a client makes of the model."""

    def weigh(self, client: Client) -> float:
        """What the client's update weighs in the mean."""
        return float(client.samples) if self.weighting == "samples" else 1.0
