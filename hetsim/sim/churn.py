"""Availability: when a device is there at all. One frozen class a pattern, all with one method.

`changes(rng)` yields the instants at which a device changes sides, starting with it present at 0.
A device that is away is off: what it was doing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hetsim.core.quantities import Seconds


class Availability(Protocol):
    """When a device is present."""

    def changes(self, rng: np.random.Generator) -> Iterator[tuple[Seconds, bool]]:
        """(instant, present from then on), in order; present before the first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Never leaves; it may still run out of battery."""

    def changes(self, rng: np.random.Generator) -> Iterator[tuple[Seconds, bool]]:
        """Nothing changes."""
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Leaves and comes back after exponentially distributed times; each device has its own draws.

    Attributes:
        up: mean time present.
        down: mean time away.
    """

    up: Seconds
    down: Seconds

    def changes(self, rng: np.random.Generator) -> Iterator[tuple[Seconds, bool]]:
        """Alternating times of both means."""
        now, present = 0.0, True
        while True:
            now += float(rng.exponential(self.up if present else self.down))
            present = not present
            yield now, present


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Present in the same windows of every period (a phone that charges at night).

    Attributes:
        on: (from, to) pairs inside a period, in order, apart.
        period: after which they repeat.
    """

    on: tuple[tuple[Seconds, Seconds], ...]
    period: Seconds

    def changes(self, rng: np.random.Generator) -> Iterator[tuple[Seconds, bool]]:
        """The edges of the windows, period after period; windows that touch are one."""
        if not self.on:
            yield 0.0, False
            return
        following = [*(begin for begin, _ in self.on[1:]), self.on[0][0] + self.period]
        if all(begin <= end for begin, (_, end) in zip(following, self.on, strict=True)):
            return
        start = left = 0.0
        while True:
            for begin, end in self.on:
                if start + begin > left:
                    yield left, False
                    yield start + begin, True
                left = start + end
            start += self.period


PATTERNS: dict[str, type[Always] | type[Random] | type[Windows]] = {
    "always": Always,
    "random": Random,
    "windows": Windows,
}
