"""Operations of the learning plane, for method authors: each builds a Ref and computes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.ops.activations import ACTIVATIONS, Activations, activations
from hetsim.learn.ops.base import Fold, Operation, Task, model_arch
from hetsim.learn.ops.evaluate import EVALUATE, Score, evaluate
from hetsim.learn.ops.exchange import Exchange, exchange
from hetsim.learn.ops.fit import FIT, fit
from hetsim.learn.ops.forward import FORWARD, forward
from hetsim.learn.ops.initial import INITIAL, initial
from hetsim.learn.ops.join import JOIN, join
from hetsim.learn.ops.labels import LABELS, Labels, labels
from hetsim.learn.ops.layered import LAYERED_MEAN, arrived, layered_mean, layers_of
from hetsim.learn.ops.local_loss import LOCAL_LOSS, Apart, head, local_loss
from hetsim.learn.ops.mean import MEAN, mean
from hetsim.learn.ops.messages import gradient_bytes
from hetsim.learn.ops.mix import MIX, mix
from hetsim.learn.ops.mutual import MUTUAL, Mutual, mutual
from hetsim.learn.ops.part import PART, split
from hetsim.learn.ops.pick import PICK, pick
from hetsim.learn.ops.pretrain import PRETRAIN, pretrain, trainings
from hetsim.learn.ops.published import PUBLISHED, published
from hetsim.learn.ops.shard import SHARD
from hetsim.learn.ops.train import TRAIN, train, truncate
from hetsim.learn.ops.transfer import take, transfer, transferred
from hetsim.learn.resident import Resident

__all__ = [
    "OPERATIONS",
    "Activations",
    "Apart",
    "Exchange",
    "Fold",
    "Labels",
    "Mutual",
    "Operation",
    "Score",
    "Task",
    "activations",
    "arrived",
    "compute",
    "compute_all",
    "evaluate",
    "exchange",
    "fit",
    "forward",
    "gradient_bytes",
    "head",
    "initial",
    "join",
    "kin",
    "labels",
    "layered_mean",
    "layers_of",
    "local_loss",
    "mean",
    "mix",
    "model_arch",
    "mutual",
    "pick",
    "pretrain",
    "published",
    "split",
    "take",
    "train",
    "trainings",
    "transfer",
    "transferred",
    "truncate",
]

OPERATIONS: dict[str, Operation] = {
    "shard": SHARD,
    "initial": INITIAL,
    "train": TRAIN,
    "forward": FORWARD,
    "mean": MEAN,
    "mix": MIX,
    "layered_mean": LAYERED_MEAN,
    "evaluate": EVALUATE,
    "labels": LABELS,
    "part": PART,
    "join": JOIN,
    "activations": ACTIVATIONS,
    "fit": FIT,
    "local_loss": LOCAL_LOSS,
    "mutual": MUTUAL,
    "pick": PICK,
    "pretrain": PRETRAIN,
    "published": PUBLISHED,
}
"""How each `Ref.op` is computed."""


def compute(ref: Ref[Any], inputs: Sequence[Any], resident: Resident) -> Any:
    """The value of a Ref from the values of its inputs; pure."""
    return OPERATIONS[ref.op].compute(ref, inputs, resident)


def kin(ref: Ref[Any]) -> Hashable | None:
    """A key of all tasks that `compute_all` may take together with this one; None if alone."""
    return OPERATIONS[ref.op].kin(ref)


def compute_all(tasks: Sequence[Task], resident: Resident) -> list[Any]:
    """The values of tasks of one kin, each bitwise as `compute` gives it."""
    together = OPERATIONS[tasks[0][0].op].together
    if together is None or len(tasks) == 1:
        return [compute(ref, inputs, resident) for ref, inputs in tasks]
    return together(tasks, resident)
