"""FedNova: updates are normalised by how long each training was before they are averaged.

Where one client takes more steps than another, the mean of their models leans to the loss of the
one that took more. So the server averages by how much each model has moved a learning rate, and
moves its own as far as the clients did on average: with the length a_i of a training (for plain
steps, their number; `hetsim.learn.descent`) and a client's share p_i of all samples trained on,

    w <- w + (sum p_i a_i) sum p_i (w_i - w) / a_i

which is federated averaging where all a_i are equal. A client sends its model and a_i.

Source: Wang, Liu, Liang, Joshi, Poor, "Tackling the Objective Inconsistency Problem in
Heterogeneous Federated Optimization", NeurIPS 2020, arXiv 2007.07481, eq. 12 and section 4.1.
Running statistics of batch normalisation follow from no gradient and are averaged by p_i (assumed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd, require
from hetsim.methods._weighted import Weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class FedNova(Weighted):
    """Local SGD, averaged by the length of each training.

    Attributes:
        mu: strength of a pull towards the server model; 0 for none. Times lr it is 1 - momentum at
            most, so that no training is pulled past the model that it has started from.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"steps"})
    mu: float = 0.0

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
        most = (1.0 - self.momentum) / self.lr
        require(
            self.mu <= most * _ROUNDING,
            f"mu is {self.mu:g}, which pulls past the server model",
            f"Choose {most:g}, (1 - momentum) / lr, or less.",
        )

    @property
    def training(self) -> dict[str, Any]:
        """SGD and the pull."""
        return {**self.sgd, "proximal": self.mu}

    async def server(self, run: Run) -> None:
        """Rounds of: select, let them train, average what each moved a learning rate, report."""
        model = run.initial_model()
        run.require(lambda client: self.work(client, model))
        while run.going:
            replies = await run.cohort(self.client, model)
            if replies:
                updates = [reply.value for reply in replies]
                model = merged(model, updates, [self.weigh(reply.client) for reply in replies])
                await run.server.compute(model)
            await run.report(model)

    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """Download, train, upload the model and how long it was trained."""
        await device.download(model)
        update = await device.train(model, **self.at(device.asked))
        await device.upload(update, LENGTH)
        return update

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training on the shard."""
        return client.training_cost(model, **self.training)


LENGTH: Bytes = 4.0
"""Of a_i, a float32."""
_ROUNDING = 1.0 + 1e-9


def merged(model: Ref[Any], updates: Sequence[Ref[Any]], weights: Sequence[float]) -> Ref[Any]:
    """The server's model after trainings of it, each of its own length; see above."""
    lengths = [ops.length(update) for update in updates]
    if len(set(lengths)) == 1:
        return ops.mean(updates, weights)
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(share * length for share, length in zip(shares, lengths, strict=True))
    moved = [mean * share / length for share, length in zip(shares, lengths, strict=True)]
    return ops.combined([model, *updates], [1.0 - sum(moved), *moved], shares=[0.0, *shares])
