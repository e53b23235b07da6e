"""What a trace and the network say of a transfer: whom it meets, and what it takes by itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import inf

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Span
from hetsim.federation.critical import Spans

Way = tuple[str, str, str]
"""Actor, peer and kind of blame of a transfer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Who can get into whose way on the network.

    Attributes:
        group: of each node; nodes of different groups never slow each other's transfers. Who is not
            in it may be slowed by anybody.
        load: what a byte takes of each bottleneck on a way, in seconds of the whole bottleneck.
        waking: of each way whose radio may have to wake up first, the seconds that a byte takes,
            and the seconds of rest after which the radio sleeps.
    """

    group: Mapping[str, int] = field(default_factory=dict[str, int])
    load: Mapping[Way, Mapping[Hashable, float]] = field(
        default_factory=dict[Way, Mapping[Hashable, float]]
    )
    waking: Mapping[Way, tuple[float, Seconds]] = field(
        default_factory=dict[Way, tuple[float, Seconds]]
    )

    def meet(self, one: str, other: str) -> bool:
        """Whether transfers of two nodes may depend on each other."""
        groups = self.group
        return one not in groups or other not in groups or groups[one] == groups[other]


class Traffic:
    """The spans of a run by round, with what is known of the links.

    Attributes:
        spans: the spans by serial.
        links: who can get into whose way.
    """

    def __init__(self, spans: Spans, links: Links) -> None:
        self.spans, self.links = spans, links
        self._acts: dict[tuple[int, str], list[Span]] = {}
        self._moved: dict[int, list[Span]] = {}
        for span in spans.by_serial.values():
            self._acts.setdefault((span.round, span.actor), []).append(span)
            if span.peer:
                self._moved.setdefault(span.round, []).append(span)
        self._rested: dict[int, Seconds] = {}
        if links.waking:
            ends: dict[str, Seconds] = {}
            for span in sorted(spans.by_serial.values(), key=lambda span: span.t0):
                if span.peer:
                    self._rested[span.serial] = span.t0 - ends.get(span.actor, -inf)
                    ends[span.actor] = span.t1

    def acts(self, number: int, actor: str) -> list[Span]:
        """What a node did in a round, in order of its ends."""
        return self._acts.get((number, actor), [])

    def moved(self, number: int) -> list[Span]:
        """All transfers of a round."""
        return self._moved.get(number, [])

    def load(self, span: Span) -> Mapping[Hashable, Seconds]:
        """Seconds that a transfer takes of each bottleneck, at least."""
        loads = self.links.load.get(self._way(span), {})
        return {where: min(span.size * load, span.alone) for where, load in loads.items()}

    def rouses(self, span: Span, saved: Seconds) -> bool:
        """Whether a transfer's radio may be awake, `saved` seconds sooner, where it had slept."""
        way = self._way(span)
        if not saved or way not in self.links.waking:
            return False
        asleep = self.links.waking[way][1]
        return asleep <= self._rested[span.serial] < asleep + saved

    def alone(self, span: Span) -> Seconds:
        """What a segment takes by itself, with a radio that is awake."""
        way = self._way(span)
        if way not in self.links.waking:
            return span.alone
        pace, _ = self.links.waking[way]
        return min(span.alone, span.latency + span.size * pace)

    def _way(self, span: Span) -> Way:
        return span.actor, span.peer, self.spans.kind(span)
