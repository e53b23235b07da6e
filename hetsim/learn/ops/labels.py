"""How good a model is on each label of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import torch

from hetsim.core.ref import Ref
from hetsim.learn.meter import forward_cost
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.forward import outputs
from hetsim.learn.resident import Resident, Rows

_NUMBER = 8


class Labels(TypedDict):
    """Of each label, in order: how many samples carry it, and for how many the model is right."""

    count: list[int]
    right: list[int]


def labels(model: Ref[State], shard: Ref[Rows], *, batch: int = 500) -> Ref[Labels]:
    """Right answers of the model on the shard, label by label."""
    architecture = model_arch(model)
    return Ref.of(
        "labels",
        model,
        shard,
        nbytes=2 * architecture.classes * _NUMBER,
        cost=forward_cost(architecture, shard.arg("samples"), batch),
        arch=architecture.text,
        classes=architecture.classes,
        batch=batch,
    )


def _labels(ref: Ref[Labels], inputs: Sequence[Any], resident: Resident) -> Labels:
    classes: int = ref.arg("classes")
    count = torch.zeros(classes, dtype=torch.int64)
    right = torch.zeros(classes, dtype=torch.int64)
    for logits, y in outputs(ref, inputs[0], inputs[1], resident):
        y = y.cpu()
        count += torch.bincount(y, minlength=classes)
        right += torch.bincount(y[logits.argmax(1).cpu() == y], minlength=classes)
    return Labels(count=count.tolist(), right=right.tolist())


LABELS = Operation(compute=_labels, kept=True)
