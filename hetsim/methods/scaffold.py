"""SCAFFOLD: control variates take out of each local step what a client's own data would add to it.

The server has a variate c and each client one of its own, c_i, all zero at first: estimates of the
gradient of the common loss and of the client's. A client receives the model and c, adds c - c_i to
the gradient of every step, and sends back the model and by how much c_i has changed
(`hetsim.learn.ops.control`); so twice as much moves as in federated averaging, both ways. The
server's model becomes the mean, times a rate, and c moves with the mean of all clients' variates,
of which those that took no part have not changed.

Source: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic Controlled Averaging
for Federated Learning", ICML 2020, arXiv 1910.06378, algorithm 1 with option II; the correction
after each step is that of github.com/Xtra-Computing/NIID-Bench, and the division by participants
that of github.com/yusx-swapp/SPATL. All clients count the same, as in the source; where they count
by their samples, they do so in the model and in c alike (derived: so that c stays the gradient of
the loss that the mean descends on). Running statistics of batch normalisation have no variates and
are averaged, and what a client keeps of its variate takes no working memory between rounds
(assumed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Run
from hetsim.learn import ops
from hetsim.learn.ops import Divisor, Where
from hetsim.methods._sgd import Sgd, require
from hetsim.methods._weighted import Weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold(Weighted):
    """Local SGD with control variates.

    Attributes:
        server_lr: how far the server's model moves to the mean of the updates.
        strength: of the correction; 1 in the source, 0 for none.
        where: whether variates correct the gradient, as in the source, or the weights after each
            step, where momentum does not carry the correction on.
        divisor: how long a training of K steps is taken to be: limit, K / (1 - momentum); exact, as
            long as momentum has made it, which is less; steps, K, as the authors' codes have it.
        mean: of the changes of variates: over all clients, as in the source, or over participants,
            which moves c further.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"steps"})
    weighting: Literal["samples", "uniform"] = "uniform"
    server_lr: float = 1.0
    strength: float = 1.0
    where: Where = "gradient"
    divisor: Divisor = "limit"
    mean: Literal["clients", "participants"] = "clients"

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
        require(
            self.server_lr > 0.0,
            f"server_lr is {self.server_lr:g}", "Choose it above 0; 1 takes the mean.",
        )  # fmt: skip
        require(
            self.strength >= 0.0,
            f"strength is {self.strength:g}", "Choose 0 (no correction) or more.",
        )  # fmt: skip

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    async def server(self, run: Run) -> None:
        """Rounds of: select, let them train, average models, move c, report."""
        model = run.initial_model()
        shared = ops.zeros(model)
        run.has(run.server, shared)
        run.require(lambda client: self.work(client, model))
        able = [client for client in run.clients if not client.excluded]
        while run.going:
            replies = await run.cohort(self.client, model, shared)
            if replies:
                asked = [reply.client for reply in replies]
                updates, changes = zip(*(reply.value for reply in replies), strict=True)
                model = self._averaged(model, updates, self._shares(asked, asked))
                every = able if self.mean == "clients" else asked
                shares = self._shares(asked, every)
                shared = ops.combined([shared, *changes], [1.0, *shares])
                await run.server.compute(model)
                await run.server.compute(shared)
            await run.report(model)

    async def client(
        self, device: Client, model: Ref[Any], shared: Ref[Any]
    ) -> tuple[Ref[Any], Ref[Any]]:
        """Download model and c, train, upload the model and the change of c_i."""
        await device.download(model, shared)
        own = device.state.get(_OWN, ops.zeros(model))
        device.run.has(device, own)
        control = shared, own
        device.plan(self.work(device, model))
        update = await device.train(
            model, control=control, **self.steering, **self.at(device.asked)
        )
        own, change = ops.control(control, model, update, divisor=self.divisor)
        await device.compute(own)
        await device.compute(change)
        device.state[_OWN] = own
        await device.upload(update, change)
        return update, change

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training on the shard with variates, and what becomes of the client's own."""
        none = ops.zeros(model)
        control = none, none
        update = ops.train(
            model, client.data, control=control, seed=0, **self.steering, **self.training
        )
        own, change = ops.control(control, model, update)
        return update.cost + own.cost + change.cost

    @property
    def steering(self) -> dict[str, Any]:
        """How variates correct a training, as `ops.train` takes it."""
        return {"strength": self.strength, "where": self.where}

    def _averaged(
        self, model: Ref[Any], updates: Sequence[Ref[Any]], shares: Sequence[float]
    ) -> Ref[Any]:
        if self.server_lr == 1.0:
            return ops.mean(updates, shares)
        moved = [self.server_lr * share for share in shares]
        return ops.combined(
            [model, *updates], [1.0 - self.server_lr, *moved], shares=[0.0, *shares]
        )

    def _shares(self, asked: Sequence[Client], every: Sequence[Client]) -> list[float]:
        """What each of those asked weighs among others."""
        whole = sum(map(self.weigh, every))
        return [self.weigh(client) / whole for client in asked]


_OWN = "variate"
