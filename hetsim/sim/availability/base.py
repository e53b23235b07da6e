"""What an availability pattern says: when a device comes and goes, and what it draws while away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np

from hetsim.core.quantities import Seconds

Away = Literal["off", "sleep", "idle"]
"""Base state of a device that is not there: switched off, asleep in a pocket, or awake and busy
with something else."""

Changes = Iterator[tuple[Seconds, bool]]
"""(instant, present from then on), in order; present before the first."""


class Availability(Protocol):
    """When a device is there for training.

    What it does when it leaves is lost; it is charged exactly what it used.

    Attributes:
        away: base state while it is not there.
    """

    @property
    def away(self) -> Away:
        """See above."""
        ...

    def changes(self, rng: np.random.Generator) -> Changes:
        """The instants at which a device changes sides, starting with it present at 0."""
        ...
