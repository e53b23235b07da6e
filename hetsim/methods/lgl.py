"""Split learning on locally generated losses: activations go up, no gradient comes down.

A device trains its front by the cross entropy of a head of its own; the server trains the back on
the activations of each step as they come. At the end of a round fronts, heads and backs are
averaged.

Source: Han, Bhatti, Lee, Moon, "Accelerating Federated Learning with Split Learning on Locally
Generated Losses", ICML workshop on federated learning, 2021; head, rule and messages are those of
the baseline LGL in the code of Wu et al., EcoFed (github.com/blessonvar/EcoFed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.learn import ops
from hetsim.methods._headed import Headed, Parts
from hetsim.sim.requests import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class LGL(Headed):
    """Split learning with a local loss at the device."""

    def costs(self, client: Client, parts: Parts) -> tuple[Cost, Cost]:
        """Training of front and head, and of the back."""
        apart = ops.local_loss(*parts, client.data, seed=0, **self.training)
        return apart.device, apart.server

    async def client(
        self, device: Client, front: Ref[Any], head: Ref[Any], back: Ref[Any]
    ) -> Parts:
        """Download front and head, train all three batch by batch, upload front and head."""
        await self.download(device, front, head)
        apart = ops.local_loss(
            front, head, back, device.data, seed=device.order, **self.at(device.asked)
        )
        device.watch(ops.join(front, back))
        await Stream(
            stages=(
                device.work(apart.device, kind="train", needs=(front, head)),
                device.uplink(apart.sent),
                device.hub.work(apart.server, kind="train", needs=(back,), makes=apart.back),
            ),
            items=apart.steps,
            window=self.window,
        )
        device.run.has(device, apart.front, apart.head)
        await self.upload(device, apart.front, apart.head)
        return apart.front, apart.head, apart.back
