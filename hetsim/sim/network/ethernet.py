"""A switch: every station has its own full-duplex line, and the backplane never limits."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Ethernet:
    """Switched Ethernet.

    Attributes:
        latency: one way between a station and the switch (assumed: a local network's store and
            forward, 0.1 ms).
        power: draw of the switch; 0 leaves it out of the ledger.
    """

    latency: Seconds = 1e-4
    power: Watts = 0.0

    @property
    def radio(self) -> Radio:
        """A wired interface draws the same whether frames pass or not; it is in the idle power."""
        return Radio(transmit=0.0, receive=0.0)

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """A line up and a line down for each station."""
        hops: dict[str, tuple[Hop, Hop]] = {}
        for station in stations:
            latency = self.latency if station.latency is None else station.latency
            up = Resource(f"{station.name}/up", station.up)
            down = Resource(f"{station.name}/down", station.down)
            hops[station.name] = (
                Hop(uses={up: 1.0}, latency=latency),
                Hop(uses={down: 1.0}, latency=latency),
            )
        return hops
