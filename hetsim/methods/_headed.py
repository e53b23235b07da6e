"""What methods share whose devices train their front behind a head of its own.

No gradient comes back from the server: a device learns from the loss of an auxiliary head, one
linear layer from the activations to the classes. Front and head go to the device and back in every
round, the activations go to the server once for each batch, float32.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.methods._split import Split

Parts: TypeAlias = tuple[Ref[Any], Ref[Any], Ref[Any]]
"""Front, head and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headed(Split):
    """Abstract: front and head are trained at the device, the back at the server."""

    async def server(self, run: Run) -> None:
        """Rounds of: let a cohort and the server train, average each of the three, report."""
        front, back = ops.split(run.initial_model(), self.cut)
        head = ops.head(front, entropy(run.seed, "learn/initial", "head") % 2**63)
        parts = front, head, back
        run.has(run.server, *parts)
        run.require(
            lambda client: self.costs(client, parts)[0], lambda client: self.costs(client, parts)[1]
        )
        while run.going:
            replies = await run.cohort(self.client, *parts)
            if replies:
                samples = [reply.client.samples for reply in replies]
                trained = zip(*(reply.value for reply in replies), strict=True)
                front, head, back = [await self.mean(run, each, samples) for each in trained]
                parts = front, head, back
            model = ops.join(front, back)
            run.has(run.server, model)
            await run.report(model)

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """What a device computes in a round."""
        front, back = ops.split(model, self.cut)
        return self.costs(client, (front, ops.head(front, 0), back))[0]

    @abstractmethod
    def costs(self, client: Client, parts: Parts) -> tuple[Cost, Cost]:
        """What a round asks of a device, and what of the server for it."""

    @abstractmethod
    async def client(
        self, device: Client, front: Ref[Any], head: Ref[Any], back: Ref[Any]
    ) -> Parts:
        """What a device and the server make of the three."""

    async def download(self, device: Client, front: Ref[Any], head: Ref[Any]) -> None:
        """Receive what the device trains."""
        await device.download(front)
        await device.download(head)

    async def upload(self, device: Client, front: Ref[Any], head: Ref[Any]) -> None:
        """Send what the device has trained."""
        await device.uplink(head)
        await device.upload(front)
