"""Pacing: at which operating points a job is done when it has until a deadline, and not at once.

A job is a number of equal items (training steps, batches) of one kind of work. A *setting* is an
operating point for each frequency domain of the device. At setting i an item takes t_i seconds and
e_i joules. Joules are counted above what the device draws when it is done and rests, so that the
fewest joules at the deadline and the smallest sum of e_i are the same: with P watts at rest,

    sum e_i x_i + P (D - sum t_i x_i) = sum (e_i - P t_i) x_i + P D

for x_i items at setting i and D seconds. Whoever knows e with the resting power in it subtracts
P t_i first.

A pacer is asked again and again: so many items are left, so many seconds; it answers with a setting
and how many items to do there, and is told what they took. It has no clock and knows no device: a
governor asks it for a node of the simulated world, a study for a table of measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, runtime_checkable

from hetsim.core.quantities import Joules, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a device, and what is believed of them before anything is measured.

    Attributes:
        clocks: [n] of each setting the share of its highest clock that each domain has, in (0, 1].
        times: [n] seconds an item.
        energies: [n] joules an item above rest; negative where resting draws more.
    """

    clocks: Sequence[tuple[float, ...]]
    times: Sequence[Seconds]
    energies: Sequence[Joules]

    def __len__(self) -> int:
        """How many."""
        return len(self.times)

    @property
    def highest(self) -> int:
        """The setting with every clock at its highest: the last one of the largest sum."""
        return max(range(len(self)), key=lambda i: (sum(self.clocks[i]), i))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Items to be done at one setting.

    Attributes:
        setting: which.
        items: how many; infinite for all that are left.
    """

    setting: int
    items: float = inf


class Pacer(Protocol):
    """Paces the jobs of one kind of work on one device, one after the other.

    What is known beforehand is passed by `told`, before the first `begin`.
    """

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job of so many items begins that has so many seconds; infinite without deadline."""
        ...

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """What to do next; so many items are left to do and so many seconds, which may be none."""
        ...

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What the items of `stretch`, as many as were really done, took; joules above rest."""
        ...


@runtime_checkable
class Heir(Protocol):
    """A pacer that begins with what another one of its policy knows of the same device."""

    def inherit(self, other: Any) -> None:
        """Take over from the pacer of another kind of work, before the first `begin`."""
        ...


class Pacing(Protocol):
    """Settings of a policy (a governor's fields): makes a pacer for one kind of work."""

    def pacer(self, settings: Settings) -> Pacer:
        """A pacer that knows nothing yet but `settings`."""
        ...
