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
from hetsim.methods import _sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Centralised:
    """SGD on the union of all shards.

    Attributes:
        epochs: passes over all data a round.
        batch: samples a step.
        lr: learning rate.
        momentum: of the optimizer, which starts fresh each round.
        weight_decay: L2 penalty on the weights.
    """

    epochs: int = 1
    batch: int = 20
    lr: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _sgd.check(**self.training)

    @property
    def training(self) -> dict[str, Any]:
        """Settings of the training, as `ops.train` takes them."""
        return {
            "epochs": self.epochs, "batch": self.batch, "lr": self.lr,
            "momentum": self.momentum, "weight_decay": self.weight_decay,
        }  # fmt: skip

    def work(self, client: Client, model: Ref[Any]) -> None:
        """Nothing: the server trains."""

    async def server(self, run: Run) -> None:
        """Train, report, and so on."""
        model = run.initial_model()
        while run.going:
            seed = entropy(run.seed, "learn/batches", "server", run.round)
            update = ops.train(model, run.union, seed=seed, **self.training)
            await run.server.compute(update, kind="train", needs=(model,))
            model = update
            await run.report(model)
