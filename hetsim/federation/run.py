"""The server's view of a run: whom to ask, how to wait, what to report.

A method is a server script and a client script over this view. What the learning plane computes
never touches the clock: a script holds lazy Refs, and only `Observe` turns one into a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import inf
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

from hetsim.core.cost import Cost
from hetsim.core.errors import Cause, Dropped, HetsimError, si
from hetsim.core.quantities import Bytes, Flops, Fraction, Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy, rng
from hetsim.core.trace import Participation, Progress
from hetsim.federation.client import Client, Errand, Host, Hub, Late, Wave
from hetsim.federation.pretraining import Pretraining
from hetsim.federation.roster import Poller, Roster, Selection, Situation
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.sim.kernel import Kernel
from hetsim.sim.node import Node
from hetsim.sim.presence import OFF_CHARGER
from hetsim.sim.requests import Child, Gather, Observe, Outcome, Script, Sleep
from hetsim.sim.sunlight import DAY

T = TypeVar("T")


OnDrop = Literal["keep", "rollback"]
"""What a client that is dropped has afterwards as its state: what it has assigned by then, or what
it had when it last delivered."""


Demand = Literal["stale", "steps", "layers", "gateways"]
"""What a pace may ask of a method: to take in updates that started from older models, updates of
fewer steps, updates of which only some layers have arrived, models that gateways have averaged."""

Asked = Callable[..., Script[Any]]
"""The client script of a method: `script(client, *args)`."""
Weigh = Callable[[Client], float]
"""What a client's update weighs in a mean."""
Within = Callable[[Sequence[Client]], Seconds]
"""How many seconds those who are asked together have."""


def anybody(client: Client) -> bool:
    """Whoever is there may be asked."""
    del client
    return True


class Method(Protocol):
    """A federated learning method: its settings are its fields.

    A method whose clients keep state (`Client.state`) may have a class attribute `on_drop`, an
    `OnDrop`; without one, state is rolled back. A method whose clients train a model that the
    server averages (`Run.average`) may have a class attribute `accepts`, the `Demand`s that it
    meets; without one it meets none, and runs at the paces that demand nothing. A method that
    starts from pre-trained parts (`Run.pretrained_model`, `Run.source_model`) says so with an
    attribute `pretrained` that is true: its runs then have a source, whether or not the topology
    names one. One that looks at learned values says so by an attribute `observes`; cost-only runs
    refuse it. One that has enough after some rounds, however many there may be, says how many by an
    attribute `rounds`, for whoever asks what a run would take.
    """

    async def server(self, run: Run) -> None:
        """Play the whole run."""
        ...

    def work(self, client: Client, model: Ref[Any]) -> Cost | None:
        """What a round asks of a client that holds data; None if clients compute nothing."""
        ...


class Pace(Protocol):
    """Settings of how many are asked and how long the server waits.

    One that looks at learned values says so by an attribute `observes`; cost-only runs refuse it.
    One whose server steps are other than to ask one cohort and to take in all it delivers may say
    how many it asks and takes in of those who are able to, if nobody is late or lost:
    `updates(cohort, able) -> (asked, taken)`.
    """

    @property
    def demands(self) -> frozenset[Demand]:
        """What a method must meet."""
        ...

    def begin(self, run: Run) -> Coordinator:
        """The pace of one run."""
        ...


