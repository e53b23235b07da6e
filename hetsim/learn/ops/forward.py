"""A model's outputs on a shard, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn.meter import FLOAT, forward_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident, Rows


def forward(model: Ref[State], shard: Ref[Rows], *, batch: int = 256) -> Ref[Tensor]:
    """Logits [samples, classes] float32, in the shard's row order; of a first part, activations."""
    architecture = model_arch(model)
    samples: int = shard.arg("samples")
    return Ref.of(
        "forward",
        model,
        shard,
        nbytes=samples * prod(architecture.gives) * FLOAT,
        cost=forward_cost(architecture, samples, batch),
        arch=architecture.text,
        batch=batch,
    )


def outputs(
    ref: Ref[Any], model: State, rows: Rows, resident: Resident
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and labels, batch by batch as the Ref says."""
    ready = net(ref.arg("arch"))
    ready.load(model)
    module = ready.module.eval()
    for index in torch.from_numpy(rows.index).split(ref.arg("batch")):
        x, y = resident.gather(rows.split, index)
        with torch.no_grad():
            logits = module(x)
        yield logits, y


def _forward(ref: Ref[Tensor], inputs: Sequence[Any], resident: Resident) -> Tensor:
    batches = outputs(ref, inputs[0], inputs[1], resident)
    return torch.cat([logits for logits, _ in batches])


FORWARD = Operation(compute=_forward)
