"""All a report ever sees of a run: columns of plain values, no wall-clock and no host.

Spans are finished segments of work; counters are steps of a physical quantity; rounds and devices
are the tables of the run folder. Column names carry their unit, because a file has no docstring.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from hetsim.core.quantities import Bytes, Flops, Fraction, Joules, Seconds
from hetsim.core.table import Rows

BASE_KINDS = ("idle", "sleep", "off", "radio_idle")
"""Kinds of energy a node draws for being there; every other kind is work above that."""
ROLES = ("device", "gateway", "server", "link")


class Span(NamedTuple):
    """One finished segment: who did what from when to when, at what cost.

    `energy` is what the segment drew above the base power of all nodes it touched. `outcome` is
    "done" or the cause that cut it short; `progress` the share that was done. `after` is the serial
    of the segment whose end let this one begin, -1 at the start of a run; `alone` what it would
    have taken with all that it uses to itself, as things were when it began, and `latency` what of
    that no faster link would have saved.

    The stages of a pipeline are segments that begin and end together, each `after` the one before
    it. `alone` is then what a stage is of the pipeline's makespan, and `held` what it is of the
    time that it took: they add up over the stages. For all other segments `held` is -1.
    """

    t0: Seconds
    t1: Seconds
    actor: str
    kind: str
    energy: Joules
    size: Bytes
    key: str
    serial: int
    peer: str = ""
    round: int = -1
    outcome: str = "done"
    progress: float = 1.0
    after: int = -1
    alone: Seconds = 0.0
    latency: Seconds = 0.0
    held: Seconds = -1.0


@dataclass(slots=True, kw_only=True)
class Participation:
    """One client, asked once.

    Attributes:
        device: the client.
        hub: who asked it, the server or a gateway.
        round: server step in which it was asked, and so the version of the model it starts from.
        t0: when it was asked.
        t1: when its part ended.
        outcome: "done", what it was dropped by, or "unfinished" when the run ended first.
        used: server step whose model its update is part of; -1 if none.
        waste: why none is: what it was dropped by, "stale", "unused", "unfinished", or "polled"
            where no more than a loss was asked for.
        staleness: server steps between being asked and being used, or refused.
        share: of the work it was asked for, as delivered.
        energy: all that the device drew meanwhile.
        last: serial of its last segment.
    """

    device: str
    hub: str
    round: int
    t0: Seconds
    t1: Seconds = 0.0
    outcome: str = "unfinished"
    used: int = -1
    waste: str = ""
    staleness: int = 0
    share: Fraction = 1.0
    energy: Joules = 0.0
    last: int = -1


class Counter(NamedTuple):
    """A quantity that keeps `value` from `t` on.

    Tracks are named with their unit: "power_w", "frequency_hz.cpu", "charge_j".
    """

    t: Seconds
    actor: str
    track: str
    value: float


class Progress(NamedTuple):
    """How far a run is, for whoever waits.

    Attributes:
        round: rounds simulated, of at most `rounds`.
        t: simulated time, of at most `limit`.
        energy: drawn by then.
        accuracy: the newest that is known.
        away: clients that cannot take part at present.
        asked: operations of what is to be learned by then.
        computed: those of them that are done, or need not be done.
        read: values that came from a store instead.
        early: whether reaching an accuracy may end the run before.
    """

    round: int
    rounds: int
    t: Seconds = 0.0
    energy: Joules = 0.0
    accuracy: float | None = None
    away: int = 0
    limit: Seconds = inf
    asked: Flops = 0.0
    computed: Flops = 0.0
    read: int = 0
    early: bool = False


class Note(NamedTuple):
    """Something a reader must know: an exclusion, a death, a refusal. `t` is simulated time."""

    t: Seconds
    actor: str
    cause: str
    text: str


@dataclass(slots=True)
class Trace:
    """A finished run.

    Attributes:
        spans: in order of their end.
        counters: in order of time.
        notes: in order of time.
        rounds: rows of `rounds.parquet` (keys as in the file).
        devices: rows of `devices.parquet` (keys as in the file); a list, or a table of very many.
        summary: content of `summary.json`.
        spec: the resolved spec, plain JSON values.
        provenance: content of `provenance.json`.
        participations: in order of being asked.
        critical: rows of `critical.parquet` (keys as in the file).
        views: rows of `views.parquet` (keys as in the file); mostly none.
        made: values that were paid for, by operation; not in the files.
        played: how clients' scripts were played, and why, in a line; not in the files.
    """

    spans: list[Span] = field(default_factory=list[Span])
    counters: list[Counter] = field(default_factory=list[Counter])
    notes: list[Note] = field(default_factory=list[Note])
    rounds: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    devices: Rows = field(default_factory=list[dict[str, Any]])
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])
    participations: list[Participation] = field(default_factory=list[Participation])
    critical: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    views: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    made: dict[str, int] = field(default_factory=dict[str, int])
    played: str = ""

    def count(self, t: Seconds, actor: str, track: str, value: float) -> None:
        """Record that a quantity keeps `value` from `t` on."""
        self.counters.append(Counter(t, actor, track, value))

    def hash(self) -> str:
        """SHA-256 of the spans: times in integer nanoseconds, joules in integer microjoules."""
        digest = hashlib.sha256()
        for s in sorted(self.spans, key=lambda s: (s.t0, s.actor, s.serial)):
            row = (
                round(s.t0 * 1e9), round(s.t1 * 1e9), s.actor, s.kind, round(s.energy * 1e6),
                round(s.size), s.key, s.peer, int(s.round), s.outcome,
            )  # fmt: skip
            digest.update(repr(row).encode())
        return digest.hexdigest()
