"""What the policies share: rankings and draws that depend on their stream alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import ClassVar, Self, TypeVar

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.federation.roster import Candidate

T = TypeVar("T")


class Memoryless:
    """Abstract: a policy that goes by what the server knows and keeps nothing of its own.

    Attributes:
        blind: whether it looks at no candidate, only at how many there are; it can then choose
            among anything.
    """

    __slots__ = ()

    observes: ClassVar[bool] = False
    blind: ClassVar[bool] = False

    def begin(self) -> Self:
        """Itself."""
        return self


def require(holds: bool, what: str, remedy: str) -> None:
    """Refuse a setting unless `holds`.

    Raises:
        SpecError: what is wrong, and what to do about it.
    """
    if not holds:
        raise SpecError(what, remedy=remedy)


def check_cohort(cohort: int) -> None:
    """Refuse a cohort of nobody."""
    require(cohort >= 1, f"cohort is {cohort}", "Ask at least one client a round.")


def in_fleet_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """As the fleet lists them."""
    return sorted(candidates, key=lambda candidate: candidate.index)


def best(
    candidates: Sequence[Candidate],
    count: int,
    score: Callable[[Candidate], float],
    rng: np.random.Generator,
) -> list[Candidate]:
    """The `count` of highest score in fleet order; among equals chance decides."""
    if count >= len(candidates):
        return list(candidates)
    order: list[int] = rng.permutation(len(candidates)).tolist()
    shuffled = [candidates[place] for place in order]
    shuffled.sort(key=score, reverse=True)
    return in_fleet_order(shuffled[:count])


def draw(
    items: Sequence[T], count: int, weights: Sequence[float], rng: np.random.Generator
) -> list[T]:
    """Draw `count` without replacement, each in proportion to its weight among those left.

    Where all that is left weighs nothing, each is as likely. In the order in which they come.

    >>> from hetsim.core.rng import rng
    >>> draw("abc", 2, [0.0, 3.0, 0.0], rng(0, "sim/selection", 0))[0]
    'b'
    """
    left, mass = list(items), list(weights)
    drawn: list[T] = []
    while left and len(drawn) < count:
        if not any(mass):
            mass = [1.0] * len(left)
        sums = list(accumulate(mass))
        place = min(bisect_right(sums, rng.random() * sums[-1]), len(left) - 1)
        while not mass[place]:  # rounding took it past the last that weighs anything
            place -= 1
        drawn.append(left.pop(place))
        mass.pop(place)
    return drawn
