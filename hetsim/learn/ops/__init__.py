"""Operations of the learning plane, for method authors: each builds a Ref and computes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.objective import Distilled, Objective, Sliced
from hetsim.learn.ops.activations import ACTIVATIONS, Activations, activations
from hetsim.learn.ops.base import Fold, Operation, Task, model_arch
from hetsim.learn.ops.candidates import Candidate, candidates
from hetsim.learn.ops.evaluate import EVALUATE, Score, evaluate
from hetsim.learn.ops.exchange import Exchange, exchange
from hetsim.learn.ops.fit import FIT, fit
from hetsim.learn.ops.forward import FORWARD, forward
from hetsim.learn.ops.gram import GRAMS, SUMMED, Gram, grams, head_grams, summed
from hetsim.learn.ops.initial import INITIAL, initial
from hetsim.learn.ops.join import JOIN, join
from hetsim.learn.ops.labels import LABELS, Labels, labels
from hetsim.learn.ops.layered import LAYERED_MEAN, arrived, layered_mean, layers_of
from hetsim.learn.ops.local_loss import LOCAL_LOSS, Apart, head, local_loss
from hetsim.learn.ops.mean import MEAN, mean
from hetsim.learn.ops.messages import gradient_bytes
from hetsim.learn.ops.mix import MIX, mix
from hetsim.learn.ops.mutual import MUTUAL, Mutual, mutual
from hetsim.learn.ops.padded import PADDED, padded
from hetsim.learn.ops.part import PART, split
from hetsim.learn.ops.pick import PICK, pick
from hetsim.learn.ops.pretrain import PRETRAIN, pretrain, trainings
from hetsim.learn.ops.published import PUBLISHED, published
from hetsim.learn.ops.ridge import RIDGE, ridge
from hetsim.learn.ops.scores import SCORES, Scores, scores
from hetsim.learn.ops.shard import SHARD
from hetsim.learn.ops.slice import SLICE, slice_of
from hetsim.learn.ops.sliced_mean import SLICED_MEAN, sliced_mean
from hetsim.learn.ops.smaller import narrowed, with_exits
from hetsim.learn.ops.stitched import STITCHED, stitched
from hetsim.learn.ops.train import PURSUE, TRAIN, train, truncate
from hetsim.learn.ops.transfer import take, transfer, transferred
from hetsim.learn.resident import Resident

__all__ = [
    "OPERATIONS",
    "Activations",
    "Apart",
    "Architecture",
    "Candidate",
    "Distilled",
    "Exchange",
    "Fold",
    "Gram",
    "Labels",
    "Mutual",
    "Objective",
    "Operation",
    "Score",
    "Scores",
    "Sliced",
    "Task",
    "activations",
    "arrived",
    "candidates",
    "compute",
    "compute_all",
    "evaluate",
    "exchange",
    "fit",
    "forward",
    "gradient_bytes",
    "grams",
    "head",
    "head_grams",
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
    "narrowed",
    "padded",
    "pick",
    "pretrain",
    "published",
    "ridge",
    "scores",
    "slice_of",
    "sliced_mean",
    "split",
    "stitched",
    "summed",
    "take",
    "train",
    "trainings",
    "transfer",
    "transferred",
    "truncate",
    "with_exits",
]

OPERATIONS: dict[str, Operation] = {
    "shard": SHARD,
    "initial": INITIAL,
    "train": TRAIN,
    "pursue": PURSUE,
    "slice": SLICE,
    "sliced_mean": SLICED_MEAN,
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
    "scores": SCORES,
    "grams": GRAMS,
    "summed": SUMMED,
    "ridge": RIDGE,
    "padded": PADDED,
    "stitched": STITCHED,
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
