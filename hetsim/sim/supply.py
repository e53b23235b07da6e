"""What charges a battery: watts that change in steps.

A source yields (instant, watts from then on), in order, starting at 0. What the node does with it
stands in `hetsim.sim.battery`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from math import inf
from typing import Literal, Protocol

from hetsim.core.quantities import Seconds, Watts

Steps = Iterator[tuple[Seconds, Watts]]
End = Literal["loop", "clamp"]


class Supply(Protocol):
    """A charger or a panel."""

    @property
    def most(self) -> Watts:
        """What it never offers more than."""
        ...

    def changes(self) -> Steps:
        """Watts that it offers, step by step from 0 on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Charger:
    """A charger that is plugged in during the same windows of every period.

    Attributes:
        power: what it offers while plugged in.
        on: (from, to) pairs inside a period, in order, apart; none for always.
        period: after which they repeat.
    """

    power: Watts
    on: tuple[tuple[Seconds, Seconds], ...] = ()
    period: Seconds = inf

    def __post_init__(self) -> None:
        """Refuse windows that are empty, overlap or leave the period."""
        edges = [0.0, *(edge for window in self.on for edge in window), self.period]
        if edges != sorted(edges) or any(start == end for start, end in self.on):
            raise ValueError("the windows are empty, not in order, overlap or end after the period")

    @property
    def most(self) -> Watts:
        """Its power."""
        return self.power

    def changes(self) -> Steps:
        """The edges of the windows, period after period.

        >>> from itertools import islice
        >>> plug = Charger(power=5.0, on=((2.0, 4.0),), period=10.0)
        >>> list(islice(plug.changes(), 4))
        [(0.0, 0.0), (2.0, 5.0), (4.0, 0.0), (12.0, 5.0)]
        """
        if not self.on:
            yield 0.0, self.power
            return
        if self.on[0][0] > 0.0:
            yield 0.0, 0.0
        start = 0.0
        while start < inf:
            for begin, end in self.on:
                yield start + begin, self.power
                yield start + end, 0.0
            start += self.period


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A measured or computed course of watts, replayed.

    Attributes:
        rows: (instant, watts from then on), instants rising from 0.
        end: what comes after the last row: "clamp", it lasts, or "loop", all rows again, the last
            of them as long as the one before it.
    """

    rows: tuple[tuple[Seconds, Watts], ...]
    end: End = "loop"

    @property
    def most(self) -> Watts:
        """The largest of its rows."""
        return max(watts for _, watts in self.rows)

    def changes(self) -> Steps:
        """The rows, again and again if they loop.

        >>> from itertools import islice
        >>> sun = Replay(rows=((0.0, 0.0), (6.0, 2.0)))
        >>> list(islice(sun.changes(), 4))
        [(0.0, 0.0), (6.0, 2.0), (12.0, 0.0), (18.0, 2.0)]
        """
        loops = self.end == "loop" and len({watts for _, watts in self.rows}) > 1
        start = 0.0
        while True:
            for when, watts in self.rows:
                yield start + when, watts
            if not loops:
                return
            start += 2.0 * self.rows[-1][0] - self.rows[-2][0]


def together(supplies: Sequence[Supply]) -> Steps:
    """The sum of several sources; only steps that change it.

    >>> plug = Charger(power=5.0, on=((2.0, 4.0),))
    >>> list(together([plug, Replay(rows=((0.0, 1.0), (2.0, 3.0)), end="clamp")]))
    [(0.0, 1.0), (2.0, 8.0), (4.0, 3.0)]
    """
    offers = [0.0] * len(supplies)
    steps = merge(*(_numbered(index, supply) for index, supply in enumerate(supplies)))
    offered = -1.0
    for (when, index, watts), (following, *_) in pairwise(_ended(steps)):
        offers[index] = watts
        if following == when:
            continue
        total = sum(offers)
        if total != offered:
            offered = total
            yield when, total


def _numbered(index: int, supply: Supply) -> Iterator[tuple[Seconds, int, Watts]]:
    return ((when, index, watts) for when, watts in supply.changes())


def _ended(
    steps: Iterator[tuple[Seconds, int, Watts]],
) -> Iterator[tuple[Seconds, int, Watts]]:
    yield from steps
    yield inf, 0, 0.0
