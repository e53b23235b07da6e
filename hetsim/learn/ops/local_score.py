"""How good clients' models are on the labels that the clients themselves hold.

Right answers of each model are counted label by label (`hetsim.learn.ops.labels`). With the share
s_l of label l in a client's shard and the share a_l of right answers among samples that carry it,
the client's accuracy is

    sum_l s_l a_l,    over the labels that are there to be scored

and that of all clients the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any, TypedDict

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.ops.base import Operation
from hetsim.learn.ops.labels import Labels
from hetsim.learn.resident import Resident, Rows

_NUMBERS = 2 * 8


class LocalScore(TypedDict):
    """Mean accuracy of the clients, no loss, and the samples that models were scored on."""

    accuracy: float
    loss: None
    samples: int


def local_score(found: Sequence[Ref[Labels]], shards: Sequence[Ref[Rows]]) -> Ref[LocalScore]:
    """The mean over clients of the accuracy of each on its own labels.

    Args:
        found: right answers of each client's model by label, on samples of all.
        shards: of each client.

    Raises:
        ValueError: no clients, or not a shard for each.
    """
    if not found or len(found) != len(shards):
        raise ValueError(f"{len(found)} models and {len(shards)} shards")
    cost = sum((each.cost for each in found), Cost())
    return Ref.of("local_score", *found, *shards, nbytes=_NUMBERS, cost=cost, clients=len(found))


def _local_score(ref: Ref[LocalScore], inputs: Sequence[Any], resident: Resident) -> LocalScore:
    clients: int = ref.arg("clients")
    found: Sequence[Labels] = inputs[:clients]
    accuracies = [
        _accuracy(right, resident.counts(rows))
        for right, rows in zip(found, inputs[clients:], strict=True)
    ]
    return LocalScore(
        accuracy=fsum(accuracies) / clients, loss=None, samples=sum(found[0]["count"])
    )


def _accuracy(found: Labels, held: np.ndarray) -> float:
    scored = [
        (float(mine), right / count)
        for mine, right, count in zip(held, found["right"], found["count"], strict=True)
        if count
    ]
    return fsum(mine * share for mine, share in scored) / fsum(mine for mine, _ in scored)


LOCAL_SCORE = Operation(compute=_local_score, light=True)
