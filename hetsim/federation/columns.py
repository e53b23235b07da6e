"""A synchronous run of a fleet in columns: whoever is asked plays the client's script together.

`Crowd` is a `Run` whose clients are rows of a `hetsim.sim.fleet.Fleet`. The same method asks it,
the same pace waits, and the same draws decide who is asked; server, gateways and access points are
nodes of the kernel, which owns the clock. A client's script is played once for all of a cohort
(`hetsim.sim.columns`): when each is through is known at once, and the run sleeps until the last is.

What needs to tell one client from another is refused (`NotTraceable`): a script that branches, a
selection that goes by what clients have reported, a pace that takes partial work or does not wait.
No values are named in the trace, for none is ever computed, and what devices draw is in the books
without a curve of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf, nextafter
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from hetsim.core.cost import Cost
from hetsim.core.errors import CAUSES, Cause, HetsimError, si
from hetsim.core.quantities import Bytes, Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.core.trace import Participation, Span
from hetsim.federation.client import Client, Hub, Late
from hetsim.federation.run import Asked, Reply, Run, Within, anybody
from hetsim.learn import ops
from hetsim.sim.columns import EVERYONE, Array, Column, NotTraceable, Party
from hetsim.sim.fleet import Fleet
from hetsim.sim.playing import Phase
from hetsim.sim.population import Rows
from hetsim.sim.requests import Compute, Sleep, Transfer

_RETRY: Seconds = 10.0
"""How long the server waits before it looks again, as in `hetsim.federation.run`."""
_NOTED = 1000
"""Devices excluded for one reason that are noted one by one; more of them share a note a group."""
_NOBODY = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Who is who in the columns.

    Attributes:
        labels: of the groups, in the order of the fleet.
        starts: first row of each group, and after the last one the number of all rows.
        samples: size of each shard; 0 for a device that holds no data.
    """

    labels: Sequence[str]
    starts: NDArray[np.intp]
    samples: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.samples)

    def names(self, rows: Rows) -> list[str]:
        """Names of devices, as those of nodes."""
        group = np.searchsorted(self.starts, rows, side="right") - 1
        number = rows - self.starts[group]
        labels = self.labels
        return [f"{labels[g]}-{n}" for g, n in zip(group.tolist(), number.tolist(), strict=True)]

    def every_name(self) -> list[str]:
        """Names of all devices, in order."""
        counts = np.diff(self.starts).tolist()
        return [
            f"{label}-{number}"
            for label, count in zip(self.labels, counts, strict=True)
            for number in range(count)
        ]


class Tallies:
    """What is counted of every device, a row each.

    Attributes:
        asked: how often it was.
        done: updates that it delivered.
        used: those of them that became part of a server model.
        dropped: how often it was dropped, by cause.
        participated: joules from its selections to its last needed acts.
        up, down: bytes that it sent and received.
        busy: seconds in which it had work or a message under way.
        peak: largest memory that its work took.
    """

    def __init__(self, count: int) -> None:
        self.asked, self.done, self.used = (np.zeros(count, np.int64) for _ in range(3))
        self.dropped = {cause: np.zeros(count, np.int64) for cause in CAUSES}
        self.participated, self.busy, self.peak = (np.zeros(count) for _ in range(3))
        self.up, self.down = np.zeros(count), np.zeros(count)


class One(NamedTuple):
    """A client that has delivered, for whoever weighs its update.

    Attributes:
        id: its name.
        row: its row.
        samples: size of its shard.
    """

    id: str
    row: int
    samples: int


