"""Zeros, one for each trained value of a model: control variates of those who have not trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hetsim.core.ref import Ref
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.part import trained
from hetsim.learn.resident import Resident


def zeros(model: Ref[State]) -> Ref[State]:
    """Zeros for the parameters of a model, or of a part of one; buffers have none.

    They cost nothing and need not be sent: whoever knows the model has them.
    """
    architecture = model_arch(model)
    return Ref.of("zeros", nbytes=measure(architecture).parameter_bytes, arch=architecture.text)


def _zeros(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return {name: torch.zeros(shape) for name, shape in trained(model_arch(ref)).items()}


ZEROS = Operation(compute=_zeros, light=True)
