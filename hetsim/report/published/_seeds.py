"""What runs of several seeds say together: spreads, and signs that are to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from hetsim.report.numbers import NONE, significant
from hetsim.report.published._target import NOT_RUN, Target


def spread(found: Iterable[float], factor: float = 1.0) -> str:
    """Mean, least and highest.

    >>> spread([1.0, 3.0]), spread([0.5], 100.0), spread([])
    ('2.00 (1.00 to 3.00)', '50.0', 'not run')
    """
    scaled = [factor * value for value in found]
    if not scaled:
        return NOT_RUN
    low, high = significant(min(scaled)), significant(max(scaled))
    return low if low == high else f"{significant(mean(scaled))} ({low} to {high})"


def counted(found: Iterable[float]) -> str:
    """The same of whole numbers.

    >>> counted([16, 16]), counted([1, 2]), counted([])
    ('16', '1.50 (1 to 2)', 'not run')
    """
    numbers = list(found)
    if not numbers:
        return NOT_RUN
    low, high = min(numbers), max(numbers)
    return f"{low:,g}" if low == high else f"{mean(numbers):.2f} ({low:,g} to {high:,g})"


def points(differences: Iterable[float]) -> str:
    """Differences of accuracies, by seed, in points."""
    return ", ".join(f"{100 * each:+.1f}" for each in differences) or NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A sign that is to be seen.

    Attributes:
        what: in words.
        differences: by seed; of accuracies as shares, shown in points.
        holds: whether they say so.
        wanted: when they do, in words.
        unit: of the differences: points, or what they are.
        cause: why it is not seen, if it is not.
    """

    what: str
    differences: tuple[float, ...]
    holds: Callable[[Sequence[float]], bool]
    wanted: str = "in every seed"
    unit: str = "points"
    cause: str = ""

    @property
    def seen(self) -> bool | None:
        """None if it was not run."""
        return self.holds(self.differences) if self.differences else None

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "seen", False: "not seen", None: NOT_RUN}[self.seen]

    @property
    def target(self) -> Target:
        """As a row of a table of targets."""
        return Target(
            what=self.what,
            found=f"{self.points} {self.unit}" if self.differences else NOT_RUN,
            wanted=self.wanted,
            verdict=self.seen,
            cause=self.cause,
        )

    @property
    def points(self) -> str:
        """Differences by seed."""
        factor = 1.0 if self.unit == "points" else 0.01
        return points(factor * each for each in self.differences)

    @property
    def words(self) -> str:
        """A sentence without a full stop."""
        return f"{self.what}: {self.verdict}" + (
            f" ({self.points} {self.unit} by seed)" if self.differences else ""
        )


def above(differences: Sequence[float]) -> bool:
    """The same sign in every seed."""
    return min(differences) > 0.0


def less(first: Mapping[int, float], other: Mapping[int, float]) -> tuple[float, ...]:
    """Differences of the seeds that both have."""
    return tuple(first[seed] - other[seed] for seed in sorted(first.keys() & other.keys()))
