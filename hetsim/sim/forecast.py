"""How long errands take if nothing changes from now on: the kernel's fluid, in a world apart.

The requests that client scripts would make are played as jobs over the same sharing. Links carry
what they carried when something last passed them, nodes work at the operating points that their
governors settle on under load, and nobody else is there. What nobody can know stays unknown: what
links will carry, heat and batteries to come, memories that run full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import simpy

from hetsim.core.cost import Cost
from hetsim.core.quantities import Joules, Seconds
from hetsim.sim.clock import Call
from hetsim.sim.dvfs import Effort, effort
from hetsim.sim.governors.base import View, allowed
from hetsim.sim.job import Flow, Job, Pipe, Work
from hetsim.sim.kernel import Kernel
from hetsim.sim.network.base import Route
from hetsim.sim.node import Node
from hetsim.sim.pipeline import pipeline_time
from hetsim.sim.radio import RadioState
from hetsim.sim.requests import Compute, Stream, Transfer
from hetsim.sim.sharing import Activity, Resource, Sharing

Act = Compute | Transfer | Stream
"""A request of a script that takes time."""
_STEPS = 64
"""After how many steps a governor is where it goes."""


def forecast(
    kernel: Kernel, errands: Sequence[Sequence[Act]], *, highest: bool = False
) -> list[list[Seconds]]:
    """In how many seconds each act of each errand ends; `inf` if it never does.

    Errands begin now, side by side; the acts of one follow each other.

    Args:
        kernel: the world.
        errands: acts of each.
        highest: whether nodes work at their highest clocks, whatever their governors choose.
    """
    return _World(kernel, highest).play(errands)


def drawn(kernel: Kernel, device: str, acts: Sequence[Act], ends: Sequence[Seconds]) -> Joules:
    """What a device draws from the begin of an errand to its end, base power included.

    Args:
        kernel: the world.
        device: name of the node.
        acts: the errand.
        ends: when they end, as `forecast` tells.
    """
    if ends[-1] == inf:
        return inf
    node = kernel.node(device)
    joules, body = sum(node.base["idle"].values()) * ends[-1], _Body(node)
    rested: Seconds = inf
    for act, begin, end in zip(acts, (0.0, *ends), ends, strict=False):
        radio: RadioState | None = None
        for stage in stages_of(act):
            if isinstance(stage, Transfer):
                route = kernel.network.route(stage.source, stage.target)
                joules += sum(route.payers.get(node, {}).values()) * stage.size
                radio = _radio(route) or radio
            elif stage.node == device:
                joules += sum(body.effort(stage.cost).joules)
        if radio is None:
            rested += end - begin
            continue
        states = radio.states
        joules += states.tailing * min(rested, states.tail) if rested < inf else 0.0
        joules += states.connected * (end - begin)
        if rested > states.tail:
            joules += (states.promoting - states.connected) * states.promotion
        rested = 0.0
    return joules


def stages_of(act: Act) -> tuple[Compute | Transfer, ...]:
    """What an act consists of."""
    return act.stages if isinstance(act, Stream) else (act,)


def _radio(route: Route) -> RadioState | None:
    return next((party for party in route.parties if isinstance(party, RadioState)), None)


class _Body:
    """A node as it works under load; whom jobs pay for nothing."""

    watching = False

    def __init__(self, node: Node, highest: bool = False) -> None:
        self._node, self._points = node, _highest(node) if highest else _points(node)
        self.processor = Resource(f"{node.name}/processor", 1.0)
        self.activities: dict[Activity, float] = {}
        self.meters: dict[Resource, float] = {}

    def effort(self, cost: Cost) -> Effort:
        """Time and joules of `cost`."""
        return effort(self._node.domains, self._points, cost, self._node.timing)

    def kinds(self, work: Effort) -> Mapping[str, Joules]:
        """Nothing is charged."""
        return {}

    def enter(self, job: Job) -> None:
        """Its clocks stay."""

    def leave(self, job: Job) -> None:
        """Its clocks stay."""

    def charge(self, now: Seconds) -> None:
        """Nothing is charged."""

    def redraw(self, now: Seconds) -> None:
        """Nothing is charged."""


def _points(node: Node) -> tuple[int, ...]:
    """The operating points that its governor settles on while all its domains are busy."""
    points, domains = node.points, node.domains
    if not node.governor or not domains:
        return points
    if node.heat:
        limits = node.heat.limits(domains)
        domains, points = allowed(domains, limits), tuple(map(min, points, limits))
    for _ in range(_STEPS):
        view = View(domains=domains, points=points, busy=(1.0,) * len(domains))
        chosen = tuple(
            min(point, len(domain.points) - 1)
            for point, domain in zip(node.governor.choose(view).points, domains, strict=True)
        )
        if chosen == points:
            break
        points = chosen
    return points


def _highest(node: Node) -> tuple[int, ...]:
    """The highest operating points that heat allows now."""
    if node.heat:
        return tuple(node.heat.limits(node.domains))
    return tuple(len(domain.points) - 1 for domain in node.domains)


class _World:
    """Links and nodes as they are now, and no events but those of the errands."""

    def __init__(self, kernel: Kernel, highest: bool) -> None:
        self._kernel, self._clocked = kernel, highest
        self._env = simpy.Environment()
        self._sharing = Sharing(self._env)
        self._lines: dict[Resource, Resource] = {}
        self._bodies: dict[str, Any] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._awake: dict[RadioState, Seconds] = {}

    def play(self, errands: Sequence[Sequence[Act]]) -> list[list[Seconds]]:
        """See `forecast`."""
        ends = [list[Seconds]() for _ in errands]
        for acts, done in zip(errands, ends, strict=True):
            self._go_on(iter(acts), done)
        while self._env.peek() < inf:
            self._env.step()
        for acts, done in zip(errands, ends, strict=True):
            done += [inf] * (len(acts) - len(done))
        return ends

    def _go_on(self, acts: Iterator[Act], ends: list[Seconds]) -> None:
        act = next(acts, None)
        if act is None:
            return
        parts, ways = list[Work | Flow](), [list[Route]()]
        routes, radio = list[Route](), None
        for stage in stages_of(act):
            part: Work | Flow | None = None
            if isinstance(stage, Transfer):
                route = self._route(stage)
                routes.append(route)
                ways[-1].append(route)
                if stage.size > 0.0 and route.uses:
                    part = Flow(route, stage.size, stage.kind)
                radio = radio or _radio(self._kernel.network.route(stage.source, stage.target))
            else:
                body = self._body(stage.node)
                if body.effort(stage.cost).duration > 0.0:
                    part = Work(body, stage.cost, stage.kind)
            if part:
                parts.append(part)
                ways.append([])
        wait = self._wake(radio)
        latency = sum(route.latency for route in routes)
        pipe = None
        if isinstance(act, Stream):
            pipe = Pipe(act.items, act.window, tuple(map(tuple, ways)))
            wait += 0.0 if parts else pipeline_time((), act.items, act.window, latency)
        else:
            wait += latency

        def end(job: Job | None = None) -> None:
            if radio:
                self._awake[radio] = self._env.now + radio.states.tail
            ends.append(self._env.now)
            self._go_on(acts, ends)

        begin = Job(self._sharing, tuple(parts), end, pipe).start if parts else end
        Call(self._env, begin, wait)

    def _wake(self, radio: RadioState | None) -> Seconds:
        """How long a transfer waits for a radio."""
        if radio is None:
            return 0.0
        asleep = 0.0 if radio.state == "idle" else radio.states.tail
        awake = self._awake.get(radio, asleep)
        return 0.0 if self._env.now < awake else radio.states.promotion

    def _body(self, name: str) -> Any:
        if name not in self._bodies:
            self._bodies[name] = _Body(self._kernel.node(name), self._clocked)
        return self._bodies[name]

    def _route(self, stage: Transfer) -> Route:
        """A route over lines of this world."""
        ends = stage.source, stage.target
        if ends not in self._routes:
            route = self._kernel.network.route(*ends)
            uses = {self._line(line): use for line, use in route.uses.items()}
            self._routes[ends] = replace(route, uses=uses, payers={}, parties=())
        return self._routes[ends]

    def _line(self, line: Resource) -> Resource:
        if line not in self._lines:
            self._lines[line] = Resource(line.name, line.capacity)
        return self._lines[line]
