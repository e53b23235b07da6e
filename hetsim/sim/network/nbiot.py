"""An NB-IoT carrier: 180 kHz of a cell, upwards divided into twelve tones.

A single-tone sender takes one tone of 15 kHz, so twelve of them send at once; a multi-tone sender
takes all twelve. Downwards there is one carrier for all. Stations get equal time. The payload rate
follows from the PHY rate p by the headers of blocks and packets,

    rate = p / repetitions * (block - l2) / block * (packet - ip) / packet,

with blocks of up to 125 bytes upwards and 85 downwards, l2 = 5 bytes of MAC, RLC and PDCP and
ip = 28 bytes of IPv4 and UDP. A transfer of N bytes is counted as a fraction of its last packet: at
most one packet off. Gaps for scheduling and acknowledgement are left out.

Sources: 3GPP TS 36.213 release 13, tables 16.4.1.5.1-1 and 16.5.1.2-2 (largest blocks: 680 and
1000 bits), TS 36.211 section 10.1 (tones, repetitions); M5Stack's page of the China Mobile M5311
module (PHY rates, currents).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hetsim.core.quantities import Bytes, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network._airtime import equal_time
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource

_UP: dict[str, tuple[Rate, float]] = {"single": (1953.125, 12.0), "multi": (7812.5, 1.0)}
"""PHY rate upwards, and how many senders fit beside each other."""
_DOWN: Rate = 2656.25
_BLOCK_UP: Bytes = 125.0
_BLOCK_DOWN: Bytes = 85.0
_L2: Bytes = 5.0
_IP: Bytes = 28.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nbiot:
    """One carrier and its stations.

    Attributes:
        tones: single (15.6 kbit/s) or multi (62.5 kbit/s) upwards; 21.25 kbit/s downwards
            (M5311).
        repetitions: how often each block is sent, for coverage: a power of two up to 128.
        packet: IP packet that the payload is cut into (assumed: 1280 bytes, the least an IPv6 path
            carries).
        latency: one way (assumed: 0.8 s, half of a usual round trip in normal coverage).
        power: draw of the base station; 0 leaves it out of the ledger.
        transmit, receive: power of a station's modem where its profile has none (derived: M5311,
            167 mA at 23 dBm and 54 mA, at an assumed 3.6 V).
        idle: draw of the modem in idle (derived: 0.4 mA with a paging cycle of 1.28 s, same page).
        promotion: from idle to connected (assumed: 2 s of random access and signalling).
        promoting: draw meanwhile (assumed: receiving).
        connected: draw during a transfer apart from its frames (assumed: the receiver follows the
            control channel a tenth of the time).
        tail: from the last transfer to idle (assumed: 20 s, a usual inactivity timer).
        tailing: draw meanwhile (assumed: as connected).
    """

    tones: Literal["single", "multi"] = "multi"
    repetitions: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 1
    packet: Bytes = 1280.0
    latency: Seconds = 0.8
    power: Watts = 0.0
    transmit: Watts = 0.6
    receive: Watts = 0.194
    idle: Watts = 1.44e-3
    promotion: Seconds = 2.0
    promoting: Watts = 0.194
    connected: Watts = 0.0194
    tail: Seconds = 20.0
    tailing: Watts = 0.0194

    def __post_init__(self) -> None:
        if self.packet <= _IP:
            raise ValueError("packet must be larger than its headers, 28 B")

    def _payload(self, rate: Rate, block: Bytes) -> Rate:
        headers = (block - _L2) / block * (self.packet - _IP) / self.packet
        return rate / self.repetitions * headers

    @property
    def radio(self) -> Radio:
        """Power of a station without measured modem."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """Of a station that is given none."""
        up = self._payload(_UP[self.tones][0], _BLOCK_UP)
        return up, self._payload(_DOWN, _BLOCK_DOWN)

    @property
    def states(self) -> RadioStates | None:
        """Between transfers."""
        return RadioStates(
            promotion=self.promotion, promoting=self.promoting, connected=self.connected,
            tail=self.tail, tailing=self.tailing,
        )  # fmt: skip

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Equal time; a single-tone sender leaves the other tones free, but cannot use them."""
        up = Resource(f"{name}/tones", _UP[self.tones][1])
        down = Resource(f"{name}/downlink", 1.0)
        hops = equal_time(up, down, stations, self.latency)
        return {
            station.name: (_on_its_own(station, hops[station.name][0]), hops[station.name][1])
            for station in stations
        }


def _on_its_own(station: Station, hop: Hop) -> Hop:
    """The way up with the station's own tone, which limits it where the cell has room for more."""
    tone = Resource(f"{station.name}/tone", 1.0)
    return replace(hop, uses={tone: 1.0 / station.up, **hop.uses})
