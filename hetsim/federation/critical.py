"""What held a round up: the chain of segments that set its end, by device and kind.

Every segment of a trace names the one whose end let it begin. From the last one of a round the
chain leads back to the round's start; what it consists of is what the round consisted of, so the
lengths of its parts add up to that of the round. (The critical path of project planning: J. E.
Kelley and M. R. Walker, "Critical-Path Planning and Scheduling", Eastern Joint Computer Conference
1959; here the dependencies are those that the simulation met, not a plan's.)

A transfer's own time, what it would have taken with the links to itself as they were when it began,
is told apart from its queueing behind others (or an outage); a computation's from what slowed it
down: a shared processor, heat, a pause.
A gap, in which nothing of the chain was at work, is waiting of whoever went on after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hetsim.core.quantities import Fraction, Seconds
from hetsim.core.table import unlike
from hetsim.core.trace import Participation, Span, Trace

KINDS = (
    "compute", "uplink", "downlink", "queueing", "slowed", "server", "gateway", "waiting", "charge",
)  # fmt: skip
"""Kinds of blame. "compute" is on devices, "server" and "gateway" are computing there; "waiting" is
for memory, for clients that are away, or for a time to come; "charge" for a battery."""
_WAITS = {"wait": "waiting", "away": "waiting", "sleep": "waiting", "charge": "charge"}
_ROUNDING = 1e-9
"""A share of a segment, and of a nanosecond's worth of the clock, too short to be told apart."""
_TOP = 10


class Segment(NamedTuple):
    """A part of a critical path; `serial` is that of its span, -1 in a gap."""

    t0: Seconds
    t1: Seconds
    actor: str
    peer: str
    kind: str
    serial: int


class Spans:
    """The spans of a trace by serial, and the roles of their actors.

    The stages of a pipeline are told as if they came one after the other, each for as long as it
    held the pipeline up.

    Attributes:
        by_serial: every span, in the order of the trace.
        roles: of every node that is no device.
        server: name of the server.
    """

    def __init__(self, trace: Trace) -> None:
        self.by_serial: dict[int, Span] = {}
        ahead, begin = -1, 0.0
        for span in trace.spans:
            if span.held >= 0.0:  # a stage
                begin = begin if span.after == ahead else span.t0
                over = span.t1 - begin - span.held <= _ROUNDING * (span.t1 - span.t0)
                ahead = span.serial
                span = span._replace(t0=begin, t1=span.t1 if over else begin + span.held)
                begin = span.t1
            self.by_serial[span.serial] = span
        self.roles: dict[str, str] = {
            row["device"]: row["role"] for row in unlike(trace.devices, role="device")
        }
        servers = (name for name, role in self.roles.items() if role == "server")
        self.server = next(servers, "server")

    def back(self, last: int) -> Iterator[Span]:
        """The chain that ends with span `last`, the latest first, to the start of the run."""
        while (span := self.by_serial.get(last)) is not None:
            yield span
            last = span.after

    def of(self, part: Participation) -> list[Span]:
        """What a client did in a participation, and others in its pipelines, in order of time."""
        acts: list[Span] = []
        for span in self.back(part.last):
            if span.t0 < part.t0 or (span.actor != part.device and span.held < 0.0):
                break
            acts.append(span)
        return acts[::-1]

    def kind(self, span: Span) -> str:
        """What the span's own time is blamed on."""
        if span.peer:
            return "downlink" if span.kind == "download" else "uplink"
        if span.kind in _WAITS:
            return _WAITS[span.kind]
        role = self.roles.get(span.actor, "device")
        return role if role in ("server", "gateway") else "compute"

    def parts(self, span: Span, t0: Seconds, t1: Seconds) -> Iterator[Segment]:
        """What a span consists of between two instants: its own time, then what came on top."""
        kind = self.kind(span)
        split = t1
        excess = span.t1 - span.t0 - span.alone
        if kind not in ("waiting", "charge") and excess > _rounding(span):
            split = min(max(span.t0 + span.alone, t0), t1)
        if split > t0:
            yield Segment(t0, split, span.actor, span.peer, kind, span.serial)
        if t1 > split:
            more = "queueing" if span.peer else "slowed"
            yield Segment(split, t1, span.actor, span.peer, more, span.serial)


