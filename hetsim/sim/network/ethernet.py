"""Ethernet: a switch with a line for each station, or a hub whose medium all of them share.

A switch never limits: its backplane carries what its ports do. A line is full duplex, or both of
its directions share its rate (IEEE 802.3 clause 4, half duplex). On a hub one frame is in the
medium at a time, whoever sends it and whatever its direction, and stations get equal throughput;
collisions are left out (assumed: long frames on a short cable lose little time to them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hetsim.core.quantities import Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Ethernet:
    """A switch or a hub.

    Attributes:
        duplex: full for a line each way; shared for one line both ways; hub for one medium for all
            stations both ways.
        latency: one way between a station and the switch (assumed: a local network's store and
            forward, 0.1 ms).
        power: draw of the switch; 0 leaves it out of the ledger.
    """

    duplex: Literal["full", "shared", "hub"] = "full"
    latency: Seconds = 1e-4
    power: Watts = 0.0

    @property
    def radio(self) -> Radio:
        """A wired interface draws the same whether frames pass or not; it is in the idle power."""
        return Radio(transmit=0.0, receive=0.0)

    @property
    def rates(self) -> tuple[Rate, Rate] | None:
        """A port may have any rate."""
        return None

    @property
    def states(self) -> RadioStates | None:
        """A wired interface has none."""
        return None

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Seconds of a line, or of the medium, for each byte."""
        medium = Resource(f"{name}/medium", 1.0)
        hops: dict[str, tuple[Hop, Hop]] = {}
        for station in stations:
            both = medium if self.duplex == "hub" else Resource(f"{station.name}/line", 1.0)
            latency = self.latency if station.latency is None else station.latency
            if self.duplex == "full":
                up = Resource(f"{station.name}/up", station.up)
                down = Resource(f"{station.name}/down", station.down)
                uses = {up: 1.0}, {down: 1.0}
            else:
                uses = {both: 1.0 / station.up}, {both: 1.0 / station.down}
            hops[station.name] = (
                Hop(uses=uses[0], rate=station.up, latency=latency),
                Hop(uses=uses[1], rate=station.down, latency=latency),
            )
        return hops
