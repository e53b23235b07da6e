"""Split learning in federated rounds: activations go up, their gradients come down.

A client computes its front part on a batch and sends the activations with the labels; the server
computes its back part for this client, takes a step, and returns the gradient of the activations,
with which the client takes its own. At the end of a round both parts are averaged over clients
(DNN-partitioning-based federated learning, DPFL; SplitFed of Thapa, Arachchige, Camtepe, Sun,
"SplitFed: When Federated Learning Meets Split Learning", AAAI 2022, its version 1).

What is learned is what FedAvg learns, bit for bit; only where it is computed, and what is sent,
differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Run
from hetsim.learn import ops
from hetsim.methods._averaging import Averaging
from hetsim.sim.requests import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpfl(Averaging):
    """Vanilla split learning, a server model for each client.

    Attributes:
        cut: blocks of the model that the device keeps.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"stale", "gateways"})
    cut: int = 2
    batch: int = 10
    lr: float = 0.01
    momentum: float = 0.9
    weighting: Literal["samples", "uniform"] = "uniform"

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    def start(self, run: Run) -> Ref[Any]:
        """The untrained model."""
        return run.initial_model()

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Both passes through the front."""
        both = ops.exchange(model, self.cut, client.data, seed=0, **self.training)
        return both.ahead + both.behind

    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """Download the front, exchange activations and gradients, upload the front."""
        hub, run = device.hub, device.run
        front, back = ops.split(model, self.cut)
        run.has(hub, front, back)
        await device.download(front)
        both = ops.exchange(model, self.cut, device.data, seed=device.order, **self.training)
        device.watch(model)
        await Stream(
            stages=(
                device.work(both.ahead, kind="forward", needs=(front,)),
                device.uplink(both.sent),
                hub.work(both.server, kind="train", needs=(back,), makes=both.back),
                device.downlink(both.returned),
                device.work(both.behind, kind="backward", makes=both.front),
            ),
            items=both.steps,
            window=1,
        )
        await device.upload(both.front)
        run.has(hub, both.model)
        return both.model
