"""Settles Refs: decides what is computed, when, and how long its value lives.

A Ref that is wanted (its use is certain) is planned with everything it needs; tasks run in dataflow
order, oldest wish first. Nothing recurses, so a chain of thousands of rounds is like any other.

Memory. A wanted Ref hands its inputs over to the Lab, and a value lives as long as somebody holds a
Ref of its key. A mean takes its inputs one by one, in order, and lets go of each, so a round's
updates are never all in memory unless a script holds on to them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from hetsim.core.errors import NeedsLearning
from hetsim.core.ref import Ref
from hetsim.learn.executors.base import Executor
from hetsim.learn.ops import OPERATIONS, Fold, compute
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store

_AHEAD = 4
"""Wishes that `want` may leave open, for each task that the executor takes at a time."""


class Lab:
    """Computes what is wanted, each key once.

    Attributes:
        executed: values computed, by operation.
        from_store: values read instead, by operation.
        asked: operations of all values that were to be computed so far.
        computed: those of them that are.
        told: called whenever a value has been computed.
    """

    def __init__(self, executor: Executor, store: Store | MemoryStore, resident: Resident) -> None:
        self.executed: Counter[str] = Counter()
        self.from_store: Counter[str] = Counter()
        self.asked = self.computed = 0.0
        self.told: Callable[[], None] = lambda: None
        self._spared: Counter[str] = Counter()
        self._executor, self._store, self._resident = executor, store, resident
        self._boxes: WeakValueDictionary[str, _Box] = WeakValueDictionary()
        self._held: WeakKeyDictionary[Ref[Any], _Box] = WeakKeyDictionary()
        self._ready: deque[_Job] = deque()
        self._running: dict[str, _Job] = {}
        self._wishes: deque[_Box] = deque()
        executor.start(resident)

    @property
    def tag(self) -> str:
        """Names the arithmetic of its values."""
        return self._executor.tag

    @property
    def read(self) -> int:
        """Values that were read, of all operations."""
        return self.from_store.total()

    def scoring(self, ref: Ref[Any], step: int) -> None:
        """What a value means makes no difference to who computes it."""

    def want(self, ref: Ref[Any], *, keep: bool = False) -> None:
        """Say that a value's use is certain; it is computed now or later.

        Args:
            ref: the value; its inputs are handed over and `ref.inputs` is empty from now on.
            keep: store it even if its operation's values are not stored by default.
        """
        self._wishes.append(self._plan(ref, keep))
        self._dispatch()
        self._advance(_AHEAD * self._executor.width)

    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]:
        """The values of `refs`, computed now if need be, and stored: somebody observes them."""
        boxes = [self._plan(ref, keep=True) for ref in refs]
        self._wishes.extend(boxes)
        self._advance(0)
        return [box.value for box in boxes]

    def peek(self, ref: Ref[Any]) -> Any | None:
        """The value if it happens to be there; nothing is computed for it."""
        box = self._held.get(ref)
        return box.value if box is not None else None

    def drain(self) -> None:
        """Compute everything that is wanted."""
        self._advance(0)

    def close(self) -> None:
        """Give up what is not computed yet and release the executor."""
        self._ready.clear()
        self._running.clear()
        self._wishes.clear()
        self._executor.close()

    def never_needed(self, made: Mapping[str, int]) -> int:
        """Values that were paid for, by operation, and that nobody ever looked at.

        What a value that was read once came from counts as looked at.
        """
        seen = self.executed + self.from_store + self._spared
        return sum(max(0, count - seen[op]) for op, count in made.items())

    def _plan(self, wish: Ref[Any], keep: bool) -> _Box:
        """Make a job of every value that the wish needs and that nobody has planned yet."""
        jobs: list[_Job] = []
        stack = [(wish, keep)]
        while stack:
            ref, keep = stack.pop()
            box = self._held.get(ref) or self._boxes.get(ref.key)
            if box is None:
                box = self._boxes[ref.key] = _Box()
                if not self._look_up(ref, box, keep):
                    jobs.append(_Job(ref, box))
                    stack += [(needed, False) for needed in reversed(ref.inputs)]
            self._held[ref] = box
            object.__setattr__(ref, "inputs", ())
            if keep and not box.kept:
                box.kept = True
                if box.full:
                    self._store.put(ref.key, box.value)
        for job in jobs:
            self.asked += job.ref.cost.flops
            self._link(job)
        return self._held[wish]

    def _look_up(self, ref: Ref[Any], box: _Box, keep: bool) -> bool:
        """Fill the box without a job, if the value is at hand."""
        operation = OPERATIONS[ref.op]
        if operation.light and not ref.inputs:
            box.fill(compute(ref, (), self._resident))
            return True
        if not (keep or operation.kept):
            return False
        box.kept = True
        value = self._store.get(ref.key)
        if value is None:
            return False
        self.from_store[ref.op] += 1
        self._spared.update(needed.op for needed in ref.inputs)
        box.fill(value)
        return True

    def _link(self, job: _Job) -> None:
        """Let the job wait for its inputs: a fold for its next one, any other for all."""
        if job.fold is not None:
            self._feed(job)
            return
        for needed in job.inputs:
            box = self._held[needed]
            if not box.full:
                job.missing += 1
                box.waiting.append(job)
        if not job.missing:
            self._ready.append(job)

    def _feed(self, job: _Job) -> None:
        """Give a fold every next input that is there, and let go of it."""
        assert job.fold is not None
        while job.inputs:
            box = self._held[job.inputs[0]]
            if not box.full:
                box.waiting.append(job)
                return
            job.fold.add(box.value)
            del box
            job.inputs.popleft()
        self._ready.appendleft(job)  # costs nothing, and lets go of a value

    def _advance(self, backlog: int) -> None:
        """Compute until at most `backlog` wishes are open."""
        while True:
            while self._wishes and self._wishes[0].full:
                self._wishes.popleft()
            if len(self._wishes) <= backlog:
                return
            self._dispatch()
            if not self._running and not self._ready and not self._wishes[0].full:
                raise RuntimeError("the lab was interrupted or closed; make a new one")
            self._collect(wait=True)

    def _dispatch(self) -> None:
        """Hand ready tasks to the executor, as many as it wants; finish folds here."""
        self._collect(wait=False)
        while self._ready:
            job = self._ready[0]
            if job.fold is None and not self._executor.takes(job.ref):
                return
            self._ready.popleft()
            if job.fold is not None:
                self._finish(job, job.fold.result())
                continue
            inputs = [self._held[needed].value for needed in job.inputs]
            job.inputs.clear()
            self._running[job.ref.key] = job
            self._executor.submit(job.ref, inputs)

    def _collect(self, *, wait: bool) -> None:
        for key, value in self._executor.finished(wait=wait and bool(self._running)):
            self._finish(self._running.pop(key), value)

    def _finish(self, job: _Job, value: Any) -> None:
        self.executed[job.ref.op] += 1
        self.computed += job.ref.cost.flops
        if job.box.kept:
            self._store.put(job.ref.key, value)
        for waiting in job.box.fill(value):
            if waiting.fold is not None:
                self._feed(waiting)
                continue
            waiting.missing -= 1
            if not waiting.missing:
                self._ready.append(waiting)
        self.told()


class CostOnlyLab:
    """Computes nothing: time and joules come from costs alone.

    With a surrogate it knows how good the server's model would be, and nothing else.
    """

    tag, read = "none", 0

    def __init__(self, surrogate: Callable[[int], Mapping[str, Any]] | None = None) -> None:
        """A lab.

        Args:
            surrogate: the score (`ops.Score`) of the server's model after a server step, from 0.
        """
        self._surrogate = surrogate
        self._told: dict[str, Mapping[str, Any]] = {}
        self.executed: Counter[str] = Counter()
        self.from_store: Counter[str] = Counter()
        self.asked = self.computed = 0.0
        self.told: Callable[[], None] = lambda: None

    def scoring(self, ref: Ref[Any], step: int) -> None:
        """Say that `ref` is how good the server's model is after `step`.

        A model that has not changed since an earlier step keeps its score.
        """
        if self._surrogate:
            self._told.setdefault(ref.key, self._surrogate(step))

    def want(self, ref: Ref[Any], *, keep: bool = False) -> None:
        """Let go of what the value would be computed from."""
        object.__setattr__(ref, "inputs", ())

    def settle(self, refs: Sequence[Ref[Any]]) -> list[Any]:
        """What the surrogate says.

        Raises:
            NeedsLearning: one is no score of the server's model, or there is no surrogate.
        """
        names = ", ".join(sorted({ref.op for ref in refs if ref.key not in self._told}))
        if names and self._surrogate:
            raise NeedsLearning(
                f"a script observes a learned value ({names}), and a surrogate tells accuracy and "
                "loss of the server's model alone\n"
                "    Run without surrogate and --cost-only, or choose a method and a selection "
                "that observe nothing else."
            )
        if names:
            raise NeedsLearning(
                f"a script observes a learned value ({names}), and a cost-only run computes none\n"
                "    Run without --cost-only, or choose a method, selection and stop rule that "
                "observe nothing (stop after rounds or time; at an accuracy with a recorded run: "
                "--surrogate RUN_DIR)."
            )
        return [self._told[ref.key] for ref in refs]

    def peek(self, ref: Ref[Any]) -> Mapping[str, Any] | None:
        """What the surrogate says, if it does."""
        return self._told.get(ref.key)

    def drain(self) -> None:
        """Nothing is pending."""

    def close(self) -> None:
        """Nothing is held."""

    def never_needed(self, made: Mapping[str, int]) -> int:
        """All of them."""
        return sum(made.values())


class _Box:
    """Where a key's value is, once there is one."""

    __slots__ = ("__weakref__", "full", "kept", "value", "waiting")

    def __init__(self) -> None:
        self.full = False
        self.kept = False
        self.value: Any = None
        self.waiting: list[_Job] = []

    def fill(self, value: Any) -> list[_Job]:
        """Take the value; returns the jobs that waited for it."""
        self.full, self.value = True, value
        waiting, self.waiting = self.waiting, []
        return waiting


class _Job:
    """A value to be computed, and what it still lacks."""

    __slots__ = ("box", "fold", "inputs", "missing", "ref")

    def __init__(self, ref: Ref[Any], box: _Box) -> None:
        make = OPERATIONS[ref.op].fold
        self.ref, self.box = ref, box
        self.inputs = deque(ref.inputs)
        self.fold: Fold | None = make(ref) if make else None
        self.missing = 0
