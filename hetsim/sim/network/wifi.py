"""A Wi-Fi cell: one channel, whose airtime all stations share in both directions.

A station at rate r occupies 1 / r seconds of airtime a byte. The distributed coordination function
gives every station the same chance to send a frame, so busy stations get equal throughput and a
slow one takes most of the air: at 6 and 54 Mbit/s both get 5.4 Mbit/s. Access points that schedule
by airtime give equal time instead: 3 and 27.

Sources: Heusse, Rousseau, Berger-Sabbatel, Duda, "Performance anomaly of 802.11b", INFOCOM 2003;
Høiland-Jørgensen et al., "Ending the anomaly", USENIX ATC 2017 (airtime fairness).
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
class Wifi:
    """One access point and its stations.

    Attributes:
        share: dcf for equal throughput, airtime for equal time.
        latency: one way between a station and the access point (assumed: 2 ms, an uncontended
            channel access plus queueing).
        power: draw of the access point; 0 leaves it out of the ledger.
        transmit, receive, idle: power of a station's radio where its profile has none (derived:
            median of Pixel 3, 3a, 4, 4a and 5 in their Android power profiles, 351 mA and 125 mA
            at 3.7 V; idle is taken to be inside the device's idle power).
    """

    share: Literal["dcf", "airtime"] = "dcf"
    latency: Seconds = 2e-3
    power: Watts = 0.0
    transmit: Watts = 1.3
    receive: Watts = 0.46
    idle: Watts = 0.0

    @property
    def radio(self) -> Radio:
        """Power of a station without measured radio."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    @property
    def rates(self) -> tuple[Rate, Rate] | None:
        """What a station gets depends on its radio and on where it stands."""
        return None

    @property
    def states(self) -> RadioStates | None:
        """Power save is inside the idle power."""
        return None

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Both directions of every station use the one channel."""
        air = Resource(f"{name}/airtime", 1.0)
        by_time = self.share == "airtime"
        mean = sum(station.up + station.down for station in stations) / (2 * len(stations))

        def hop(rate: Rate, station: Station) -> Hop:
            return Hop(
                uses={air: 1.0 / rate},
                rate=rate,
                latency=self.latency if station.latency is None else station.latency,
                weight=rate / mean if by_time else 1.0,
                by_time=by_time,
            )

        return {each.name: (hop(each.up, each), hop(each.down, each)) for each in stations}