def path(spans: Spans, last: int, t0: Seconds, t1: Seconds) -> list[Segment]:
    """The critical path of a round from `t0` to `t1` that the end of span `last` let close.

    Segments are in order of time; each begins where the one before it ends, the first at `t0`, the
    last ends at `t1`.
    """
    found: list[Segment] = []
    end, actor = t1, spans.server
    for span in spans.back(last):
        if end <= t0:
            break
        if span.t1 < end:
            found.append(Segment(max(span.t1, t0), end, actor, "", "waiting", -1))
            end = found[-1].t0
        begin = max(min(span.t0, end), t0)
        found += reversed(tuple(spans.parts(span, begin, end)))
        end, actor = begin, span.actor
    if end > t0:
        found.append(Segment(t0, end, actor, "", "waiting", -1))
    return found[::-1]


def critical_paths(trace: Trace, spans: Spans) -> list[dict[str, Any]]:
    """Rows of `critical.parquet`: the critical path of every round, in order of time."""
    return [
        {
            "round": row["round"], "t0_s": segment.t0, "t1_s": segment.t1, "actor": segment.actor,
            "peer": segment.peer, "kind": segment.kind, "serial": segment.serial,
        }
        for row in trace.rounds
        for segment in path(spans, row["last"], row["t0_s"], row["t1_s"])
    ]  # fmt: skip


def round_columns(trace: Trace) -> None:
    """Give every round its blame: seconds by kind, and the device and kind with the most.

    From `trace.critical`. Where two have as much, the earlier one on the path is named.
    """
    paths: dict[int, list[Mapping[str, Any]]] = {}
    for segment in trace.critical:
        paths.setdefault(segment["round"], []).append(segment)
    for row in trace.rounds:
        segments = paths.get(row["round"], [])
        shares = _shares(segments)
        device, kind = max(shares, key=shares.__getitem__, default=("", ""))
        row["critical_device"], row["critical_kind"] = device, kind
        for each in KINDS:
            row[f"critical_{each}_s"] = sum(
                (_length(s) for s in segments if s["kind"] == each), 0.0
            )


def blame(trace: Trace) -> dict[str, Any]:
    """Content of `blame` in the summary: seconds of all critical paths, by kind and by device.

    `kinds` add up to the length of all rounds; `top` holds the devices and kinds with the most.
    """
    shares = _shares(trace.critical)
    total = sum(shares.values())
    kinds = {kind: sum((s for (_, own), s in shares.items() if own == kind), 0.0) for kind in KINDS}
    first = sorted(shares.items(), key=lambda item: -item[1])[:_TOP]
    return {
        "seconds": total,
        "kinds": {
            kind: {"seconds": seconds, "share": _share(seconds, total)}
            for kind, seconds in kinds.items()
        },
        "top": [
            {"device": device, "kind": kind, "seconds": seconds, "share": _share(seconds, total)}
            for (device, kind), seconds in first
        ],
    }


def _shares(segments: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Seconds]:
    """Seconds of critical path by actor and kind."""
    seconds: dict[tuple[str, str], Seconds] = {}
    for segment in segments:
        place = segment["actor"], segment["kind"]
        seconds[place] = seconds.get(place, 0.0) + _length(segment)
    return seconds


def _length(segment: Mapping[str, Any]) -> Seconds:
    return segment["t1_s"] - segment["t0_s"]


def _share(part: Seconds, whole: Seconds) -> Fraction:
    return part / whole if whole else 0.0


def _rounding(span: Span) -> Seconds:
    """Less than this is what a clock that has come to the span's end cannot tell."""
    return _ROUNDING * (span.t1 - span.t0) + 1e-3 * _ROUNDING * span.t1
