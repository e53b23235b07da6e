"""SPATL: clients share an encoder, keep a predictor of their own, and send what matters most.

The first blocks of the model are the encoder, the others a predictor that never leaves its client:
both are trained together, from the server's encoder and the client's own predictor. Control
variates of the encoder correct each step (`hetsim.learn.ops.control`). Then the client looks for
the output channels that matter most, and sends those alone, of the encoder and of the change of its
variate, with a bitmap that says which they are. The server takes the mean of each channel over
those who sent it.

So the server sends the encoder and its variate c, and with the first of them the initial predictor
and the trained agent; a client sends channels of the encoder, the bitmap, and the same channels of
the change of its variate c_i. Who is dropped keeps what it has received, and the predictor and c_i
that it had. Channels are chosen by the norms of their weights (uniform: the same
share of every layer; greedy: as many of all layers as leave a share of the operations away), or by
an agent that tries what accuracy is left (`hetsim.methods._salient`).

Source: Yu, Nguyen, Abebe, Qian, Anwar, Jannesari, "SPATL: Salient Parameter Aggregation and
Transfer Learning for Heterogeneous Federated Learning", SC 2022, arXiv 2111.14345, and its code
(github.com/yusx-swapp/SPATL), whose settings are `stem: false, selection: agent, episodes: 30,
pretraining: 0, zeros: true, strength: 0.01, momentum: 0.9, where: step, divisor: steps, mean:
participants`. The code judges by the test data, which nobody has here, and takes the whole
difference c - c_i out of a new variate, however weak the correction was; here it is what was added.
Reconstructed: the index-wise mean (derived); that a client takes over of its variate what it has
sent of it, so that c stays the mean of all.

The accuracy of a round is the mean, over the clients that can take part, of the server's encoder
with their predictors; those who never took part have the initial one, and so has the server's own
model. It is measured outside the simulated world; a run that is to stop at an accuracy has the
server pay for measuring it, as if it had their predictors (assumed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.foresight import Errand
from hetsim.federation.run import Demand, OnDrop, Reply, Run
from hetsim.learn import ops
from hetsim.learn.ops import Divisor, Where
from hetsim.methods._division import Division
from hetsim.methods._salient import Salient
from hetsim.methods._sgd import require
from hetsim.sim.requests import Observe

_VARIATE, _AGENT = "variate", "agent"
Sent = tuple[Ref[Any], Ref[Any] | None]
"""What a client has sent: channels of its encoder, and of the change of its variate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spatl(Salient):
    """Local SGD on a shared encoder and private predictors.

    Attributes:
        cut: blocks of the model up to the predictor; left out, all but the last one.
        stem: whether the first block is in the encoder, or stays at the client like the predictor.
        private: whether predictors stay at their clients; if not, the whole model is shared, and
            channels are chosen in the encoder only.
        control: whether variates correct each step.
        strength: of the correction.
        where: whether they correct the gradient, or the weights after each step.
        divisor: how long a training is taken to be: exact, with momentum; limit, what that is in a
            long training; steps, its number of steps.
        mean: of the changes of variates: over all clients or over participants.
        zeros: whether the mean counts the weights of channels that were not sent as zeros.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"steps"})
    on_drop: ClassVar[OnDrop] = "keep"
    cut: int | None = None
    stem: bool = True
    private: bool = True
    control: bool = True
    strength: float = 1.0
    where: Where = "gradient"
    divisor: Divisor = "limit"
    mean: Literal["clients", "participants"] = "clients"
    zeros: bool = False

    def __post_init__(self) -> None:
        Salient.__post_init__(self)
        require(self.strength >= 0.0, f"strength is {self.strength:g}", "Choose 0 or more.")
        require(
            self.stem or self.private,
            "the stem is to stay at the client, and the predictor is not",
            "Choose `private: true`, or let the stem be shared (`stem: true`).",
        )

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    async def server(self, run: Run) -> None:
        """Rounds of: select, let them train and send, average, move c, report."""
        world = self.world(run)
        shared, common = world.shared, ops.zeros(world.shared)
        run.has(run.server, shared, common, *world.given.values())
        run.require(lambda client: self.work(client, world.model))
        able = [client for client in run.clients if not client.excluded]
        world.keeps.update(self.keeps(run, able, self._errand))
        while run.going:
            replies = await run.cohort(self.client, shared, common)
            if replies:
                shared, common = await self._merged(run, shared, common, replies, able)
            model = world.division.joined(shared, world.own)
            models = {client: world.model_of(client, shared) for client in able}
            used = list(models.values()) if self.private else []
            run.has(run.server, model, *used)
            await run.report(model, used=used, views=partial(_views, run, models))

    async def client(self, device: Client, shared: Ref[Any], common: Ref[Any]) -> Sent:
        """Download what is shared, train it with what is not, choose channels, upload them."""
        run, world = device.run, self.world(device.run)
        lacking = {name: each for name, each in world.given.items() if name not in device.state}
        await device.download(shared, *([common] if self.control else []), *lacking.values())
        device.state |= lacking
        model = world.model_of(device, shared)
        variate = device.state.get(_VARIATE, ops.zeros(shared))
        run.has(device, model, variate)
        device.plan(self.work(device, model))
        control = common, variate
        update = await device.train(model, **self._steering(control), **self.at(device.asked))
        trained, own = world.division.parted(update)
        run.has(device, trained, *own.values())
        change = None
        if self.control:
            own[_VARIATE], change = ops.control(control, model, update, divisor=self.divisor)
            await device.compute(own[_VARIATE])
            await device.compute(change)
        message, moved = await self._chosen(device, update, trained, change)
        if moved and moved is not change:
            own[_VARIATE] = ops.channel_step(variate, [moved], [1.0])
            await device.compute(own[_VARIATE])
        await device.upload(message, *([moved] if moved else []))
        device.state |= own
        return message, moved

    async def _chosen(
        self,
        device: Client,
        update: Ref[Any],
        trained: Ref[Any],
        change: Ref[Any] | None,
    ) -> Sent:
        """What is sent of the encoder and of the change of the variate."""
        agent = device.state.get(_AGENT)
        world = self.world(device.run)
        selection = self.choice(
            device, update, world.encoder, world.keeps[device], agent, device.order
        )
        if selection is None:
            return trained, change
        needs = (update,) if agent is None else (update, agent)
        await device.compute(selection, kind="select", needs=needs)
        found = (await Observe((selection,), device.id))[0] if self.observes else None
        numbers = ops.counted(selection, found)
        message = ops.masked(trained, selection, numbers)
        await device.compute(message)
        if change is None:
            return message, None
        moved = ops.masked(change, selection, numbers, variate=True)
        await device.compute(moved)
        return message, moved

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training on the shard, with variates, and the choice of channels, as if it kept all."""
        world = self.world(client.run)
        shared, _ = world.division.parted(model)
        none = ops.zeros(shared)
        steering = self._steering((none, none))
        update = ops.train(model, client.data, seed=0, **steering, **self.training)
        total, change = update.cost, None
        if self.control:
            variate, change = ops.control((none, none), model, update, divisor=self.divisor)
            total = total + variate.cost + change.cost
        selection = self.choice(client, model, world.encoder, 1.0, world.given.get(_AGENT), 0)
        if selection is None:
            return total
        every = ops.counted(ops.salient(model, world.encoder, keep=1.0))
        total = total + selection.cost + ops.masked(shared, selection, every).cost
        if change is not None:
            moved = ops.masked(change, selection, every, variate=True)
            total = total + moved.cost + ops.channel_step(none, [moved], [1.0]).cost
        return total

    def _errand(self, client: Client, keep: Fraction) -> Errand:
        """What a client does in a round in which it keeps a share of the channels."""
        world = self.world(client.run)
        variate = ops.zeros(world.shared)
        selection = ops.salient(world.model, world.encoder, keep=keep)
        numbers = ops.counted(selection)
        down, up = world.shared.nbytes, ops.masked(world.shared, selection, numbers).nbytes
        if self.control:
            down += variate.nbytes
            up += ops.masked(variate, selection, numbers, variate=True).nbytes
        work = client.work(self.work(client, world.model))
        return client.downlink(down), work, client.uplink(up)

    def world(self, run: Run) -> World:
        """What a run begins with."""
        world: World = run.own.get(World) or run.own.setdefault(World, self._begin(run))
        return world

    def _begin(self, run: Run) -> World:
        model = run.initial_model()
        whole = ops.model_arch(model)
        division = Division.of(whole, self.cut, stem=self.stem, private=self.private)
        shared, own = division.parted(model)
        encoder = division.encoder(whole)
        given = dict(own)
        if self.pretrained:
            source = run.source_model()
            given[_AGENT] = self.trained_agent(
                run, source, division.encoder(ops.model_arch(source))
            )
        return World(division, encoder, model, shared, own, given, {})

    async def _merged(
        self,
        run: Run,
        shared: Ref[Any],
        common: Ref[Any],
        replies: Sequence[Reply[Sent]],
        able: Sequence[Client],
    ) -> tuple[Ref[Any], Ref[Any]]:
        """The new encoder and the new c."""
        asked = [reply.client for reply in replies]
        messages = [reply.value[0] for reply in replies]
        changes = [reply.value[1] for reply in replies if reply.value[1]]
        weights = [self.weigh(client) for client in asked]
        whole = sum(map(self.weigh, able if self.mean == "clients" else asked))
        shares = [weight / whole for weight in weights]
        if self.selection == "none":
            shared = ops.mean(messages, weights)
        else:
            shared = ops.channel_mean(shared, messages, weights, zeros=self.zeros)
        await run.server.compute(shared)
        if changes:
            common = (
                ops.combined([common, *changes], [1.0, *shares])
                if self.selection == "none"
                else ops.channel_step(common, changes, shares)
            )
            await run.server.compute(common)
        return shared, common

    def _steering(self, control: tuple[Ref[Any], Ref[Any]]) -> dict[str, Any]:
        """How variates correct a training, as `ops.train` takes it."""
        if not self.control:
            return {}
        return {"control": control, "strength": self.strength, "where": self.where}


def _views(run: Run, models: Mapping[Client, Ref[Any]]) -> Mapping[str, Ref[Any]]:
    """How good clients' models are for the clients themselves."""
    return {"own labels": run.local(models)}


@dataclass(frozen=True, slots=True)
class World:
    """What a run begins with.

    Attributes:
        division: which part of the model is shared.
        encoder: the part in which channels are chosen.
        model: the initial one.
        shared: what is shared of it.
        own: what is not, by name.
        given: what a client receives once, by name: that, and the agent.
        keeps: share of the channels that each client keeps, by `uniform`.
    """

    division: Division
    encoder: ops.Architecture
    model: Ref[Any]
    shared: Ref[Any]
    own: dict[str, Ref[Any]]
    given: dict[str, Ref[Any]]
    keeps: dict[Client, Fraction]

    def model_of(self, client: Client, shared: Ref[Any]) -> Ref[Any]:
        """The client's model with what is shared."""
        own = {name: client.state.get(name, each) for name, each in self.own.items()}
        return self.division.joined(shared, own)
