"""A client as a script sees it: a device, its shard of the data, and the verbs it pays for.

A client that is asked for a model may be told when it must have delivered. What it then does in
good time is its own affair (`Errand.late`): it trains for fewer steps, or it sends as many layers
as get through; a script need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from hetsim.core.cost import Cost
from hetsim.core.errors import CAUSES, Dropped, HetsimError
from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.core.trace import Participation
from hetsim.learn import ops
from hetsim.sim.forecast import forecast
from hetsim.sim.node import Node
from hetsim.sim.requests import Compute, Doze, Hold, Sleep, Transfer

if TYPE_CHECKING:
    from hetsim.federation.run import Run


Late = Literal["drop", "steps", "layers"]
"""What a client does that would be late: nothing about it; train for fewer steps; send what layers
get through."""


@dataclass(slots=True, kw_only=True, eq=False)
class Errand:
    """What a client is asked for, once.

    Attributes:
        participation: the book's entry.
        hub: who asks.
        again: how often it was asked in the same server step before.
        until: instant by which it must have delivered.
        late: what it does in order to be in time.
        reserve: how many times what its last upload took it keeps free for the next, when it is to
            train for fewer steps, or its governor plans.
        wave: who is asked together with it.
        sending: seconds that links would take for its first upload, if its governor plans.
        loss: mean loss on its shard of the model that it trains, if it is to be reported.
        layers: those that have arrived, where not all have.
    """

    participation: Participation
    hub: Hub
    again: int = 0
    until: Seconds = inf
    late: Late = "drop"
    reserve: float = 1.0
    wave: Wave | None = None
    sending: Seconds = 0.0
    loss: Ref[Any] | None = None
    layers: tuple[str, ...] | None = None


class Wave:
    """Clients that are asked together, as who has never heard from them must picture them.

    They send at once, over links that carry what they carry now: equal shares of what clients share
    are the least that one of them can have.
    """

    def __init__(self, run: Run, hub: Hub, clients: Sequence[Client]) -> None:
        self._run, self._hub, self._clients = run, hub, clients
        self._known: dict[Bytes, dict[str, Seconds]] = {}

    def sending(self, client: Client, size: Bytes) -> Seconds:
        """Until the client has sent so much; infinite while its way is down."""
        if size not in self._known:
            names = [each.id for each in self._clients]
            acts = [[_send(name, self._hub.id, size, "upload")] for name in names]
            ends = forecast(self._run.kernel, acts)
            self._known[size] = {name: end for name, [end] in zip(names, ends, strict=True)}
        return self._known[size][client.id]


class Host:
    """Abstract: what a script asks of a node, whoever it is."""

    __slots__ = ()

    node: Node

    @property
    def id(self) -> str:
        """Its name, that of its node."""
        return self.node.name

    def work(
        self,
        work: Ref[Any] | Cost,
        *,
        kind: str = "compute",
        needs: tuple[Ref[Any], ...] | None = None,
        makes: Ref[Any] | None = None,
    ) -> Compute:
        """Work here as a stage of a `Stream`, for all items together.

        Args:
            work: what to pay for.
            kind: what to call it in the trace.
            needs: what must be here; by default all inputs of a Ref.
            makes: what is here afterwards; a Ref itself.
        """
        return _work(self.id, work, kind, needs, makes=makes)

    async def hold(self, name: str, value: Ref[Any] | Bytes) -> None:
        """Keep memory for `value` under `name`, instead of what is held under it (`Hold`)."""
        await Hold(node=self.id, name=name, size=_size(value))

    async def let_go(self, name: str) -> None:
        """Hold nothing under `name` any more."""
        await Hold(node=self.id, name=name, size=0.0)

    def holds(self, name: str) -> bool:
        """Whether it holds something under `name`: it was not let go, nor lost with the power."""
        return name in self.node.memory.held


@dataclass(slots=True, eq=False)
class Client(Host):
    """One device of the federation.

    Attributes:
        node: its body in the time plane.
        index: position in the fleet.
        shard: its data, or None if it holds none.
        samples: size of the shard.
        gateway: who serves it between server and device, if anybody does.
        errand: what it is asked for at present.
        excluded: why it cannot take part, or "".
        rounds_done: updates it delivered.
        dropped: how often it was dropped, by cause.
        participated: joules it drew from its selections to its last needed acts.
        state: what it keeps from round to round, by name; a script reads and assigns it. Whether
            one that is dropped keeps what it has assigned is for the method to say
            (`Method.on_drop`). Values are in memory for as long as they are kept.
    """

    node: Node
    index: int
    shard: Ref[Any] | None
    samples: int
    run: Run
    gateway: Hub | None = None
    errand: Errand | None = None
    excluded: str = ""
    rounds_done: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    participated: Joules = 0.0
    state: dict[str, Ref[Any]] = field(default_factory=dict[str, Ref[Any]])
    _cached: str = ""
    _moving: Seconds = 0.0
    _sent: Seconds | None = None
    _times: tuple[int, int] = (-1, 0)

    @property
    def present(self) -> bool:
        """Whether it is there and may take part."""
        return not self.excluded and self.node.present

    @property
    def free(self) -> bool:
        """Whether it is present and not asked for anything at present."""
        return self.errand is None and self.present

    @property
    def hub(self) -> Hub:
        """Whom it receives from and sends to: who asks it, the server if nobody does."""
        return self.errand.hub if self.errand else self.run.server

    @property
    def hopeful(self) -> bool:
        """Whether it is present or may come back."""
        return not self.excluded and not self.node.lost

    def exclude(self, cause: str, reason: str) -> None:
        """Take it out of the federation for good, and say why."""
        self.excluded = reason
        self.dropped[cause] += 1
        self.run.kernel.note(self.id, cause, reason)

    async def download(self, *values: Ref[Any]) -> None:
        """Receive values from the hub at once, without a model that it has just evaluated."""
        self._foresee(_total(values))
        carries = tuple(value for value in values if value.key != self._cached)
        if not carries:
            return
        begun = self.run.now
        await Transfer(
            source=self.hub.id, target=self.id, size=_total(carries),
            kind="download", carries=carries,
        )  # fmt: skip
        self._moving = self._moving or self.run.now - begun
        self.hasten()

    async def upload(self, value: Ref[Any], *more: Ref[Any] | Bytes) -> None:
        """Send values to the hub at once, with the loss that is to be reported.

        Args:
            value: what it made, of which some layers may get through alone if nothing else is sent.
            more: what else it sends; its bytes, if nobody needs the value.
        """
        errand, begun = self.errand, self.run.now
        carries = (value, *(each for each in more if isinstance(each, Ref)))
        size, until = _total((value, *more)), inf
        if errand:
            if errand.loss:
                carries = (*carries, errand.loss)
                size += LOSS
            if errand.late == "layers":
                until = errand.until
        try:
            done = await Transfer(
                source=self.id, target=self.hub.id, size=size, kind="upload",
                carries=carries, until=until,
            )  # fmt: skip
        except Dropped as dropped:
            self.expect((self.run.now - begun) / max(dropped.progress, _LITTLE))
            raise
        self.expect((self.run.now - begun) / max(done, _LITTLE))
        if done < 1.0:
            assert errand
            errand.layers = ops.arrived(value, done)
            if not errand.layers:
                raise Dropped("deadline", done, "not one layer arrived in time")
            errand.participation.share = len(errand.layers) / len(ops.layers_of(value))
            self.run.kernel.hold(self.hub.id, carries)

    async def train(self, model: Ref[Any], **settings: Any) -> Ref[Any]:
        """Train `model` on the shard; `settings` as `ops.train`. Returns the lazy update."""
        errand, shard = self.errand, self.data
        update = ops.train(model, shard, seed=self.order, **settings)
        until = inf
        if errand:
            if self.run.selection.observes:
                errand.loss = ops.evaluate(model, shard)
            if errand.late == "steps":
                end = max(errand.until - self._behind(update), self.run.now)
                until = end - min(errand.reserve * self._moving, (end - self.run.now) / 2.0)
        self.hasten()
        needs = (model, *(settings.get("control") or ()))
        done = await compute(self.id, update, "train", needs, until)
        if done < 1.0:
            assert errand
            update = await self._cut_short(update, done, errand)
        if errand and errand.loss:
            self.run.kernel.hold(self.id, (errand.loss,))
        return update

    def _behind(self, training: Ref[Any]) -> Seconds:
        """How long it will compute after a training, if it has announced that (`plan`)."""
        rest = self.node.besides(training.cost)
        if not rest.operators:
            return 0.0
        [[end]] = forecast(self.run.kernel, [[self.work(rest)]])
        return end

    def plan(self, work: Cost) -> None:
        """Announce all that it will compute from now on in this errand.

        Its governor, if it is one that plans, then spreads the time until the deadline over all of
        it, and not over the next piece of work alone.
        """
        self.node.ahead = work

    def _foresee(self, size: Bytes) -> None:
        """Who has never uploaded is taken to send as much as it receives."""
        errand = self.errand
        if errand is None or errand.wave is None or errand.until == inf:
            return
        if self.node.plans and self._sent is None:
            errand.sending = max(errand.sending, errand.wave.sending(self, size))

    def hasten(self) -> None:
        """Let the governor know by when it should have computed, to deliver in time."""
        if errand := self.errand:
            sending = errand.sending if self._sent is None else self._sent
            kept = errand.reserve * sending if errand.reserve else 0.0
            self.node.deadline = errand.until - kept

    def at_ease(self) -> None:
        """Nobody waits for what it computes, and nothing is planned."""
        self.node.deadline, self.node.ahead = inf, Cost()

    def watch(self, model: Ref[Any]) -> None:
        """Let the hub know the mean loss of `model` on the shard, if the selection asks for it.

        It is a by-product of training on what the client sends with its labels (a back part, on
        activations). `train` reports a loss of its own.
        """
        if self.errand and self.run.selection.observes:
            self.errand.loss = ops.evaluate(model, self.data)
            self.run.has(self.hub, self.errand.loss)
            self.run.has(self, self.errand.loss)

    @property
    def asked(self) -> int:
        """The round in which it was asked for what it does; the present one, if it was not."""
        return self.errand.participation.round if self.errand else self.run.round

    @property
    def order(self) -> int:
        """Seed of the order of its samples, another one each time it is asked."""
        number: tuple[int, ...] = (self.asked,)
        if self.errand and self.errand.again:
            number = (self.asked, self.errand.again)
        return entropy(self.run.seed, "learn/batches", self.id, *number)

    async def _cut_short(self, update: Ref[Any], done: Fraction, errand: Errand) -> Ref[Any]:
        """The training of the steps that were done in time; of one, if it can still be done."""
        asked: int = update.arg("steps")
        steps = int(done * asked + _WHOLE)
        if not steps:
            rest = update.cost * (1.0 / asked - done)
            if await compute(self.id, rest, "train", update.inputs[:1], errand.until) < 1.0:
                raise Dropped("deadline", done, "not one step was done in time")
            steps = 1
        update = ops.truncate(update, steps)
        errand.participation.share = steps / asked
        self.run.kernel.hold(self.id, (update,))
        return update

    async def tell_loss(self, model: Ref[Any]) -> Ref[Any]:
        """Receive `model`, evaluate it on the shard and report its loss."""
        await self.download(model)
        self._cached = model.key
        score = ops.evaluate(model, self.data)
        await self.compute(score, kind="evaluate", needs=(model,))
        await Transfer(
            source=self.id, target=self.run.server.id, size=LOSS, kind="upload", carries=(score,)
        )
        return score

    def times(self, round: int) -> int:
        """How often it was asked in this server step before; counts this time."""
        last, times = self._times
        self._times = (round, times + 1) if last == round else (round, 1)
        return times if last == round else 0

    def expect(self, seconds: Seconds) -> None:
        """The next upload will take what this one took, or would have taken."""
        self._moving = self._sent = seconds

    def forget(self) -> None:
        """Keep no model from one errand to the next."""
        self._cached = ""

    def training_cost(self, model: Ref[Any], **settings: Any) -> Cost:
        """Work of `train` with these settings."""
        return ops.train(model, self.data, seed=0, **settings).cost

    @property
    def data(self) -> Ref[Any]:
        """Its shard.

        Raises:
            HetsimError: it holds no data.
        """
        if self.shard is None:
            raise HetsimError(
                f"{self.id} holds no data to train on\n"
                "    Let the method call `run.require(...)` before its first round, which excludes "
                "such clients."
            )
        return self.shard

    async def compute(
        self,
        work: Ref[Any] | Cost,
        *,
        kind: str = "compute",
        needs: tuple[Ref[Any], ...] | None = None,
    ) -> None:
        """Do work here; a Ref is held afterwards."""
        self.hasten()
        await compute(self.id, work, kind, needs)

    def uplink(self, value: Ref[Any] | Bytes) -> Transfer:
        """Sending to the hub as a stage of a `Stream`, for all items together."""
        return _send(self.id, self.hub.id, value, "upload")

    def downlink(self, value: Ref[Any] | Bytes) -> Transfer:
        """Receiving from the hub as a stage of a `Stream`, for all items together."""
        return _send(self.hub.id, self.id, value, "download")

    async def sleep(self, duration: Seconds) -> None:
        """Do nothing."""
        await Sleep(duration=duration)

    async def doze(self) -> None:
        """Draw sleep power from now on, until it is to compute, send or receive (`Doze`)."""
        await Doze(node=self.id)


LOSS: Bytes = 8.0
"""Of a reported loss, a float64."""
_LITTLE: Fraction = 0.1
"""Share of an upload below which nobody can tell how long the rest would have taken."""
_WHOLE = 1e-9
"""By how much of a step less one counts as done: rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Hub(Host):
    """Who asks clients and averages what they deliver: the server, or a gateway."""

    node: Node

    async def compute(
        self,
        work: Ref[Any] | Cost,
        *,
        kind: str = "aggregate",
        needs: tuple[Ref[Any], ...] | None = None,
    ) -> None:
        """Do work here; a Ref is held afterwards."""
        await compute(self.id, work, kind, needs)


