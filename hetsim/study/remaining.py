"""How long a run will still take on this host, for whoever waits.

A run is as far as what it simulates is, and of that, as what it has to compute is: simulating runs
ahead of training. With s the share of the rounds (or of the time, if that ends first) that is
simulated, and c the share of the operations asked for by then that is computed, the share done is
s c. The rest takes as long as the latest part did for its share: what was read from a store, or the
start-up, says nothing about what is to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from hetsim.core.quantities import Fraction, Seconds
from hetsim.core.trace import Progress

_RECENT: Seconds = 20.0
"""How far back the speed is measured, at least."""
_PART = 0.25
"""Share of the time so far over which it is measured, if that is longer."""
_SOON: Seconds = 1.0
"""No estimate before the speed has been seen this long."""


class Remaining:
    """An estimate that is made again with each news.

    Args:
        clock: host seconds.
    """

    def __init__(self, clock: Callable[[], Seconds] = monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._read = 0
        self._seen: deque[tuple[Seconds, Fraction]] = deque()

    def after(self, news: Progress) -> Seconds | None:
        """Host seconds to go, or None while nobody can know."""
        now, done = self._clock(), share(news)
        if news.read != self._read:
            self._read = news.read
            self._seen.clear()
        self._seen.append((now, done))
        horizon = now - max(_RECENT, _PART * (now - self._begun))
        while len(self._seen) > 2 and self._seen[1][0] <= horizon:
            self._seen.popleft()
        then, before = self._seen[0]
        if now - then < _SOON or done <= before:
            return None
        return (1.0 - done) * (now - then) / (done - before)


def share(news: Progress) -> Fraction:
    """How much of a run is done.

    >>> share(Progress(round=5, rounds=10, asked=8.0, computed=6.0))
    0.375
    """
    simulated = max(news.round / news.rounds, news.t / news.limit)
    computed = news.computed / news.asked if news.asked else 1.0
    return min(simulated, 1.0) * computed
