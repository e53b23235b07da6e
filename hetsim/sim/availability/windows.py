"""Present in the same windows of every period: a phone that is free at night."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Seconds
from hetsim.sim.availability.base import Away, Changes, Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Present in windows that repeat.

    Attributes:
        on: (from, to) pairs inside a period, in order, apart.
        period: after which they repeat.
        away: what it is while away: off, asleep, or idle.
    """

    on: tuple[tuple[Seconds, Seconds], ...]
    period: Seconds
    away: Away = "off"

    def __post_init__(self) -> None:
        """Refuse windows that are empty, overlap or leave the period."""
        edges = [0.0, *(edge for window in self.on for edge in window), self.period]
        if not self.on or edges != sorted(edges) or any(start == end for start, end in self.on):
            raise ValueError(
                "the windows are empty, not in order, overlap or end after the period; "
                'write pairs such as ["22 h", "24 h"].'
            )

    def changes(self, about: Circumstances) -> Changes:
        """The edges of the windows, period after period; windows that touch are one."""
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
