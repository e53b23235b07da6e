"""Every executor keeps the promises of its kind: the same suite for all of them.

Tests go through the protocol alone, so that they know nothing of processes, clusters or devices.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest

from hetsim.core.errors import HetsimError, SpecError, UnknownName
from hetsim.core.ref import Ref
from hetsim.core.registry import EXECUTORS
from hetsim.core.rng import rng
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.base import STACK, Executor
from hetsim.learn.executors.inline import Inline
from hetsim.learn.executors.ray import Ray
from hetsim.learn.numerics import model_hash, single_thread, tag
from hetsim.learn.resident import Resident
from hetsim.testing import ExecutorSuite, Shuffled, tiny

MODELS = ("logistic", "small_cnn")
"""One that is trained in stacks, one that is not."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests, because it takes seconds to start; Ray's executors find it running."""
    first = Ray(workers=2, address="local")
    first.start(tiny().resident)
    yield
    first.close()


class Promises(ExecutorSuite):
    """What the public suite asks, and what a lab relies on besides."""

    @pytest.fixture
    def executor(self, name: str) -> Iterator[Executor]:
        try:
            made: Executor = EXECUTORS.load(name)(**self.options)
        except SpecError as fault:
            pytest.skip(f"cannot be used here: {fault}")
        yield made
        made.close()

    def test_any_order_and_any_company_give_the_same_bits(
        self, executor: Executor, resident: Resident
    ) -> None:
        executor.start(resident)
        if executor.tag != tag():
            pytest.skip(f"has numbers of its own: {executor.tag}")
        tasks = [
            task
            for model in MODELS
            for number in range(5)
            for task in a_few(resident, model, number)
        ]
        single_thread()
        right = {ref.key: written(ops.compute(ref, inputs, resident)) for ref, inputs in tasks}
        for turn in range(2):
            chance = rng(turn, "learn/order of tasks")
            order = chance.permutation(len(tasks))
            values = finished(executor, [tasks[place] for place in order])
            assert {key: written(value) for key, value in values.items()} == right

    def test_takes_as_many_as_it_says(self, executor: Executor, resident: Resident) -> None:
        executor.start(resident)
        lone: list[Ref[Any]] = []
        while executor.takes(ref := ops.initial(architecture("small_cnn"), len(lone))):
            executor.submit(ref, ())
            lone.append(ref)
            assert len(lone) <= executor.width
        assert lone
        assert finished(executor, [], given=len(lone)).keys() == {ref.key for ref in lone}

    def test_a_cohort_does_not_pile_up_in_it(self, executor: Executor, resident: Resident) -> None:
        executor.start(resident)
        most = 4 * STACK * executor.width
        kin = [a_few(resident, "logistic", number)[0] for number in range(most + 1)]
        taken = 0
        while taken < len(kin) and executor.takes(kin[taken][0]):
            executor.submit(*kin[taken])
            taken += 1
        assert 1 <= taken <= most
        assert len(finished(executor, [], given=taken)) == taken
        assert executor.takes(kin[-1][0]), "what it had is delivered"

    def test_a_task_that_fails_raises_its_own_error(
        self, executor: Executor, resident: Resident
    ) -> None:
        executor.start(resident)
        executor.submit(Ref.of("initial", arch='["no_such_model",{},[1,8,8],10]', seed=0), ())
        with pytest.raises(UnknownName) as caught:
            list(executor.finished(wait=True))
        assert type(caught.value) is UnknownName
        assert caught.value.name == "no_such_model"
        assert "RayTaskError" not in str(caught.value)
        executor.close()
        executor.close()

    @pytest.mark.parametrize("model", MODELS)
    def test_keeps_nothing_that_is_delivered(
        self, executor: Executor, resident: Resident, model: str
    ) -> None:
        executor.start(resident)
        tasks = [a_few(resident, model, 0, seed=seed)[0] for seed in range(3)]
        values = finished(executor, tasks)
        tensors = [tensor for value in values.values() for tensor in value.values()]
        tensors += [tensor for _, (state, _) in tasks for tensor in state.values()]
        alive = [weakref.ref(tensor) for tensor in tensors]
        assert len(alive) >= 2 * 3 * 2
        del tensors, values, tasks
        gc.collect()
        assert [each for each in alive if each() is not None] == []


