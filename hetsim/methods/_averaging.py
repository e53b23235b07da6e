"""What FedAvg and its kin share: a cohort trains the server model, which becomes the mean."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.methods._weighted import Weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging(Weighted):
    """Abstract: the server model becomes the mean of what clients make of it."""

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
