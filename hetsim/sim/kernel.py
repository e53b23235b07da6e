"""Plays scripts on SimPy: answers their requests with time and joules.

The kernel drives each script by `send` and `throw`; a request becomes a job on nodes and links, a
timeout, children or an observation. It notes which node holds which Ref, so that (with `causality`
on) a script cannot use a value that no one paid to bring there. Observations wait until the clock
is about to move, then all pending ones settle as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any

import simpy

from hetsim.core.errors import (
    CausalityError,
    Cause,
    Dropped,
    HetsimError,
    NeedsLearning,
    did_you_mean,
)
from hetsim.core.quantities import Fraction, Joules, Seconds
from hetsim.core.ref import Ref
from hetsim.core.trace import Note, Span, Trace
from hetsim.sim.clock import OBSERVE, Call
from hetsim.sim.collector import at_rest
from hetsim.sim.graph import Network
from hetsim.sim.node import Node
from hetsim.sim.presence import lowest
from hetsim.sim.requests import (
    Compute,
    Doze,
    Gather,
    Hold,
    Inbox,
    Launch,
    Observe,
    Outcome,
    Receive,
    Request,
    Script,
    Sleep,
    Stream,
    Transfer,
)
from hetsim.sim.sharing import Resource, Sharing
from hetsim.sim.waits import TURN, Family, Jobs, Mail, Nap, Room, Value, Wait, why_off

Observer = Callable[[Sequence[Ref[Any]]], list[Any]]
"""Computes learned values; takes no simulated time."""


_LATER = object()
"""For an answer that takes time."""
_INWARDS = {"device": 0, "link": 1, "gateway": 2, "server": 3}
"""Roles from the edge to the centre; a transfer is told of the node further out."""
_PATIENCE = 8
"""How often a script that must end may go on awaiting before it is closed."""
_REFUSALS = 10_000
"""How often a script may be refused at one instant before it is taken for an endless loop."""


class Task:
    """A script being played on behalf of a node.

    Attributes:
        node: whose misfortune ends it.
        waiting: what it waits for, if anything.
        doom: why it must end, once it must.
        last: serial of the segment whose end let it go on to where it is.
        launched: scripts that it has let play on; they end with it.
    """

    __slots__ = (
        "doom", "ended", "last", "launched", "node", "patience", "script", "waiting"
    )  # fmt: skip

    def __init__(
        self, script: Script[Any], node: Node, ended: Callable[[Outcome], None], last: int
    ) -> None:
        self.script, self.node, self.ended, self.last = script, node, ended, last
        self.waiting: Wait | None = None
        self.doom: Dropped | None = None
        self.patience = _PATIENCE
        self.launched: list[Task] = []


def _refuse_to_observe(refs: Sequence[Ref[Any]]) -> list[Any]:
    raise NeedsLearning("this run computes no learned values: nothing can be observed")


class Kernel:
    """One simulated world.

    Attributes:
        env: owner of the clock.
        nodes: by name.
        trace: what has happened.
        round: number that new spans carry.
        playing: the script that is at work; between its requests, the one that was last.
        over: whether the run has ended, and what still goes on is being given up.
    """

    playing: Task

    def __init__(
        self,
        trace: Trace,
        *,
        observer: Observer = _refuse_to_observe,
        causality: bool = False,
    ) -> None:
        self.env = simpy.Environment()
        self.trace = trace
        self.nodes: dict[str, Node] = {}
        self.sharing = Sharing(self.env, self._tell)
        self.network = Network(self.sharing)
        self.round = -1
        self.over = False
        self._root: Task | None = None
        self._observer, self._causality = observer, causality
        self._observing: list[tuple[Task, Observe]] = []
        self._tasks: dict[str, dict[Task, None]] = {}
        self._holds: dict[str, set[str]] = {}
        self._serial = 0
        self._failure: BaseException | None = None

    # --- the world ------------------------------------------------------------------------------

    def add(self, node: Node) -> None:
        """Take a node into the world."""
        self.nodes[node.name] = node
        self._tasks[node.name] = {}
        self._holds[node.name] = set()
        node.on_empty = partial(self.kill, node, "battery")
        node.on_charged = partial(self.revive, node)

    def give(self, node: str, *refs: Ref[Any]) -> None:
        """Say that `node` holds `refs` from the start."""
        self._holds[node].update(ref.key for ref in refs)

    def _tell(self, now: Seconds, line: Resource) -> None:
        """Record that those who share a link take all of it, or do no longer."""
        self.trace.count(now, line.name, "saturated", float(line.full))

    def note(self, node: str, cause: str, text: str) -> None:
        """Tell the reader of the trace something."""
        self.trace.notes.append(Note(self.env.now, node, cause, text))

    def kill(self, node: Node, cause: Cause, state: str = "off", why: str = "") -> None:
        """`node` stops: everything it does ends here, and it goes to base state `state`."""
        self.note(node.name, cause, why or {
            "battery": "the battery is empty", "churn": "left",
        }.get(cause, cause))  # fmt: skip
        node.present = False  # first, so that nobody whom this wakes starts anything here
        node.switch(state)
        self.network.leave(node.name)
        for task in list(self._tasks[node.name]):
            self.doom(task, Dropped(cause))
        for task in self._all_tasks():
            if isinstance(task.waiting, Jobs | Room) and task.waiting.touches(node.name):
                self.resume(
                    task, None, Dropped(cause, task.waiting.cancel(cause), f"{node.name} left")
                )

    def revive(self, node: Node) -> None:
        """`node` is back, idle, with nothing in hand; not with an empty battery.

        One that something else keeps away goes to the base state that it has meanwhile.
        """
        if node.battery and node.battery.empty:
            return
        if node.absences:
            node.switch(lowest(node.absences.values()))
            return
        node.present = True
        node.switch("idle")
        self.note(node.name, "churn", "back")

    def run(self, script: Script[Any], node: str) -> Seconds:
        """Play `script` to its end; returns the simulated time of its end.

        Raises:
            HetsimError: nothing is left to happen and the script still waits.
            BaseException: whatever a script raised.
        """
        with at_rest():
            return self._run(script, node)

    def _run(self, script: Script[Any], node: str) -> Seconds:
        """The same, while the collector rests."""
        outcomes: list[Outcome] = []
        self._root = self.start(script, self.node(node), outcomes.append)
        try:
            self._play(outcomes)
            for task in self._all_tasks():
                self.doom(task, Dropped("deadline", detail="the run is over"))
        finally:
            for task in self._all_tasks():
                task.script.close()
        if self._failure:
            raise self._failure
        [outcome] = outcomes
        if outcome.dropped:
            raise HetsimError(f"the server stopped: {outcome.dropped}")
        for each in self.nodes.values():
            each.settle(outcome.finished)
            each.memory.lose()
        self.trace.counters.sort(key=attrgetter("t"))
        return outcome.finished

    def _play(self, outcomes: list[Outcome]) -> None:
        """Let everything happen until there is an outcome."""
        peek, step = self.env.peek, self.env.step
        while not outcomes:
            if peek() == inf:
                raise HetsimError(
                    "nothing is left to happen, and the server still waits: "
                    "every device it waits for is gone"
                )
            step()
            if self._failure:
                raise self._failure

    def node(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            HetsimError: there is none.
        """
        node = self.nodes.get(name)
        if node is None:
            raise HetsimError(f'no node "{name}".{did_you_mean(name, self.nodes)}')
        return node

    def _all_tasks(self) -> list[Task]:
        return [task for tasks in self._tasks.values() for task in tasks]

    # --- tasks ----------------------------------------------------------------------------------

    def start(self, script: Script[Any], node: Node, ended: Callable[[Outcome], None]) -> Task:
        """Play `script` from this instant on; `ended` is called with how it ended."""
        task = self.enlist(script, node, ended)
        Call(self.env, partial(self.begin, (task,)))
        return task

    def enlist(
        self,
        script: Script[Any],
        node: Node,
        ended: Callable[[Outcome], None],
        last: int = -1,
    ) -> Task:
        """Take `script` in, for `begin` at this instant.

        Args:
            script: what to play.
            node: whose misfortune ends it.
            ended: called with how it ended.
            last: serial of the segment whose end lets it begin.
        """
        task = Task(script, node, ended, last)
        self._tasks[node.name][task] = None
        if not node.present:
            task.doom = Dropped(why_off(node))
        task.waiting = TURN
        return task

    def begin(self, tasks: Iterable[Task]) -> None:
        """Begin scripts that were taken in, one after the other, but for those dropped by then."""
        for task in tasks:
            if task.waiting is TURN:
                self.resume(task, None, task.doom)
                if self._failure:
                    return

    def resume(self, task: Task, value: Any, error: Exception | None = None) -> None:
        """Let a script go on until it waits again; immediate answers loop here, never recurse."""
        task.waiting = None
        refusals = 0
        while True:
            self.playing = task
            try:
                request = task.script.throw(error) if error else task.script.send(value)
            except StopIteration as stop:
                return self._end(task, stop.value)
            except Dropped as dropped:
                return self._end(task, None, dropped)
            except BaseException as failure:  # surfaces from `run`, with the script's own traceback
                return self._fail(task, failure)
            value = error = None
            if task.doom:
                _discard(request)
                error = task.doom
                task.patience -= 1
                if not task.patience:
                    task.script.close()
                    return self._end(task, None, error)
                continue
            try:
                value = self._serve(task, request)
                if value is _LATER:
                    return None
            except Exception as refusal:  # thrown at the line that asked
                _discard(request)
                error = refusal
                refusals += 1
                if refusals == _REFUSALS:
                    task.script.close()
                    return self._fail(task, self._endless(task, refusal))

    def _endless(self, task: Task, refusal: Exception) -> HetsimError:
        return HetsimError(
            f"a script of {task.node.name} was refused {_REFUSALS} times at "
            f"t = {self.env.now:g} s, the last time because: {refusal}\n"
            "    Let it await something that takes time, such as `Sleep`, before it asks again."
        )

    def _end(self, task: Task, value: Any, dropped: Dropped | None = None) -> None:
        del self._tasks[task.node.name][task]
        self.over = self.over or task is self._root
        for child in task.launched:
            self.doom(child, Dropped("deadline", detail="the script that launched it is over"))
        task.ended(
            Outcome(
                value=value, dropped=dropped, finished=self.env.now, node=task.node.name,
                last=task.last,
            )
        )  # fmt: skip

    def _fail(self, task: Task, failure: BaseException) -> None:
        """The run ends with the first failure; nobody goes on with what the task has not done."""
        del self._tasks[task.node.name][task]
        self._failure = self._failure or failure

    def doom(self, task: Task, dropped: Dropped) -> None:
        """End what `task` waits for, and then its script."""
        if task.doom or task not in self._tasks[task.node.name]:
            return
        progress = task.waiting.cancel(dropped.cause) if task.waiting else 0.0
        task.doom = Dropped(dropped.cause, progress, dropped.detail)
        self.resume(task, None, task.doom)

    def cut(self, task: Task) -> None:
        """End what `task` computes, moves or streams, as its `until` would; it goes on."""
        if isinstance(task.waiting, Jobs):
            self.resume(task, task.waiting.cancel("cut"))

    def call_off(self, node: Node) -> None:
        """End what `node` is doing; it stays and may be asked again."""
        for task in list(self._tasks[node.name]):
            self.doom(task, Dropped("deadline", detail="called off"))

    # --- requests -------------------------------------------------------------------------------

    def _serve(self, task: Task, request: Request[Any]) -> Any:
        """Begin to answer; the answer if there is one at once, else `_LATER`."""
        match request:
            case Compute(until=until) | Transfer(until=until) | Stream(until=until):
                return _LATER if Jobs(self, task, request).start(until) else 1.0
            case Sleep():
                task.waiting = Nap(self, task, request)
            case Hold():
                return _LATER if Room(self, task, request).start() else None
            case Doze(node=node):
                return self._doze(self.node(node))
            case Gather():
                Family(self, task, request).start()
            case Launch():
                return self._launch(task, request)
            case Receive():
                outcomes = Mail(self, task, request).start()
                return _LATER if outcomes is None else outcomes
            case Observe():
                self._check_held(request)
                if not self._observing:
                    Call(self.env, self._observe, priority=OBSERVE)
                self._observing.append((task, request))
                task.waiting = Value()
            case _:
                raise HetsimError(f"a script awaits {request!r}, which the kernel cannot answer")
        return _LATER

    def _doze(self, node: Node) -> None:
        """Let a node sleep until it is asked for something."""
        if not node.present:
            raise Dropped(why_off(node), detail=f"{node.name} is away")
        scripts = self._tasks[node.name]
        if (
            node.jobs
            or node.activities
            or any(
                isinstance(task.waiting, Jobs) and task.waiting.touches(node.name)
                for task in scripts
            )
        ):
            raise HetsimError(
                f"{node.name} cannot doze while it is at work\n"
                "    Let it doze once it computes, sends and receives nothing."
            )
        node.switch("sleep")

    def _launch(self, task: Task, request: Launch) -> None:
        """Let children play on; each delivers into the inbox when it ends."""
        inbox, tasks = request.inbox, list[Task]()
        nodes = [self.node(child.node) for child in request.children]
        for child, node in zip(request.children, nodes, strict=True):
            ended = partial(self._deliver, inbox)
            tasks.append(self.enlist(child.script, node, ended, task.last))
        inbox.playing += len(tasks)
        task.launched = [old for old in task.launched if old in self._tasks[old.node.name]] + tasks
        Call(self.env, partial(self.begin, tasks))

    def _deliver(self, inbox: Inbox, outcome: Outcome) -> None:
        inbox.playing -= 1
        inbox.outcomes.append(outcome)
        if inbox.arrived:
            inbox.arrived()

    def _observe(self) -> None:
        batch, self._observing = self._observing, []
        batch = [(task, request) for task, request in batch if not task.doom]
        values = iter(self._observer([ref for _, request in batch for ref in request.refs]))
        answers = [(task, [next(values) for _ in request.refs]) for task, request in batch]
        for task, answer in answers:
            if not task.doom:
                self.resume(task, answer)

    # --- who holds what -------------------------------------------------------------------------

    def check_held(self, node: str, refs: Sequence[Ref[Any]], act: str, remedy: str) -> None:
        """Refuse to let `node` use what never reached it.

        Raises:
            CausalityError: it holds one of `refs` not.
        """
        if not self._causality:
            return
        for ref in refs:
            if ref.key not in self._holds[node]:
                raise CausalityError(f"{node} {act} {ref!r} but never received it: {remedy} first")

    def _check_held(self, request: Observe) -> None:
        if request.node:
            self.check_held(
                request.node, request.refs, "observes", "upload it there, or compute it there"
            )

    def hold(self, node: str, refs: Sequence[Ref[Any]]) -> None:
        """Note that `node` holds `refs` from now on."""
        if self._causality:
            self._holds[node].update(ref.key for ref in refs)

    def pause(
        self, task: Task, t0: Seconds, kind: str, outcome: str, node: Node | None = None
    ) -> None:
        """Write into the trace that `task` waited, by default on its own node, at no cost."""
        after = task.last
        task.last = self._serial = self._serial + 1
        now, done = self.env.now, float(outcome == "done")
        actor = (node or task.node).name
        self.trace.spans.append(
            Span(
                t0, now, actor, kind, 0.0, 0.0, "", task.last, "", self.round, outcome, done, after
            )
        )

    def serials(self, count: int) -> int:
        """Numbers for segments that were worked out elsewhere; the first of so many in a row."""
        first, self._serial = self._serial + 1, self._serial + count
        return first

    def span(
        self,
        t0: Seconds,
        part: Compute | Transfer,
        joules: Joules,
        done: Fraction,
        outcome: str,
        after: int,
        alone: Seconds,
        latency: Seconds,
        held: Seconds,
    ) -> int:
        """Write a finished segment into the trace; returns its serial."""
        self._serial += 1
        now = self.env.now
        took = now - t0 if held < 0.0 else held
        if isinstance(part, Compute):
            actor, peer, size = part.node, "", 0.0
            key = part.makes.key if part.makes else ""
        else:
            outer, inner = part.source, part.target
            if _INWARDS[self.nodes[outer].role] > _INWARDS[self.nodes[inner].role]:
                outer, inner = inner, outer
            actor, peer, size = outer, inner, part.size * done
            key = part.carries[0].key if part.carries else ""
        self.trace.spans.append(
            Span(
                t0, now, actor, part.kind, joules, size, key, self._serial, peer, self.round,
                outcome, done, after, min(alone, took), min(latency, took), held,
            )
        )  # fmt: skip
        return self._serial


def _discard(request: object) -> None:
    """Nobody will answer `request`: close the scripts in it."""
    if isinstance(request, Gather | Launch):
        for child in request.children:
            child.script.close()