class TestInline(Promises):
    plugin = "inline"


class TestPool(Promises):
    plugin = "pool"
    options: ClassVar[Mapping[str, Any]] = {"workers": 2}


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("ray")
@pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install "hetsim[ray]"')
class TestRay(Promises):
    plugin = "ray"
    options: ClassVar[Mapping[str, Any]] = {"workers": 2}


class TestShuffled(Promises):
    """The one of `hetsim.testing`, which no registry knows."""

    plugin = "inline"

    @pytest.fixture
    def executor(self) -> Executor:
        return Shuffled(seed=1)


def test_every_executor_is_tested_here_or_has_numbers_of_its_own() -> None:
    tested = {suite.plugin for suite in Promises.__subclasses__()}
    assert set(EXECUTORS.names()) == tested | {"gpu"}


class _Hoarder(Inline):
    """Keeps what it delivers, and is always glad of more."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def takes(self, ref: Ref[Any]) -> bool:
        return True

    def finished(self, *, wait: bool) -> list[tuple[str, Any]]:
        done = list(super().finished(wait=wait))
        self.kept += done
        return done


class _Careless(Shuffled):
    """Mixes up the values of what it computes together."""

    def finished(self, *, wait: bool) -> list[tuple[str, Any]]:
        done = list(super().finished(wait=wait))
        keys, values = [key for key, _ in done], [value for _, value in done]
        return list(zip(keys, values[::-1], strict=True))


class _Wrapping(Inline):
    """Reports a task's error as one of its own."""

    def finished(self, *, wait: bool) -> list[tuple[str, Any]]:
        try:
            return list(super().finished(wait=wait))
        except UnknownName as fault:
            raise HetsimError(str(fault)) from fault


def test_the_suite_notices_what_it_is_about() -> None:
    suite, resident = Promises(), tiny().resident
    with pytest.raises(AssertionError):
        suite.test_takes_as_many_as_it_says(_Hoarder(), resident)
    with pytest.raises(AssertionError):
        suite.test_a_cohort_does_not_pile_up_in_it(_Hoarder(), resident)
    with pytest.raises(AssertionError):
        suite.test_keeps_nothing_that_is_delivered(_Hoarder(), resident, "logistic")
    with pytest.raises(AssertionError):
        suite.test_any_order_and_any_company_give_the_same_bits(_Careless(), resident)
    with pytest.raises(HetsimError, match="no_such_model"):
        suite.test_a_task_that_fails_raises_its_own_error(_Wrapping(), resident)


def architecture(model: str) -> Architecture:
    return Architecture.of(model, (1, 8, 8), 10)


def a_few(resident: Resident, model: str, number: int, *, seed: int = 0) -> list[ops.Task]:
    """A training, an evaluation and a fresh model."""
    start = ops.initial(architecture(model), 3)
    state = ops.compute(start, (), resident)
    shard = resident.shard(np.arange(number % 20, 30 + 2 * (number % 20)))
    rows = resident.rows(shard)
    return [
        (ops.train(start, shard, epochs=1, batch=4, lr=0.1, seed=1000 * seed + number),
         (state, rows)),
        (ops.evaluate(start, shard), (state, rows)),
        (ops.initial(architecture(model), number), ()),
    ]  # fmt: skip


def finished(executor: Executor, tasks: list[ops.Task], *, given: int = 0) -> dict[str, Any]:
    """Values by key of tasks, as a lab has them computed; `given` tasks are there already."""
    values: dict[str, Any] = {}
    delivered = 0
    for ref, inputs in tasks:
        while not executor.takes(ref):
            delivered += take(executor, values)
        executor.submit(ref, inputs)
    while delivered < given + len(tasks):
        delivered += take(executor, values)
    assert list(executor.finished(wait=False)) == []
    assert len(values) == delivered, "each once"
    return values


def take(executor: Executor, values: dict[str, Any]) -> int:
    """Collect what has ended; returns how many."""
    got = list(executor.finished(wait=True))
    assert got, "blocks until a task has ended"
    values.update(got)
    return len(got)


def written(value: Any) -> Any:
    """A value in a form that can be compared bit by bit."""
    return value if "accuracy" in value else model_hash(value)
