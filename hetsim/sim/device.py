"""What a device is: the numbers of its profile, in SI units. `hetsim.sim.node` makes it act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Joules, Seconds, Watts
from hetsim.sim.battery import BatteryPack
from hetsim.sim.dvfs import ADDING, Domain, Effort, Timing, effort
from hetsim.sim.heat import Body

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
        sending, receiving: joules a byte beside that, whatever the rate.
    """

    transmit: Watts
    receive: Watts
    idle: Watts = 0.0
    sending: Joules = 0.0
    receiving: Joules = 0.0


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
        timing: how the times of its parts add up.
        switch: seconds that a change of operating points stops the domains.
        radios: by technology name ("wifi", "lte").
        battery: none for a mains device.
        heat: how it warms and what it does about it; none if nothing is known.
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
    timing: Timing = ADDING
    switch: Seconds = 0.0
    radios: Mapping[str, Radio] = field(default_factory=dict[str, Radio])
    battery: BatteryPack | None = None
    heat: Body | None = None

    @property
    def highest(self) -> tuple[int, ...]:
        """The fastest operating point of each domain."""
        return tuple(len(domain.points) - 1 for domain in self.domains)

    def effort(self, cost: Cost, points: Sequence[int]) -> Effort:
        """Time and joules of `cost` with each domain at an operating point."""
        return effort(self.domains, points, cost, self.timing)