class Coordinator(Protocol):
    """A pace in one run.

    Attributes:
        side_by_side: whether each server step asks all those at once whose updates it takes in.
    """

    side_by_side: bool

    async def cohort(self, script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        """Ask a cohort and return the replies in time; the method meets what the pace demands."""
        ...

    async def average(
        self, script: Asked, model: Ref[Any], args: tuple[Any, ...], weigh: Weigh
    ) -> Ref[Any]:
        """Ask for updates of `model`, wait, average and pay for it; `model` if there is none."""
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

    def scoring(self, ref: Ref[Any], step: int) -> None:
        """It is how good the server's model is after this server step: a surrogate may know."""
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
    """What one client delivered.

    Attributes:
        client: who.
        value: what its script returned.
        participation: the book's entry.
        model: what it started from, the first argument of its script, if that is a model.
        layers: those that have arrived; None for all.
        loss: the loss that it reported, not observed yet.
    """

    client: Client
    value: T
    participation: Participation
    model: Ref[Any] | None = None
    layers: tuple[str, ...] | None = None
    loss: Ref[Any] | None = None


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
        gateways: what stands between it and the devices, if anything.
        union: the data of all shards together.
        round: number of the round in progress, from 0.
        rows: finished rounds, as in `rounds.parquet`; scores are filled in at the end.
        scores: of the model, by round.
        views: scores of views of it, by round and name, if they are wanted.
        model: the latest reported model.
        own: what the method keeps of this run for itself.
    """

    def __init__(
        self,
        kernel: Kernel,
        lab: Workbench,
        server: Hub,
        *,
        seed: int,
        selection: Selection,
        pace: Pace,
        stop: Stop,
        architecture: Architecture,
        test: Ref[Any],
        union: Ref[Any],
        evaluate_every: int = 1,
        score_views: bool = False,
        on_drop: OnDrop = "rollback",
        pretraining: Pretraining | None = None,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.kernel, self.lab, self.server, self.seed = kernel, lab, server, seed
        self.selection, self.stop = selection, stop
        self.gateways: list[Hub] = []
        self._pace, self._chooser = pace, selection.begin()
        self.architecture, self._test, self.union = architecture, test, union
        self._every, self._progress = evaluate_every, progress
        self._score_views = score_views
        self._on_drop: OnDrop = on_drop
        self._pretraining = pretraining
        lab.told = self._show
        self.clients: list[Client] = []
        self.rows: list[dict[str, Any]] = []
        self.scores: dict[int, Ref[Any]] = {}
        self.views: dict[tuple[int, str], Ref[Any]] = {}
        self.model: Ref[Any] | None = None
        self.own: dict[object, Any] = {}
        self._said: (
            tuple[Sequence[Ref[Any]], Callable[[], Mapping[str, Ref[Any]]] | None] | None
        ) = None
        self.round = kernel.round = 0
        self._reached = False
        self._t0: Seconds = 0.0
        self._drawn: Joules = 0.0
        self._spans = 0
        self._participants = self._dropped = self._away = 0
        self._choices = 0
        self._passed: set[Client] = set()
        self._since: Seconds = inf
        self._unheard: list[Reply[Any]] = []
        self._within: Within | None = None

    # --- what a method asks ---------------------------------------------------------------------

    @property
    def now(self) -> Seconds:
        """Simulated time."""
        return self.kernel.env.now

    @property
    def deadline(self) -> Seconds:
        """Seconds that the pace gives whoever is asked; infinite if it does not say."""
        given: Seconds = getattr(self._pace, "deadline", inf)
        return given

    @property
    def going(self) -> bool:
        """Whether there is a next round: no limit reached, and somebody left to ask."""
        if self.round >= self.stop.rounds or self._reached or self.now >= self.stop.time:
            return False
        if self.hope():
            return True
        self.kernel.note(self.server.id, "end", "no client is left to ask")
        return False

    def initial_model(self, architecture: Architecture | None = None) -> Ref[Any]:
        """The untrained model; the server has it from the start.

        Args:
            architecture: of the model; by default the task's.
        """
        seed = entropy(self.seed, "learn/initial") % 2**63
        model = ops.initial(architecture or self.architecture, seed)
        self.kernel.give(self.server.id, model)
        self.model = model
        return model

    def pretrained_model(self, blocks: int | None = None) -> Ref[Any]:
        """The model with pre-trained layers; the server has it from the start.

        Its other layers are those of `initial_model`. Nobody pays for the pre-training.

        Args:
            blocks: how many of the first blocks are pre-trained; None for all layers but the
                classifier, which is never taken over: the source may have other classes.

        Raises:
            SpecError: the task's model has no such layers in common with what was pre-trained.
        """
        model = ops.transfer(self.initial_model(), self.source_model(), blocks=blocks)
        self.kernel.give(self.server.id, model)
        self.model = model
        return model

    def source_model(
        self, architecture: Architecture | None = None, classes: Sequence[int] = ()
    ) -> Ref[Any]:
        """A whole model that knows the source and its classes; the server has it from the start.

        Nobody pays for the pre-training, and runs over one store share it.

        Args:
            architecture: kind of model; by default the task's. Samples and labels are the source's.
            classes: labels of the source that it is pre-trained on; by default all.

        Raises:
            HetsimError: the method has not said that it starts from pre-trained parts.
            SpecError: the source has no such classes, or there are no published weights.
        """
        if self._pretraining is None:
            raise _no_source()
        model = self._pretraining.model(architecture or self.architecture, classes)
        self.kernel.give(self.server.id, model)
        self.lab.want(model, keep=True)
        return model

    def source_samples(self, count: int) -> Ref[Any]:
        """The first `count` samples of the source, or all, which the server has from the start.

        Raises:
            SpecError: there are none, or the task's models cannot take them.
        """
        if self._pretraining is None:
            raise _no_source()
        return self._pretraining.samples(count)

    def require(
        self,
        cost: Callable[[Client], Cost],
        server: Callable[[Client], Cost] = lambda client: Cost(),
    ) -> None:
        """Exclude every client whose memory cannot hold `cost(client)`, with the numbers.

        Args:
            cost: what is asked of a client.
            server: what the server does for it meanwhile; one for which its memory is too small is
                excluded too.

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
            self.roster.need(client, need)
            if not client.node.fits(need):
                client.exclude(
                    "memory",
                    f"training needs {si(need)}B of memory; "
                    f"{si(client.node.memory.capacity)}B are available",
                )
                continue
            need = server(client).memory
            if not self.server.node.fits(need):
                client.exclude(
                    "memory",
                    f"training on the server for it needs {si(need)}B of memory there; "
                    f"{si(self.server.node.memory.capacity)}B are available",
                )
        if not any(client.hopeful for client in self.clients):
            reasons = dict.fromkeys(
                f"{client.id}: {client.excluded or 'the battery is empty'}"
                for client in self.clients
            )
            shown = "\n    ".join(list(reasons)[:_SHOWN])
            raise HetsimError(
                f"no device can take part:\n    {shown}\n"
                "    Choose a smaller model or batch, devices or a server with more memory, or "
                "batteries that hold something or are charged."
            )

    def has(self, host: Host, *refs: Ref[Any]) -> None:
        """Note that `host` has these: it can tell them, at no cost, from what reached it."""
        self.kernel.hold(host.id, refs)

    async def cohort(
        self, script: Callable[..., Script[T]], *args: Any, within: Within | None = None
    ) -> list[Reply[T]]:
        """Ask a cohort, as selection and pace decide, to play `script(client, *args)`.

        Args:
            script: of a client.
            args: of the script.
            within: gives those who are asked together less time than the pace does.
        """
        self._within = within
        try:
            return await self._coordinator.cohort(script, args)
        finally:
            self._within = None

    async def average(self, script: Asked, model: Ref[Any], *args: Any, weigh: Weigh) -> Ref[Any]:
        """The next server model, as selection and pace decide.

        Clients play `script(client, model, *args)`, which returns what they have made of the model;
        the server pays for taking it in.

        Args:
            script: of a client.
            model: the present server model, which stays if nobody delivers.
            args: more arguments.
            weigh: what a client's update weighs.
        """
        return await self._coordinator.average(script, model, args, weigh)

    # --- what a pace asks -----------------------------------------------------------------------

    async def select(
        self,
        count: int,
        among: Callable[[Client], bool] = anybody,
        *,
        deadline: Seconds = inf,
    ) -> list[Client]:
        """`count` clients, or all that are there if fewer are; none if none can ever come.

        Args:
            count: how many.
            among: who may be asked.
            deadline: seconds that those have who are asked for a loss first.
        """
        while self.hope(among):
            chosen = await self.choose(count, among, deadline=deadline)
            if chosen:
                return chosen
            await self.wait()
        return []

    def hope(self, among: Callable[[Client], bool] = anybody) -> bool:
        """Whether anybody may yet be asked, and before the run's time is over."""
        if self.now >= self.stop.time:
            return False
        return any(client.hopeful and among(client) for client in self.clients)

    async def choose(
        self,
        count: int,
        among: Callable[[Client], bool] = anybody,
        *,
        deadline: Seconds = inf,
    ) -> list[Client]:
        """The same at once: none if nobody is there who can be asked."""
        self.roster.check_in(self.now)
        free = [client for client in self.clients if client.free and among(client)]
        if not free or count < 1:
            return []
        await self._hear()
        about = self._situation()
        candidates = self.roster.candidates(free)
        chooser = self._chooser
        polled = chooser.poll(candidates, count, about) if isinstance(chooser, Poller) else []
        if polled:
            asked = [self.roster.client(one) for one in polled]
            answers = await self.survey(asked, deadline=deadline)
            candidates = self.roster.candidates([who for who, _ in answers if who.free])
        chosen = chooser.choose(candidates, count, about) if candidates else []
        if chosen:
            self._passed, self._since = set(), inf
        elif candidates:
            self._pass_over(free)
        return [self.roster.client(candidate) for candidate in chosen]

    def _situation(self) -> Situation:
        """When a choice is made that is made now, with draws of its own."""
        name = (self.round, self._choices) if self._choices else (self.round,)
        self._choices += 1
        return Situation(self.now, self.round, rng(self.seed, "sim/selection", *name))

    def _pass_over(self, free: Iterable[Client]) -> None:
        """Nobody was chosen of those who are free; that must be able to change.

        Raises:
            HetsimError: everybody who may yet be asked has been passed over, and nothing charges
                anybody, or has for a day.
        """
        self._passed.update(free)
        self._since = min(self._since, self.now)
        hopeful = [client for client in self.clients if client.hopeful]
        charged = any(client.node.fed for client in hopeful)
        if not self._passed.issuperset(hopeful) or (charged and self.now < self._since + DAY):
            return
        raise HetsimError(
            f"the selection asks none of {len(hopeful)} clients, free as each of them has been\n"
            "    Relax its options, or choose another selection."
        )

    async def wait(self) -> None:
        """Look again later: nobody is there who can be asked."""
        away = [client.node for client in self.clients if client.hopeful and not client.free]
        charging = bool(away) and all(_charges(node) for node in away)
        await Sleep(duration=_RETRY, kind="charge" if charging else "away")

    def ask(
        self,
        script: Asked,
        client: Client,
        args: tuple[Any, ...],
        *,
        hub: Hub | None = None,
        until: Seconds = inf,
        late: Late = "drop",
        reserve: float = 1.0,
        wave: Wave | None = None,
    ) -> Child:
        """A client's script, ready to be played; the client is asked now.

        Args:
            script: of the client.
            client: who.
            args: of the script.
            hub: who asks; the server by default.
            until: instant by which it must have delivered.
            late: what it does in order to be in time.
            reserve: as in `Errand`.
            wave: who is asked together with it; nobody by default.
        """
        hub = hub or self.server
        wave = wave or Wave(self, hub, [client])
        book = Participation(device=client.id, hub=hub.id, round=self.round, t0=self.now)
        self.kernel.trace.participations.append(book)
        client.errand = Errand(
            participation=book, hub=hub, again=client.times(self.round), until=until, late=late,
            reserve=reserve, wave=wave,
        )  # fmt: skip
        self.roster.asked(client, self.round, self.now)
        return Child(script=self._follow(client, client.errand, script, args), node=client.id)

    def take(self, outcomes: Iterable[Outcome]) -> list[Reply[Any]]:
        """Note how clients' scripts ended; replies of those that delivered."""
        replies: list[Reply[Any]] = []
        for outcome in outcomes:
            client = self._named[outcome.node]
            cause = outcome.dropped.cause if outcome.dropped else None
            errand = self._let_go(client, cause, outcome.finished)
            if outcome.dropped is None:
                replies.append(outcome.value)
                if errand.hub is self.server:
                    self.hear(replies[-1:])
        return replies

    async def gather(
        self,
        script: Callable[..., Script[T]],
        clients: Sequence[Client],
        *args: Any,
        deadline: Seconds = inf,
        first: float = inf,
        hub: Hub | None = None,
        late: Late = "drop",
        reserve: float = 1.0,
    ) -> list[Reply[T]]:
        """Play `script(client, *args)` for all `clients`; replies of those that delivered."""
        if self._within and clients:
            deadline = min(deadline, self._within(clients))
        until = self.now + deadline
        wave = Wave(self, hub or self.server, clients)
        children = tuple(
            self.ask(
                script, client, args, hub=hub, until=until, late=late, reserve=reserve, wave=wave
            )
            for client in clients
        )
        try:
            outcomes = await Gather(children=children, deadline=deadline, first=first)
        except Dropped as dropped:
            if not self.kernel.over:
                self._lose(clients, dropped.cause)
            raise
        return self.take(outcomes)

    def hear(self, replies: Iterable[Reply[Any]]) -> None:
        """The losses that clients report with these have reached the server."""
        self._unheard += [reply for reply in replies if reply.loss]

    async def survey(
        self, clients: Sequence[Client], *, deadline: Seconds = inf
    ) -> list[tuple[Client, ops.Score]]:
        """How good the present model is on the shards of `clients`, of those who answer in time.

        They pay for receiving and evaluating it, and for sending a number back. What it takes is in
        the books as work for no update.
        """
        assert self.model is not None
        children = tuple(
            Child(script=self._tell_loss(client, self.model), node=client.id) for client in clients
        )
        outcomes = await Gather(children=children, deadline=deadline)
        there = [
            (client, outcome.value)
            for client, outcome in zip(clients, outcomes, strict=True)
            if outcome.dropped is None
        ]
        values = await Observe(tuple(score for _, score in there), self.server.id)
        for (client, _), value in zip(there, values, strict=True):
            self.roster.told(client, value["loss"], self.round)
        return [(client, value) for (client, _), value in zip(there, values, strict=True)]

    async def _tell_loss(self, client: Client, model: Ref[Any]) -> Ref[Any]:
        """Play a client's part in a survey and charge it what its node draws meanwhile."""
        book = Participation(
            device=client.id, hub=self.server.id, round=self.round, t0=self.now, waste="polled"
        )
        self.kernel.trace.participations.append(book)
        before = client.node.drawn(self.now)
        try:
            score = await client.tell_loss(model)
            book.outcome = "done"
        except Dropped as dropped:
            book.outcome, book.share = dropped.cause, 0.0
            raise
        finally:
            book.energy = client.node.drawn(self.now) - before
            client.participated += book.energy
            book.t1, book.last = self.now, self.kernel.playing.last
        return score

    def use(self, replies: Iterable[Reply[Any]]) -> None:
        """These are part of the next server model."""
        for reply in replies:
            book = reply.participation
            book.used, book.staleness = self.round, self.round - book.round

    def refuse(self, reply: Reply[Any]) -> None:
        """This one started from too old a model."""
        book = reply.participation
        book.waste, book.staleness = "stale", self.round - book.round

    async def report(
        self,
        model: Ref[Any],
        *,
        used: Sequence[Ref[Any]] = (),
        views: Callable[[], Mapping[str, Ref[Any]]] | None = None,
    ) -> None:
        """Close a round: `model` is the new server model.

        Its test accuracy is measured outside the simulated world, unless the run is to stop at an
        accuracy: then the server pays for the evaluation and observes it.

        Args:
            model: what the server has.
            used: the models that are used in its place, if clients have their own: the round's
                accuracy and loss are the means of theirs. Empty for the model itself.
            views: gives other models that follow from it, by name, such as those of weaker
                devices, or other scores (`local`). It is asked, and they are found at nobody's
                cost, where the topology wants them.
        """
        self.model = model
        self.lab.want(model)
        self._said = used or (model,), views if self._score_views else None
        if self.stop.accuracy < inf:
            score = self._scored()
            await self.server.compute(score, kind="evaluate", needs=tuple(used) or (model,))
            [value] = await Observe((score,), self.server.id)
            self._reached = value["accuracy"] >= self.stop.accuracy
            self._score()
        elif self.round % self._every == self._every - 1:
            self._score()
        self._close(model)

    def local(self, models: Mapping[Client, Ref[Any]]) -> Ref[ops.LocalScore]:
        """How good clients' models are on the labels of each client itself, in the mean."""
        found = [ops.labels(model, self._test) for model in models.values()]
        return ops.local_score(found, [client.data for client in models])

    def _score(self) -> None:
        """The scores of what was reported last are wanted."""
        assert self._said
        _, views = self._said
        told = views() if views else dict[str, Ref[Any]]()
        found: dict[tuple[int, str], Ref[Any]] = {
            (self.round, name): each if each.op == "local_score" else ops.evaluate(each, self._test)
            for name, each in told.items()
        }
        self.scores[self.round] = self._scored()
        self.views |= found
        for each in (self.scores[self.round], *found.values()):
            self.lab.want(each)

    def _scored(self) -> Ref[Any]:
        """How good what is used is."""
        assert self._said
        used, _ = self._said
        score = ops.mean_score([ops.evaluate(each, self._test) for each in used])
        self.lab.scoring(score, self.round)
        return score

    def finish(self, end: Seconds) -> None:
        """Close the books, and measure the last round's model too.

        Args:
            end: simulated time at which the run has ended.
        """
        if self.rows:  # what was under way when the last round closed
            up, down = self._moved()
            self.rows[-1]["bytes_up"] += up
            self.rows[-1]["bytes_down"] += down
        for client in self._under_way():  # delivered, and no server step has taken it in
            if client.errand and client.errand.participation.outcome == "done":
                self._let_go(client, None, end)
        if self.rows:
            self.rows[-1]["participants"] += self._participants
        for book in self.kernel.trace.participations:
            if book.outcome == "unfinished":
                book.t1 = book.t1 or end
            if book.used < 0 and not book.waste:
                book.waste = "unused" if book.outcome == "done" else book.outcome
        if self.rows and self.round - 1 not in self.scores:
            self.round -= 1
            self._score()
            self.round += 1

    # --- bookkeeping ----------------------------------------------------------------------------

    @cached_property
    def roster(self) -> Roster:
        """What the server knows of its clients."""
        return Roster(self.clients)

    @cached_property
    def _named(self) -> dict[str, Client]:
        return {client.id: client for client in self.clients}

    @property
    def side_by_side(self) -> bool:
        """Whether each server step asked all those at once whose updates it took in."""
        return self._coordinator.side_by_side

    @cached_property
    def _coordinator(self) -> Coordinator:
        return self._pace.begin(self)

    async def _follow(
        self, client: Client, errand: Errand, script: Asked, args: tuple[Any, ...]
    ) -> Reply[Any]:
        """Play a client's script and charge it what its node draws meanwhile."""
        book = errand.participation
        before, state = client.node.drawn(self.now), dict(client.state)
        client.hasten()
        try:
            value = await script(client, *args)
            book.outcome = "done"
        except Dropped as dropped:
            book.share = 0.0
            if not self.kernel.over:
                book.outcome = dropped.cause
            if self._on_drop == "rollback":
                client.state = state
            self._keep(client, state)
            raise
        finally:
            book.energy = client.node.drawn(self.now) - before
            client.participated += book.energy
            book.t1, book.last = self.now, self.kernel.playing.last
            client.forget()
            client.at_ease()
        self._keep(client, state)
        first: Any = args[0] if args else None
        model = cast("Ref[Any]", first) if isinstance(first, Ref) else None
        return Reply(client, value, book, model, errand.layers, errand.loss)

    async def _hear(self) -> None:
        """Observe the losses that clients have reported."""
        if not self._unheard:
            return
        unheard, self._unheard = self._unheard, []
        scores = [reply.loss for reply in unheard if reply.loss]
        values = await Observe(tuple(scores), self.server.id)
        for reply, value in zip(unheard, values, strict=True):
            self.roster.told(reply.client, value["loss"], reply.participation.round)

    def _lose(self, clients: Sequence[Client], cause: Cause) -> None:
        """Who asked them was dropped, and what they had delivered is lost."""
        for client in clients:
            book = self._let_go(client, cause, self.now).participation
            if book.outcome == "done":
                book.waste = cause

    def _let_go(self, client: Client, cause: Cause | None, t1: Seconds) -> Errand:
        """A client's errand is over; one that was over before it began, by `cause` at `t1`."""
        errand = client.errand
        assert errand
        book = errand.participation
        if book.outcome == "unfinished":
            assert cause
            book.outcome, book.t1, book.share = cause, t1, 0.0
        client.errand = None
        self._participants += 1
        if book.outcome == "done":
            client.rounds_done += 1
        else:
            client.dropped[book.outcome] += 1
            self._dropped += 1
        self.roster.ended(client, book)
        return errand

    def _keep(self, client: Client, before: Mapping[str, Ref[Any]]) -> None:
        """What is new in a client's state lives on: its use is certain."""
        for name, ref in client.state.items():
            if ref is not before.get(name):
                self.lab.want(ref, keep=True)

    def _close(self, model: Ref[Any]) -> None:
        now = self.now
        energy = self._spent(now)
        up, down = self._moved()
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
            "bytes_up": up,
            "bytes_down": down,
            "last": self.kernel.playing.last,
        }
        self.rows.append(row)
        self._t0, self._drawn = now, energy
        self._participants = self._dropped = self._choices = 0
        self._away = self._absent()
        self.round += 1
        self.kernel.round = self.round
        self._show()

    def _under_way(self) -> list[Client]:
        """Clients that are asked for something when the run ends."""
        return [] if self.side_by_side else [each for each in self.clients if each.errand]

    def _spent(self, now: Seconds) -> Joules:
        """All joules of all nodes up to now."""
        return sum(node.drawn(now) for node in self.kernel.nodes.values())

    def _absent(self) -> int:
        """How many clients cannot take part at present."""
        return sum(not client.present for client in self.clients)

    def _moved(self) -> tuple[Bytes, Bytes]:
        """Bytes uploaded and downloaded by segments that ended since this was last asked."""
        moved = {"upload": 0.0, "download": 0.0}
        spans = self.kernel.trace.spans
        for span in spans[self._spans :]:
            if span.kind in moved:
                moved[span.kind] += span.size
        self._spans = len(spans)
        return moved["upload"], moved["download"]

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


def _no_source() -> HetsimError:
    return HetsimError(
        "this run has no source to pre-train on\n"
        "    Give the method a class attribute `pretrained = True`, or the topology a "
        "section `source:` in `task`."
    )


def _charges(node: Node) -> bool:
    """Whether it is away until its battery has been charged."""
    empty = node.battery is not None and node.battery.empty
    return empty or set(node.absences) == {OFF_CHARGER}


_SHOWN = 5
_LAG = 64
"""Scores by which learning may lag behind time until the progress shows none."""
_RETRY: Seconds = 10.0
"""How long a server waits before it looks again for clients that are present."""
