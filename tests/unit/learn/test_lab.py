from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from hetsim.core.errors import NeedsLearning
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.numerics import model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
from hetsim.testing import Shuffled

LabMaker = Callable[..., Lab]
SETTINGS = {"batch": 16, "lr": 0.1}


class Counting(Inline):
    """Knows how many of the values it made are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        done = list(super().finished(wait=wait))
        for _, value in done:
            self.alive += 1
            self.peak = max(self.peak, self.alive)
            weakref.finalize(next(iter(value.values())), self._forget)
        return done

    def _forget(self) -> None:
        self.alive -= 1


def a_round(model: Ref, shards: list[Ref], number: int) -> Ref:
    updates = [
        ops.train(model, shard, epochs=1, seed=10 * number + index, **SETTINGS)
        for index, shard in enumerate(shards)
    ]
    return ops.mean(updates, [shard.arg("samples") for shard in shards])


def federated(lab: Lab, architecture: Architecture, shards: list[Ref], rounds: int) -> Ref:
    model = ops.initial(architecture, 0)
    for number in range(rounds):
        model = a_round(model, shards, number)
        lab.want(model)
    return model


def test_completion_order_does_not_matter(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    hashes = set[str]()
    for executor in (Inline(), Shuffled(4, 5)):
        lab = make_lab(executor=executor)
        [state] = lab.settle([federated(lab, logistic, shards, 4)])
        hashes.add(model_hash(state))
        assert lab.executed == {"initial": 1, "train": 16, "mean": 4}
    assert len(hashes) == 1


def test_what_nobody_wants_is_never_computed(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    lab = make_lab()
    start = ops.initial(logistic, 0)
    updates = [ops.train(start, shard, epochs=1, seed=0, **SETTINGS) for shard in shards]
    lab.settle([ops.mean(updates[:2])])
    assert lab.executed == {"initial": 1, "train": 2, "mean": 1}
    assert lab.never_needed({"train": lab.executed["train"] + 2, "mean": lab.executed["mean"]}) == 2


def test_equal_recipes_are_computed_once(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    lab = make_lab()
    models = [a_round(ops.initial(logistic, 0), shards, 0) for _ in range(3)]
    one, two, three = lab.settle(models)
    assert one is two is three
    assert lab.executed["train"] == len(shards)
    assert all(not model.inputs for model in models)


def test_values_live_as_long_as_somebody_holds_a_ref(
    make_lab: LabMaker, logistic: Architecture
) -> None:
    lab = make_lab()
    first, second = ops.initial(logistic, 0), ops.initial(logistic, 0)
    [value] = lab.settle([first])
    alive = weakref.ref(value["1.weight"])
    assert lab.peek(second) is None
    lab.want(second)
    assert lab.peek(second) is value
    del value, first
    assert alive() is not None
    del second
    assert alive() is None


def test_a_round_never_holds_all_updates(make_lab: LabMaker, resident: Resident) -> None:
    shards = [resident.shard(part) for part in np.array_split(np.arange(300), 30)]
    executor = Counting()
    lab = make_lab(executor=executor)
    large = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [1000]})  # trained one by one
    model = a_round(ops.initial(large, 0), shards, 0)
    lab.settle([model])
    # The model that the round starts from and one update, then the next.
    assert executor.peak <= 3


def test_thousands_of_rounds_take_neither_memory_nor_stack(
    make_lab: LabMaker, logistic: Architecture, resident: Resident
) -> None:
    shard = resident.shard(np.arange(8))
    executor = Counting()
    lab = make_lab(executor=executor)
    model = ops.initial(logistic, 0)
    refs = weakref.WeakSet[Ref]()
    most = 0
    for number in range(2000):
        update = ops.train(model, shard, steps=1, seed=number, **SETTINGS)
        model = ops.mean([update])
        refs.add(model)
        lab.want(model)
        most = max(most, len(refs))
    lab.drain()
    assert lab.executed == {"initial": 1, "train": 2000, "mean": 2000}
    assert most < 10
    assert executor.peak < 10
    assert len(lab._held) < 10


def test_a_long_chain_that_is_wanted_at_its_end_does_not_recurse(
    make_lab: LabMaker, logistic: Architecture, resident: Resident
) -> None:
    shard = resident.shard(np.arange(8))
    lab = make_lab()
    model = ops.initial(logistic, 0)
    for number in range(3000):
        model = ops.mean([ops.train(model, shard, steps=1, seed=number, **SETTINGS)])
    lab.settle([model])
    assert lab.executed["mean"] == 3000


def test_a_second_lab_reads_server_models_and_trains_nothing(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    store = MemoryStore()
    first = make_lab(store)
    [before] = first.settle([federated(first, logistic, shards, 3)])
    second = make_lab(store)
    [after] = second.settle([federated(second, logistic, shards, 3)])
    assert model_hash(before) == model_hash(after)
    assert not second.executed
    assert second.from_store == {"mean": 3}


def test_updates_are_stored_only_if_observed(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    store = MemoryStore()
    lab = make_lab(store)
    update = ops.train(ops.initial(logistic, 0), shards[0], epochs=1, seed=0, **SETTINGS)
    lab.settle([ops.mean([update])])
    assert store.get(update.key) is None
    lab.settle([update])
    assert store.get(update.key) is lab.peek(update)


def test_a_closed_lab_says_so(
    make_lab: LabMaker, logistic: Architecture, shards: list[Ref]
) -> None:
    lab = make_lab()
    model = a_round(ops.initial(logistic, 0), shards, 0)
    lab.want(model)
    lab.close()
    with pytest.raises(RuntimeError, match="make a new one"):
        lab.settle([model])


def test_cost_only_computes_nothing_and_lets_go(logistic: Architecture, shards: list[Ref]) -> None:
    lab = CostOnlyLab()
    model = a_round(ops.initial(logistic, 0), shards, 0)
    lab.want(model)
    lab.drain()
    assert not model.inputs
    assert lab.peek(model) is None
    assert lab.never_needed({"train": 4, "mean": 3}) == 7
    with pytest.raises(NeedsLearning, match=r"\(mean\)(.|\n)*Run without --cost-only"):
        lab.settle([model])
    lab.close()
