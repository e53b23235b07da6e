"""What an executor promises, and one that finishes its tasks in any order and any company."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from hetsim.core.errors import UnknownName
from hetsim.core.ref import Ref
from hetsim.core.registry import EXECUTORS
from hetsim.core.rng import rng
from hetsim.learn import ops
from hetsim.learn.executors.base import Executor
from hetsim.learn.numerics import model_hash, single_thread, tag
from hetsim.learn.resident import Resident
from hetsim.testing.suite import Suite
from hetsim.testing.world import play, tiny


class Shuffled:
    """Takes many tasks, computes a few at a time, in an order and in stacks of its own.

    Whatever a run gives under it, it gives under every executor that computes correctly.
    """

    def __init__(self, seed: int = 0, width: int = 8) -> None:
        self.width = width
        self._chance = rng(seed, "learn/shuffled executor")
        self._tasks: list[ops.Task] = []

    @property
    def tag(self) -> str:
        """That of this host."""
        return tag()

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether there is room."""
        return len(self._tasks) < self.width

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set."""
        single_thread()
        self._resident = resident

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Put a task with the others."""
        self._tasks.append((ref, inputs))

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Some of the tasks, in any order; at least one if `wait`."""
        most = len(self._tasks)
        count = int(self._chance.integers(1, most + 1)) if wait and most else 0
        stacks: dict[Hashable, list[ops.Task]] = {}
        for _ in range(count):
            task = self._tasks.pop(int(self._chance.integers(len(self._tasks))))
            kin = ops.kin(task[0])
            stacks.setdefault(task[0].key if kin is None else kin, []).append(task)
        return [
            (ref.key, value)
            for tasks in stacks.values()
            for (ref, _), value in zip(tasks, ops.compute_all(tasks, self._resident), strict=True)
        ]

    def close(self) -> None:
        """Forget all tasks."""
        self._tasks.clear()


class ExecutorSuite(Suite):
    """An executor computes every task once, to the same bits as all others of its numerics.

    Attributes:
        close: how far parameters may be from those of this host, where the numerics are others.
    """

    close: ClassVar[float] = 1e-5

    @pytest.fixture
    def executor(self, name: str) -> Iterator[Executor]:
        """The executor with its options."""
        made: Executor = EXECUTORS.load(name)(**self.options)
        yield made
        made.close()

    @pytest.fixture
    def resident(self) -> Resident:
        """The data of the tiny world."""
        return tiny().resident

    def test_is_found_by_name(self, name: str) -> None:
        assert name in EXECUTORS.names()

    def test_gives_back_every_task_once(self, executor: Executor, resident: Resident) -> None:
        assert executor.width >= 1
        executor.start(resident)
        assert list(executor.finished(wait=True)) == [], "there is nothing to wait for"
        start = ops.initial(tiny().architecture, 3)
        [state] = _alone([(start, ())], resident).values()
        tasks: list[ops.Task] = []
        for rows in np.array_split(np.arange(60), 5):
            shard = resident.shard(rows)
            update = ops.train(start, shard, epochs=1, batch=4, lr=0.1, seed=0)
            tasks.append((update, (state, resident.rows(shard))))
        done: list[tuple[str, Any]] = []
        for ref, inputs in tasks:
            while not executor.takes(ref):
                done += executor.finished(wait=True)
            executor.submit(ref, inputs)
        while len(done) < len(tasks):
            got = list(executor.finished(wait=True))
            assert got, "blocks until a task has ended"
            done += got
        assert list(executor.finished(wait=False)) == []
        right = _alone(tasks, resident)
        assert len({key for key, _ in done}) == len(tasks)
        for key, value in done:
            if executor.tag == tag():
                assert model_hash(value) == model_hash(right[key])
            for part in value:
                assert float((value[part] - right[key][part]).abs().max()) <= self.close

    def test_a_run_is_the_same_as_inline(self, executor: Executor) -> None:
        inline, other = play(tiny()), play(tiny(), executor)
        assert other.hashes[0] == inline.hashes[0], "time and joules know of no executor"
        if executor.tag == tag():
            assert other.hashes == inline.hashes
            assert other.trace.rounds == inline.trace.rounds
        assert other.executed == inline.executed

    def test_may_be_closed_at_any_time(self, executor: Executor, resident: Resident) -> None:
        executor.start(resident)
        executor.submit(ops.initial(tiny().architecture, 1), ())
        executor.close()
        executor.close()

    def test_a_task_that_fails_is_reported(self, executor: Executor, resident: Resident) -> None:
        executor.start(resident)
        hopeless = Ref.of("initial", arch='["no_such_model",{},[1,8,8],10]', seed=0)
        with pytest.raises(UnknownName, match="no_such_model"):
            _value(executor, hopeless)


def _value(executor: Executor, ref: Ref[Any]) -> Any:
    executor.submit(ref, ())
    [(_, value)] = executor.finished(wait=True)
    return value


def _alone(tasks: Iterable[ops.Task], resident: Resident) -> dict[str, Any]:
    """Values by key, computed one by one in this process."""
    single_thread()
    return {ref.key: ops.compute(ref, inputs, resident) for ref, inputs in tasks}
