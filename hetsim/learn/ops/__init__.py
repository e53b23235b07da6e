"""Operations of the learning plane, for method authors: each builds a Ref and computes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Where
from hetsim.learn.objective import Distilled, LowRank, Objective, Sliced
from hetsim.learn.ops.activations import ACTIVATIONS, Activations, activations
from hetsim.learn.ops.base import Fold, Operation, Task, model_arch
from hetsim.learn.ops.candidates import Candidate, candidates
from hetsim.learn.ops.channel_mean import CHANNEL_MEAN, CHANNEL_STEP, channel_mean, channel_step
from hetsim.learn.ops.combined import COMBINED, combined
from hetsim.learn.ops.control import Divisor, control, length
from hetsim.learn.ops.evaluate import EVALUATE, MEAN_SCORE, Score, evaluate, mean_score
from hetsim.learn.ops.exchange import Exchange, exchange
from hetsim.learn.ops.explored import AGENT, EXPLORED, agent, explored
from hetsim.learn.ops.factorise import (
    FACTORISE,
    RECOMBINE,
    factorised,
    low_rank,
    recombined,
    recombined_layers,
)
from hetsim.learn.ops.fit import FIT, fit
from hetsim.learn.ops.forward import FORWARD, forward
from hetsim.learn.ops.gram import GRAMS, SUMMED, Gram, grams, head_grams, summed
from hetsim.learn.ops.initial import INITIAL, initial
from hetsim.learn.ops.join import JOIN, join
from hetsim.learn.ops.kept import KEPT, Grain, kept, patched, units
from hetsim.learn.ops.labels import LABELS, Labels, labels
from hetsim.learn.ops.layered import LAYERED_MEAN, arrived, layered_mean, layers_of
from hetsim.learn.ops.local_loss import LOCAL_LOSS, Apart, head, local_loss
from hetsim.learn.ops.local_score import LOCAL_SCORE, LocalScore, local_score
from hetsim.learn.ops.masked import MASKED, counted, masked
from hetsim.learn.ops.mean import MEAN, mean
from hetsim.learn.ops.member import ASSEMBLED, MEMBER, assembled, member, side_by_side
from hetsim.learn.ops.messages import gradient_bytes
from hetsim.learn.ops.mix import MIX, mix
from hetsim.learn.ops.mutual import MUTUAL, Mutual, mutual
from hetsim.learn.ops.padded import PADDED, padded
from hetsim.learn.ops.part import PART, split
from hetsim.learn.ops.pick import PICK, pick
from hetsim.learn.ops.pretrain import PRETRAIN, pretrain, trainings
from hetsim.learn.ops.published import PUBLISHED, published
from hetsim.learn.ops.ridge import RIDGE, ridge
from hetsim.learn.ops.salient import SALIENT, salient
from hetsim.learn.ops.scores import SCORES, Scores, scores
from hetsim.learn.ops.shard import SHARD
from hetsim.learn.ops.slice import SLICE, slice_of
from hetsim.learn.ops.sliced_mean import SLICED_MEAN, sliced_mean
from hetsim.learn.ops.smaller import depths, narrowed, with_exits, with_head
from hetsim.learn.ops.stitched import STITCHED, stitched
from hetsim.learn.ops.train import PURSUE, STEER, TRAIN, train, truncate
from hetsim.learn.ops.transfer import take, transfer, transferred
from hetsim.learn.ops.zeros import ZEROS, zeros
from hetsim.learn.resident import Resident

__all__ = [
    "OPERATIONS",
    "Activations",
    "Apart",
    "Architecture",
    "Candidate",
    "Distilled",
    "Divisor",
    "Exchange",
    "Fold",
    "Grain",
    "Gram",
    "Labels",
    "LocalScore",
    "LowRank",
    "Mutual",
    "Objective",
    "Operation",
    "Score",
    "Scores",
    "Sliced",
    "Task",
    "Where",
    "activations",
    "agent",
    "arrived",
    "assembled",
    "candidates",
    "channel_mean",
    "channel_step",
    "combined",
    "compute",
    "compute_all",
    "control",
    "counted",
    "depths",
    "evaluate",
    "exchange",
    "explored",
    "factorised",
    "fit",
    "forward",
    "gradient_bytes",
    "grams",
    "head",
    "head_grams",
    "initial",
    "join",
    "kept",
    "kin",
    "labels",
    "layered_mean",
    "layers_of",
    "length",
    "local_loss",
    "local_score",
    "low_rank",
    "masked",
    "mean",
    "mean_score",
    "member",
    "mix",
    "model_arch",
    "mutual",
    "narrowed",
    "padded",
    "patched",
    "pick",
    "pretrain",
    "published",
    "recombined",
    "recombined_layers",
    "ridge",
    "salient",
    "scores",
    "side_by_side",
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
    "units",
    "with_exits",
    "with_head",
    "zeros",
]

OPERATIONS: dict[str, Operation] = {
    "shard": SHARD,
    "initial": INITIAL,
    "train": TRAIN,
    "pursue": PURSUE,
    "steer": STEER,
    "slice": SLICE,
    "sliced_mean": SLICED_MEAN,
    "forward": FORWARD,
    "mean": MEAN,
    "mix": MIX,
    "combined": COMBINED,
    "layered_mean": LAYERED_MEAN,
    "evaluate": EVALUATE,
    "mean_score": MEAN_SCORE,
    "kept": KEPT,
    "member": MEMBER,
    "assembled": ASSEMBLED,
    "labels": LABELS,
    "local_score": LOCAL_SCORE,
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
    "factorise": FACTORISE,
    "recombine": RECOMBINE,
    "zeros": ZEROS,
    "salient": SALIENT,
    "explored": EXPLORED,
    "agent": AGENT,
    "masked": MASKED,
    "channel_mean": CHANNEL_MEAN,
    "channel_step": CHANNEL_STEP,
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
