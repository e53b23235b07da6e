"""A device that never leaves; it may still run out of battery."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.sim.availability.base import Away, Changes, Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Never leaves."""

    @property
    def away(self) -> Away:
        """Never needed."""
        return "off"

    def changes(self, about: Circumstances) -> Changes:
        """Nothing changes."""
        return iter(())
