"""An LTE cell: airtime each way is shared by time, so a slow station slows down only itself.

The base station's scheduler gives busy stations equal time (proportional fairness with stationary
channels): at 6 and 54 Mbit/s they get 3 and 27 Mbit/s. Uplink and downlink are apart (FDD). While
connected the phone draws a base power and, on top, a constant energy a bit (power is linear in
throughput); between transfers the radio goes through its states (`hetsim.sim.radio`).

The first packets after a pause within the tail meet discontinuous reception and take 0.1 to 0.2 s
longer (SIGCOMM21-5G artifact, RRC-Probe); that is left out.

Sources: Kelly, "Charging and rate control for elastic traffic", 1997 (proportional fairness gives
equal time on a shared channel); the data of Narayanan et al., "A variegated look at 5G in the
wild", SIGCOMM 2021 (github:SIGCOMM21-5G/artifact@35aaf28); Huang et al., MobiSys 2012.
"""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import JoulesPerByte, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network._airtime import equal_time
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Lte:
    """One cell and its stations.

    Attributes:
        up, down: payload rates of a station that is given none (measured: medians of 6 and
            13 Mbit/s, Huang et al. 2012, abstract).
        latency: one way between a station and the core network (derived: half of the 70 ms
            median round trip of a connected phone on Verizon 4G, SIGCOMM21-5G artifact,
            RRC-Probe).
        power: draw of the base station; 0 leaves it out of the ledger.
        sending, receiving: joules a byte of a station whose profile has no modem (derived: slopes
            of whole-phone power over throughput on Verizon LTE, 91.3 and 17.8 mW per Mbit/s, 8 and
            13 target rates, SIGCOMM21-5G artifact, Data-Transfer-Power).
        idle: draw of the modem in idle, above the device's (assumed: inside the device's idle).
        promotion: from idle to connected (derived: mean of three transitions, 0.36, 0.32 and
            0.29 s, SIGCOMM21-5G artifact, RRC-Power).
        promoting: draw meanwhile (assumed: signalling keeps the modem sending, 225 mA at 3.7 V,
            the median transmit level of Pixel 3, 3a, 4, 4a and 5 in their power profiles).
        connected: draw during a transfer apart from its bytes (derived: modem awake and quiet,
            105 mA at 3.7 V, median of the same five power profiles).
        tail: from the last transfer to idle (derived: mean of 10.68, 10.54 and 10.63 s, RRC-Power;
            the round trips of RRC-Probe on Verizon 4G jump at the same gap).
        tailing: draw meanwhile (assumed: as connected).
    """

    up: Rate = 750e3
    down: Rate = 1625e3
    latency: Seconds = 35e-3
    power: Watts = 0.0
    sending: JoulesPerByte = 7.3056e-7
    receiving: JoulesPerByte = 1.4256e-7
    idle: Watts = 0.0
    promotion: Seconds = 0.32
    promoting: Watts = 0.83
    connected: Watts = 0.39
    tail: Seconds = 10.6
    tailing: Watts = 0.39

    @property
    def radio(self) -> Radio:
        """Power of a station without measured modem."""
        return Radio(
            transmit=0.0, receive=0.0, idle=self.idle,
            sending=self.sending, receiving=self.receiving,
        )  # fmt: skip

    @property
    def rates(self) -> tuple[Rate, Rate] | None:
        """Of a station that is given none."""
        return self.up, self.down

    @property
    def states(self) -> RadioStates | None:
        """Between transfers."""
        return RadioStates(
            promotion=self.promotion, promoting=self.promoting, connected=self.connected,
            tail=self.tail, tailing=self.tailing,
        )  # fmt: skip

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Equal time: a station's weight is its rate over the mean rate of the cell."""
        up, down = Resource(f"{name}/uplink", 1.0), Resource(f"{name}/downlink", 1.0)
        return equal_time(up, down, stations, self.latency)
