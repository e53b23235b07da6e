"""What a DVFS governor is asked, and what it answers.

Heat may bar a device's fastest operating points. A governor is then shown domains that end below
them, so it need not know, and cannot exceed the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol, runtime_checkable

from hetsim.core.quantities import Fraction, Seconds
from hetsim.sim.dvfs import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A device as its governor sees it.

    Attributes:
        domains: its frequency domains, with the operating points that are allowed now.
        points: operating point of each now.
        busy: share of time each is busy at these points; all 0 when idle.
    """

    domains: Sequence[Domain]
    points: tuple[int, ...]
    busy: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Operating point of each domain, and when to ask again though nothing changed."""

    points: tuple[int, ...]
    review: Seconds = inf

    @classmethod
    def step(
        cls, view: View, rule: Callable[[Domain, int, Fraction], int], window: Seconds
    ) -> Choice:
        """What `rule` says of each domain, its point and its busy share; again after `window`.

        When no point has moved, none will until something else changes.
        """
        points = tuple(map(rule, view.domains, view.points, view.busy))
        return cls(points, inf if points == view.points else window)


class Governor(Protocol):
    """Chooses operating points whenever a device's jobs change, and at its own reviews."""

    def choose(self, view: View) -> Choice:
        """The points to use from now on."""
        ...


def allowed(domains: Sequence[Domain], limits: Sequence[int]) -> tuple[Domain, ...]:
    """The domains without the operating points above `limits`, the highest allowed of each."""
    return tuple(
        domain if limit >= len(domain.points) - 1
        else replace(domain, points=domain.points[: limit + 1])
        for domain, limit in zip(domains, limits, strict=True)
    )  # fmt: skip


@runtime_checkable
class Particular(Protocol):
    """A governor that not every device can follow."""

    def check(self, domains: Sequence[Domain]) -> None:
        """Refuse a device that it cannot govern.

        Raises:
            ValueError: what it asks for is not to be had there.
        """
        ...
