"""EcoFed: the device's part is pre-trained and frozen, and its activations are used again.

No gradient comes back and no device model is sent: a device only computes its part, forward, and
sends quantised activations. They stay valid, for the part never changes; so devices send in every
`period`-th round only, and in the others the server trains on activations that it has kept, of any
clients that have ever sent some, while all devices rest.

Source: Wu, Ullah, Rodgers, Kilpatrick, Spence, Varghese, "EcoFed: Efficient Communication for DNN
Partitioning-based Federated Learning", IEEE TPDS 35(3), 2024, arXiv 2304.05495; where the article
is silent, its code (github.com/blessonvar/EcoFed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy, rng
from hetsim.federation.client import Client
from hetsim.federation.run import OnDrop, Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd, require
from hetsim.methods._split import Split
from hetsim.sim.requests import Child, Gather, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class EcoFed(Split):
    """Split learning on a frozen, pre-trained front.

    Attributes:
        period: rounds from one in which devices send to the next; in the others the server replays.
        bits: of an activation, 8 (quantised) or 32.
        pretraining: what starts pre-trained: the front alone; every layer but the classifier
            (holistic); or nothing, so that a random front is frozen.
        buffer: of how many clients the server keeps the activations, those that sent last; left
            out, of all.
        sleep: whether a device that has sent draws sleep power until it is asked again.
    """

    pretrained: ClassVar[bool] = True
    on_drop: ClassVar[OnDrop] = "keep"
    period: int = 2
    bits: Literal[8, 32] = 8
    pretraining: Literal["device", "holistic", "none"] = "device"
    buffer: int | None = None
    sleep: bool = True

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
        require(self.period >= 1, f"period is {self.period}", "Choose 1 (never replay) or more.")
        require(
            self.buffer is None or self.buffer >= 1,
            f"buffer is {self.buffer}", "Keep the activations of 1 client or more.",
        )  # fmt: skip

    async def server(self, run: Run) -> None:
        """Rounds of new activations, and between them of kept ones."""
        model = self.start(run)
        front, back = ops.split(model, self.cut)
        run.has(run.server, front, back)
        run.require(
            lambda client: self.work(client, model),
            lambda client: self.fitted(back, self.sent(front, client, 0), 0).cost,
        )
        kept: dict[str, Ref[Any]] = {}
        while run.going:
            if run.round % self.period == 0 or not kept:
                replies = await run.cohort(self.client, front, back, kept)
                found = [(reply.value, reply.client.samples) for reply in replies]
            else:
                found = await self.replay(run, back, kept)
            if found:
                back = await self.mean(run, *zip(*found, strict=True))
            await run.report(ops.join(front, back))

    def start(self, run: Run) -> Ref[Any]:
        """The first server model."""
        match self.pretraining:
            case "device":
                return run.pretrained_model(self.cut)
            case "holistic":
                return run.pretrained_model()
            case "none":
                return run.initial_model()

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """One pass through the front, forward."""
        front, _ = ops.split(model, self.cut)
        return self.sent(front, client, 0).cost

    def sent(self, front: Ref[Any], device: Client, seed: int) -> Ref[Any]:
        """What a device sends, with its samples in the order of a seed."""
        return ops.activations(front, device.data, batch=self.batch, bits=self.bits, seed=seed)

    def fitted(self, back: Ref[Any], activations: Ref[Any], seed: int, number: int = 0) -> Ref[Any]:
        """A back part after training on these in round `number`.

        The seed is of what the model draws by itself.
        """
        settings = {name: value for name, value in self.at(number).items() if name != "batch"}
        return ops.fit(back, activations, seed=seed, **settings)

    async def client(
        self, device: Client, front: Ref[Any], back: Ref[Any], kept: dict[str, Ref[Any]]
    ) -> Ref[Any]:
        """Send activations, on which the server trains a back part as they come."""
        if device.state.get("front") is not front:
            await device.download(front)
            device.state["front"] = front
        activations = self.sent(front, device, device.order)
        tail = self.fitted(back, activations, device.order, device.asked)
        device.watch(ops.join(front, back))
        await Stream(
            stages=(
                device.work(activations, kind="forward", needs=(front,)),
                device.uplink(activations),
                device.hub.work(tail, kind="train"),
            ),
            items=activations.arg("steps"),
            window=self.window,
        )
        await self.keep(device, activations, kept)
        if self.sleep:
            await device.doze()
        return tail

    async def keep(self, device: Client, activations: Ref[Any], kept: dict[str, Ref[Any]]) -> None:
        """Let the server keep what has arrived instead of what this device, or the oldest, sent."""
        kept.pop(device.id, None)
        while self.buffer is not None and len(kept) >= self.buffer:
            oldest = next(iter(kept))
            del kept[oldest]
            await device.run.server.let_go(_place(oldest))
        await device.run.server.hold(_place(device.id), activations)
        kept[device.id] = activations

    async def replay(
        self, run: Run, back: Ref[Any], kept: Mapping[str, Ref[Any]]
    ) -> list[tuple[Ref[Any], int]]:
        """Train on activations of as many clients as a cohort has, drawn from all that are kept.

        Where fewer are kept than that, some are drawn again. Returns the back parts, each with the
        samples that it was trained on.
        """
        able = sum(not client.excluded for client in run.clients)
        names, count = sorted(kept), min(run.selection.cohort, able)
        draw = rng(run.seed, "sim/replay", run.round)
        drawn = draw.choice(len(names), size=count, replace=len(names) < count)
        sources = [kept[names[index]] for index in drawn.tolist()]
        seeds = [
            entropy(run.seed, "learn/batches", "replay", run.round, slot) for slot in range(count)
        ]
        tails = [self.fitted(back, *each, run.round) for each in zip(sources, seeds, strict=True)]
        await Gather(
            children=tuple(
                Child(script=run.server.compute(tail, kind="train"), node=run.server.id)
                for tail in tails
            )
        )
        return [(tail, of.arg("samples")) for tail, of in zip(tails, sources, strict=True)]


def _place(client: str) -> str:
    return f"activations of {client}"
