"""What a DVFS governor is asked, and what it answers.

Heat may bar a device's fastest operating points. A governor is then shown domains that end below
them, so it need not know, and cannot exceed the limit.

Most governors go by how busy the domains are. One that plans asks for the `Outlook` too: what is to
be done, by when, and what was drawn so far. It remembers, so each node has a governor of its own:
what a topology names are then settings, with `begin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol, runtime_checkable

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction, Joules, Seconds, Watts
from hetsim.sim.dvfs import ADDING, Domain, Timing


class Task(Protocol):
    """A job on a device. It is equal to itself alone, and tells of its progress when it is over.

    Attributes:
        cost: all of its work on this device.
        items: equal parts that it has there: training steps, or the items of a stream.
        elsewhere: seconds that it takes in other places at least: between its items here, all
            together, and after them.
        done: share that is done.
    """

    @property
    def cost(self) -> Cost:
        """See above."""
        ...

    @property
    def items(self) -> float:
        """See above."""
        ...

    @property
    def elsewhere(self) -> tuple[Seconds, Seconds]:
        """See above."""
        ...

    @property
    def done(self) -> Fraction:
        """See above."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a governor that plans may know.

    Attributes:
        now: the instant.
        tasks: the jobs on the device, in order of their begin.
        ahead: work that is announced and has not begun.
        deadline: instant by which all this should be done; infinite if nobody has said.
        timing: how the times of the device's parts add up.
        switch: seconds that a change of operating points stops the domains.
        base: power of each base state ("idle", "sleep", "off").
        drawn: joules that jobs have drawn on the domains so far, above base.
    """

    now: Seconds = 0.0
    tasks: tuple[Task, ...] = ()
    ahead: Cost = field(default_factory=Cost)
    deadline: Seconds = inf
    timing: Timing = ADDING
    switch: Seconds = 0.0
    base: Mapping[str, Watts] = field(default_factory=dict[str, Watts])
    drawn: Joules = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A device as its governor sees it.

    Attributes:
        domains: its frequency domains, with the operating points that are allowed now.
        points: operating point of each now.
        busy: share of time each is busy at these points; all 0 when idle.
        outlook: tells more, to those who plan; None where it is asked what if the domains were
            busy, which is to change nothing.
    """

    domains: Sequence[Domain]
    points: tuple[int, ...]
    busy: tuple[Fraction, ...]
    outlook: Callable[[], Outlook] | None = None


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


@runtime_checkable
class Planning(Protocol):
    """Settings of a governor that remembers: each device has one of its own."""

    def begin(self, stream: int = 0) -> Governor:
        """A governor that remembers nothing yet.

        Args:
            stream: number of the device and the run, for who draws at random.
        """
        ...


def begun(governor: Governor | Planning, stream: int = 0) -> Governor:
    """The governor of one device, from what a topology names for all; `stream` as in `begin`."""
    return governor.begin(stream) if isinstance(governor, Planning) else governor


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
