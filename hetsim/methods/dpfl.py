"""Split learning in federated rounds: activations go up, their gradients come down.

A client computes its front part on a batch and sends the activations with the labels; the server
computes its back part for this client, takes a step, and returns the gradient of the activations,
with which the client takes its own. At the end of a round both parts are averaged over clients
(DNN-partitioning-based federated learning, DPFL; SplitFed of Thapa, Arachchige, Camtepe, Sun,
"SplitFed: When Federated Learning Meets Split Learning", AAAI 2022, its version 1).

What is learned is what FedAvg learns with the same settings, bit for bit; only where it is
computed, and what is sent, differ. So each client may have a cut of its own, and change it on the
way: with `fastest` or `thriftiest` the server chooses it (`hetsim.federation.splitting`), and may
leave a model whole. Methods whose front is frozen, or has a head of its own, keep one cut: the
front belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Run
from hetsim.federation.splitting import Aim, Offer, Splitting
from hetsim.learn import ops
from hetsim.methods._weighted import Weighted
from hetsim.sim.requests import Compute, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Dpfl(Weighted):
    """Vanilla split learning, a server model for each client.

    Attributes:
        cut: blocks of the model that the device keeps; or what they are chosen for, client by
            client: a short round, or few joules of the devices.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"stale", "gateways"})
    cut: int | Literal["fastest", "thriftiest"] = 2
    batch: int = 10
    lr: float = 0.01
    momentum: float = 0.9
    weighting: Literal["samples", "uniform"] = "uniform"

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    async def server(self, run: Run) -> None:
        """Rounds of: select, let them train, average, report."""
        model = run.initial_model()
        run.require(
            lambda client: self.work(client, model), lambda client: self._served(client, model)
        )
        splitting = None if isinstance(self.cut, int) else self._splitting(run, self.cut)
        while run.going:
            model = await run.average(self.client, model, splitting, weigh=self.weigh)
            await run.report(model)

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Both passes through the front; of the cut that needs least memory, if it is chosen."""
        if isinstance(self.cut, int):
            return self._front(client, model, self.cut)
        fronts = [self._front(client, model, cut) for cut in _cuts(model)]
        return min(fronts, key=lambda cost: cost.memory)

    async def client(
        self, device: Client, model: Ref[Any], splitting: Splitting | None
    ) -> Ref[Any]:
        """Download the front, exchange activations and gradients, upload the front."""
        if splitting:
            return await splitting.errand(device, model)
        assert isinstance(self.cut, int)
        hub, run, offer = device.hub, device.run, self._offer(device, model, self.cut)
        assert offer.back
        run.has(hub, offer.front, offer.back)
        await device.download(offer.front)
        device.watch(model)
        await Stream(stages=offer.stages, items=offer.items, window=1)
        await device.upload(offer.after)
        run.has(hub, offer.model)
        return offer.model

    # --- cuts -----------------------------------------------------------------------------------

    def _offer(self, device: Client, model: Ref[Any], cut: int) -> Offer:
        """The errand with this cut; behind the last block there is no server to work with."""
        if cut == ops.model_arch(model).blocks:
            update = ops.train(model, device.data, seed=device.order, **self.at(device.asked))
            stage = device.work(update, kind="train", needs=(model,))
            return Offer(
                front=model, back=None, after=update, model=update, stages=(stage,),
                items=update.arg("steps"),
            )  # fmt: skip
        hub, (front, back) = device.hub, ops.split(model, cut)
        both = ops.exchange(model, cut, device.data, seed=device.order, **self.at(device.asked))
        stages = (
            device.work(both.ahead, kind="forward", needs=(front,)),
            device.uplink(both.sent),
            hub.work(both.server, kind="train", needs=(back,), makes=both.back),
            device.downlink(both.returned),
            device.work(both.behind, kind="backward", makes=both.front),
        )
        return Offer(
            front=front, back=back, after=both.front, model=both.model, stages=stages,
            items=both.steps,
        )  # fmt: skip

    def _front(self, client: Client, model: Ref[Any], cut: int) -> Cost:
        """What the device computes with this cut."""
        if cut == ops.model_arch(model).blocks:
            return client.training_cost(model, **self.training)
        both = ops.exchange(model, cut, client.data, seed=0, **self.training)
        return both.ahead + both.behind

    def _served(self, client: Client, model: Ref[Any]) -> Cost:
        """What the server computes for a client; nothing if it may keep the model whole.

        A gateway in between may do it instead.
        """
        if client.gateway or not isinstance(self.cut, int):
            return Cost()
        return ops.exchange(model, self.cut, client.data, seed=0, **self.training).server

    def _splitting(self, run: Run, aim: Aim) -> Splitting:
        def offers(device: Client, model: Ref[Any]) -> Mapping[int, Offer]:
            """Every cut that fits into the memory of both; the first one, in vain, if none does."""
            every = {cut: self._offer(device, model, cut) for cut in _cuts(model)}
            fitting = {cut: offer for cut, offer in every.items() if _fits(run, offer)}
            return fitting or {1: every[1]}

        state = 2.0 if self.momentum else 1.0
        return Splitting(run, aim, offers, state=state)


def _cuts(model: Ref[Any]) -> range:
    """After how many blocks it may be cut; after all of them it is whole."""
    return range(1, ops.model_arch(model).blocks + 1)


def _fits(run: Run, offer: Offer) -> bool:
    """Whether the nodes can hold what an errand takes."""
    needs: dict[str, float] = {}
    for stage in offer.stages:
        if isinstance(stage, Compute):
            needs[stage.node] = needs.get(stage.node, 0.0) + stage.cost.memory
    return all(run.kernel.node(name).fits(size) for name, size in needs.items())
