"""A device that never leaves; it may still run out of battery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.sim.availability.base import Away, Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Never leaves."""

    @property
    def away(self) -> Away:
        """Never needed."""
        return "off"

    def changes(self, rng: np.random.Generator) -> Changes:
        """Nothing changes."""
        return iter(())