def _total(values: tuple[Ref[Any] | Bytes, ...]) -> Bytes:
    return float(sum(map(_size, values)))


def _size(value: Ref[Any] | Bytes) -> Bytes:
    return float(value.nbytes) if isinstance(value, Ref) else value


async def compute(
    node: str,
    work: Ref[Any] | Cost,
    kind: str,
    needs: tuple[Ref[Any], ...] | None,
    until: Seconds = inf,
) -> Fraction:
    """Pay for `work` on `node`; it must hold `needs`, by default all inputs of a Ref."""
    return await _work(node, work, kind, needs, until)


def _work(
    node: str,
    work: Ref[Any] | Cost,
    kind: str,
    needs: tuple[Ref[Any], ...] | None,
    until: Seconds = inf,
    makes: Ref[Any] | None = None,
) -> Compute:
    if isinstance(work, Ref):
        needs = work.inputs if needs is None else needs
        work, makes = work.cost, work
    return Compute(node=node, cost=work, kind=kind, needs=needs or (), makes=makes, until=until)


def _send(source: str, target: str, value: Ref[Any] | Bytes, kind: str) -> Transfer:
    carries = (value,) if isinstance(value, Ref) else ()
    return Transfer(source=source, target=target, size=_size(value), kind=kind, carries=carries)
