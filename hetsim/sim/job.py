"""A job: work and bytes that progress together as one activity.

A compute job has one part, a transfer one, a stream as many as it has stages. The job knows what a
unit of progress takes of processors and links at the present operating points, and asks again when
they change.

A stream of n items is a flow at the pace of its slowest stage (or of its window), and then a drain:
what the last item needs beside its turn at that stage. Both together are what a pipeline takes
alone. Where others share, the pace follows from sharing. The drain is then longer, by the turns of
the others at a shared stage up to the time between two items: who shares the slowest stage waits
for its own turn there, and for all other stages after the last one. An item is through once the
drain behind it is over, so a stream that is cut short tells how many are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, floor, inf
from typing import NamedTuple

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Fraction, Joules, Seconds
from hetsim.sim.clock import Call
from hetsim.sim.network.base import Route
from hetsim.sim.node import Node
from hetsim.sim.pipeline import Stop, loop_time, pipeline_time, portions
from hetsim.sim.sharing import Activity, Drawn, Resource, Sharing

_WHOLE = 1e-9
"""By how much of an item less one counts as through: rounding."""


class Work(NamedTuple):
    """A part that computes `cost` on `node`."""

    node: Node
    cost: Cost
    kind: str


class Flow(NamedTuple):
    """A part that moves `size` bytes along `route`."""

    route: Route
    size: Bytes
    kind: str


class Pipe(NamedTuple):
    """How the items of a stream follow each other.

    Attributes:
        items: how many.
        window: how many may be inside at once.
        ways: routes whose latency an item waits for on its way to each part, and after the last.
    """

    items: int
    window: float
    ways: tuple[tuple[Route, ...], ...]


@dataclass(slots=True)
class _Terms:
    """What one unit of progress, the whole job, takes; of each part, how long and where alone."""

    uses: dict[Resource, float] = field(default_factory=dict[Resource, float])
    payers: dict[Drawn, dict[str, Joules]] = field(default_factory=dict[Drawn, dict[str, Joules]])
    alone: list[Seconds] = field(default_factory=list[Seconds])
    places: list[object] = field(default_factory=list[object])
    prices: list[Joules] = field(default_factory=list[Joules])


class Job:
    """Parts in progress together: from 0 to 1, or to its bytes if it is one flow.

    Attributes:
        parts: what it consists of.
        pipe: of a stream; None for one compute or one transfer.
        joules: drawn above base so far, by part.
        activity: while it is in progress.
        alone: what a stream would take with everything to itself.
        portions: what of that its parts are (`hetsim.sim.pipeline`).
        latencies: what of these is latency.
        through: share of a stream's items that were through when it was stopped.
    """

    __slots__ = (
        "_began", "_cycle", "_done", "_drain", "_ends", "_fill", "_finish", "_flowed", "_fullest",
        "_marked", "_met", "_prices", "_workers", "activity", "alone", "joules", "latencies",
        "parts", "pipe", "portions", "sharing", "through",
    )  # fmt: skip

    def __init__(
        self,
        sharing: Sharing,
        parts: tuple[Work | Flow, ...],
        finish: Callable[[Job], None],
        pipe: Pipe | None = None,
    ) -> None:
        self.sharing, self.parts, self.pipe, self._finish = sharing, parts, pipe, finish
        self.joules = [0.0] * len(parts)
        self._marked: Joules = 0.0
        self._done = 0.0
        self.activity: Activity | None = None
        self._prices: list[Joules] = []
        self._workers = dict.fromkeys([part.node for part in parts if isinstance(part, Work)])
        if pipe:
            self.alone: Seconds = inf
            self.portions = self.latencies = [0.0] * len(parts)
            self._fullest = 0
            self.through: Fraction = 0.0
            self._fill = self._cycle = 0.0
            self._began = self._flowed = self._ends = 0.0
            self._met: dict[Resource, int] = {}
            self._drain: Call | None = None

    def start(self) -> None:
        """Let it progress from now on."""
        if self.pipe is None and isinstance(flow := self.parts[0], Flow):
            route = flow.route
            self.activity = Activity(
                flow.size, route.uses, self._complete,
                weight=route.weight, cap=route.cap, payers=route.payers,
            )  # fmt: skip
            self.sharing.start(self.activity)
            return
        for node in self._workers:
            node.enter(self)
        terms = self._terms()
        self._prices = terms.prices
        weight, cap = self._share(terms)
        self.activity = Activity(
            1.0, terms.uses, self._complete, weight=weight, cap=cap, payers=terms.payers
        )
        if self.pipe:
            self._began = self.sharing.env.now
            self._met = {line: line.count for line in terms.uses}
        self.sharing.start(self.activity)
        if self.pipe:  # its cap follows from how fast each part is alone
            for line in terms.uses:
                line.followers[self] = self.refresh

    def refresh(self) -> None:
        """Operating points or lines changed: price the rest of the job again."""
        if not self.activity:
            return
        if self.pipe is None and isinstance(flow := self.parts[0], Flow):
            route = flow.route
            self.sharing.reprice(self.activity, route.uses, route.payers, route.weight, route.cap)
            return
        self.activity.settle(self.sharing.env.now)
        self._mark()
        terms = self._terms()
        self._prices = terms.prices
        weight, cap = self._share(terms)
        self.sharing.reprice(self.activity, terms.uses, terms.payers, weight, cap)

    def stop(self) -> Fraction:
        """End it now; returns the share that was done."""
        if self.activity:
            progress = self.sharing.stop(self.activity)
            if self.pipe:
                self._flowed = self.sharing.env.now - self._began
                self.through = self._whole(progress, self._rest(self.activity))
            self._end()
            return progress
        if self.pipe and self._drain:
            self._drain.cancel()
            self._drain = None
            self.through = self._whole(1.0, self._ends - self.sharing.env.now)
            return 1.0
        return 0.0

    def held(self, seconds: Seconds) -> list[Seconds]:
        """What each part of a stream is of the seconds that it took.

        What others, heat or a pause have added is told of the part that shared its place most, or
        of the longest one.
        """
        known = sum(self.portions)
        if seconds < known:  # it was cut
            return [portion * seconds / known for portion in self.portions]
        told = list(self.portions)
        told[self._fullest] += seconds - known
        return told

    def costs_on(self, node: Node) -> list[Cost]:
        """The costs of its parts on `node`."""
        return [part.cost for part in self.parts if isinstance(part, Work) and part.node is node]

    @property
    def done(self) -> Fraction:
        """Share of its work that is done; of a stream, of its flow."""
        if self.activity is None:
            return self._done
        self.activity.settle(self.sharing.env.now)
        return self.activity.done / self.activity.amount

    def elsewhere(self, node: Node) -> tuple[Seconds, Seconds]:
        """What a stream takes at least where `node` is not: between all items, and after them.

        Where several may be inside, others are here meanwhile, but for the last one.
        """
        if self.pipe is None:
            return 0.0, 0.0
        items, window, ways = self.pipe
        others = sum(
            seconds for part, seconds in zip(self.parts, self._terms().alone, strict=True)
            if not (isinstance(part, Work) and part.node is node)
        )  # fmt: skip
        each = others / items + sum([route.latency for routes in ways for route in routes])
        return (each * items, 0.0) if window == 1 else (0.0, each)

    def _complete(self) -> None:
        assert self.activity
        rest = self._rest(self.activity) if self.pipe else 0.0
        self._end()
        if rest > 0.0:
            env = self.sharing.env
            self._flowed, self._ends = env.now - self._began, env.now + rest
            self._drain = Call(env, self._drained, rest)
        else:
            self._finish(self)

    def _drained(self) -> None:
        self._drain = None
        self._finish(self)

    def _rest(self, activity: Activity) -> Seconds:
        """How long the drain of a stream is, with those that it has met."""
        assert self.pipe
        most = turns = 0.0
        fullest: Resource | None = None
        for line, use in activity.uses.items():
            others = max(self._met[line], line.count)
            if others and line.capacity > 0.0:
                mine = use / line.capacity / self.pipe.items
                if others * mine > most:  # of several shared stages the fullest holds them up
                    most, fullest = others * mine, line
                    turns = max(0.0, min(most, self._cycle - mine))
        self._fullest = self._at(fullest)
        return self._fill + turns

    def _at(self, line: Resource | None) -> int:
        """The longest of the parts that use a line, or of all."""
        lines = [
            (part.node.processor,) if isinstance(part, Work) else part.route.uses
            for part in self.parts
        ]
        there = [index for index, uses in enumerate(lines) if line is None or line in uses]
        return max(there, key=self.portions.__getitem__)

    def _whole(self, progress: Fraction, rest: Seconds) -> Fraction:
        """Share of the items that are through, with a drain of `rest` behind what is done."""
        assert self.pipe
        if progress <= 0.0:
            return 0.0
        items = self.pipe.items
        pace = self._flowed / (progress * items)
        through = progress * items - rest / pace if pace > 0.0 else 0.0
        return max(0.0, floor(through + _WHOLE) / items)

    def _end(self) -> None:
        self._mark()
        assert self.activity
        if self.pipe:
            for line in self.activity.uses:
                line.followers.pop(self, None)
        self._done = self.activity.done / self.activity.amount
        self.activity = None
        for node in self._workers:
            node.leave(self)

    def _mark(self) -> None:
        """Split the joules since the last mark over the parts, by price."""
        assert self.activity
        if self.pipe is None:
            self.joules[0] = self.activity.joules
            return
        fresh = self.activity.joules - self._marked
        self._marked = self.activity.joules
        total = sum(self._prices)
        if total:
            for i, price in enumerate(self._prices):
                self.joules[i] += fresh * price / total

    def _terms(self) -> _Terms:
        terms = _Terms()
        for part in self.parts:
            price = 0.0
            if isinstance(part, Work):
                effort = part.node.effort(part.cost)
                processor = part.node.processor
                terms.uses[processor] = terms.uses.get(processor, 0.0) + effort.duration
                terms.alone.append(effort.duration)
                terms.places.append(processor)
                bills = {part.node: part.node.kinds(effort)}
            else:
                for resource, use in part.route.uses.items():
                    terms.uses[resource] = terms.uses.get(resource, 0.0) + use * part.size
                    if resource.tariff:
                        price += use * part.size * resource.tariff[2]
                terms.alone.append(part.route.duration(part.size))
                terms.places.append(part.route.bottleneck)
                bills = {
                    node: {kind: joules * part.size for kind, joules in kinds.items()}
                    for node, kinds in part.route.payers.items()
                }
            for node, kinds in bills.items():
                mine = terms.payers.setdefault(node, {})
                for kind, joules in kinds.items():
                    mine[kind] = mine.get(kind, 0.0) + joules
                    price += joules
            terms.prices.append(price)
        return terms

    def _share(self, terms: _Terms) -> tuple[float | None, float]:
        """Weight and cap: bytes compete by throughput, processor seconds by time, items in turn.

        Streams that share a place progress there by as many items a second, whatever is in them.
        Beside plain flows an item counts as many bytes as one of the run's first stream has; jobs
        on the processors of a stream weigh as much as it does.
        """
        sharing = self.sharing
        flows = [part for part in self.parts if isinstance(part, Flow)]
        cap = min((flow.route.cap / flow.size for flow in flows), default=inf)
        if self.pipe is None:
            return None, cap
        self._plan(terms, self.pipe)
        weight = max((flow.route.weight for flow in flows), default=None)
        if weight is not None:
            items = self.pipe.items
            sharing.item = sharing.item or max(flow.size for flow in flows) / items
            weight /= items * sharing.item
        elif len(self._workers) > 1:
            weight = 1.0 / max(terms.alone)
        return weight, min(cap, 1.0 / (self._cycle * self.pipe.items) if self._cycle else inf)

    def _plan(self, terms: _Terms, pipe: Pipe) -> None:
        """What a stream takes alone: so many items at a pace, and the drain."""
        items, window, ways = pipe
        each = [seconds / items for seconds in terms.alone]
        lags = [sum([route.latency for route in routes]) for routes in ways]
        through = sum(each) + sum(lags)
        places = [terms.places.index(place) for place in terms.places]
        busy = [0.0] * len(each)
        for place, seconds in zip(places, each, strict=True):
            busy[place] += seconds
        if len(set(places)) == len(places):
            self.alone = pipeline_time(each, items, window, sum(lags))
        else:
            stops = map(Stop, [*places, -1], [*each, 0.0], lags)
            self.alone = loop_time(tuple(stops), items, window)
        if self.alone == inf:  # a line is down, and limits nothing for ever
            self._cycle = 0.0
            return
        loop = len(set(places)) < len(places)
        stalled = window < items and not loop and int(window) * max(each) < through
        passes = items if window == 1 else ceil(items / int(window)) if stalled else 1
        lags[-2:] = [lags[-2] + lags[-1]]
        turns = [seconds + lag for seconds, lag in zip(each, lags, strict=True)]
        self.portions = portions(turns, self.alone, passes)
        self.latencies = [passes * lag for lag in lags]
        least = max(max(busy), through / int(window) if window < items else 0.0)
        self._fill = min(max(0.0, self.alone - items * least), through)
        self._cycle = (self.alone - self._fill) / items
