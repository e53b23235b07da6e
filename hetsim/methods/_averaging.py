"""What FedAvg and its kin share: local SGD on a cohort, then the weighted mean."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Run
from hetsim.methods import _sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging:
    """Abstract: the server model becomes the mean of the clients' local updates.

    Attributes:
        epochs: passes over the local shard a round.
        batch: samples a step.
        lr: learning rate.
        momentum: of the local optimizer, which starts fresh each round.
        weight_decay: L2 penalty on the weights.
        weighting: by shard size, or the same for all.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"stale", "steps", "layers", "gateways"})
    epochs: int = 1
    batch: int = 20
    lr: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0
    weighting: Literal["samples", "uniform"] = "samples"

    def __post_init__(self) -> None:
        _sgd.check(**self.training)

    @property
    @abstractmethod
    def training(self) -> dict[str, Any]:
        """Settings of the local training, as `ops.train` takes them."""

    @property
    def local_sgd(self) -> dict[str, Any]:
        """The settings that all kin share."""
        return {
            "epochs": self.epochs, "batch": self.batch, "lr": self.lr,
            "momentum": self.momentum, "weight_decay": self.weight_decay,
        }  # fmt: skip

    async def server(self, run: Run) -> None:
        """Rounds of: select, train locally, average, report."""
        model = self.start(run)
        run.require(lambda client: self.work(client, model))
        while run.going:
            model = await run.average(self.client, model, weigh=self.weigh)
            await run.report(model)

    @abstractmethod
    def start(self, run: Run) -> Ref[Any]:
        """The first server model."""

    def weigh(self, client: Client) -> float:
        """What the client's update weighs in the mean."""
        return float(client.samples) if self.weighting == "samples" else 1.0

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training on the shard."""
        return client.training_cost(model, **self.training)

    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """Download, train, upload."""
        await device.download(model)
        update = await device.train(model, **self.training)
        await device.upload(update)
        return update
