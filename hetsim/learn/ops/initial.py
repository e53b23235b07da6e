"""A model before training: its weights depend on architecture and seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident


def initial(architecture: Architecture, seed: int) -> Ref[State]:
    """A fresh model; `seed` is any integer of 64 bits."""
    size = measure(architecture).state_bytes
    cost = Cost(traffic=size, memory=size)
    return Ref.of("initial", nbytes=size, cost=cost, arch=architecture.text, seed=seed)


def _initial(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    with chance(ref.arg("seed")):
        module = model_arch(ref).build()
    return {name: value.detach().contiguous() for name, value in module.state_dict().items()}


INITIAL = Operation(compute=_initial, kept=True)
