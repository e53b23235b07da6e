"""A stitch that nothing is fitted to: channels are passed on as they are.

Channel i becomes channel i; what there are too many of are left out, and what there are too few of
are zero (an ablation of `hetsim.learn.ops.ridge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import FLOAT
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.resident import Resident


def padded(prefix: Ref[State], candidate: Candidate) -> Ref[State]:
    """The map from a network under construction to a part: `weight` and `bias` as `ops.ridge`."""
    inputs, outputs = model_arch(prefix).gives[0], candidate.part.takes[0]
    size = FLOAT * (inputs + 1) * outputs
    return Ref.of(
        "padded",
        nbytes=size,
        cost=Cost(traffic=size, memory=size, operators=2),
        inputs=inputs,
        outputs=outputs,
    )


def identity(inputs: int, outputs: int) -> State:
    """The map itself."""
    return {"weight": torch.eye(outputs, inputs), "bias": torch.zeros(outputs)}


def _padded(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return identity(ref.arg("inputs"), ref.arg("outputs"))


PADDED = Operation(compute=_padded, light=True)
