"""Local training: a client receives the server model, trains it whole, and sends it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand
from hetsim.methods._averaging import Averaging


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSgd(Averaging):
    """Abstract: SGD on the shard, at the client."""

    accepts: ClassVar[frozenset[Demand]] = frozenset({"stale", "steps", "layers", "gateways"})

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training on the shard."""
        return client.training_cost(model, **self.training)

    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """Download, train, upload."""
        await device.download(model)
        update = await device.train(model, **self.at(device.asked))
        await device.upload(update)
        return update
