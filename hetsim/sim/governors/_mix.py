"""How many items at which setting: the fewest joules in the time there is.

An item at setting i takes t_i seconds and e_i joules. Of n items x_i are done at setting i:

    minimise sum e_i x_i   with   sum x_i = n,  sum t_i x_i <= D,  x_i >= 0

Only settings of the *front* can be of use: no other is both faster and cheaper. Where items can be
divided, two neighbouring corners of the front's lower convex *hull* are enough (`blend`). Where
they are whole (`mix`), let a and b be these corners, L = (e_a - e_b) / (t_b - t_a) the joules that
a second is worth, and r_i = e_i + L t_i - e_a - L t_a >= 0 how far setting i lies above their line.
Every choice then costs, above the bound that divided items set,

    sum r_i x_i + L (D - sum t_i x_i)

so the search goes through the choices of settings other than a and b by growing sum r_i x_i, fills
up with a and b, and ends when the sum alone is no less than the best found. No solver is asked: the
numbers are the same on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import floor, inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Joules, Seconds

Numbers = Sequence[float] | NDArray[np.float64]

_ROUNDING = 1e-12
"""Share of the time by which sums of times may differ that are meant to be equal."""
_EXACT = 1e-9
"""Share of the joules by which a choice may miss the best one."""
_CHOICES = 50_000
"""Choices of settings beside the corners that are looked at, at most. Hundreds are enough on
measured fronts; where dozens of settings lie on one line there is no end of equally good ones."""


def front(times: Numbers, energies: Numbers) -> list[int]:
    """Settings that none beats in time and joules both: from the fastest to the cheapest."""
    joules = np.asarray(energies)
    order = np.lexsort((joules, np.asarray(times)))
    along = joules[order]
    least = np.minimum.accumulate(np.concatenate([[inf], along]))
    return order[along < least[:-1]].tolist()


def hull(times: Numbers, energies: Numbers) -> list[int]:
    """Corners of the lower convex hull of the front: from the fastest to the cheapest."""
    order = front(times, energies)
    t, e = (np.asarray(each)[order].tolist() for each in (times, energies))
    kept: list[int] = []
    for i in range(len(order)):
        while len(kept) > 1:
            a, b = kept[-2:]
            if (e[a] - e[b]) * (t[i] - t[a]) > (e[a] - e[i]) * (t[b] - t[a]):
                break  # the middle one of three is below the line of the others
            kept.pop()
        kept.append(i)
    return [order[i] for i in kept]


def blend(
    times: Numbers, energies: Numbers, items: float, seconds: Seconds
) -> list[tuple[int, float]]:
    """The cheapest settings for `items`, which can be divided, and how many at each; fastest first.

    One setting or two. All at the fastest where the time is too short.
    """
    if items <= 0.0:
        return []
    fast, slow = _around(times, hull(times, energies), seconds / items)
    if fast == slow:
        return [(fast, items)]
    slowly = float((seconds - items * times[fast]) / (times[slow] - times[fast]))
    slowly = min(max(slowly, 0.0), items)
    return [(i, n) for i, n in ((fast, items - slowly), (slow, slowly)) if n > 0.0]


def mix(
    times: Sequence[Seconds], energies: Sequence[Joules], items: int, seconds: Seconds
) -> dict[int, int]:
    """The cheapest settings for whole `items`, and how many at each; fastest first.

    Exact to 1e-9 of the joules (where dozens of settings lie on one line to 1e-6 or so, the best of
    50 000 choices). All at the fastest where the time is too short.
    """
    if items <= 0:
        return {}
    seconds *= 1.0 + _ROUNDING
    kept = front(times, energies)
    fast, slow = _around(times, hull(times, energies), seconds / items)
    if fast == slow:
        return {fast: items}
    step = times[slow] - times[fast]
    worth = (energies[fast] - energies[slow]) / step
    scale = items * max(abs(energies[fast]), abs(energies[slow]))
    others = _others(times, energies, kept, fast, slow)
    longer = [times[i] - times[fast] for _, i in others]
    spare = seconds - items * times[fast]
    search = _Search([above for above, _ in others], longer, step, worth, _EXACT * scale)
    counts = dict.fromkeys(kept, 0)
    choice = search.best(items, spare, _ROUNDING * seconds)
    while choice.before:
        counts[others[choice.place][1]] += 1
        choice = choice.before
    left = items - sum(counts.values())
    spare -= sum(n * (times[i] - times[fast]) for i, n in counts.items())
    counts[slow] = min(left, floor(max(spare, 0.0) / step))
    counts[fast] = left - counts[slow]
    return {i: n for i, n in counts.items() if n}


class _Choice(NamedTuple):
    """Items at settings beside the two corners.

    Attributes:
        cost: joules above the line of the corners.
        order: of entry, between equals.
        place: setting of the last item.
        used: how many items.
        longer: seconds they take longer than at the faster corner.
        before: the choice without the last item; None where there is no item.
    """

    cost: Joules
    order: int
    place: int
    used: int
    longer: Seconds
    before: _Choice | None


class _Search:
    """The settings beside the two corners that are worth their joules above the line.

    Attributes:
        above: joules of each above the line, growing.
        longer: seconds an item takes longer at each than at the faster corner.
        step: seconds between the corners.
        worth: joules a second.
        exact: joules that do not matter.
        faster: joules above the line, at the least, for a second less than at the faster corner.
        slower: the same for a second more than at the slower corner; at most what it is worth.
    """

    def __init__(
        self, above: list[Joules], longer: list[Seconds], step: Seconds, worth: float, exact: Joules
    ) -> None:
        self.above, self.longer = above, longer
        self.step, self.worth, self.exact = step, worth, exact
        pairs = list(zip(above, longer, strict=True))
        self.faster = min((r / -s for r, s in pairs if s < 0.0), default=inf)
        self.slower = min([r / (s - step) for r, s in pairs if s > step] + [worth])

    def best(self, items: int, spare: Seconds, rounding: Seconds) -> _Choice:
        """The choice that costs least with the rest at the corners.

        Args:
            items: to be done in all.
            spare: seconds beyond those of all items at the faster corner.
            rounding: seconds that do not matter.

        A choice grows by an item at the place of its last one or a later place. One that takes as
        long as another with neither fewer items nor fewer joules nor an earlier place is dropped.
        """
        chosen = _Choice(0.0, 0, 0, 0, 0.0, None)
        best = self._lost(items, spare)
        queue: list[_Choice] = []
        self._enter(queue, best, 0, chosen, 1)
        seen: dict[int, list[_Choice]] = {}
        for order in range(2, 2 * _CHOICES, 2):
            if not queue or queue[0].cost + self.exact >= best:
                break
            choice = heappop(queue)
            assert choice.before
            self._enter(queue, best, choice.place + 1, choice.before, order)
            left, room = spare - choice.longer, items - choice.used
            if choice.cost + self._least(room, left) + self.exact >= best:
                continue
            same = seen.setdefault(round(choice.longer / rounding), [])
            if any(each.place <= choice.place and each.used <= choice.used for each in same):
                continue
            same.append(choice)
            cost = choice.cost + self._lost(room, left) if left >= 0.0 else inf
            if cost < best:
                chosen, best = choice, cost
            if room:
                self._enter(queue, best, choice.place, choice, order + 1)
        return chosen

    def _enter(
        self, queue: list[_Choice], best: Joules, place: int, before: _Choice, order: int
    ) -> None:
        """Enter the choice `before` with one more item at `place`, if there is hope for it."""
        if place < len(self.above) and before.cost + self.above[place] < best:
            cost, longer = before.cost + self.above[place], before.longer + self.longer[place]
            heappush(queue, _Choice(cost, order, place, before.used + 1, longer, before))

    def _least(self, items: int, spare: Seconds) -> Joules:
        """Joules above the line that `items` in `spare` seconds take at the least."""
        if spare < 0.0:
            return -spare * self.faster
        return max(spare - items * self.step, 0.0) * self.slower

    def _lost(self, items: int, spare: Seconds) -> Joules:
        """Joules that the time is worth which is left over by `items` at the two corners."""
        return self.worth * (spare - min(items, floor(spare / self.step)) * self.step)


def _around(times: Numbers, corners: list[int], each: Seconds) -> tuple[int, int]:
    """The corners between which `each` seconds an item lie; one twice at either end."""
    if each <= times[corners[0]]:
        return corners[0], corners[0]
    for fast, slow in pairwise(corners):
        if each < times[slow]:
            return fast, slow
    return corners[-1], corners[-1]


def _others(
    times: Sequence[Seconds], energies: Sequence[Joules], kept: list[int], fast: int, slow: int
) -> list[tuple[Joules, int]]:
    """Joules above the line of the two corners of each other setting that can be worth its time."""
    worth = (energies[fast] - energies[slow]) / (times[slow] - times[fast])
    most = energies[fast] - energies[slow]  # what rounding down to whole items can lose
    above = (
        (max(energies[i] - energies[fast] + worth * (times[i] - times[fast]), 0.0), i)
        for i in kept
        if i not in (fast, slow)
    )
    return sorted(each for each in above if each[0] < most)
