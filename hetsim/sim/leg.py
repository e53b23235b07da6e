"""What routes are made of: stations on their cells, and hops as they are at present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from hetsim.core.quantities import Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Party, Route, Station
from hetsim.sim.radio import RadioState
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A station's place in the network.

    Attributes:
        cell: the network node it hangs on.
        station: its name, rates and latency.
        up, down: what its bytes take there.
        radio: what they cost it; all it draws above the device's idle power.
        node: who pays for the radio.
        state: what its radio does between transfers, if it has such states.
    """

    cell: str
    station: Station
    up: Hop
    down: Hop
    radio: Radio
    node: Any
    state: RadioState | None = None


class Leg:
    """A hop as it is now: a direction of a line, or a station's way up or down.

    A shared line is one leg in both directions.

    Attributes:
        hop: what it is when nothing is wrong.
        own: its rate while nobody imposes another one; a trace changes it.
        imposed: rates that incidents hold it at, by incident; the newest holds.
        up: whether it is there at all.
        back: the leg the other way.
        routes: those that its bandwidth tells anything, there or back.
        jobs: those asked for and not over.
        line: the resource that the leg is, of a line.
        payer: who pays for the line, and what for above idle while it carries all it can.
        parties: who else is told of its jobs.
    """

    __slots__ = (
        "back", "hop", "imposed", "jobs", "line", "own", "parties", "payer", "routes", "up",
    )  # fmt: skip

    def __init__(self, hop: Hop, line: Resource | None = None) -> None:
        self.hop, self.own, self.up, self.line = hop, hop.rate, True, line
        self.imposed: dict[object, Rate] = {}
        self.back = self
        self.routes: list[Way] = []
        self.jobs: dict[Any, None] = {}
        self.payer: tuple[Any, Watts] | None = None
        self.parties: tuple[Party, ...] = ()

    @classmethod
    def of_line(cls, name: str, bandwidth: Rate, latency: Seconds) -> Leg:
        """A line, or one direction of it."""
        resource = Resource(name, bandwidth)
        return cls(Hop(uses={resource: 1.0}, rate=bandwidth, latency=latency), resource)

    @property
    def rate(self) -> Rate:
        """Its present rate, outages apart: the newest that is imposed, else its own."""
        return next(reversed(self.imposed.values())) if self.imposed else self.own

    @property
    def bandwidth(self) -> Rate:
        """What it carries now."""
        return self.rate if self.up else 0.0

    @property
    def slowness(self) -> float:
        """How much more of a cell a byte takes than at the station's own rate."""
        if self.line:
            return 1.0
        rate = self.rate
        return self.hop.rate / rate if rate else 1.0

    def begin(self, job: Any) -> Seconds:
        """`job` passes here from now on; None for a message without bytes."""
        if job is not None:
            self.jobs[job] = None
        return 0.0

    def end(self, job: Any) -> None:
        """`job` no longer does."""
        self.jobs.pop(job, None)


class Way(NamedTuple):
    """A route and what its numbers follow from."""

    route: Route
    legs: tuple[Leg, ...]
    ends: tuple[Attachment | None, Attachment | None]
