"""A device of a fleet before it has a node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hetsim.sim.availability.base import Availability
from hetsim.sim.battery import BatteryPack
from hetsim.sim.device import Profile
from hetsim.sim.governors.base import Governor, Planning

if TYPE_CHECKING:
    from hetsim.spec.schema import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of the fleet, before it has a node: the one of a number in its group."""

    number: int
    place: int
    group: Group
    profile: Profile
    governor: Governor | Planning
    availability: Availability

    @property
    def name(self) -> str:
        """Of its node: "pi-3" for the fourth of the group "pi"."""
        return f"{self.group.label}-{self.number}"

    @property
    def pack(self) -> BatteryPack | None:
        """Its battery: none on mains, the profile's with what the topology says of it."""
        chosen, pack = self.group.battery, self.profile.battery
        if chosen is None:
            return None
        if chosen.capacity is not None:
            pack = replace(pack or BatteryPack(capacity=0.0), capacity=chosen.capacity)
        return replace(pack, model=chosen.model) if pack and chosen.model else pack
