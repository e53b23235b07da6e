"""A scenario of an external oracle, played on the engine that simulations use.

Flows and tasks become activities of the fluid sharing. A link's directions (or both, where they
share one capacity) are resources, each with a node of its own that pays for its load. A computer of
c cores at a speed of s a core is a resource of c s; a task is capped at s, so n of them run at
min(s, c s / n) each. The format is told in the oracle's README.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf

from hetsim.core.quantities import Joules, Rate, Seconds
from hetsim.core.trace import Trace
from hetsim.sim.clock import Call
from hetsim.sim.kernel import Kernel
from hetsim.sim.network_model import NETWORK_MODELS, Terms
from hetsim.sim.node import Node
from hetsim.sim.sharing import Activity, Resource
from hetsim.spec import oracle

_AT_ONCE = 1e-12
"""What ends this little after the horizon, as a share of it, ends at the horizon."""


@dataclass(slots=True)
class Record:
    """What became of an activity; an instant that there was not is None."""

    start: Seconds | None = None
    finish: Seconds | None = None
    state: str = "waiting"


class _Line:
    """One direction of a link, or both of a shared one."""

    def __init__(self, kernel: Kernel, name: str, cable: oracle.Cable) -> None:
        self.kernel, self.swing = kernel, cable.busy - cable.idle
        base = {"idle": {"idle": cable.idle}}
        self.node = Node(kernel.env, Trace(), name, "link", base=base)
        self.resource = Resource(name, cable.bandwidth)
        self.flows: dict[str, None] = {}
        self.resource.tariff = self._tariff()

    def _tariff(self) -> tuple[Node, str, Joules]:
        capacity = self.resource.capacity
        return self.node, "link", self.swing / capacity if capacity else 0.0

    def resize(self, bandwidth: Rate) -> None:
        self.kernel.sharing.resize(self.resource, bandwidth)
        self.kernel.sharing.bill(self.resource, self._tariff())


class _Computer:
    """A node of the scenario; its base state says its operating point and whether it is busy."""

    def __init__(self, kernel: Kernel, about: oracle.Computer) -> None:
        self.kernel, self.about, self.pstate = kernel, about, about.pstate
        base = {
            f"{index}/{state}": {"idle": watts}
            for index, point in enumerate(about.pstates)
            for state, watts in (("idle", point.idle), ("busy", point.epsilon))
        }
        base |= {"idle": base[f"{self.pstate}/idle"], "off": {"off": about.off}}
        self.node = Node(kernel.env, Trace(), about.id, "device", base=base)
        self.resource = Resource(about.id, about.cores * self.speed)
        self.resource.tariff = self._tariff()
        self.tasks: dict[str, Activity] = {}
        self.off = False

    @property
    def speed(self) -> float:
        """Flop/s of one core."""
        return self.about.pstates[self.pstate].speed

    def _tariff(self) -> tuple[Node, str, Joules]:
        point, capacity = self.about.pstates[self.pstate], self.about.cores * self.speed
        return self.node, "compute", (point.full - point.epsilon) / capacity if capacity else 0.0

    def show(self) -> None:
        """Draw the base power of what it does now."""
        state = "busy" if self.tasks and self.speed else "idle"
        self.node.switch("off" if self.off else f"{self.pstate}/{state}")

    def step(self, pstate: int) -> None:
        """Change the operating point, of running tasks too."""
        self.pstate = pstate
        sharing = self.kernel.sharing
        sharing.resize(self.resource, self.about.cores * self.speed)
        sharing.bill(self.resource, self._tariff())
        for task in self.tasks.values():
            sharing.reprice(task, task.uses, {}, task.weight, self.speed)
        self.show()


class Replay:
    """A scenario in progress.

    Attributes:
        records: what became of each activity.
    """

    def __init__(self, scenario: oracle.Scenario) -> None:
        self.scenario = scenario
        self.kernel = Kernel(Trace())
        self.records = {activity.id: Record() for activity in scenario.activities}
        self._model = NETWORK_MODELS[scenario.model]
        self._about = {activity.id: activity for activity in scenario.activities}
        self._computers = {node.id: _Computer(self.kernel, node) for node in scenario.nodes}
        self._cables = {cable.id: cable for cable in scenario.links}
        self._lines: dict[str, _Line] = {}
        self._hops: dict[tuple[str, str], _Line] = {}
        self._latency: dict[_Line, Seconds] = {}
        for cable in scenario.links:
            full = cable.duplex == "full"
            names = (f"{cable.id}:fwd", f"{cable.id}:rev") if full else (cable.id,) * 2
            for name, hop in zip(names, self._ends(cable), strict=True):
                if name not in self._lines:
                    self._lines[name] = line = _Line(self.kernel, name, cable)
                    self._latency[line] = cable.latency
                self._hops[hop] = self._lines[name]
        self._running: dict[str, Activity] = {}
        self._missing = {activity.id: len(activity.after) + 1 for activity in scenario.activities}
        self._after: dict[str, list[str]] = {activity.id: [] for activity in scenario.activities}
        for activity in scenario.activities:
            for name in activity.after:
                self._after[name].append(activity.id)

    def play(self) -> None:
        """Until the horizon, and what happens at it."""
        env = self.kernel.env
        for event in self.scenario.events:
            Call(env, partial(self._event, event), event.at)
        for activity in self.scenario.activities:
            Call(env, partial(self._ready, activity.id), activity.start)
        end = self.scenario.horizon
        while env.peek() <= end * (1.0 + _AT_ONCE):
            env.step()
        for node in self._nodes():
            node.settle(end)

    def joules(self) -> dict[str, Joules]:
        """What each node and each direction of a link has drawn."""
        return {node.name: node.total for node in self._nodes()}

    def _nodes(self) -> list[Node]:
        return [each.node for each in (*self._computers.values(), *self._lines.values())]

    # --- activities -----------------------------------------------------------------------------

    def _ready(self, name: str) -> None:
        """Its start has come, or something it waited for is done."""
        self._missing[name] -= 1
        if not self._missing[name] and self.records[name].state == "waiting":
            self._release(name)

    def _release(self, name: str) -> None:
        now, about = self.kernel.env.now, self._about[name]
        self.records[name] = Record(now, None, "running")
        if isinstance(about, oracle.Flow):
            Call(self.kernel.env, partial(self._transfer, name), self._terms(about).wait)
        elif self._computers[about.node].off:
            self._end(name, "failed")
        else:
            computer = self._computers[about.node]
            task = Activity(
                about.flops, {computer.resource: 1.0}, partial(self._end, name, "done"),
                cap=computer.speed,
            )  # fmt: skip
            computer.tasks[name] = task
            computer.show()
            self._begin(name, task)

    def _begin(self, name: str, activity: Activity) -> None:
        self._running[name] = activity
        if activity.amount and activity.uses:
            self.kernel.sharing.start(activity)
        else:
            activity.finish()

    def _route(self, flow: oracle.Flow) -> list[_Line]:
        return [self._hops[hop] for hop in zip(flow.path, flow.path[1:], strict=False)]

    def _terms(self, flow: oracle.Flow) -> Terms:
        """What the network model makes of a flow at the present bandwidths."""
        route = self._route(flow)
        if not route:
            return Terms(wait=0.0)
        latencies = [self._latency[line] for line in route]
        return self._model.terms(latencies, [line.resource.capacity for line in route])

    def _transfer(self, name: str) -> None:
        """The latency is over."""
        about = self._about[name]
        if self.records[name].state != "running":  # cancelled meanwhile
            return
        assert isinstance(about, oracle.Flow)
        terms, cap = self._terms(about), about.cap or inf
        uses: dict[Resource, float] = {}
        for a, b in zip(about.path, about.path[1:], strict=False):
            for line, use in ((self._hops[a, b], terms.use), (self._hops[b, a], terms.back)):
                if use:
                    uses[line.resource] = uses.get(line.resource, 0.0) + use
        if not uses and cap < inf:  # to itself, through nothing but its own limit
            uses[Resource(name, cap)] = 1.0
        for line in self._route(about):
            line.flows[name] = None
        flow = Activity(
            about.size, uses, partial(self._end, name, "done"), weight=terms.weight,
            cap=min(terms.cap, cap),
        )  # fmt: skip
        self._begin(name, flow)

    def _end(self, name: str, state: str) -> None:
        """It is over, and so is the waiting for it."""
        record, about = self.records[name], self._about[name]
        record.state = state
        if state != "skipped":
            record.finish = self.kernel.env.now
        self._running.pop(name, None)
        if isinstance(about, oracle.Flow):
            for line in self._route(about):
                line.flows.pop(name, None)
        elif self._computers[about.node].tasks.pop(name, None):
            self._computers[about.node].show()
        for other in self._after[name]:
            if state == "done":
                self._ready(other)
            elif self.records[other].state == "waiting":
                self._end(other, "skipped")

    def _stop(self, name: str, state: str) -> None:
        """End it before it is done."""
        if name in self._running:
            self.kernel.sharing.stop(self._running[name])
        self._end(name, state)

    # --- events ---------------------------------------------------------------------------------

    def _event(self, event: oracle.AnyEvent) -> None:
        match event:
            case oracle.Bandwidth():
                self._bandwidth(self._cables[event.link], event.bandwidth)
            case oracle.Cancel():
                if self.records[event.activity].state in ("waiting", "running"):
                    self._stop(event.activity, "cancelled")
            case oracle.Step():
                self._computers[event.node].step(event.pstate)
            case oracle.Power():
                computer = self._computers[event.node]
                computer.off = event.type == "node_off"
                if computer.off:
                    for name in list(computer.tasks):
                        self._stop(name, "failed")
                computer.show()

    @staticmethod
    def _ends(cable: oracle.Cable) -> tuple[tuple[str, str], tuple[str, str]]:
        return (cable.a, cable.b), (cable.b, cable.a)

    def _bandwidth(self, cable: oracle.Cable, bandwidth: Rate) -> None:
        lines = dict.fromkeys(self._hops[hop] for hop in self._ends(cable))
        for line in lines:
            line.resize(bandwidth)
        if not self._model.follows_bandwidth:
            return
        for name in dict.fromkeys(name for line in lines for name in line.flows):
            flow, about = self._running[name], self._about[name]
            assert isinstance(about, oracle.Flow)
            weight = self._terms(about).weight
            self.kernel.sharing.reprice(flow, flow.uses, flow.payers, weight, flow.cap)
