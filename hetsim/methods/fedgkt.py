"""Group knowledge transfer: device and server learn from each other's logits.

A device trains its front with a head of its own, on the labels and on the logits that the server
gave it the last time; then it sends activations, labels and logits of all its samples once, on
which the server trains the back and answers with logits for the next time. At the end of a round
fronts, heads and backs are averaged.

Source: He, Annavaram, Avestimehr, "Group Knowledge Transfer: Federated Learning of Large CNNs at
the Edge", NeurIPS 2020, algorithm 1. There fronts and heads stay on their devices and one back
learns from all; that all three are averaged, a back for each device, and the messages are those of
the baseline FedGKT in the code of Wu et al., EcoFed (github.com/blessonvar/EcoFed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import OnDrop
from hetsim.learn import ops
from hetsim.methods._headed import Headed, Parts
from hetsim.methods._sgd import Sgd, require
from hetsim.sim.requests import Stream

_LOGITS = "logits of the server"


@dataclass(frozen=True, slots=True, kw_only=True)
class FedGKT(Headed):
    """Split learning with mutual distillation.

    Attributes:
        alpha: weight of the server's logits for a device, and of the labels for the server.
        temperature: of the logits that are learned from.
    """

    on_drop: ClassVar[OnDrop] = "keep"
    alpha: float = 1.0
    temperature: float = 3.0

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
        require(self.alpha >= 0.0, f"alpha is {self.alpha:g}", "Choose 0 or more.")
        require(
            self.temperature > 0.0,
            f"temperature is {self.temperature:g}", "Choose a temperature above 0, such as 3.",
        )  # fmt: skip

    def trained(
        self, client: Client, parts: Parts, teacher: Ref[Any] | None, seed: int, number: int = 0
    ) -> ops.Mutual:
        """What a device and the server make of the three parts in round `number`."""
        return ops.mutual(
            *parts, client.data, teacher, alpha=self.alpha, temperature=self.temperature,
            seed=seed, **self.at(number),
        )  # fmt: skip

    def costs(self, client: Client, parts: Parts) -> tuple[Cost, Cost]:
        """Training of front and head and another pass through them, and training of the back."""
        mutual = self.trained(client, parts, None, 0)
        return mutual.device + mutual.ahead, mutual.server

    async def client(
        self, device: Client, front: Ref[Any], head: Ref[Any], back: Ref[Any]
    ) -> Parts:
        """Download front and head, train them, exchange logits, upload front and head."""
        await self.download(device, front, head)
        teacher = device.state.get(_LOGITS)
        mutual = self.trained(device, (front, head, back), teacher, device.order, device.asked)
        device.watch(ops.join(front, back))
        known = () if teacher is None else (teacher,)
        await device.compute(mutual.device, kind="train", needs=(front, head, *known))
        device.run.has(device, mutual.front, mutual.head)
        hub = device.hub
        await Stream(
            stages=(
                device.work(mutual.ahead, kind="forward", needs=(mutual.front, mutual.head)),
                device.uplink(mutual.sent),
                hub.work(mutual.server, kind="train", needs=(back,), makes=mutual.back),
                device.downlink(mutual.returned),
            ),
            items=mutual.steps,
            window=self.window,
        )
        device.run.has(device, mutual.logits)
        device.state[_LOGITS] = mutual.logits
        await self.upload(device, mutual.front, mutual.head)
        return mutual.front, mutual.head, mutual.back
