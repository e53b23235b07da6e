"""Centralised SGD: the server trains on everyone's data, which is there from the start.

The yardstick: what accuracy the data allows, and what the work costs on the server. No client takes
part, and moving the data is not charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Centralised(Sgd):
    """SGD on the union of all shards."""

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    def work(self, client: Client, model: Ref[Any]) -> None:
        """Nothing: the server trains."""

    async def server(self, run: Run) -> None:
        """Train, report, and so on."""
        model = run.initial_model()
        while run.going:
            seed = entropy(run.seed, "learn/batches", "server", run.round)
            update = ops.train(model, run.union, seed=seed, **self.at(run.round))
            await run.server.compute(update, kind="train", needs=(model,))
            model = update
            await run.report(model)
