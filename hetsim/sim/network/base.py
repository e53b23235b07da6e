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
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way from a source to a target.

    Attributes:
        uses: what a payload byte takes of each resource on the way.
        latency: seconds before the first byte counts.
        weight: share at a common bottleneck; 1 for equal throughput.
        payers: joules a payload byte costs, {node: {kind: joules}}.
    """

    uses: Mapping[Resource, float]
    latency: Seconds = 0.0
    weight: float = 1.0
    payers: Mapping[Any, Mapping[str, Joules]] = field(
        default_factory=dict[Any, Mapping[str, Joules]]
    )

    def duration(self, size: Bytes) -> Seconds:
        """Seconds to move `size` bytes when nothing else moves, latency apart."""
        return max((_time(size * use, line.capacity) for line, use in self.uses.items()), default=0)


def _time(amount: float, capacity: float) -> Seconds:
    return amount / capacity if capacity > 0.0 else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A device at the edge of the network.

    Attributes:
        name: the device.
        up, down: its own rate in each direction.
        latency: one way to the network node it hangs on; None for the technology's default.
    """

    name: str
    up: Rate
    down: Rate
    latency: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What a station takes of the network node it hangs on, in one direction; fields as `Route`."""

    uses: Mapping[Resource, float]
    latency: Seconds
    weight: float = 1.0


class Technology(Protocol):
    """How stations share a cell, an access point or a switch.

    Attributes:
        radio: power of a station's interface where its profile has no measured one.
        power: draw of the cell itself (the access point, the switch), charged as a link.
    """

    @property
    def radio(self) -> Radio:
        """See above."""
        ...

    @property
    def power(self) -> Watts:
        """See above."""
        ...

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Up and down hops of all stations of the network node `name`."""
        ...
