"""A Wi-Fi cell: one channel, whose airtime all stations share in both directions.

A station at rate r occupies 1 / r seconds of airtime a byte. The distributed coordination function
gives every station the same chance to send a frame, so busy stations get equal throughput and a
slow one takes most of the air: at 6 and 54 Mbit/s both get 5.4 Mbit/s.

Source: Heusse, Rousseau, Berger-Sabbatel, Duda, "Performance anomaly of 802.11b", INFOCOM 2003.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Wifi:
    """One access point and its stations.

    Attributes:
        latency: one way between a station and the access point (assumed: 2 ms, an uncontended
            channel access plus queueing).
        power: draw of the access point; 0 leaves it out of the ledger.
        transmit, receive, idle: power of a station's radio where its profile has none (derived:
            median of Pixel 3, 3a, 4, 4a and 5 in their Android power profiles, 351 mA and 125 mA
            at 3.7 V; idle is taken to be inside the device's idle power).
    """

    latency: Seconds = 2e-3
    power: Watts = 0.0
    transmit: Watts = 1.3
    receive: Watts = 0.46
    idle: Watts = 0.0

    @property
    def radio(self) -> Radio:
        """Power of a station without measured radio."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Both directions of every station use the one channel."""
        air = Resource(f"{name}/airtime", 1.0)
        hops: dict[str, tuple[Hop, Hop]] = {}
        for station in stations:
            latency = self.latency if station.latency is None else station.latency
            hops[station.name] = (
                Hop(uses={air: 1.0 / station.up}, latency=latency),
                Hop(uses={air: 1.0 / station.down}, latency=latency),
            )
        return hops
