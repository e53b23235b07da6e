"""How good a model is on a shard."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any, TypedDict

from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import forward_cost
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.forward import outputs
from hetsim.learn.resident import Resident, Rows

_NUMBERS = 3 * 8


class Score(TypedDict):
    """Share of right answers, mean cross entropy in nats, number of samples."""

    accuracy: float
    loss: float
    samples: int


def evaluate(model: Ref[State], shard: Ref[Rows], *, batch: int = 100) -> Ref[Score]:
    """Accuracy and loss of the model on the shard."""
    architecture = model_arch(model)
    return Ref.of(
        "evaluate",
        model,
        shard,
        nbytes=_NUMBERS,
        cost=forward_cost(architecture, shard.arg("samples"), batch),
        arch=architecture.text,
        batch=batch,
    )


def mean_score(scores: Sequence[Ref[Score]]) -> Ref[Score]:
    """The mean of scores on one shard; of a single one, itself.

    Raises:
        ValueError: there are none.
    """
    if not scores:
        raise ValueError("no scores to take the mean of")
    if len(scores) == 1:
        return scores[0]
    cost = sum((score.cost for score in scores), Cost())
    return Ref.of("mean_score", *scores, nbytes=_NUMBERS, cost=cost)


def _mean_score(ref: Ref[Score], inputs: Sequence[Any], resident: Resident) -> Score:
    scores: Sequence[Score] = inputs
    return Score(
        accuracy=fsum(score["accuracy"] for score in scores) / len(scores),
        loss=fsum(score["loss"] for score in scores) / len(scores),
        samples=scores[0]["samples"],
    )


def _evaluate(ref: Ref[Score], inputs: Sequence[Any], resident: Resident) -> Score:
    right, loss, samples = 0, 0.0, 0
    for logits, y in outputs(ref, inputs[0], inputs[1], resident):
        right += int((logits.argmax(1) == y).sum())
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
        samples += len(y)
    return Score(accuracy=right / samples, loss=loss / samples, samples=samples)


EVALUATE = Operation(compute=_evaluate, kept=True)
MEAN_SCORE = Operation(compute=_mean_score, light=True)
