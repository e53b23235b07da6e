"""A LoRaWAN gateway: long, slow messages, and a law that keeps a sender silent most of the time.

Time on air of a message of L bytes on the radio, at spreading factor SF, bandwidth B and coding
rate 4 / (4 + c), with explicit header and CRC:

    T_symbol = 2^SF / B
    n = 8 + max(ceil((8 L - 4 SF + 44) / (4 (SF - 2 d))) (c + 4), 0),    d = 1 if T_symbol > 16 ms
    T = (preamble + 4.25 + n) T_symbol

(44 = 28 + 16 for the CRC; without CRC, as downwards, 28.) L = payload + 13 bytes of LoRaWAN
framing. A sender may be on the air for a share `duty_cycle` of the time, so its payload rate is

    rate = duty_cycle * payload / T.

A transfer of N bytes is counted as N / payload messages, a fraction for the last one: at most one
message off. Upwards every device has a duty cycle of its own, and the gateway demodulates a few
messages at once; downwards the gateway's one duty cycle is shared by all, and what it misses while
it sends is left out. So are collisions of the ALOHA channel (assumed: the load is small; with one
message in the air per channel they would lose most of it). A device whose link has a rate of its
own sends at that rate, duty cycle included.

Sources: Semtech SX1276/77/78/79 data sheet, section 4.1.1.7 (time on air); LoRaWAN L2 1.0.4
(framing: header 1, address 4, control 1, counter 2, port 1, code 4); RP002-1.0.3, EU863-870
(largest payloads behind a repeater: 51, 51, 51, 115, 222, 222 bytes at SF 12 to 7); ETSI EN 300 220
(duty cycles).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from hetsim.core.quantities import Bytes, Fraction, Hertz, Rate, Seconds, Watts
from hetsim.sim.device import Radio
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.radio import RadioStates
from hetsim.sim.sharing import Resource

_LARGEST: dict[int, Bytes] = {7: 222.0, 8: 222.0, 9: 115.0, 10: 51.0, 11: 51.0, 12: 51.0}
_FRAMING: Bytes = 13.0
_SLOW_SYMBOL: Seconds = 16e-3
_PARITY = {"4/5": 1, "4/6": 2, "4/7": 3, "4/8": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lorawan:
    """One gateway and its end devices.

    Attributes:
        spreading_factor: 7 (fast, near) to 12 (slow, far).
        bandwidth: of a channel.
        coding_rate: forward error correction.
        preamble: symbols before a message, the radio's 4.25 apart.
        payload: of a message; left out, the largest that the spreading factor allows.
        duty_cycle: share of the time a device may send (1 % in most of the band, ETSI EN 300 220).
        gateway_duty_cycle: share of the time the gateway may send (10 % at 869.4-869.65 MHz,
            ETSI EN 300 220).
        channels: messages that the gateway demodulates at once (8, the Semtech SX1301 data sheet).
        latency: one way (assumed: 1 s, the delay of the first receive window, RP002).
        power: draw of the gateway; 0 leaves it out of the ledger.
        transmit, receive, idle: power of a device's radio where its profile has none (derived:
            SX127x class, 44 mA at 14 dBm, 9.7 mA and 0.1 uA at 3.3 V,
            github:mariuszslabicki/flora@ac94052 energyConsumptionParameters.xml).
    """

    spreading_factor: Literal[7, 8, 9, 10, 11, 12] = 7
    bandwidth: Hertz = 125e3
    coding_rate: Literal["4/5", "4/6", "4/7", "4/8"] = "4/5"
    preamble: int = 8
    payload: Bytes | None = None
    duty_cycle: Fraction = 0.01
    gateway_duty_cycle: Fraction = 0.1
    channels: int = 8
    latency: Seconds = 1.0
    power: Watts = 0.0
    transmit: Watts = 0.145
    receive: Watts = 0.032
    idle: Watts = 3.3e-7

    def __post_init__(self) -> None:
        largest = _LARGEST[self.spreading_factor]
        if not 1.0 <= self.message <= largest:
            raise ValueError(f"payload must be between 1 B and {largest:g} B at this spreading")
        if self.bandwidth not in (125e3, 250e3, 500e3):
            raise ValueError("bandwidth must be 125 kHz, 250 kHz or 500 kHz")
        if not self.duty_cycle or not self.gateway_duty_cycle:
            raise ValueError("a duty cycle of 0 never sends")
        if self.channels < 1 or self.preamble < 6:
            raise ValueError("needs at least one channel and 6 symbols of preamble")

    @property
    def message(self) -> Bytes:
        """Payload of a message."""
        return _LARGEST[self.spreading_factor] if self.payload is None else self.payload

    def time_on_air(self, payload: Bytes, *, crc: bool = True) -> Seconds:
        """Of a message with `payload` bytes; without CRC downwards.

        >>> Lorawan(spreading_factor=7).time_on_air(222.0)
        0.368896
        """
        spread = self.spreading_factor
        symbol = 2**spread / self.bandwidth
        slow = symbol > _SLOW_SYMBOL
        bits = 8.0 * (payload + _FRAMING) - 4 * spread + (44 if crc else 28)
        blocks = max(ceil(bits / (4 * (spread - 2 * slow))), 0)
        symbols = self.preamble + 4.25 + 8 + blocks * (_PARITY[self.coding_rate] + 4)
        return symbols * symbol

    @property
    def radio(self) -> Radio:
        """Power of a device without measured radio."""
        return Radio(transmit=self.transmit, receive=self.receive, idle=self.idle)

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """As far as the duty cycles allow, of a device that has the gateway for itself."""
        return (
            self.duty_cycle * self.message / self.time_on_air(self.message),
            self.gateway_duty_cycle * self.message / self.time_on_air(self.message, crc=False),
        )

    @property
    def states(self) -> RadioStates | None:
        """Receive windows without a message are left out."""
        return None

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        """Its own duty cycle and the gateway's demodulators up, the gateway's duty cycle down."""
        heard = Resource(f"{name}/demodulators", float(self.channels))
        sent = Resource(f"{name}/downlink", 1.0)
        hops: dict[str, tuple[Hop, Hop]] = {}
        for station in stations:
            latency = self.latency if station.latency is None else station.latency
            own = Resource(f"{station.name}/duty", 1.0)
            up, down = self.duty_cycle / station.up, self.gateway_duty_cycle / station.down
            hops[station.name] = (
                Hop(uses={own: 1.0 / station.up, heard: up}, rate=station.up, latency=latency,
                    airtime=up),
                Hop(uses={sent: 1.0 / station.down}, rate=station.down, latency=latency,
                    airtime=down),
            )  # fmt: skip
        return hops
