"""The server's view of a run: whom to ask, how to wait, what to report.

A method is a server script and a client script over this view. What the learning plane computes
never touches the clock: a script holds lazy Refs, and only `Observe` turns one into a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped, HetsimError, si
from hetsim.core.quantities import Flops, Fraction, Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy, rng
from hetsim.core.trace import Progress
from hetsim.federation.client import Client, Server
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.sim.kernel import Kernel
from hetsim.sim.requests import Child, Gather, Observe, Outcome, Script, Sleep

T = TypeVar("T")


OnDrop = Literal["keep", "rollback"]
"""What a client that is dropped has afterwards as its state: what it has assigned by then, or what
it had when it last delivered."""


class Method(Protocol):
    """A federated learning method: its settings are its fields.

    A method whose clients keep state (`Client.state`) may have a class attribute `on_drop`, an
    `OnDrop`; without one, state is rolled back.
    """

    async def server(self, run: Run) -> None:
        """Play the whole run."""
        ...

    def work(self, client: Client, model: Ref[Any]) -> Cost | None:
        """What a round asks of a client that holds data; None if clients compute nothing."""
        ...


class Selection(Protocol):
    """Chooses a cohort from what a real server knows."""

    @property
    def cohort(self) -> int:
        """Clients a round."""
        ...

    def choose(
        self, candidates: Sequence[Client], count: int, rng: np.random.Generator
    ) -> list[Client]:
        """At most `count` of the candidates."""
        ...


class Pace(Protocol):
    """Decides how many are asked and how long the server waits."""

    async def collect(
        self, run: Run, script: Callable[..., Script[Any]], args: tuple[Any, ...]
    ) -> list[Reply[Any]]:
        """Ask a cohort and return the replies in time."""
        ...


class Workbench(Protocol):
    """The learning plane as a run needs it (`hetsim.learn.lab`).

    Attributes:
        asked: operations of all values that were to be computed so far.
        computed: those of them that are.
        read: values that came from a store instead.
        told: called whenever a value has been computed.
    """

    asked: Flops
    computed: Flops
    told: Callable[[], None]

    @property
    def read(self) -> int:
        """See above."""
        ...

    def want(self, ref: Ref[Any], *, keep: bool = False) -> None:
        """Its use is certain: compute it now or later, and store it if `keep`."""
        ...

    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]:
        """Values, computed by the time this returns."""
        ...

    def peek(self, ref: Ref[Any]) -> Any:
        """The value if it happens to be there, else None."""
        ...


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What one client delivered."""

    client: Client
    value: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """When a run ends: at the first of these.

    Attributes:
        rounds: server steps.
        accuracy: test accuracy, which the server then pays to measure.
        time: simulated time.
    """

    rounds: int
    accuracy: Fraction = inf
    time: Seconds = inf


