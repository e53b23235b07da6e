"""An LTE cell: airtime each way is shared by time, so a slow station slows down only itself.

The base station's scheduler gives busy stations equal time (proportional fairness with stationary
channels): at 6 and 54 Mbit/s they get 3 and 27 Mbit/s. Uplink and downlink are apart (FDD).

Source: Kelly, "Charging and rate control for elastic traffic", 1997 (proportional fairness gives
equal time on a shared channel).
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Lte:
    """One cell and its stations.

    Attributes:
        latency: one way between a station and the core network (derived: half of the 70 ms
            median round trip of a connected phone on Verizon 4G, SIGCOMM21-5G artifact,
            RRC-Probe).
        power: draw of the base station; 0 leaves it out of the ledger.
        transmit, receive, idle: power of a station's modem where its profile has none (derived:
            median of Pixel 3, 3a, 4, 4a and 5 in their Android power profiles, 225 mA at the
            middle transmit level and 111 mA receiving, at 3.7 V).
    """

    latency: Seconds = 35e-3
    power: Watts = 0.0
    transmit: Watts = 0.83
    receive: Watts = 0.41
    idle: Watts = 0.0

    @property
    def radio(self) -> Radio:
        """Power of a station without measured modem."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Equal time: a station's weight is its rate over the mean rate of the cell."""
        up_air, down_air = Resource(f"{name}/uplink", 1.0), Resource(f"{name}/downlink", 1.0)
        mean_up = sum(station.up for station in stations) / len(stations)
        mean_down = sum(station.down for station in stations) / len(stations)
        hops: dict[str, tuple[Hop, Hop]] = {}
        for station in stations:
            latency = self.latency if station.latency is None else station.latency
            hops[station.name] = (
                Hop(uses={up_air: 1 / station.up}, latency=latency, weight=station.up / mean_up),
                Hop(
                    uses={down_air: 1 / station.down},
                    latency=latency,
                    weight=station.down / mean_down,
                ),
            )
        return hops
