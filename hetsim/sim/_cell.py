"""One radio cell of a fleet: flows over its air, with pauses between, from the first to the last.

The bundle of `hetsim.sim.bundle`, for flows that are known from the start: while n flows are in
the air, flow i progresses at w_i V', with V' = 1 / sum of w_j u_j, where u_j is what a byte of j
takes of the air. A flow of a_i bytes that comes at level V is over at level V + a_i / w_i.

A wave is a flow of every station. Mostly the last one ends before the next wave begins; then waves
are solved one after the other. Where they meet, all are solved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import chain
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.sim.columns import Array

_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
"""What bits are mixed with: 2^64 over the golden ratio."""


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


def play_apart(
    start: float, waves: Sequence[Wave], until: Array
) -> tuple[list[Array], list[Array]]:
    """The same where each station has a line of its own."""
    ends: list[Array] = []
    shares: list[Array] = []
    before = np.full(len(until), start)
    for wave in waves:
        begun, lasts = before + wave.pause, wave.work * wave.demand
        before = begun + lasts
        share = np.where(before <= until, 1.0, (until - begun) / lasts)
        never = begun > until
        ends.append(np.where(never, inf, np.minimum(before, until)))
        shares.append(np.where(never, 0.0, share))
        before = np.where(before <= until, before, inf)
    return ends, shares


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
    first, place = _same([until, *(column for wave in waves for column in wave[:2])])
    if len(first) < len(until):  # who needs the same at all times goes with one of them
        few = [wave.of(first)._replace(demand=np.bincount(place, wave.demand)) for wave in waves]
        ends, shares = _together(start, few, until[first])
        return [each[place] for each in ends], [each[place] for each in shares]
    air = _Air(waves, until)
    air.play(start)
    ends = np.array(air.ends)
    shares = np.where(ends < inf, 1.0, 0.0)
    shares[list(air.cut)] = list(air.cut.values())
    shape = len(waves), len(until)
    return list(ends.reshape(shape)), list(shares.reshape(shape))


class _Channel:
    """Flows in one air.

    Attributes:
        flows: (level at which it is over, number), a heap; those that were cut stay in it.
        flying: how many are in the air.
        level, total: at the instant `at`: how far all are, and the air they take.
        due: when the next one is over.
    """

    __slots__ = ("at", "due", "flows", "flying", "level", "total")

    def __init__(self) -> None:
        self.flows: list[tuple[float, int]] = []
        self.flying = 0
        self.level = self.total = self.at = 0.0
        self.due = inf

    def advance(self, now: float) -> None:
        """Be at a later instant."""
        if self.flying:
            self.level += (now - self.at) / self.total
        self.at = now

    def renew(self) -> None:
        """Others are in the air than before."""
        if self.flying:
            self.due = self.at + (self.flows[0][0] - self.level) * self.total
        else:
            self.flows.clear()
            self.level = self.total = 0.0
            self.due = inf


class _Air:
    """Flows that come and go one after the other, in the order of their instants.

    The flow of a station in a wave has the number stations x wave + station. Those of a wave that
    begin together and need the same are a bulk: they end together, and have one, higher number.

    Attributes:
        ends: of each flow by number; infinite if it never begins.
        cut: share that was moved of those that were cut.
    """

    def __init__(self, waves: Sequence[Wave], until: Array) -> None:
        self._size = len(until)
        self._pause, self._work, self._demand = (
            list(chain.from_iterable(column.tolist() for column in columns))
            for columns in zip(*((wave.pause, wave.work, wave.demand) for wave in waves),
                               strict=True)
        )  # fmt: skip
        self.ends = [inf] * len(self._pause)
        self.cut: dict[int, float] = {}
        self._bulks: list[list[int]] = []
        self._coming: list[tuple[float, int]] = []
        self._channels = [_Channel() for _ in range(1 + max(wave.channel for wave in waves))]
        self._by_wave = [self._channels[wave.channel] for wave in waves]
        stops = _alike(until.tolist(), range(self._size))
        stops.pop(inf, None)
        self._stops = sorted(stops.items(), reverse=True)
        self._gone: set[int] = set()
        self._flying: dict[int, tuple[int, float]] = {}
        """Of stations that may stop: number, and level at which it is over."""

    def play(self, start: float) -> None:
        """Let all set out."""
        self._follow(start, range(self._size))
        coming, stops, gone = self._coming, self._stops, self._gone
        size, alone = self._size, len(self.ends)
        first, last = self._channels[0], self._channels[-1]
        while True:
            channel = first if first.due <= last.due else last
            due = channel.due
            when = coming[0][0] if coming else inf
            stop = stops[-1][0] if stops else inf
            if due <= when and due <= stop:
                if due == inf:
                    return
                number = channel.flows[0][1]
                if number < alone and not (gone and number % size in gone):
                    self._end_one(channel)
                else:
                    self._end(channel)
            elif when <= stop:
                when, number = heappop(coming)
                if number < alone and not (gone and number % size in gone):
                    self._begin_one(when, number)
                else:
                    self._begin(when, number)
            else:
                self._stop(*stops.pop())

    def _begin_one(self, when: float, number: int) -> None:
        """`_begin` of one flow, without detours."""
        channel = self._by_wave[number // self._size]
        if channel.flying:
            channel.level += (when - channel.at) / channel.total
        channel.at = when
        flows, over = channel.flows, channel.level + self._work[number]
        heappush(flows, (over, number))
        if self._stops:
            self._flying[number % self._size] = number, over
        channel.total += self._demand[number]
        channel.flying += 1
        channel.due = when + (flows[0][0] - channel.level) * channel.total

    def _end_one(self, channel: _Channel) -> None:
        """`_end` of one flow, without detours."""
        flows, now = channel.flows, channel.due
        level, number = heappop(flows)
        self.ends[number] = channel.at = now
        channel.level = level
        if self._stops:
            del self._flying[number % self._size]
        channel.flying -= 1
        if channel.flying:
            channel.total = total = channel.total - self._demand[number]
            channel.due = now + (flows[0][0] - level) * total
        else:
            channel.renew()
        number += self._size
        if number < len(self._pause):
            heappush(self._coming, (now + self._pause[number], number))

    def _members(self, number: int) -> Sequence[int]:
        """Flows of a number whose stations have not stopped."""
        count, gone = len(self.ends), self._gone
        flows = (number,) if number < count else self._bulks[number - count]
        return [each for each in flows if each % self._size not in gone] if gone else flows

    def _begin(self, when: float, number: int) -> None:
        """Flows take to the air."""
        flows = self._members(number)
        if not flows:
            return
        channel = self._by_wave[flows[0] // self._size]
        channel.advance(when)
        if len(flows) == 1:
            alike = {self._work[flows[0]]: flows}
        else:
            alike = _alike([self._work[flow] for flow in flows], flows)
        for work, those in alike.items():
            over = channel.level + work
            heappush(channel.flows, (over, self._number(those)))
            for flow in those:
                channel.total += self._demand[flow]
            if self._stops:
                self._flying.update((flow % self._size, (flow, over)) for flow in those)
        channel.flying += len(flows)
        channel.renew()

    def _end(self, channel: _Channel) -> None:
        """The next flows of a channel are over."""
        now = channel.at = channel.due
        channel.level, number = heappop(channel.flows)
        flows = self._members(number)
        for flow in flows:
            self.ends[flow] = now
            channel.total -= self._demand[flow]
        if self._stops:
            for flow in flows:
                del self._flying[flow % self._size]
        channel.flying -= len(flows)
        channel.renew()
        if flows and flows[0] + self._size < len(self.ends):
            self._follow(now, [flow + self._size for flow in flows])

    def _follow(self, now: float, flows: Sequence[int]) -> None:
        """Let flows come after their pauses."""
        if len(flows) == 1:
            heappush(self._coming, (now + self._pause[flows[0]], flows[0]))
            return
        for when, those in _alike([now + self._pause[flow] for flow in flows], flows).items():
            heappush(self._coming, (when, self._number(those)))

    def _number(self, flows: Sequence[int]) -> int:
        """One number for flows that do the same."""
        if len(flows) == 1:
            return flows[0]
        self._bulks.append(list(flows))
        return len(self.ends) + len(self._bulks) - 1

    def _stop(self, now: float, stations: list[int]) -> None:
        """Stations stop, whatever they are doing."""
        for channel in self._channels:
            channel.advance(now)
        self._gone.update(stations)
        for station in stations:
            if station in self._flying:
                flow, over = self._flying.pop(station)
                channel = self._by_wave[flow // self._size]
                left = (over - channel.level) / self._work[flow]
                self.ends[flow], self.cut[flow] = now, max(1.0 - left, 0.0)
                channel.total -= self._demand[flow]
                channel.flying -= 1
        for channel in self._channels:
            channel.renew()


def _same(columns: Sequence[Array]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One row of each that occurs, and the place of each row among them."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = mixed * _ODD + np.ascontiguousarray(column).view(np.uint64)
        mixed ^= mixed >> _HALF
    _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
    if all((column[first][place] == column).all() for column in columns):
        return first, place
    everyone = np.arange(len(mixed))  # two that differ have the same number
    return everyone, everyone


def _alike(values: Sequence[float], numbers: Sequence[int]) -> dict[float, list[int]]:
    """Numbers with the same value together."""
    found: dict[float, list[int]] = {}
    for value, number in zip(values, numbers, strict=True):
        if value in found:
            found[value].append(number)
        else:
            found[value] = [number]
    return found
