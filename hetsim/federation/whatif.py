"""What would help: how short a run could be at best if one device had an ideal link or processor.

The bound is read off the trace, without simulating again, and it errs on the low side only. It
holds for a run in which the same clients are asked and links and processors are as fast as they
were when a segment began; where clients come and go by the hour, or batteries fill and drain, a
shorter run may meet another world.

An ideal link has no limit of its rate, and the latency it had; an ideal processor takes no time.

A round that asks its clients side by side cannot end before each client that it waits for is
through (before the k-th of them is, where the first k were enough), plus what its server does then.
Take the segments of one kind of device X away. Until the first of them began, nothing changes.
After it

- X goes on at once, and takes for everything else as long as it would by itself;
- who shares a bottleneck with X, directly or through others, takes for each later transfer at least
  what it would by itself; who shares none is as before;
- and a bottleneck still has to carry what the others move over it: the last of a set of transfers
  ends no sooner than the first of them can begin plus the time that all of them take of it together
  (the bound of one machine with heads and tails: J. Carlier, "The one-machine sequencing problem",
  European Journal of Operational Research 11, 1982).

Once a round may be shorter, a radio that had fallen asleep may still be awake when the next one
begins, unless it had slept for longer than has been saved by then.

A server step that takes up updates as they arrive is bounded by its critical path without X's
segments and without the queueing of whoever shares a bottleneck with X, provided that the same
updates go into the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Participation, Span, Trace
from hetsim.federation.critical import Spans, path
from hetsim.federation.earliest import Round, Wish
from hetsim.federation.links import Links, Traffic

CHANGES = {
    "ideal uplink": ("uplink",),
    "ideal downlink": ("downlink",),
    "ideal CPU": ("compute", "server", "gateway"),
}  # fmt: skip
"""What can be wished for a node, and the kinds of blame that would go."""
_ROWS, _WISHES = 10, 15
"""Wishes that are told, and looked into."""
_SLACK = 1e-9


def what_if(
    trace: Trace, spans: Spans, links: Links, *, side_by_side: bool = True
) -> list[dict[str, Any]]:
    """Content of `what_if` in the summary: the wishes that could save most, at most ten.

    Each is for a node that critical paths lead over. `rounds` says how many rounds could be
    shorter; `same_order` that the bound is none unless the same updates go into the same steps.

    Args:
        trace: of the run, critical paths included.
        spans: of the trace.
        links: who can slow whom.
        side_by_side: whether server steps asked all those at once whose updates they took in.
    """
    outlook = Outlook(trace, spans, links, side_by_side=side_by_side)
    end: Seconds = trace.summary["simulated_s"]
    rows: list[dict[str, Any]] = []
    for device, change in _wishes(trace, outlook):
        before = [row["t1_s"] - row["t0_s"] for row in trace.rounds]
        after = outlook.rounds(device, change)
        saved = sum(was - now for was, now in zip(before, after, strict=True))
        if saved > _SLACK * end:
            rows.append(
                {
                    "device": device,
                    "change": change,
                    "simulated_s_at_least": end - saved,
                    "saves_at_most_s": saved,
                    "rounds": sum(
                        was - now > _SLACK * was for was, now in zip(before, after, strict=True)
                    ),
                    "same_order": not outlook.all_side_by_side,
                }
            )
    return sorted(rows, key=lambda row: -row["saves_at_most_s"])[:_ROWS]


def _wishes(trace: Trace, outlook: Outlook) -> list[tuple[str, str]]:
    """Nodes and changes that critical paths speak for, those with most seconds first.

    Where a transfer queues, those who were sending beside it are spoken for too.
    """
    traffic = outlook.traffic
    spans = traffic.spans
    wishes = {kind: change for change, kinds in CHANGES.items() for kind in kinds}
    seconds: dict[tuple[str, str], Seconds] = {}

    def speak(span: Span, for_seconds: Seconds) -> None:
        wish = span.actor, wishes[spans.kind(span)]
        seconds[wish] = seconds.get(wish, 0.0) + for_seconds

    for segment in trace.critical:
        span, t0, t1 = spans.by_serial.get(segment["serial"]), segment["t0_s"], segment["t1_s"]
        if span is None or spans.kind(span) not in wishes:
            continue
        speak(span, t1 - t0)
        if segment["kind"] != "queueing":
            continue
        for other in traffic.moved(span.round):
            beside = min(other.t1, t1) - max(other.t0, t0)
            if (
                beside > 0.0
                and other.actor != span.actor
                and traffic.links.meet(other.actor, span.actor)
            ):
                speak(other, min(beside, other.alone))
    return sorted(seconds, key=lambda wish: -seconds[wish])[:_WISHES]


class Outlook:
    """Lower bounds for the rounds of a run.

    Attributes:
        traffic: its spans, and what is known of the links.
        all_side_by_side: whether every round asked all those whose updates it used.
    """

    def __init__(
        self, trace: Trace, spans: Spans, links: Links, *, side_by_side: bool = True
    ) -> None:
        self._rows = trace.rounds
        self._asked: dict[int, list[Participation]] = {}
        self._late: set[int] = set()
        closed = {row["round"]: row["t1_s"] for row in trace.rounds}
        if not side_by_side:
            self._late.update(closed)
        for part in trace.participations:
            if part.waste == "polled":
                continue
            self._asked.setdefault(part.round, []).append(part)
            if part.used not in (part.round, -1):
                self._late |= {part.round, part.used}
            elif part.t1 > closed.get(part.round, part.t1):
                self._late.add(part.round)
        self.all_side_by_side = not self._late
        self.traffic = Traffic(spans, links)
        self._known: dict[int, Round] = {}

    def rounds(self, device: str, change: str) -> list[Seconds]:
        """The least length of every round, with this wish for this node come true."""
        lengths: list[Seconds] = []
        saved = 0.0
        for row in self._rows:
            lengths.append(self._least(row, device, CHANGES[change], saved))
            saved += row["t1_s"] - row["t0_s"] - lengths[-1]
        return lengths

    def _least(
        self, row: Mapping[str, Any], device: str, kinds: tuple[str, ...], saved: Seconds
    ) -> Seconds:
        """The least length of a round that begins sooner by `saved` at most."""
        spans, number, t0, t1 = self.traffic.spans, row["round"], row["t0_s"], row["t1_s"]
        if number in self._late:
            return self._rest(row, device, kinds)
        gone = [
            span for span in self.traffic.acts(number, device)
            if spans.kind(span) in kinds and span.t1 > t0
        ]  # fmt: skip
        if not gone and not (saved and self.traffic.links.waking):
            return t1 - t0
        if number not in self._known:
            self._known[number] = Round(row, self._asked.get(number, []), self.traffic)
        since = max(min((span.t0 for span in gone), default=t1), t0)
        return self._known[number].least(Wish(device, kinds, since, saved))

    def _rest(self, row: Mapping[str, Any], device: str, kinds: tuple[str, ...]) -> Seconds:
        """The critical path of a step without what is wished away and the queueing it may touch."""
        return sum(
            part.t1 - part.t0
            for part in path(self.traffic.spans, row["last"], row["t0_s"], row["t1_s"])
            if not (part.actor == device and part.kind in kinds)
            and not (part.kind == "queueing" and self.traffic.links.meet(part.actor, device))
        )
