"""Pipelines: when the last of equal parts has passed all stages.

A part passes the stages in order; a stage works on one part at a time, and a part enters when fewer
than `window` are inside. `latency` is time on the way that holds up nobody behind. With S = all
stages and latencies and L = the longest stage of one part, n parts with a window of w take

    S + (n - 1) L            if w L >= S or w >= n: the longest stage never waits,
    (q + 1) S + r L          else, (q, r) = divmod(n - 1, w): w parts at a time, L apart.

A pipeline that comes back to a place (forward and backward on one device, up and down on one radio
channel) is a loop. Parts are served there in the order in which they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from hetsim.core.quantities import Seconds

_MANY = 2000
"""Items after which a loop is as fast as before."""


def pipeline_time(
    stages: Sequence[Seconds], items: int, window: float = inf, latency: Seconds = 0.0
) -> Seconds:
    """Makespan of `items` parts through stages that take these seconds a part.

    >>> pipeline_time([1.0, 3.0, 2.0], items=4)
    15.0
    >>> pipeline_time([1.0, 3.0, 2.0], items=4, window=1)
    24.0
    >>> pipeline_time([1.0, 3.0, 2.0], items=4, latency=0.5)
    15.5
    """
    through, longest = sum(stages) + latency, max(stages, default=0.0)
    if through == inf:
        return inf
    width = int(min(window, items))
    if width == items or width * longest >= through:
        return through + (items - 1) * longest
    rounds, rest = divmod(items - 1, width)
    return (rounds + 1) * through + rest * longest


def portions(turns: Sequence[Seconds], alone: Seconds, passes: int) -> list[Seconds]:
    """What each stage is of the makespan of a pipeline; `turns` are of one part, latency included.

    A stage is told as many turns as parts pass one after the other, with nothing beside them
    (`passes`); the longest one is told the rest, for there the parts line up.

    >>> portions([1.0, 3.0, 2.0], alone=15.0, passes=1)
    [1.0, 12.0, 2.0]
    >>> portions([1.0, 3.0, 2.0], alone=24.0, passes=4)
    [4.0, 12.0, 8.0]
    """
    told = [passes * turn for turn in turns]
    longest = max(range(len(turns)), key=turns.__getitem__)
    told[longest] += alone - sum(told)
    return told


class Stop(NamedTuple):
    """A stage of a loop: `latency` on the way to `place`, then `seconds` there, of one part."""

    place: object
    seconds: Seconds
    latency: Seconds = 0.0


@lru_cache(maxsize=1024)
def loop_time(stops: tuple[Stop, ...], items: int, window: float = inf) -> Seconds:
    """Makespan of `items` parts through `stops`, some of them at the same place.

    >>> there, back = Stop("device", 1.0), Stop("device", 2.0)
    >>> loop_time((there, Stop("server", 4.0), back), items=2)
    11.0
    >>> loop_time((there, Stop("server", 1.0), back), items=2)
    6.0
    """
    if any(stop.seconds == inf for stop in stops):
        return inf
    if items > _MANY:  # by now they come and go at a steady pace
        half, whole = loop_time(stops, _MANY // 2, window), loop_time(stops, _MANY, window)
        return whole + (items - _MANY) * (whole - half) / (_MANY - _MANY // 2)
    free: dict[object, Seconds] = {}
    waiting = deque(range(items))
    ready: list[tuple[Seconds, int, int]] = []
    for _ in range(int(min(window, items))):
        heappush(ready, (stops[0].latency, waiting.popleft(), 0))
    now: Seconds = 0.0
    while ready:
        came, item, index = heappop(ready)
        stop = stops[index]
        now = max(came, free.get(stop.place, 0.0)) + stop.seconds
        free[stop.place] = now
        if index + 1 < len(stops):
            heappush(ready, (now + stops[index + 1].latency, item, index + 1))
        elif waiting:
            heappush(ready, (now + stops[0].latency, waiting.popleft(), 0))
    return max(free.values())
