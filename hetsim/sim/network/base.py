"""What a network technology provides, and what a route through the network takes.

A technology is a frozen dataclass of options with one method, `attach`: it gives a station its way
up and its way down through the cell, switch or access point. Sizes are payload bytes and rates are
payload bytes a second (what a file transfer measures), so headers and retransmissions are inside
the rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from hetsim.core.quantities import Bytes, Joules, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource


class Party(Protocol):
    """What wants to know when a job moves bytes past it: a radio, a link whose bandwidth varies."""

    def begin(self, job: Any) -> Seconds:
        """`job` is asked for now, None if it has no bytes; returns how long it has to wait."""
        ...

    def end(self, job: Any) -> None:
        """`job` is over, or was given up."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Route:
    """One way from a source to a target, as it is now.

    The network renews its numbers when a bandwidth on the way changes, then refreshes its jobs.

    Attributes:
        uses: what a payload byte takes of each resource on the way.
        latency: seconds before the first byte counts.
        weight: share at a common bottleneck; 1 for equal throughput.
        cap: largest payload rate of a flow on it; 0 during an outage.
        payers: joules a payload byte costs, {node: {kind: joules}}; lines have a tariff instead.
        parties: who is told of its jobs.
    """

    uses: Mapping[Resource, float]
    latency: Seconds = 0.0
    weight: float = 1.0
    cap: Rate = inf
    payers: Mapping[Any, Mapping[str, Joules]] = field(
        default_factory=dict[Any, Mapping[str, Joules]]
    )
    parties: tuple[Party, ...] = ()

    def duration(self, size: Bytes) -> Seconds:
        """Seconds to move `size` bytes when nothing else moves, latency apart."""
        alone = max(
            (_time(size * use, line.capacity) for line, use in self.uses.items()), default=0
        )
        return max(alone, _time(size, self.cap))

    @property
    def bottleneck(self) -> object:
        """What bounds a flow when nothing else moves: a resource, or the route by its cap."""
        line = min(self.uses, key=lambda line: line.capacity / self.uses[line])
        return line if line.capacity < self.cap * self.uses[line] else self

    def begin(self, job: Any) -> Seconds:
        """`job` is asked for now; returns how long it waits before the latency begins."""
        wait = 0.0
        for party in self.parties:
            wait = max(wait, party.begin(job))
        return wait

    def end(self, job: Any) -> None:
        """`job` is over, or was given up."""
        for party in self.parties:
            party.end(job)


def _time(amount: float, capacity: float) -> Seconds:
    return amount / capacity if capacity > 0.0 else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A device at the edge of the network.

    Attributes:
        name: the device.
        up, down: its own rate in each direction.
        latency: one way to the network node it hangs on; None for the technology's default.
        cap: largest rate of each of its flows.
    """

    name: str
    up: Rate
    down: Rate
    latency: Seconds | None = None
    cap: Rate = inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hop:
    """What a station takes of the network node it hangs on, in one direction.

    Attributes:
        uses: what a payload byte takes of each resource at the station's own rate.
        rate: that rate.
        latency: one way.
        weight: share at a common bottleneck.
        by_time: whether stations share by time: one whose rate changes keeps its share of the time.
        airtime: seconds its radio is on a payload byte; None for 1 / rate.
    """

    uses: Mapping[Resource, float]
    rate: Rate
    latency: Seconds
    weight: float = 1.0
    by_time: bool = False
    airtime: Seconds | None = None

    @property
    def on_air(self) -> Seconds:
        """Seconds its radio is on a payload byte."""
        return 1.0 / self.rate if self.airtime is None else self.airtime


class Technology(Protocol):
    """How stations share a cell, an access point or a switch.

    Attributes:
        radio: power of a station's interface where its profile has no measured one.
        power: draw of the cell itself (the access point, the switch), charged as a link.
        rates: payload rates (up, down) of a station that is given none; None if it must be given.
        states: what the radio of a station draws between transfers; None if it has no such states.
    """

    @property
    def radio(self) -> Radio:
        """See above."""
        ...

    @property
    def power(self) -> Watts:
        """See above."""
        ...

    @property
    def rates(self) -> tuple[Rate, Rate] | None:
        """See above."""
        ...

    @property
    def states(self) -> RadioStates | None:
        """See above."""
        ...

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Up and down hops of all stations of the network node `name`."""
        ...
