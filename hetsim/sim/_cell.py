"""One radio cell of a fleet: flows over its air, with pauses between, from the first to the last.

The bundle of `hetsim.sim.bundle`, for flows that are known from the start: while n flows are in
the air, flow i progresses at w_i V', with V' = 1 / sum of w_j u_j, where u_j is what a byte of j
takes of the air. A flow of a_i bytes that comes at level V is over at level V + a_i / w_i.

A wave is a flow of every station. Mostly the last one ends before the next wave begins; then waves
are solved one after the other. Where they meet, all are solved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.sim.columns import Array


class Wave(NamedTuple):
    """A flow of every station.

    Attributes:
        pause: seconds between the end of the flow before, or the start, and this one.
        work: level that it needs, its bytes / its weight.
        demand: share of the air that it takes at a pace of one level a second.
        channel: which air; flows of different ones do not meet.
    """

    pause: Array
    work: Array
    demand: Array
    channel: int = 0

    def of(self, rows: NDArray[np.intp] | slice) -> Wave:
        """The flows of some stations, in that order."""
        return Wave(self.pause[rows], self.work[rows], self.demand[rows], self.channel)


def play(start: float, waves: Sequence[Wave], until: Array) -> tuple[list[Array], list[Array]]:
    """When each flow ends, by wave, and which share of it was moved.

    Args:
        start: when all set out.
        waves: their flows.
        until: instant at which each station stops, whatever it is doing. A flow that it cuts ends
            then; one that it never begins ends at infinity, and nothing of it is moved.
    """
    ends: list[Array] = []
    before = np.full(len(until), start)
    free: dict[int, float] = {}  # since when, by channel
    for wave in waves:
        begun = before + wave.pause
        if len(begun) and begun.min() < free.get(wave.channel, start):
            return _together(start, waves, until)
        before = _alone(begun, wave)
        free[wave.channel] = float(before.max())
        ends.append(before)
    if ends and (ends[-1] > until).any():
        return _together(start, waves, until)
    return ends, [np.ones(len(until)) for _ in waves]


def _alone(begun: Array, wave: Wave) -> Array:
    """Ends of one wave that has the air to itself."""
    if not len(begun):
        return begun
    if begun.min() == begun.max():
        return _at_once(float(begun[0]), wave)
    order = np.argsort(begun, kind="stable")
    begun, work, demand = begun[order], wave.work[order], wave.demand[order]
    ends = np.empty(len(begun))
    if work.min() == work.max():  # those that begin together end together: one flow of all
        heads = np.flatnonzero(np.diff(begun, prepend=-1.0))
        demands = np.add.reduceat(demand, heads).tolist()
        bulk = _in_turn(begun[heads].tolist(), float(work[0]), demands)
        ends[order] = np.repeat(bulk, np.diff(heads, append=len(begun)))
    else:
        ends[order] = _by_target(begun.tolist(), work.tolist(), demand.tolist())
    return ends


def _at_once(begun: float, wave: Wave) -> Array:
    """Ends of flows that begin together: the level rises from end to end."""
    if wave.work.min() == wave.work.max():
        return np.full(len(wave.work), begun + float(wave.work[0]) * float(wave.demand.sum()))
    order = np.argsort(wave.work, kind="stable")
    work = wave.work[order]
    left = np.cumsum(wave.demand[order][::-1])[::-1]  # demand of those not over yet
    ends = np.empty(len(order))
    ends[order] = begun + np.cumsum(np.diff(work, prepend=0.0) * left)
    return ends


def _in_turn(begun: list[float], work: float, demand: list[float]) -> list[float]:
    """Ends of flows that need the same: who comes first ends first."""
    ends = [0.0] * len(begun)
    targets = [0.0] * len(begun)
    level = total = now = 0.0
    first = 0  # of those in the air
    for place, when in enumerate(begun):
        while first < place:
            end = now + (targets[first] - level) * total
            if end > when:
                break
            level, now = targets[first], end
            ends[first] = end
            total -= demand[first]
            first += 1
        if first == place:
            level = total = 0.0
        else:
            level += (when - now) / total
        now = when
        targets[place] = level + work
        total += demand[place]
    for place in range(first, len(begun)):
        now += (targets[place] - level) * total
        level = targets[place]
        ends[place] = now
        total -= demand[place]
    return ends


def _by_target(begun: list[float], work: list[float], demand: list[float]) -> list[float]:
    """Ends of flows that need different levels, in order of their begin."""
    ends = [0.0] * len(begun)
    inside: list[tuple[float, int]] = []
    level = total = now = 0.0
    for place, when in enumerate([*begun, inf]):
        while inside:
            target, other = inside[0]
            end = now + (target - level) * total
            if end > when:
                break
            heappop(inside)
            level, now = target, end
            ends[other] = end
            total -= demand[other]
        if when == inf:
            break
        if inside:
            level += (when - now) / total
        else:
            level = total = 0.0
        now = when
        heappush(inside, (level + work[place], place))
        total += demand[place]
    return ends


def _together(start: float, waves: Sequence[Wave], until: Array) -> tuple[list[Array], list[Array]]:
    """The same for waves that meet in the air, or that are cut."""
    pauses = [wave.pause.tolist() for wave in waves]
    works = [wave.work.tolist() for wave in waves]
    demands = [wave.demand.tolist() for wave in waves]
    ends = [[inf] * len(until) for _ in waves]
    shares = [[0.0] * len(until) for _ in waves]
    flying: list[tuple[int, float] | None] = [None] * len(until)  # wave and target
    gone = [False] * len(until)
    coming = [(start + pause, 0, place) for place, pause in enumerate(pauses[0])]
    heapify(coming)
    leaving = [(when, place) for place, when in enumerate(until.tolist()) if when < inf]
    leaving.sort(reverse=True)
    channels = range(1 + max(wave.channel for wave in waves))
    inside: list[list[tuple[float, int, int]]] = [[] for _ in channels]
    level, total = [0.0 for _ in channels], [0.0 for _ in channels]
    now = start
    while coming or any(inside):
        end, first = inf, 0
        for channel in channels:
            flows = inside[channel]
            while flows and gone[flows[0][2]]:
                heappop(flows)
            if not flows:
                level[channel] = total[channel] = 0.0
                continue
            over = now + (flows[0][0] - level[channel]) * total[channel]
            if over < end:
                end, first = over, channel
        when = coming[0][0] if coming else inf
        out = leaving[-1][0] if leaving else inf
        then = min(end, when, out)
        if then == inf:
            break
        for channel in channels:
            if inside[channel]:
                level[channel] += (then - now) / total[channel]
        now = then
        if end <= when and end <= out:
            level[first], wave, place = heappop(inside[first])
            ends[wave][place], shares[wave][place], flying[place] = end, 1.0, None
            total[first] -= demands[wave][place]
            if wave + 1 < len(waves):
                heappush(coming, (end + pauses[wave + 1][place], wave + 1, place))
        elif when <= out:
            _, wave, place = heappop(coming)
            if not gone[place]:
                channel = waves[wave].channel
                target = level[channel] + works[wave][place]
                flying[place] = wave, target
                heappush(inside[channel], (target, wave, place))
                total[channel] += demands[wave][place]
        else:
            _, place = leaving.pop()
            gone[place] = True
            if flight := flying[place]:
                wave, target = flight
                channel = waves[wave].channel
                ends[wave][place] = now
                shares[wave][place] = max(1.0 - (target - level[channel]) / works[wave][place], 0.0)
                total[channel] -= demands[wave][place]
    return [np.array(each) for each in ends], [np.array(each) for each in shares]
