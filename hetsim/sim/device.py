"""What a device is: the numbers of its profile, in SI units. `hetsim.sim.node` makes it act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds, Watts
from hetsim.sim.dvfs import Domain

CLASSES = (
    "phone", "jetson", "sbc", "mcu", "server_gpu", "server_cpu", "laptop_or_edge_server",
)  # fmt: skip
POWER_SCOPES = ("wall", "battery", "module", "rails", "board", "chip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """Power of one radio above the device's idle power.

    Attributes:
        transmit, receive: while a frame is in the air.
        idle: while associated and quiet; charged whenever the radio is on.
    """

    transmit: Watts
    receive: Watts
    idle: Watts = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPack:
    """A battery as sold: usable energy, and what share of a stored joule reaches the device."""

    capacity: Joules
    efficiency: Fraction = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A device model.

    Attributes:
        name: file name without suffix.
        title: what a person calls it.
        device_class: one of `CLASSES`.
        power_scope: what its watts include, one of `POWER_SCOPES`.
        idle, sleep, off: base power of the three base states.
        memory: bytes a training job may use (capacity less what is reserved).
        domains: frequency domains.
        overhead: seconds a training step that no clock shortens.
        radios: by technology name ("wifi", "lte").
        battery: none for a mains device.
    """

    name: str
    title: str
    device_class: str
    power_scope: str
    idle: Watts
    sleep: Watts
    off: Watts
    memory: Bytes
    domains: tuple[Domain, ...]
    overhead: Seconds = 0.0
    radios: Mapping[str, Radio] = field(default_factory=dict[str, Radio])
    battery: BatteryPack | None = None
