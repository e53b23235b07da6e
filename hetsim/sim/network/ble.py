"""Bluetooth Low Energy: a central and its peripherals, one radio, half duplex.

A connection wakes up every connection interval. In its event the sender puts a notification of up
to 244 bytes into one packet of 251, the other side answers with an empty packet, and so on until
the interval is over. At the PHY rate p (bytes/s), with 150 us between frames T_ifs, one exchange
takes

    T = (preamble + 4 + 2 + 251 + 3) / p + T_ifs + (preamble + 4 + 2 + 3) / p + T_ifs

(preamble 1 byte on the 1M PHY and 2 on the 2M PHY, access address 4, header 2, CRC 3), and

    rate = floor(interval / T) * payload / interval.

With the 2M PHY that is 1.37 Mbit/s of payload, with the 1M PHY 0.78. A transfer of N bytes is
counted as N / payload packets, a fraction for the last one: at most one packet off. The central
shares its time equally among its connections; lost packets are left out.

Source: Bluetooth Core Specification 5.0, volume 6 part B (frames, T_IFS, data length extension),
volume 3 part F (attribute protocol: 3 bytes) and part A (L2CAP: 4 bytes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import Literal

from hetsim.core.quantities import Bytes, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network._airtime import equal_time
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource

_PHYS: dict[str, tuple[Rate, Bytes]] = {"1M": (125e3, 1.0), "2M": (250e3, 2.0)}
"""Rate of a PHY and its preamble."""
_GAP: Seconds = 150e-6
_FRAME: Bytes = 9.0
"""Access address, header and CRC."""
_HEADERS: Bytes = 7.0
"""Of L2CAP and of the attribute protocol."""
_LARGEST: Bytes = 244.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ble:
    """One central and its peripherals.

    Attributes:
        phy: 1M or 2M.
        payload: of a packet, up to 244 bytes (a peer with a small buffer takes 20).
        interval: between two connection events (assumed: 50 ms, a usual compromise for transfers;
            the standard allows 7.5 ms to 4 s).
        latency: one way (derived: a packet waits for half an interval on average, where left out).
        power: draw of the central; 0 leaves it out of the ledger.
        transmit, receive, idle: power of a peripheral's radio where its profile has none (derived:
            TI CC2340R2 data sheet, 5.1 mA at 0 dBm and 5.3 mA, at an assumed 3.0 V; idle is taken
            to be inside the device's idle power).
    """

    phy: Literal["1M", "2M"] = "2M"
    payload: Bytes = _LARGEST
    interval: Seconds = 50e-3
    latency: Seconds | None = None
    power: Watts = 0.0
    transmit: Watts = 15.3e-3
    receive: Watts = 15.9e-3
    idle: Watts = 0.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.payload <= _LARGEST:
            raise ValueError("payload must be between 1 B and 244 B")
        if not 7.5e-3 <= self.interval <= 4.0:
            raise ValueError("interval must be between 7.5 ms and 4 s")

    @property
    def exchange(self) -> Seconds:
        """Time of a packet and its answer."""
        return self._frames + 2.0 * _GAP

    @property
    def _frames(self) -> Seconds:
        rate, preamble = _PHYS[self.phy]
        return (2.0 * (preamble + _FRAME) + _HEADERS + self.payload) / rate

    @property
    def radio(self) -> Radio:
        """Power of a peripheral without measured radio."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """Of a peripheral that has the central for itself."""
        rate = floor(self.interval / self.exchange) * self.payload / self.interval
        return rate, rate

    @property
    def states(self) -> RadioStates | None:
        """Connection events without bytes are inside the idle power."""
        return None

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """The central's one radio in turn, both ways."""
        air = Resource(f"{name}/air", 1.0)
        latency = self.interval / 2.0 if self.latency is None else self.latency
        hops = equal_time(air, air, stations, latency)
        on_air = self._frames / self.payload
        return {
            station: (_with_airtime(up, on_air), _with_airtime(down, on_air))
            for station, (up, down) in hops.items()
        }


def _with_airtime(hop: Hop, on_air: Seconds) -> Hop:
    """The radio sleeps between frames, so it is on for less than the time a byte takes."""
    return replace(hop, airtime=min(on_air, 1.0 / hop.rate))