class _Unseen(list[Client]):
    """Clients that nobody can look at one by one."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotTraceable("the method or its pace looks at clients one by one")

    __iter__ = __len__ = __getitem__ = __contains__ = __reversed__ = _refuse


@dataclass(slots=True, eq=False)
class Everyone:
    """All who are asked, as a client's script sees them: what `Client` offers that all can share.

    Attributes:
        run: whose.
        party: their numbers.
        asked: server step in which they are asked.
        memory: most that their work takes; a column where it differs.
    """

    run: Crowd
    party: Party
    asked: int
    memory: Array = field(default_factory=lambda: np.zeros(1))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __getattr__(self, name: str) -> NoReturn:
        raise NotTraceable(f"the client's script asks for `{name}`, which is of one client alone")

    @property
    def samples(self) -> Column:
        """Sizes of their shards."""
        return self.party["samples"]

    async def download(self, *values: Ref[Any]) -> None:
        """Receive values from the server at once."""
        await self._move("download", values)

    async def upload(self, value: Ref[Any], *more: Ref[Any] | Bytes) -> None:
        """Send values to the server at once."""
        await self._move("upload", (value, *more))

    async def _move(self, kind: str, values: Iterable[Ref[Any] | Bytes]) -> None:
        size = float(sum(each.nbytes if isinstance(each, Ref) else each for each in values))
        hub = self.run.server.id
        source, target = (hub, EVERYONE) if kind == "download" else (EVERYONE, hub)
        await Transfer(source=source, target=target, size=size, kind=kind)

    async def train(self, model: Ref[Any], **settings: Any) -> Ref[Any]:
        """Train on their shards; what is returned stands for the update of each."""
        update = self._trained(model, settings)
        await self.compute(update, kind="train")
        return update

    async def compute(self, work: Ref[Any] | Cost, *, kind: str = "compute") -> None:
        """Do work."""
        cost = work.cost if isinstance(work, Ref) else work
        self.memory = np.maximum(self.memory, _plain(cost.memory))
        await Compute(node=EVERYONE, cost=cost, kind=kind)

    async def sleep(self, duration: Seconds) -> None:
        """Do nothing."""
        await Sleep(duration=duration)

    def training_cost(self, model: Ref[Any], **settings: Any) -> Cost:
        """Work of `train` with these settings."""
        return self._trained(model, settings).cost

    def _trained(self, model: Ref[Any], settings: Mapping[str, Any]) -> Ref[Any]:
        """The update of all, priced once for each size of a shard."""
        sizes, place = np.unique(self.samples.rows, return_inverse=True)
        seed = entropy(self.run.seed, "learn/batches", EVERYONE, self.asked)
        updates = [
            ops.train(model, Ref.of("shard", samples=int(size)), seed=seed, **settings)
            for size in sizes
        ]
        numbers: dict[str, Any] = {}
        for each in fields(Cost):
            values = [getattr(update.cost, each.name) for update in updates]
            alike = len(set(values)) == 1
            numbers[each.name] = values[0] if alike else Column(np.array(values, float)[place])
        return replace(updates[0], cost=Cost(**numbers))


class Crowd(Run):
    """A run whose clients are rows.

    Attributes:
        fleet: their bodies.
        roll: their names and shards.
        tallies: what is counted of them.
        need: bytes that the task takes of each, by the method's account; 0 before it is known.
        able: who may take part.
    """

    def __init__(self, *given: Any, fleet: Fleet, roll: Roll, **settings: Any) -> None:
        super().__init__(*given, **settings)
        if not getattr(type(self.selection), "blind", False):
            raise NotTraceable(
                f"the selection {type(self.selection).__name__} looks at clients one by one"
            )
        self.fleet, self.roll, self.tallies = fleet, roll, Tallies(len(roll))
        self.clients = _Unseen()
        self.able = roll.samples > 0
        self.need = np.zeros(len(roll))
        self._looked, self._present = -inf, np.ones(len(roll), np.bool_)

    # --- what a method asks ---------------------------------------------------------------------

    def require(
        self,
        cost: Callable[[Client], Cost],
        server: Callable[[Client], Cost] = lambda client: Cost(),
    ) -> None:
        """Exclude every client whose memory cannot hold `cost(client)`, with the numbers.

        Raises:
            HetsimError: nobody is left.
        """
        rows = np.flatnonzero(self.able)
        numbers = {"samples": Column(self.roll.samples[rows].astype(float))}
        everyone = cast(Client, Everyone(self, Party(EVERYONE, numbers), self.round))
        if server(everyone) != Cost():
            raise NotTraceable("the server holds something for each client")
        self.need[rows] = _plain(cost(everyone).memory)
        kind = self.fleet.people.kind[rows]
        held = np.array([profile.memory for profile in self.fleet.people.profiles])[kind]
        out = rows[self.need[rows] > held]
        self.able[out] = False
        self.tallies.dropped["memory"][out] += 1
        if len(out) <= _NOTED:
            for name, row in zip(self.roll.names(out), out, strict=True):
                self.kernel.note(name, "memory", self.excluded(int(row)))
        else:
            group = np.searchsorted(self.roll.starts, out, side="right") - 1
            found = np.unique(group, return_index=True, return_counts=True)
            for each, first, many in zip(*(one.tolist() for one in found), strict=True):
                told = f"{many} devices: {self.excluded(int(out[first]))}"
                self.kernel.note(self.roll.labels[int(each)], "memory", told)
        if not self.hope():
            why = self.excluded(int(rows[0])) or "the batteries are empty"
            raise HetsimError(
                f"no device can take part: {why}\n"
                "    Choose a smaller model or batch, devices or a server with more memory, or "
                "batteries that hold something."
            )

    def excluded(self, row: int) -> str:
        """Why a device cannot take part, or ""."""
        if self.able[row]:
            return ""
        if not self.roll.samples[row]:
            return "holds no data"
        people = self.fleet.people
        held = people.profiles[int(people.kind[row])].memory
        return f"training needs {si(float(self.need[row]))}B of memory; {si(held)}B are available"

    async def cohort(
        self, script: Callable[..., Any], *args: Any, within: Within | None = None
    ) -> list[Reply[Any]]:
        """Ask a cohort; all have as much time as the pace gives."""
        if within is not None:
            raise NotTraceable("the method gives clients times of their own")
        return await super().cohort(script, *args)

    def use(self, replies: Iterable[Reply[Any]]) -> None:
        """These are part of the next server model."""
        replies = list(replies)
        super().use(replies)
        self.tallies.used[[cast(One, reply.client).row for reply in replies]] += 1

    # --- what a pace asks -----------------------------------------------------------------------

    def hope(self, among: Callable[[Client], bool] = anybody) -> bool:
        """Whether anybody may yet be asked, and before the run's time is over."""
        _everybody(among)
        if self.now >= self.stop.time:
            return False
        return bool(self._hopeful().any())

    async def choose(
        self,
        count: int,
        among: Callable[[Client], bool] = anybody,
        *,
        deadline: Seconds = inf,
    ) -> list[Client]:
        """Rows of `count` clients, or of all that are there if fewer are."""
        _everybody(among)
        free = np.flatnonzero(self._there())
        if not len(free) or count < 1:
            return []
        chosen = self._chooser.choose(cast(Any, free), count, self._situation())
        return cast("list[Client]", chosen)

    async def wait(self) -> None:
        """Look again later: nobody is there who can be asked."""
        away = self._hopeful() & ~self._there()
        empty = np.zeros(len(away), bool)
        if self.fleet.chargers:
            empty = self.fleet.chargers.empty
        charging = bool(away.any()) and bool(empty[away].all())
        await Sleep(duration=_RETRY, kind="charge" if charging else "away")

    def ask(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: clients are asked together."""
        raise NotTraceable("the pace asks clients one by one")

    async def survey(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: nothing is learned."""
        raise NotTraceable("the selection asks clients for losses")

    async def gather(
        self,
        script: Asked,
        clients: Sequence[Client],
        *args: Any,
        deadline: Seconds = inf,
        first: float = inf,
        hub: Hub | None = None,
        late: Late = "drop",
        reserve: float = 1.0,
    ) -> list[Reply[Any]]:
        """Let rows play `script(everyone, *args)` together; replies of those that delivered."""
        if late != "drop" or hub not in (None, self.server):
            raise NotTraceable("the pace takes partial work, or lets gateways ask")
        rows = np.array(cast(Any, clients), np.intp)
        now, fleet, after = self.now, self.fleet, self.kernel.playing.last
        rows = self._without_absent(rows)
        if not len(rows):
            return []
        before = self._drawn_by(rows)
        visits: list[tuple[Everyone, Any]] = []

        async def visit(party: Party) -> None:
            everyone = Everyone(self, party, self.round)
            visits.append((everyone, await script(everyone, *args)))

        phases = fleet.play(visit, rows, now, now + deadline, first)
        [(everyone, value)] = visits
        end = fleet.since[rows]
        outcomes = self._outcomes(rows, phases, now, now + deadline, first)
        last = self._tell(rows, phases, outcomes, after)
        books = [
            Participation(
                device=name, hub=self.server.id, round=self.round, t0=now, t1=t1,
                outcome=outcome, share=float(outcome == "done"), energy=joules, last=serial,
            )
            for name, t1, outcome, joules, serial in zip(
                self.roll.names(rows), end.tolist(), outcomes,
                (self._drawn_by(rows) - before).tolist(), last.tolist(), strict=True,
            )
        ]  # fmt: skip
        self.kernel.trace.participations += books
        await self._until(float(end.max()))
        self.kernel.playing.last = int(last[_closing(end, outcomes)])
        self._count(rows, phases, outcomes, everyone, books)
        given: Any = args[0] if args else None
        model = cast("Ref[Any]", given) if isinstance(given, Ref) else None
        return [
            Reply(cast(Client, One(book.device, row, samples)), value, book, model)
            for book, row, samples in zip(
                books, rows.tolist(), self.roll.samples[rows].tolist(), strict=True
            )
            if book.outcome == "done"
        ]

    # --- bookkeeping ----------------------------------------------------------------------------

    def finish(self, end: Seconds) -> None:
        """Close the books."""
        self.fleet.settle(slice(None), end)
        super().finish(end)
        dead = np.flatnonzero((self.fleet.people.charge < inf) & (self.fleet.charge <= 0.0))
        if len(dead) <= _NOTED:
            for name in self.roll.names(dead):
                self.kernel.note(name, "battery", "the battery is empty")
        else:
            self.kernel.note(self.server.id, "battery", f"{len(dead):,} batteries are empty")

    def _under_way(self) -> list[Client]:
        return []

    def _without_absent(self, rows: Rows) -> Rows:
        """Those who are there; the others, chosen a while ago, are dropped on the spot."""
        now = self.now
        self.fleet.settle(rows, now)
        here = self.fleet.present(rows, now)
        gone = rows[~here]
        empty = self.fleet.charge[gone] <= 0.0
        causes: list[Cause] = ["battery" if each else "churn" for each in empty.tolist()]
        for name, cause in zip(self.roll.names(gone), causes, strict=True):
            self.kernel.trace.participations.append(
                Participation(
                    device=name, hub=self.server.id, round=self.round, t0=now, t1=now,
                    outcome=cause, share=0.0, last=self.kernel.playing.last,
                )
            )  # fmt: skip
        self.tallies.asked[gone] += 1
        self.tallies.dropped["battery"][gone] += empty
        self.tallies.dropped["churn"][gone] += ~empty
        self._participants += len(gone)
        self._dropped += len(gone)
        return rows[here]

    async def _until(self, when: Seconds) -> None:
        """Sleep until an instant; rounding leaves the clock no sooner."""
        duration = when - self.now
        while self.now + duration < when:
            duration = nextafter(duration, inf)
        if duration > 0.0:
            await Sleep(duration=duration)

    def _catch_up(self) -> None:
        """Bring all devices up to date, once an instant."""
        if self._looked < self.now:
            self.fleet.settle(slice(None), self.now)
            self._present = self.fleet.present(slice(None), self.now)
            self._looked = self.now

    def _hopeful(self) -> NDArray[np.bool_]:
        """Who is there or may come back."""
        self._catch_up()
        charged = self.fleet.charge > 0.0
        if self.fleet.chargers:
            charged = charged | self.fleet.chargers.fed
        return self.able & charged

    def _there(self) -> NDArray[np.bool_]:
        """Who is there and may take part."""
        self._catch_up()
        return self.able & self._present

    def _drawn_by(self, rows: Rows | slice) -> Array:
        """Joules of devices, as far as they are charged."""
        return np.sum([column[rows] for column in self.fleet.energy.values()], axis=0)

    def _outcomes(
        self, rows: Rows, phases: Sequence[Phase], now: Seconds, until: Seconds, first: float
    ) -> list[str]:
        """What became of each participation; of equals, those who began to send first."""
        end = self.fleet.since[rows]
        done = np.all([phase.progress == 1.0 for phase in phases], axis=0)
        if done.sum() > first:
            order = np.lexsort((phases[-1].t0, np.where(done, end, inf)))
            done[order[int(first) :]] = False
        left = self.fleet.hours.leave(rows, np.full(len(rows), now)) <= end
        found = np.where(end < until, "surplus", "deadline")
        found = np.where(self.fleet.charge[rows] > 0.0, found, "battery")
        return np.where(done, "done", np.where(left, "churn", found)).tolist()

    def _tell(
        self, rows: Rows, phases: Sequence[Phase], outcomes: Sequence[str], after: int
    ) -> NDArray[np.int64]:
        """Write what was done into the trace, in order of ends; the last serial of each device."""
        begun = np.array([phase.begun for phase in phases])
        step, place = np.nonzero(begun)
        t1 = np.array([phase.t1 for phase in phases])[begun]
        order = np.lexsort((place, step, t1))
        serials = np.zeros(begun.shape, np.int64)
        first = self.kernel.serials(len(order))
        serials[step[order], place[order]] = first + np.arange(len(order))
        last = np.full(len(rows), after)
        final, delivered = serials.max(axis=0), np.array(outcomes) == "done"
        spans: list[Span] = []
        names, server = self.roll.names(rows), self.server.id
        for phase, serial in zip(phases, serials, strict=True):
            mine = np.flatnonzero(phase.begun)
            took = phase.t1 - phase.t0
            alone, latency = np.minimum(phase.alone, took), np.minimum(phase.latency, took)
            done = (phase.progress == 1.0) & ((serial < final) | delivered)
            peer = "" if phase.up is None else server
            columns = [
                column[mine].tolist()
                for column in (phase.t0, phase.t1, phase.energy, phase.size, serial, done,
                               phase.progress, last, alone, latency)
            ]  # fmt: skip
            for who, t0, t1, energy, size, number, whole, share, before, own, lag in zip(
                mine.tolist(), *columns, strict=True
            ):
                spans.append(Span(
                    t0, t1, names[int(who)], phase.kind, energy, size, "", number, peer, self.round,
                    "done" if whole else outcomes[int(who)], share, before, own, lag,
                ))  # fmt: skip
            last[mine] = serial[mine]
        spans.sort(key=_in_order)
        self.kernel.trace.spans += spans
        return last

    def _count(
        self,
        rows: Rows,
        phases: Sequence[Phase],
        outcomes: Sequence[str],
        everyone: Everyone,
        books: Sequence[Participation],
    ) -> None:
        """Count what has come of it."""
        tallies, found = self.tallies, np.array(outcomes)
        tallies.asked[rows] += 1
        tallies.done[rows] += found == "done"
        for cause in CAUSES:
            tallies.dropped[cause][rows] += found == cause
        tallies.participated[rows] += [book.energy for book in books]
        for phase in phases:
            took = np.where(phase.begun, phase.t1 - phase.t0, 0.0)
            size = np.where(phase.begun, phase.size, 0.0)
            if phase.up is not None:
                moved = tallies.up if phase.up else tallies.down
                moved[rows] += size
                continue
            tallies.busy[rows] += took
            made = np.where(phase.begun, everyone.memory, 0.0)
            tallies.peak[rows] = np.maximum(tallies.peak[rows], made)
            of = self.kernel.trace.made
            of[phase.kind] = of.get(phase.kind, 0) + int(phase.begun.sum())
        self._participants += len(rows)
        self._dropped += int((found != "done").sum())

    def _spent(self, now: Seconds) -> Joules:
        self._catch_up()
        return super()._spent(now) + float(sum(each.sum() for each in self.fleet.energy.values()))

    def _absent(self) -> int:
        return len(self.roll) - int(self._there().sum())


def _closing(end: Array, outcomes: Sequence[str]) -> int:
    """Whose end let the server go on: the last that it waited for; for whom others were stopped."""
    found = np.array(outcomes)
    waited = found == "done" if "surplus" in outcomes else np.ones(len(end), np.bool_)
    return int(np.flatnonzero(waited & (end == end[waited].max()))[-1])


def _in_order(span: Span) -> int:
    return span.serial


def _plain(value: Any) -> Array | float:
    """Rows of a column, or a number."""
    return value.rows if isinstance(value, Column) else float(value)


def _everybody(among: Callable[[Client], bool]) -> None:
    if among is not anybody:
        raise NotTraceable("the pace asks some clients and not others")
