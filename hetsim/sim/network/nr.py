"""A 5G cell (New Radio, non-standalone): airtime each way is shared by time, as in LTE.

Two bands, as measured on one operator: low band, and millimetre waves, which are twenty times
faster downwards and draw a large base power for their beams. A phone connects over 4G first and
then adds the 5G leg; a transfer waits for both (assumed: what 4G carries before is left out).

Power is linear in throughput while connected. Whole-phone fits of one phone with its screen on
tell the slopes, and how much more the base of 5G is than that of 4G; the base itself is taken over
from LTE (`hetsim.sim.network.lte`): 0.39 W + (5G base - 2.626 W).

Sources: the data of Narayanan et al., "A variegated look at 5G in the wild", SIGCOMM 2021
(github:SIGCOMM21-5G/artifact@35aaf28): Data-Transfer-Power, RRC-Power, NW-Perf-Speedtest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hetsim.core.quantities import JoulesPerByte, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network._airtime import equal_time
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """What one band gives; fields as the options of `Nr`."""

    up: Rate
    down: Rate
    latency: Seconds
    sending: JoulesPerByte
    receiving: JoulesPerByte
    connected: Watts
    tailing: Watts


_BANDS = {
    "low": _Band(
        up=7137500.0, down=15.4e6, latency=7.5e-3, sending=2.86256e-7, receiving=1.18088e-7,
        connected=0.62, tailing=0.62,
    ),
    "mmwave": _Band(
        up=11087500.0, down=240225e3, latency=3.5e-3, sending=7.3768e-8, receiving=1.42e-8,
        connected=3.0, tailing=1.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Nr:
    """One cell and its stations; an option left out is the band's.

    Attributes:
        band: low or mmwave.
        up, down: payload rates of a station that is given none (measured: medians on Verizon with
            several connections, 57.1 and 123.2 Mbit/s in the low band, 88.7 and 1921.8 Mbit/s with
            millimetre waves, NW-Perf-Speedtest).
        latency: one way to the core network (derived: half of the median round trips of the same
            speed tests, 15 ms and 7 ms, to a server within 100 km).
        power: draw of the base station; 0 leaves it out of the ledger.
        sending, receiving: joules a byte of a station whose profile has no modem (derived: slopes
            of the fits, 35.8 and 14.8 mW per Mbit/s in the low band, 9.22 and 1.78 with millimetre
            waves, Data-Transfer-Power).
        idle: draw of the modem in idle, above the device's (assumed: inside the device's idle).
        promotion: from idle to 5G (derived: 0.32 s to 4G and 1.73 s from there, medians of three
            transitions each, RRC-Power).
        promoting: draw meanwhile (assumed: as LTE's, signalling keeps the modem sending).
        connected: draw during a transfer apart from its bytes (derived: LTE's 0.39 W and the
            difference of the downlink fits' bases, 0.23 W in the low band, 2.61 W with millimetre
            waves).
        tail: from the last transfer to idle (derived: mean of 10.68, 10.54 and 10.63 s, RRC-Power).
        tailing: draw meanwhile (assumed: as connected in the low band; a third of it with
            millimetre waves, whose beams need no tracking in the pauses of discontinuous
            reception).
    """

    band: Literal["low", "mmwave"] = "low"
    up: Rate | None = None
    down: Rate | None = None
    latency: Seconds | None = None
    power: Watts = 0.0
    sending: JoulesPerByte | None = None
    receiving: JoulesPerByte | None = None
    idle: Watts = 0.0
    promotion: Seconds = 2.05
    promoting: Watts = 0.83
    connected: Watts | None = None
    tail: Seconds = 10.6
    tailing: Watts | None = None

    @property
    def radio(self) -> Radio:
        """Power of a station without measured modem."""
        band = _BANDS[self.band]
        return Radio(
            transmit=0.0,
            receive=0.0,
            idle=self.idle,
            sending=band.sending if self.sending is None else self.sending,
            receiving=band.receiving if self.receiving is None else self.receiving,
        )

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """Of a station that is given none."""
        band = _BANDS[self.band]
        return (
            band.up if self.up is None else self.up,
            band.down if self.down is None else self.down,
        )

    @property
    def states(self) -> RadioStates | None:
        """Between transfers."""
        band = _BANDS[self.band]
        return RadioStates(
            promotion=self.promotion,
            promoting=self.promoting,
            connected=band.connected if self.connected is None else self.connected,
            tail=self.tail,
            tailing=band.tailing if self.tailing is None else self.tailing,
        )

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Equal time each way."""
        latency = _BANDS[self.band].latency if self.latency is None else self.latency
        up, down = Resource(f"{name}/uplink", 1.0), Resource(f"{name}/downlink", 1.0)
        return equal_time(up, down, stations, latency)
