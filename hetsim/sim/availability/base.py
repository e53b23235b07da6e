"""What an availability pattern says: when a device comes and goes, and what it draws while away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from hetsim.core.quantities import Seconds, Watts

Away = Literal["off", "sleep", "idle"]
"""Base state of a device that is not there: switched off, asleep in a pocket, or awake and busy
with something else."""

Changes = Iterator[tuple[Seconds, bool]]
"""(instant, present from then on), in order; present before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a pattern may go by.

    Attributes:
        rng: draws of this device alone.
        offered: watts that its charger and panel offer, step by step; nothing without them.
        steps: (instant, share) of the file that it names.
    """

    rng: np.random.Generator
    offered: Iterator[tuple[Seconds, Watts]] = field(default_factory=lambda: iter(()))
    steps: tuple[tuple[Seconds, float], ...] = ()


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

    def changes(self, about: Circumstances) -> Changes:
        """The instants at which a device changes sides, starting with it present at 0."""
        ...
