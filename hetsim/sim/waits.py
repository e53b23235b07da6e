"""What a script can wait for: time, work, children, values.

A wait is made by the kernel for a request and answers by resuming the task that asked. It can be
given up at any instant, which charges what was used until then and nothing more.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol

from hetsim.core.errors import Cause, Dropped, OutOfMemory
from hetsim.core.quantities import Bytes, Fraction, Seconds
from hetsim.sim.clock import CUT, DEADLINE, Call
from hetsim.sim.job import Flow, Job, Pipe, Work
from hetsim.sim.memory import MemoryState
from hetsim.sim.network.base import Route
from hetsim.sim.node import Node
from hetsim.sim.pipeline import pipeline_time
from hetsim.sim.requests import (
    Compute,
    Gather,
    Hold,
    Outcome,
    Receive,
    Sleep,
    Stream,
    Transfer,
)

if TYPE_CHECKING:
    from hetsim.sim.kernel import Kernel, Task


class Wait(Protocol):
    """What a task waits for."""

    def cancel(self, cause: Cause) -> Fraction:
        """Give it up now, and say so in the trace; returns the share that was done."""
        ...


class Value:
    """A wait for what the kernel answers: learned values, or the turn of a script to begin."""

    def cancel(self, cause: Cause) -> Fraction:
        """Nothing was begun."""
        return 0.0


TURN = Value()
"""What a script waits for that has not begun."""


class Nap:
    """A wait for time to pass."""

    __slots__ = ("_call", "_kernel", "_request", "_t0", "_task")

    def __init__(self, kernel: Kernel, task: Task, request: Sleep) -> None:
        self._kernel, self._task, self._request = kernel, task, request
        self._t0 = kernel.env.now
        self._call = Call(kernel.env, self._over, request.duration)

    def _over(self) -> None:
        self._tell("done")
        self._kernel.resume(self._task, None)

    def cancel(self, cause: Cause) -> Fraction:
        """Wake up early."""
        self._call.cancel()
        self._tell(cause)
        duration = self._request.duration
        return (self._kernel.env.now - self._t0) / duration if duration else 0.0

    def _tell(self, outcome: str) -> None:
        if self._request.kind:
            self._kernel.pause(self._task, self._t0, self._request.kind, outcome)


class Jobs:
    """A wait for a compute, a transfer or a stream of both."""

    __slots__ = (
        "alarm", "alone", "claims", "job", "kernel", "latency", "parts", "queued", "routes",
        "stages", "stream", "t0", "task",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, task: Task, request: Compute | Transfer | Stream) -> None:
        self.kernel, self.task = kernel, task
        self.stages: Sequence[Compute | Transfer]
        if isinstance(request, Stream):
            self.stream, self.stages = request, request.stages
        else:
            self.stream, self.stages = None, (request,)
        self.t0 = kernel.env.now
        self.parts: tuple[Work | Flow | None, ...] = ()
        self.claims: dict[Node, Bytes] = {}
        self.queued: MemoryState | None = None
        self.routes: list[Route] = []
        self.latency: Call | None = None
        self.alarm: Call | None = None
        self.alone: list[Seconds] = []
        self.job: Job | None = None

    def start(self, until: Seconds = inf) -> bool:
        """Begin, to be cut at `until`; False if there is nothing to wait for."""
        if self.stream:
            coming = set[tuple[str, str]]()
            for stage in self.stages:
                self._check(stage, coming)
                coming.update(_brings(stage))
        else:
            self._check(self.stages[0])
        self.parts = tuple([self._part(stage) for stage in self.stages])
        self._check_memory()
        self.task.waiting = self
        if until < inf:
            left = max(0.0, until - self.t0)
            self.alarm = Call(self.kernel.env, self._cut, left, CUT)
        return self._admit() or self._depart()

    def _cut(self) -> None:
        """The instant has come that its script had set."""
        self.alarm = None
        progress = self.cancel("cut")
        self.kernel.resume(self.task, progress)

    def _depart(self) -> bool:
        """Set out; False if there is nothing to wait for."""
        kernel = self.kernel
        timed = tuple([part for part in self.parts if part])
        if timed:
            self.job = Job(kernel.sharing, timed, self._done, self._pipe())
        delay = latency = 0.0
        for route in self.routes:
            delay = max(delay, route.begin(self.job))
            latency += route.latency
        if self.stream is None:
            self.alone[0] += delay
            delay += latency
        elif not timed:
            delay += pipeline_time((), self.stream.items, self.stream.window, latency)
        if delay:
            self.latency = Call(kernel.env, self._arrived, delay)
            return True
        return self._begin()

    def _pipe(self) -> Pipe | None:
        """How the items of a stream follow each other."""
        if self.stream is None:
            return None
        routes, ways = iter(self.routes), [list[Route]()]
        for stage, part in zip(self.stages, self.parts, strict=True):
            if isinstance(stage, Transfer):
                ways[-1].append(next(routes))
            if part:
                ways.append([])
        return Pipe(self.stream.items, self.stream.window, tuple(map(tuple, ways)))

    def cancel(self, cause: Cause | Literal["cut"]) -> Fraction:
        """Give it up now."""
        if self.alarm:
            self.alarm.cancel()
        if self.queued:
            self.queued.queue.remove(self._retry)
            self.queued = None
            self._tell_wait(cause)
            return 0.0
        progress = through = 0.0
        if self.latency:
            self.latency.cancel()
        elif self.job:
            progress = through = self.job.stop()
            if self.stream:
                through = self.job.through
        self._finish(progress, cause)
        return through

    def _arrived(self) -> None:
        """The latency is over."""
        self.latency = None
        if not self._begin():
            self.kernel.resume(self.task, 1.0)

    def _begin(self) -> bool:
        if self.job:
            self.job.start()
            self._note_alone()
            return True
        self._finish(1.0, "done")
        self.task.waiting = None
        return False

    def _note_alone(self) -> None:
        """What it would take by itself, now that the governors have chosen for it."""
        for index, part in enumerate(self.parts):
            if isinstance(part, Work):
                self.alone[index] = part.node.effort(part.cost).duration
        if self.stream and self.job:
            portions = iter(self.job.portions)
            self.alone = [next(portions) if part else 0.0 for part in self.parts]

    def touches(self, node: str) -> bool:
        """Whether `node` takes part."""
        return any(node in _nodes(stage) for stage in self.stages)

    def _done(self, _: Job) -> None:
        self._finish(1.0, "done")
        self.kernel.resume(self.task, 1.0)

    def _finish(self, progress: float, outcome: str) -> None:
        kernel = self.kernel
        if self.alarm:
            self.alarm.cancel()
        for node, size in self.claims.items():
            node.memory.release(size)
            if size and node.memory.queue:
                Call(kernel.env, partial(_let_in, node.memory))
        for route in self.routes:
            route.end(self.job)
        job, index, last = self.job, 0, self.task.last
        held, lags = [-1.0], [sum([route.latency for route in self.routes])]
        if self.stream and job:
            held, lags = job.held(kernel.env.now - self.t0), job.latencies
        for stage, part, alone in zip(self.stages, self.parts, self.alone, strict=True):
            if part:
                assert job
                last = kernel.span(
                    self.t0, stage, job.joules[index], progress, outcome, last, alone, lags[index],
                    held[index],
                )  # fmt: skip
                index += 1
            if isinstance(stage, Compute) and stage.makes:
                made = kernel.trace.made
                made[stage.makes.op] = made.get(stage.makes.op, 0) + 1
            if outcome == "done":
                if isinstance(stage, Compute):
                    kernel.hold(stage.node, (stage.makes,) if stage.makes else ())
                else:
                    kernel.hold(stage.target, stage.carries)
        self.task.last = last
        self.job = None  # which knows this wait, too

    def _check(self, stage: Compute | Transfer, coming: Container[tuple[str, str]] = ()) -> None:
        """Refuse what cannot be: a node that is away, or a value that is not there.

        In a stream it may be `coming` item by item from the stages before.
        """
        for name in _nodes(stage):
            node = self.kernel.node(name)
            if not node.present:
                raise Dropped(why_off(node), detail=f"{name} is away")
            if node.state == "sleep":
                node.switch("idle")
        if isinstance(stage, Compute):
            node, refs, act = stage.node, stage.needs, "works on"
            remedy = "`await device.download(...)`"
        else:
            node, refs, act = stage.source, stage.carries, "sends"
            remedy = "compute it there (`await run.server.compute(...)`)"
        if coming:
            refs = [ref for ref in refs if (node, ref.key) not in coming]
        self.kernel.check_held(node, refs, act, remedy)

    def _check_memory(self) -> None:
        """Refuse what no node here could ever hold."""
        for node, size in self.claims.items():
            if dropped := _refused(self.kernel, node, size):
                raise dropped

    def _admit(self, turn: MemoryState | None = None) -> bool:
        """Reserve the memory of all computes, or of none: True if it has to wait for some.

        Where others wait it waits behind them, but for the memory at which it is its `turn`.
        """
        for node, size in self.claims.items():
            memory = node.memory
            behind = memory.queue and memory is not turn
            if size and (behind or not memory.free(size)):
                self.queued = memory
                memory.queue.append(self._retry)
                return True
        for node, size in self.claims.items():
            node.memory.reserve(size)
        return False

    def _retry(self) -> None:
        """First in the queue, and something was released: set out if all is free now."""
        memory = self.queued
        assert memory
        for node, size in self.claims.items():
            if dropped := _refused(self.kernel, node, size):  # something is held meanwhile
                self.cancel(dropped.cause)
                self.kernel.resume(self.task, None, dropped)
                return
        if any(not node.memory.free(size) for node, size in self.claims.items()
               if node.memory is memory):  # fmt: skip
            return
        memory.queue.popleft()
        self.queued = None
        if not self._admit(turn=memory):
            self._tell_wait("done")
            self.t0 = self.kernel.env.now
            if not self._depart():
                self.kernel.resume(self.task, 1.0)

    def _tell_wait(self, outcome: str) -> None:
        if self.kernel.env.now > self.t0:
            self.kernel.pause(self.task, self.t0, "wait", outcome, next(iter(self.claims)))

    def _part(self, stage: Compute | Transfer) -> Work | Flow | None:
        """Note the memory or the route of a stage; returns what takes time in it, if anything.

        A latency is apart. What the stage would take with everything to itself is noted too.
        """
        if isinstance(stage, Compute):
            node = self.kernel.node(stage.node)
            self.claims[node] = self.claims.get(node, 0.0) + stage.cost.memory
            duration = node.effort(stage.cost).duration
            self.alone.append(duration)
            return Work(node=node, cost=stage.cost, kind=stage.kind) if duration > 0.0 else None
        route = self.kernel.network.route(stage.source, stage.target)
        self.routes.append(route)
        timed = stage.size > 0.0 and route.uses
        self.alone.append(route.latency + (route.duration(stage.size) if timed else 0.0))
        return Flow(route=route, size=stage.size, kind=stage.kind) if timed else None


class Room:
    """A wait for memory to hold something in."""

    __slots__ = ("_kernel", "_node", "_request", "_t0", "_task")

    def __init__(self, kernel: Kernel, task: Task, request: Hold) -> None:
        self._kernel, self._task, self._request = kernel, task, request
        self._node, self._t0 = kernel.node(request.node), kernel.env.now

    def start(self) -> bool:
        """Whether it has to wait.

        Raises:
            Dropped: the node is away, or what is held leaves no room.
        """
        node, name, size = self._node, self._request.name, self._request.size
        if not node.present:
            raise Dropped(why_off(node), detail=f"{node.name} is away")
        if dropped := _refused(self._kernel, node, size, name):
            raise dropped
        grows = size - node.memory.held.get(name, 0.0)
        if grows > 0.0 and (node.memory.queue or not node.memory.free(grows)):
            node.memory.queue.append(self._retry)
            self._task.waiting = self
            return True
        self._hold()
        return False

    def cancel(self, cause: Cause) -> Fraction:
        """Nothing is held."""
        self._node.memory.queue.remove(self._retry)
        self._tell(cause)
        return 0.0

    def touches(self, node: str) -> bool:
        """Whether it is the memory of `node`."""
        return self._node.name == node

    def _retry(self) -> None:
        """First in the queue, and something was released."""
        memory, name, size = self._node.memory, self._request.name, self._request.size
        if dropped := _refused(self._kernel, self._node, size, name):
            self.cancel(dropped.cause)
            self._kernel.resume(self._task, None, dropped)
        elif memory.free(size - memory.held.get(name, 0.0)):
            memory.queue.popleft()
            self._hold()
            self._tell("done")
            self._kernel.resume(self._task, None)

    def _hold(self) -> None:
        memory = self._node.memory
        memory.hold(self._request.name, self._request.size)
        if memory.queue:  # there is more room for them, or less than they will ever need
            Call(self._kernel.env, partial(_let_in, memory))

    def _tell(self, outcome: str) -> None:
        if self._kernel.env.now > self._t0:
            self._kernel.pause(self._task, self._t0, "wait", outcome, self._node)


def _refused(kernel: Kernel, node: Node, size: Bytes, name: str = "") -> Dropped | None:
    """Why `node` has no room for a job of `size`, or to hold that much under `name`, if so."""
    try:
        node.memory.check(node.name, size, f'"{name}"' if name else "the job", name)
    except OutOfMemory as error:
        kernel.note(node.name, "memory", str(error))
        return Dropped("memory", detail=str(error))
    return None


def _let_in(memory: MemoryState) -> None:
    """Let those that wait for memory try again, in order, as long as one gets on."""
    while memory.queue:
        first = memory.queue[0]
        first()
        if memory.queue and memory.queue[0] == first:
            return


def _nodes(stage: Compute | Transfer) -> tuple[str, ...]:
    """Names of the nodes that take part in a stage."""
    return (stage.node,) if isinstance(stage, Compute) else (stage.source, stage.target)


def _brings(stage: Compute | Transfer) -> list[tuple[str, str]]:
    """Which nodes have which values once a stage is done."""
    if isinstance(stage, Compute):
        return [(stage.node, stage.makes.key)] if stage.makes else []
    return [(stage.target, ref.key) for ref in stage.carries]


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
        self.last = task.last
        self.alarm: Call | None = None

    def start(self) -> None:
        """Play all children."""
        kernel = self.kernel
        nodes = [kernel.node(child.node) for child in self.request.children]
        self.task.waiting = self
        for index, (child, node) in enumerate(zip(self.request.children, nodes, strict=True)):
            ended = partial(self._ended, index)
            self.tasks.append(kernel.enlist(child.script, node, ended, self.task.last))
        if not self.left:
            Call(kernel.env, self._answer)
            return
        Call(kernel.env, partial(kernel.begin, self.tasks))
        if self.request.deadline < inf:
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
        if self.delivered < self.request.first:
            self.last = outcome.last
            self.delivered += outcome.dropped is None
            if self.left and self.delivered == self.request.first:
                self._close(Dropped("surplus", detail="others had delivered enough"))
                return
        if not self.left:
            self._answer()

    def _close(self, dropped: Dropped | None = None) -> None:
        """Drop the children that are not done."""
        for index, task in enumerate(self.tasks):
            if self.outcomes[index] is None:  # nor has it ended with one before it
                self.kernel.doom(task, dropped or Dropped("deadline"))

    def _answer(self) -> None:
        self.tasks.clear()  # which know this wait, too
        if self.alarm:
            self.alarm.cancel()
        if self.task.waiting is self:
            self.task.last = self.last
            self.kernel.resume(self.task, list(self.outcomes))


class Mail:
    """A wait for outcomes of children that play on by themselves."""

    __slots__ = ("alarm", "kernel", "request", "task")

    def __init__(self, kernel: Kernel, task: Task, request: Receive) -> None:
        self.kernel, self.task, self.request = kernel, task, request
        self.alarm: Call | None = None

    def start(self) -> list[Outcome] | None:
        """What can be answered at once, or None: then it waits."""
        if self._enough():
            return self._take()
        self.request.inbox.arrived = self._arrived
        self.task.waiting = self
        if self.request.patience < inf:
            self.alarm = Call(self.kernel.env, self._answer, self.request.patience, DEADLINE)
        return None

    def cancel(self, cause: Cause) -> Fraction:
        """Wait no longer; what is in the inbox stays there."""
        self.request.inbox.arrived = None
        if self.alarm:
            self.alarm.cancel()
        return 0.0

    def _enough(self) -> bool:
        inbox = self.request.inbox
        return len(inbox.outcomes) >= self.request.count or not inbox.playing

    def _take(self) -> list[Outcome]:
        outcomes = self.request.inbox.outcomes
        return [outcomes.popleft() for _ in range(min(self.request.count, len(outcomes)))]

    def _arrived(self) -> None:
        if self._enough():
            self.task.last = self.request.inbox.outcomes[-1].last
            self._answer()

    def _answer(self) -> None:
        self.cancel("deadline")
        self.kernel.resume(self.task, self._take())
