"""What a server knows of its clients, and who chooses among them.

A selection policy sees `Candidate`s and nothing else: what a client reported when it checked in
(its size, how full its battery is, how much memory is free), what its past participations were like
(how long, how much of the battery, which loss), and when the server saw it come and go. The profile
of the device, the pattern of its availability and all that has not happened yet are not there.

The server looks at discrete instants, its check-ins. Who was there at one and is away at the next
has left somewhere between; half-way is assumed, and what came and went between two looks was never
seen. One that vanishes while it is asked is seen to leave at that instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np

from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds
from hetsim.core.trace import Participation

if TYPE_CHECKING:
    from hetsim.federation.client import Client
    from hetsim.sim.node import Node


class Selection(Protocol):
    """Settings of a policy that decides who takes part.

    Attributes:
        observes: whether it needs the losses that clients report, and so values that are computed.
    """

    observes: ClassVar[bool]

    @property
    def cohort(self) -> int:
        """Clients a round."""
        ...

    def begin(self) -> Chooser:
        """The policy for one run; one that remembers nothing of its own returns itself."""
        ...


class Chooser(Protocol):
    """A policy in one run."""

    def choose(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """At most `count` of the candidates; none if nobody can be asked as things are."""
        ...


@runtime_checkable
class Poller(Chooser, Protocol):
    """A policy that wants to know the loss of the current model before it chooses.

    Those whom it polls receive the model, evaluate it on their shard and send one number back. Who
    did so is then offered to `choose`, with `Candidate.loss` that of the current model.
    """

    def poll(
        self, candidates: Sequence[Candidate], count: int, about: Situation
    ) -> list[Candidate]:
        """Whom to ask for the loss; none: `choose` is asked at once."""
        ...


@dataclass(frozen=True, slots=True)
class Situation:
    """When a choice is made.

    Attributes:
        now: simulated time.
        round: server step, from 0.
        rng: draws of this choice; the only chance that a policy has.
    """

    now: Seconds
    round: int
    rng: np.random.Generator


class State(Protocol):
    """What a client says when the server asks how it is."""

    @property
    def charge(self) -> Fraction | None:
        """Share of the battery that can still be used; None on mains."""
        ...

    @property
    def memory(self) -> Bytes:
        """Free for jobs."""
        ...


@dataclass(slots=True)
class Sightings:
    """When a client was seen to be there, as check-ins tell it.

    Attributes:
        here: whether it was there when last seen; None before the first check-in.
        since: when that began, as far as it was seen.
        present: seconds there, up to `since`.
        absent: seconds away, up to `since`.
        departures: how often it left.
        returns: how often it came back.
    """

    here: bool | None = None
    since: Seconds = 0.0
    present: Seconds = 0.0
    absent: Seconds = 0.0
    departures: int = 0
    returns: int = 0

    def note(self, here: bool, when: Seconds) -> None:
        """It was there, or away, from `when` on.

        >>> seen = Sightings()
        >>> seen.note(True, 10.0)
        >>> seen.note(False, 40.0)
        >>> seen.present, seen.departures, seen.time_present(60.0), seen.time_absent(60.0)
        (30.0, 1, 30.0, 20.0)
        """
        if here is self.here:
            return
        if self.here is None:
            self.here, self.since = here, when
            return
        if here:
            self.absent += when - self.since
            self.returns += 1
        else:
            self.present += when - self.since
            self.departures += 1
        self.here, self.since = here, when

    def time_present(self, now: Seconds) -> Seconds:
        """Seconds that it was seen to be there."""
        return self.present + (now - self.since if self.here else 0.0)

    def time_absent(self, now: Seconds) -> Seconds:
        """Seconds that it was seen to be away."""
        return self.absent + (now - self.since if self.here is False else 0.0)


@dataclass(slots=True, eq=False, kw_only=True)
class Candidate:
    """What the server knows of one client. Policies read it; only the roster writes it.

    Attributes:
        id: its name.
        index: position in the fleet.
        samples: size of its shard.
        state: what it answers when it is asked how it is; read `charge` and `memory` instead.
        need: bytes that the task takes, by the method's account.
        asked: how often it was asked to take part.
        delivered: how often it delivered.
        last_asked: server step in which it was last asked; -1: never.
        last_delivered: server step in which it was asked for what it delivered last; -1: never.
        seconds: from being asked to having delivered, last time; None: never.
        usual: the same, mean of all times.
        spent: share of its battery's capacity that its last delivered participation would take if
            nothing charged it; None: never, or on mains. Of one that was dropped it is not known.
        loss: mean loss on its shard that it reported last; None: never.
        heard: server step of the model that this loss is of; -1: never.
        sightings: when it was there.
    """

    id: str
    index: int
    samples: int
    state: State
    need: Bytes = 0.0
    asked: int = 0
    delivered: int = 0
    last_asked: int = -1
    last_delivered: int = -1
    seconds: Seconds | None = None
    usual: Seconds | None = None
    spent: Fraction | None = None
    loss: float | None = None
    heard: int = -1
    sightings: Sightings = field(default_factory=Sightings)

    @property
    def charge(self) -> Fraction | None:
        """Share of the battery that can still be used, as it reports it now; None on mains."""
        return self.state.charge

    @property
    def memory(self) -> Bytes:
        """Bytes free for jobs, as it reports it now."""
        return self.state.memory


class Roster:
    """The server's book on its clients, kept through a run."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._clients = {client.id: client for client in clients}
        self._entries = {
            client.id: Candidate(
                id=client.id,
                index=client.index,
                samples=client.samples,
                state=_Reported(client.node),
            )
            for client in self._clients.values()
        }
        self._rows = [(client, self._entries[name]) for name, client in self._clients.items()]
        self._looked: Seconds = -inf

    def candidates(self, present: Iterable[Client]) -> list[Candidate]:
        """What is known of these clients, in their order."""
        return [self._entries[client.id] for client in present]

    def client(self, candidate: Candidate) -> Client:
        """The client that this is known of."""
        return self._clients[candidate.id]

    def check_in(self, now: Seconds) -> None:
        """See who is there."""
        if now == self._looked:
            return
        for client, candidate in self._rows:
            here, seen = client.present, candidate.sightings
            if here is not seen.here:
                first = seen.here is None
                last_look = max(self._looked, seen.since)
                seen.note(here, now if first else (last_look + now) / 2.0)
        self._looked = now

    def asked(self, client: Client, round: int, now: Seconds) -> None:
        """It is asked to take part in this server step."""
        candidate = self._entries[client.id]
        candidate.asked += 1
        candidate.last_asked = round
        candidate.sightings.note(True, now)

    def ended(self, client: Client, participation: Participation) -> None:
        """Its part is over: delivered, and how long it took; or not, and then no more is known."""
        candidate = self._entries[client.id]
        if participation.outcome in _GONE and participation.t1 >= candidate.sightings.since:
            candidate.sightings.note(False, participation.t1)
        if participation.outcome != "done":
            return
        took = participation.t1 - participation.t0
        before = 0.0 if candidate.usual is None else candidate.usual * candidate.delivered
        candidate.delivered += 1
        candidate.last_delivered = participation.round
        candidate.seconds = took
        candidate.usual = (before + took) / candidate.delivered
        candidate.spent = _share(client.node, participation.energy)

    def told(self, client: Client, loss: float, round: int | None = None) -> None:
        """It has reported a loss.

        Args:
            client: who.
            loss: mean over its shard.
            round: server step of the model that it is of; by default that in which the client was
                last asked, as when the loss comes with an update.
        """
        candidate = self._entries[client.id]
        candidate.loss = loss
        candidate.heard = candidate.last_asked if round is None else round

    def need(self, client: Client, size: Bytes) -> None:
        """By the method's account the task takes this much of its memory."""
        self._entries[client.id].need = size


_GONE = ("churn", "battery")
"""Outcomes that the server notices as a departure."""


class _Reported:
    """The state of a node, read when it is asked for."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def charge(self) -> Fraction | None:
        battery = self._node.battery
        if battery is None:
            return None
        self._node.settle(self._node.env.now)
        return battery.store.level

    @property
    def memory(self) -> Bytes:
        return self._node.memory.capacity - self._node.memory.used


def _share(node: Node, energy: Joules) -> Fraction | None:
    return energy / node.battery.capacity if node.battery else None
