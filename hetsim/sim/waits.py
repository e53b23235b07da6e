"""What a script can wait for: time, work, children, values.

A wait is made by the kernel for a request and answers by resuming the task that asked. It can be
given up at any instant, which charges what was used until then and nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Protocol

from hetsim.core.errors import Cause, Dropped, OutOfMemory
from hetsim.core.quantities import Fraction, Seconds
from hetsim.sim.clock import DEADLINE, Call
from hetsim.sim.job import Flow, Job, Work
from hetsim.sim.node import Node
from hetsim.sim.requests import Compute, Gather, Outcome, Transfer

if TYPE_CHECKING:
    from hetsim.sim.kernel import Kernel, Task


class Wait(Protocol):
    """What a task waits for."""

    def cancel(self, cause: Cause) -> Fraction:
        """Give it up now, and say so in the trace; returns the share that was done."""
        ...


class Value:
    """A wait for learned values, which the kernel answers."""

    def cancel(self, cause: Cause) -> Fraction:
        """Nothing was begun."""
        return 0.0


class Nap:
    """A wait for time to pass."""

    def __init__(
        self, kernel: Kernel, task: Task, duration: Seconds, error: Dropped | None = None
    ) -> None:
        self._t0, self._duration, self._env = kernel.env.now, duration, kernel.env
        self._call = Call(kernel.env, partial(kernel.resume, task, None, error), duration)

    def cancel(self, cause: Cause) -> Fraction:
        """Wake up early."""
        self._call.cancel()
        return (self._env.now - self._t0) / self._duration if self._duration else 0.0


class Jobs:
    """A wait for a compute, a transfer or a stream of both."""

    def __init__(
        self,
        kernel: Kernel,
        task: Task,
        stages: Sequence[Compute | Transfer],
        items: int = 1,
        window: float = inf,
    ) -> None:
        self.kernel, self.task, self.stages = kernel, task, stages
        self.items, self.window = items, window
        self.t0 = kernel.env.now
        self.parts: tuple[Work | Flow | None, ...] = ()
        self.admitted: list[Compute] = []
        self.latency: Call | None = None
        self.job: Job | None = None

    def start(self) -> bool:
        """Begin; False if there is nothing to wait for."""
        kernel = self.kernel
        for stage in self.stages:
            self._check(stage)
        self.parts = tuple(self._part(stage) for stage in self.stages)
        for stage in self.stages:
            if isinstance(stage, Compute):
                self._admit(stage)
        self.task.waiting = self
        timed = tuple(part for part in self.parts if part)
        if timed:
            self.job = Job(kernel.sharing, timed, self._done, items=self.items, window=self.window)
        if len(self.stages) == 1 or not timed:  # otherwise the job's own time includes it
            delay = sum(kernel.network.route(stage.source, stage.target).latency
                        for stage in self.stages if isinstance(stage, Transfer))  # fmt: skip
            if delay:
                self.latency = Call(kernel.env, self._arrived, delay)
                return True
        return self._begin()

    def cancel(self, cause: Cause) -> Fraction:
        """Give it up now."""
        progress = 0.0
        if self.latency:
            self.latency.cancel()
        elif self.job:
            progress = self.job.stop()
        self._finish(progress, cause)
        return progress

    def _arrived(self) -> None:
        """The latency is over."""
        self.latency = None
        if not self._begin():
            self.kernel.resume(self.task, None)

    def _begin(self) -> bool:
        if self.job:
            self.job.start()
            return True
        self._finish(1.0, "done")
        self.task.waiting = None
        return False

    def touches(self, node: str) -> bool:
        """Whether `node` takes part."""
        return any(node in _nodes(stage) for stage in self.stages)

    def _done(self, _: Job) -> None:
        self._finish(1.0, "done")
        self.kernel.resume(self.task, None)

    def _finish(self, progress: float, outcome: str) -> None:
        kernel = self.kernel
        for stage in self.admitted:
            kernel.nodes[stage.node].memory.release(stage.cost.memory)
        index = 0
        for stage, part in zip(self.stages, self.parts, strict=True):
            if part:
                assert self.job
                kernel.span(self.t0, stage, self.job, index, progress, outcome)
                index += 1
            if isinstance(stage, Compute) and stage.makes:
                made = kernel.trace.made
                made[stage.makes.op] = made.get(stage.makes.op, 0) + 1
            if outcome == "done":
                if isinstance(stage, Compute):
                    kernel.hold(stage.node, (stage.makes,) if stage.makes else ())
                else:
                    kernel.hold(stage.target, stage.carries)

    def _check(self, stage: Compute | Transfer) -> None:
        """Refuse what cannot be: a node that is away, or a value that is not there."""
        for name in _nodes(stage):
            node = self.kernel.node(name)
            if node.state == "off":
                raise Dropped(why_off(node), detail=f"{name} is off")
        if isinstance(stage, Compute):
            node, refs, act = stage.node, stage.needs, "works on"
            remedy = "`await device.download(...)`"
        else:
            node, refs, act = stage.source, stage.carries, "sends"
            remedy = "compute it there (`await run.server.compute(...)`)"
        self.kernel.check_held(node, refs, act, remedy)

    def _admit(self, stage: Compute) -> None:
        node = self.kernel.nodes[stage.node]
        try:
            node.memory.admit(node.name, stage.cost.memory)
        except OutOfMemory as error:
            for earlier in self.admitted:
                self.kernel.nodes[earlier.node].memory.release(earlier.cost.memory)
            self.kernel.note(node.name, "memory", str(error))
            raise Dropped("memory", detail=str(error)) from error
        self.admitted.append(stage)

    def _part(self, stage: Compute | Transfer) -> Work | Flow | None:
        """What takes time in a stage, if anything does; a latency is apart."""
        if isinstance(stage, Compute):
            node = self.kernel.node(stage.node)
            timed = node.effort(stage.cost).duration > 0.0
            return Work(node=node, cost=stage.cost, kind=stage.kind) if timed else None
        route = self.kernel.network.route(stage.source, stage.target)
        timed = stage.size > 0.0 and route.uses
        return Flow(route=route, size=stage.size, kind=stage.kind) if timed else None


def _nodes(stage: Compute | Transfer) -> tuple[str, ...]:
    """Names of the nodes that take part in a stage."""
    return (stage.node,) if isinstance(stage, Compute) else (stage.source, stage.target)


def why_off(node: Node) -> Cause:
    """Why `node` takes no part now."""
    return "battery" if node.battery and node.battery.empty else "churn"


class Family:
    """A wait for children, which never outlive it."""

    def __init__(self, kernel: Kernel, task: Task, request: Gather) -> None:
        self.kernel, self.task, self.request = kernel, task, request
        self.outcomes: list[Outcome | None] = [None] * len(request.children)
        self.tasks: list[Task] = []
        self.left = len(request.children)
        self.delivered = 0
        self.alarm: Call | None = None

    def start(self) -> None:
        """Play all children."""
        kernel = self.kernel
        nodes = [kernel.node(child.node) for child in self.request.children]
        self.task.waiting = self
        for index, (child, node) in enumerate(zip(self.request.children, nodes, strict=True)):
            self.tasks.append(kernel.start(child.script, node, partial(self._ended, index)))
        if not self.left:
            Call(kernel.env, self._answer)
        elif self.request.deadline < inf:
            self.alarm = Call(kernel.env, self._close, self.request.deadline, DEADLINE)

    def cancel(self, cause: Cause) -> Fraction:
        """Drop all children with the parent."""
        self.task.waiting = None
        done = sum(outcome is not None for outcome in self.outcomes)
        self._close(Dropped(cause, detail="the parent script was dropped"))
        if self.alarm:
            self.alarm.cancel()
        return done / max(len(self.outcomes), 1)

    def _ended(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.left -= 1
        self.delivered += outcome.dropped is None
        if not self.left:
            self._answer()
        elif self.delivered == self.request.first:
            self._close()

    def _close(self, dropped: Dropped | None = None) -> None:
        """Drop the children that are not done."""
        for index, task in enumerate(self.tasks):
            if self.outcomes[index] is None:  # nor has it ended with one before it
                self.kernel.doom(task, dropped or Dropped("deadline"))

    def _answer(self) -> None:
        if self.alarm:
            self.alarm.cancel()
        if self.task.waiting is self:
            self.kernel.resume(self.task, list(self.outcomes))