class Run:
    """One run of a method.

    Attributes:
        clients: the whole fleet.
        server: the aggregating server.
        union: the data of all shards together.
        round: number of the round in progress, from 0.
        rows: finished rounds, as in `rounds.parquet`; scores are filled in at the end.
        model: the latest reported model.
    """

    def __init__(
        self,
        kernel: Kernel,
        lab: Workbench,
        server: Server,
        *,
        seed: int,
        selection: Selection,
        pace: Pace,
        stop: Stop,
        architecture: Architecture,
        test: Ref[Any],
        union: Ref[Any],
        evaluate_every: int = 1,
        on_drop: OnDrop = "rollback",
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.kernel, self.lab, self.server, self.seed = kernel, lab, server, seed
        self.selection, self.pace, self.stop = selection, pace, stop
        self.architecture, self._test, self.union = architecture, test, union
        self._every, self._progress = evaluate_every, progress
        self._on_drop: OnDrop = on_drop
        lab.told = self._show
        self.clients: list[Client] = []
        self.rows: list[dict[str, Any]] = []
        self.scores: dict[int, Ref[Any]] = {}
        self.model: Ref[Any] | None = None
        self.round = kernel.round = 0
        self._reached = False
        self._t0: Seconds = 0.0
        self._drawn: Joules = 0.0
        self._spans = 0
        self._participants = self._dropped = self._away = 0

    # --- what a method asks ---------------------------------------------------------------------

    @property
    def now(self) -> Seconds:
        """Simulated time."""
        return self.kernel.env.now

    @property
    def going(self) -> bool:
        """Whether there is a next round: no limit reached, and somebody left to ask."""
        if self.round >= self.stop.rounds or self._reached or self.now >= self.stop.time:
            return False
        if any(client.hopeful for client in self.clients):
            return True
        self.kernel.note(self.server.id, "end", "no client is left to ask")
        return False

    def initial_model(self) -> Ref[Any]:
        """The untrained model; the server has it from the start."""
        model = ops.initial(self.architecture, entropy(self.seed, "learn/initial") % 2**63)
        self.kernel.give(self.server.id, model)
        self.model = model
        return model

    def require(self, cost: Callable[[Client], Cost]) -> None:
        """Exclude every client whose memory cannot hold `cost(client)`, with the numbers.

        Raises:
            HetsimError: nobody is left.
        """
        for client in self.clients:
            if client.excluded:
                continue
            if client.shard is None:
                client.excluded = "holds no data"
                continue
            need = cost(client).memory
            if not client.node.fits(need):
                client.exclude(
                    "memory",
                    f"training needs {si(need)}B of memory; "
                    f"{si(client.node.memory.capacity)}B are available",
                )
        if not any(client.hopeful for client in self.clients):
            reasons = dict.fromkeys(
                f"{client.id}: {client.excluded or 'the battery is empty'}"
                for client in self.clients
            )
            shown = "\n    ".join(list(reasons)[:_SHOWN])
            raise HetsimError(
                f"no device can take part:\n    {shown}\n"
                "    Choose a smaller model or batch, or devices with more memory."
            )

    async def cohort(self, script: Callable[..., Script[T]], *args: Any) -> list[Reply[T]]:
        """Ask a cohort, as selection and pace decide, to play `script(client, *args)`."""
        return await self.pace.collect(self, script, args)

    async def select(self, count: int) -> list[Client]:
        """`count` clients, or all that are present if fewer are; none if none can ever come."""
        while any(client.hopeful for client in self.clients):
            candidates = [client for client in self.clients if client.present]
            if candidates:
                stream = rng(self.seed, "sim/selection", self.round)
                return self.selection.choose(candidates, count, stream)
            await Sleep(duration=_RETRY)
        return []

    async def gather(
        self,
        script: Callable[..., Script[T]],
        clients: Sequence[Client],
        *args: Any,
        deadline: Seconds = inf,
        first: float = inf,
    ) -> list[Reply[T]]:
        """Play `script(client, *args)` for all `clients`; replies of those that delivered."""
        children = tuple(
            Child(script=self._follow(client, script, args), node=client.id) for client in clients
        )
        outcomes: list[Outcome] = await Gather(children=children, deadline=deadline, first=first)
        replies: list[Reply[T]] = []
        self._participants += len(clients)
        for client, outcome in zip(clients, outcomes, strict=True):
            if outcome.dropped is None:
                client.rounds_done += 1
                replies.append(Reply(client, outcome.value))
            else:
                client.dropped[outcome.dropped.cause] += 1
                self._dropped += 1
        return replies

    async def report(self, model: Ref[Any]) -> None:
        """Close a round: `model` is the new server model.

        Its test accuracy is measured outside the simulated world, unless the run is to stop at an
        accuracy: then the server pays for the evaluation and observes it.
        """
        self.model = model
        self.lab.want(model)
        if self.stop.accuracy < inf:
            score = ops.evaluate(model, self._test)
            await self.server.compute(score, kind="evaluate", needs=(model,))
            [value] = await Observe((score,), self.server.id)
            self._reached = value["accuracy"] >= self.stop.accuracy
            self.scores[self.round] = score
        elif self.round % self._every == self._every - 1:
            self.scores[self.round] = ops.evaluate(model, self._test)
            self.lab.want(self.scores[self.round])
        self._close(model)

    def evaluate_last(self) -> None:
        """Measure the last round's model too, however the run came to its end."""
        if self.rows and self.round - 1 not in self.scores:
            assert self.model is not None
            self.scores[self.round - 1] = ops.evaluate(self.model, self._test)

    # --- bookkeeping ----------------------------------------------------------------------------

    async def _follow(
        self, client: Client, script: Callable[..., Script[T]], args: tuple[Any, ...]
    ) -> T:
        """Play a client's script and charge it what its node draws meanwhile."""
        before, state = client.node.drawn(self.now), dict(client.state)
        try:
            value = await script(client, *args)
        except Dropped:
            if self._on_drop == "rollback":
                client.state = state
            self._keep(client, state)
            raise
        finally:
            client.participated += client.node.drawn(self.now) - before
        self._keep(client, state)
        return value

    def _keep(self, client: Client, before: Mapping[str, Ref[Any]]) -> None:
        """What is new in a client's state lives on: its use is certain."""
        for name, ref in client.state.items():
            if ref is not before.get(name):
                self.lab.want(ref, keep=True)

    def _close(self, model: Ref[Any]) -> None:
        now = self.now
        energy = sum(node.drawn(now) for node in self.kernel.nodes.values())
        spans = self.kernel.trace.spans
        moved = {"upload": 0.0, "download": 0.0}
        for span in spans[self._spans :]:
            if span.kind in moved:
                moved[span.kind] += span.size
        row = {
            "round": self.round,
            "t0_s": self._t0,
            "t1_s": now,
            "model_version": model.key,
            "accuracy": None,
            "loss": None,
            "participants": self._participants,
            "dropped": self._dropped,
            "energy_j": energy - self._drawn,
            "bytes_up": moved["upload"],
            "bytes_down": moved["download"],
        }
        self.rows.append(row)
        self._t0, self._drawn, self._spans = now, energy, len(spans)
        self._participants = self._dropped = 0
        self._away = sum(not client.present for client in self.clients)
        self.round += 1
        self.kernel.round = self.round
        self._show()

    def _show(self) -> None:
        """Say how far the run is: at the end of a round, and whenever something was computed."""
        self._progress(
            Progress(
                round=self.round,
                rounds=self.stop.rounds,
                t=self._t0,
                energy=self._drawn,
                accuracy=self._latest_accuracy(),
                away=self._away,
                limit=self.stop.time,
                asked=self.lab.asked,
                computed=self.lab.computed,
                read=self.lab.read,
                early=self.stop.accuracy < inf,
            )
        )

    def _latest_accuracy(self) -> float | None:
        """The newest test accuracy that happens to be computed already."""
        for score in islice(reversed(self.scores.values()), _LAG):
            value = self.lab.peek(score)
            if value is not None:
                return float(value["accuracy"])
        return None


_SHOWN = 5
_LAG = 64
"""Scores by which learning may lag behind time until the progress shows none."""
_RETRY: Seconds = 10.0
"""How long a server waits before it looks again for clients that are present."""
