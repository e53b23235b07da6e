"""A job: work and bytes that progress together as one activity.

A compute job has one part, a transfer one, a stream several. The job knows what a unit of progress
takes of processors and links at the present operating points, and asks again when they change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Joules, Seconds
from hetsim.sim.network.base import Route
from hetsim.sim.node import Node
from hetsim.sim.requests import pipeline_time
from hetsim.sim.sharing import Activity, Drawn, Resource, Sharing


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


@dataclass(slots=True)
class _Terms:
    """What one unit of progress, the whole job, takes."""

    uses: dict[Resource, float] = field(default_factory=dict[Resource, float])
    payers: dict[Drawn, dict[str, Joules]] = field(default_factory=dict[Drawn, dict[str, Joules]])
    alone: list[Seconds] = field(default_factory=list[Seconds])
    prices: list[Joules] = field(default_factory=list[Joules])


class Job:
    """Parts in progress together: from 0 to 1, or to its bytes if it is one flow.

    Attributes:
        parts: what it consists of.
        joules: drawn above base so far, by part.
        activity: while it is in progress.
    """

    __slots__ = (
        "_finish", "_marked", "_prices", "_workers", "activity", "items", "joules", "parts",
        "sharing", "window",
    )  # fmt: skip

    def __init__(
        self,
        sharing: Sharing,
        parts: tuple[Work | Flow, ...],
        finish: Callable[[Job], None],
        *,
        items: int = 1,
        window: float = inf,
    ) -> None:
        self.sharing, self.parts, self._finish = sharing, parts, finish
        self.items, self.window = items, window
        self.joules = [0.0] * len(parts)
        self._marked: Joules = 0.0
        self.activity: Activity | None = None
        self._prices: list[Joules] = []
        self._workers = dict.fromkeys([part.node for part in parts if isinstance(part, Work)])

    def start(self) -> None:
        """Let it progress from now on."""
        if len(self.parts) == 1 and isinstance(flow := self.parts[0], Flow):
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
        self.sharing.start(self.activity)
        if len(self.parts) > 1:  # its cap follows from how fast each part is alone
            for line in terms.uses:
                line.followers[self] = self.refresh

    def refresh(self) -> None:
        """Operating points or lines changed: price the rest of the job again."""
        if not self.activity:
            return
        if len(self.parts) == 1 and isinstance(flow := self.parts[0], Flow):
            route = flow.route
            self.sharing.reprice(self.activity, route.uses, route.payers, route.weight, route.cap)
            return
        self.activity.settle(self.sharing.env.now)
        self._mark()
        terms = self._terms()
        self._prices = terms.prices
        weight, cap = self._share(terms)
        self.sharing.reprice(self.activity, terms.uses, terms.payers, weight, cap)

    def stop(self) -> float:
        """End it now; returns the share that was done."""
        if not self.activity:
            return 0.0
        progress = self.sharing.stop(self.activity)
        self._end()
        return progress

    def costs_on(self, node: Node) -> list[Cost]:
        """The costs of its parts on `node`."""
        return [part.cost for part in self.parts if isinstance(part, Work) and part.node is node]

    def _complete(self) -> None:
        self._end()
        self._finish(self)

    def _end(self) -> None:
        self._mark()
        assert self.activity
        if len(self.parts) > 1:
            for line in self.activity.uses:
                line.followers.pop(self, None)
        self.activity = None
        for node in self._workers:
            node.leave(self)

    def _mark(self) -> None:
        """Split the joules since the last mark over the parts, by price."""
        assert self.activity
        if len(self.parts) == 1:
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
                bills = {part.node: part.node.kinds(effort)}
            else:
                for resource, use in part.route.uses.items():
                    terms.uses[resource] = terms.uses.get(resource, 0.0) + use * part.size
                    if resource.tariff:
                        price += use * part.size * resource.tariff[2]
                terms.alone.append(part.route.duration(part.size))
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
        """Weight and cap: bytes compete by throughput, processor seconds by time.

        A stream weighs as much as its bytes do; jobs on its processors weigh as much as it does.
        A line that is down now limits nothing for ever, so it sets no cap.
        """
        flows = [part for part in self.parts if isinstance(part, Flow)]
        weight = max((flow.route.weight / flow.size for flow in flows), default=None)
        cap = min((flow.route.cap / flow.size for flow in flows), default=inf)
        if len(self.parts) == 1:
            return weight, cap
        each = [seconds / self.items for seconds in terms.alone]
        alone = pipeline_time(each, self.items, self.window)
        alone += sum(flow.route.latency for flow in flows)
        if weight is None and len(self._workers) > 1:
            weight = 1.0 / max(terms.alone)
        return weight, min(cap, 1.0 / alone if alone < inf else inf)
