"""Right answers label by label."""

from __future__ import annotations

import numpy as np

from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import forward_cost
from hetsim.learn.resident import Resident
from hetsim.learn.store import decode, encode


def test_labels_add_up_to_the_accuracy(logistic: Architecture, resident: Resident) -> None:
    start, test = ops.initial(logistic, 7), resident.whole("test")
    state = ops.compute(start, (), resident)
    rows = resident.rows(test)
    update = ops.train(start, resident.shard(np.arange(300)), steps=20, batch=16, lr=0.1, seed=1)
    trained = ops.compute(update, [state, resident.rows(update.inputs[1])], resident)
    for model in (state, trained):
        score = ops.compute(ops.evaluate(start, test), [model, rows], resident)
        told = ops.compute(ops.labels(start, test, batch=64), [model, rows], resident)
        assert sum(told["count"]) == score["samples"] == 297
        assert sum(told["right"]) / 297 == score["accuracy"]
        assert all(0 <= right <= n for n, right in zip(told["count"], told["right"], strict=True))
        assert decode(encode(told, "key"), "key") == told
    labels = resident.dataset.test_y
    assert told["count"] == np.bincount(labels, minlength=10).tolist()


def test_a_label_that_no_sample_carries_counts_nothing(
    logistic: Architecture, resident: Resident
) -> None:
    [zeros] = np.nonzero(resident.dataset.y == 0)
    start, shard = ops.initial(logistic, 7), resident.shard(zeros[:5])
    state = ops.compute(start, (), resident)
    told = ops.compute(ops.labels(start, shard), [state, resident.rows(shard)], resident)
    assert told["count"] == [5] + [0] * 9
    assert told["right"][1:] == [0] * 9


def test_it_is_priced_as_forward_passes(logistic: Architecture, resident: Resident) -> None:
    told = ops.labels(ops.initial(logistic, 7), resident.whole("test"))
    assert told.cost == forward_cost(logistic, 297, 500)
    assert told.nbytes == 2 * 10 * 8
