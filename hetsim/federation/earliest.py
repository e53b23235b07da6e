"""How early a round could have ended that asked its clients side by side, had a node been ideal.

What the bound rests on is told in `hetsim/federation/whatif.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Participation, Span
from hetsim.federation.links import Traffic


@dataclass(frozen=True, slots=True)
class Wish:
    """Segments of `kinds` of `device` are gone; the first of them began at `since`.

    The round begins sooner by `saved` at most, so that radios may still be awake.
    """

    device: str
    kinds: tuple[str, ...]
    since: Seconds
    saved: Seconds


class Round:
    """A round that asked its clients side by side."""

    def __init__(
        self, row: Mapping[str, Any], asked: Sequence[Participation], traffic: Traffic
    ) -> None:
        self.number, self.t0, self.t1 = row["round"], row["t0_s"], row["t1_s"]
        self.traffic, self.spans = traffic, traffic.spans
        self.ways = [(part, self._way(part.last)) for part in asked]
        self.ways.sort(key=lambda of: -of[0].t1)
        self.surplus = any(part.outcome == "surplus" for part in asked)
        self.hubs: dict[str, list[tuple[Participation, list[Span]]]] = {}
        for part, way in self.ways:
            self.hubs.setdefault(part.hub, []).append((part, way))
        closing: list[Span] = []
        joined = self.ways[0][0].t1 if self.ways else self.t0
        for span in self.spans.back(row["last"]):
            if span.actor != self.spans.server or span.t0 < joined:
                break
            closing.append(span)
        self.closing = closing

    def _way(self, last: int) -> list[Span]:
        """The chain that ends with span `last`, from the start of the round."""
        way: list[Span] = []
        for span in self.spans.back(last):
            if span.t1 <= self.t0:
                break
            way.append(span)
        return way[::-1]

    def least(self, wish: Wish) -> Seconds:
        """How long it takes at least."""
        if not self.hubs:  # the server was at work alone
            return sum(self._alone(span, wish) for span in self.closing)
        tails = {hub: self._tail(hub, wish) for hub in self.hubs}
        ends = (self._joined(hub, wish) + tail for hub, tail in tails.items())
        end = max(ends, default=self.t1)
        if end < self.t1 and self.traffic.links.load:
            end = max(end, self._carried(wish, tails))
        return max(min(end, self.t1) - self.t0, 0.0)

    def _joined(self, hub: str, wish: Wish) -> Seconds:
        """When those whom a hub waited for are through, at the earliest."""
        asked = self.hubs[hub]
        if any(part.outcome == "surplus" for part, _ in asked):
            enough = max(sum(part.outcome == "done" for part, _ in asked), 1)
            return sorted(self._through(part, way, wish) for part, way in asked)[enough - 1]
        latest = self.t0
        for part, way in asked:
            if part.t1 <= latest:
                break  # nor is anybody after this one later
            latest = max(latest, self._through(part, way, wish))
        return latest

    def _through(self, part: Participation, way: Sequence[Span], wish: Wish) -> Seconds:
        return min(self._walk(way, wish)[0], part.t1)

    def _tail(self, hub: str, wish: Wish) -> Seconds:
        """What comes after a hub has its replies, until the round closes."""
        tail = sum(self._alone(span, wish) for span in self.closing)
        if hub == self.spans.server:
            return tail
        joined = self.hubs[hub][0][0].t1
        own = (span for span in self.traffic.acts(self.number, hub) if span.t0 >= joined)
        return tail + sum(self._alone(span, wish) for span in own)

    def _walk(self, way: Sequence[Span], wish: Wish) -> tuple[Seconds, list[Seconds]]:
        """When a chain ends and each of its segments begins, at the earliest."""
        at, shifted = self.t0, False
        begins: list[Seconds] = []
        for span in way:
            begin = max(span.t0, self.t0)
            if not shifted:  # a gap may close, but not before anything changes
                at = max(at, min(begin, wish.since))
                shifted = at < begin
            begins.append(at)
            if not shifted and not self._changed(span, wish):
                at = span.t1
                continue
            least = at + max(self._alone(span, wish) - (begin - span.t0), 0.0)
            if not shifted and not self.traffic.rouses(span, wish.saved):
                least = max(least, min(span.t1, wish.since))
            at, shifted = min(least, span.t1), True
        return at, begins

    def _changed(self, span: Span, wish: Wish) -> bool:
        """Whether a segment that begins when it did may end sooner."""
        if self.traffic.rouses(span, wish.saved):
            return True
        if span.t1 <= wish.since:
            return False
        if span.peer:
            return self._gone(span, wish) or self.traffic.links.meet(span.actor, wish.device)
        return self.spans.kind(span) != "compute" or span.actor == wish.device

    def _gone(self, span: Span, wish: Wish) -> bool:
        return span.actor == wish.device and self.spans.kind(span) in wish.kinds

    def _alone(self, span: Span, wish: Wish) -> Seconds:
        """The least that a segment takes, whenever it begins."""
        if self._gone(span, wish):
            return min(span.latency, span.alone)
        return min(self.traffic.alone(span), span.t1 - span.t0)

    def _carried(self, wish: Wish, tails: Mapping[str, Seconds]) -> Seconds:
        """When the bottlenecks have carried what those who delivered move, at the earliest.

        Where the first of many were enough, others may be the first, and first of all those who
        move nothing there. What a pipeline moves may go at any time while it lasts.
        """
        jobs: dict[Hashable, list[_Job]] = {}
        users: dict[Hashable, set[str]] = {}
        for part, way in self.ways:
            if part.outcome != "done" and part.outcome != "surplus":
                continue
            begins = self._walk(way, wish)[1]
            after = behind = tails[part.hub]
            staged = False
            for span, first in zip(reversed(way), reversed(_heads(way, begins)), strict=True):
                if not (staged and span.held >= 0.0):
                    behind = after
                staged = span.held >= 0.0
                if span.peer and span.actor == part.device and not self._gone(span, wish):
                    for where, seconds in self.traffic.load(span).items():
                        place = (where, span.kind) if self.surplus else where
                        jobs.setdefault(place, []).append((first, seconds, behind))
                        users.setdefault(place, set()).add(part.device)
                if part.outcome == "done":
                    after += self._alone(span, wish)
        if not self.surplus:
            return max((_sequenced(each) for each in jobs.values()), default=self.t0)
        surplus = {part.device for part, _ in self.ways if part.outcome == "surplus"}
        return max(
            (_first(each, len(users[place]) - len(surplus)) for place, each in jobs.items()),
            default=self.t0,
        )


def _heads(way: Sequence[Span], begins: Sequence[Seconds]) -> list[Seconds]:
    """When the first byte of each segment may move: in a pipeline, as soon as that begins."""
    heads: list[Seconds] = []
    staged = False
    for span, begin in zip(way, begins, strict=True):
        if span.held < 0.0:
            heads.append(begin + min(span.latency, span.alone))
        else:
            heads.append(heads[-1] if staged else begin)
        staged = span.held >= 0.0
    return heads


_Job = tuple[Seconds, Seconds, Seconds]
"""When it can begin, how long it takes, and what comes after it at least."""


def _first(jobs: list[_Job], enough: int) -> Seconds:
    """When so many jobs of one machine are over, at the earliest, whichever they are.

    >>> _first([(1.0, 4.0, 0.5), (0.0, 2.0, 1.0), (3.0, 2.0, 1.0)], enough=2)
    4.5
    """
    if enough < 1:
        return 0.0
    lengths = sorted(seconds for _, seconds, _ in jobs)[:enough]
    return min(begin for begin, _, _ in jobs) + sum(lengths) + min(after for _, _, after in jobs)


def _sequenced(jobs: list[_Job]) -> Seconds:
    """When all jobs of one machine are over, at the earliest.

    >>> _sequenced([(0.0, 1.0, 5.0), (2.0, 3.0, 0.0), (2.0, 3.0, 1.0)])
    8.0
    """
    least = length = 0.0
    tail = inf
    for begin, seconds, after in sorted(jobs, key=lambda job: -job[0]):
        length, tail = length + seconds, min(tail, after)
        least = max(least, begin + length + tail)
    return least
