"""A model cut in two: the values of its blocks before the cut, and those after it.

Nothing is computed or copied: a part has the tensors of the model that bear its names. Only where
they come from a model that sees more or fewer channels (`hetsim.learn.ops.transfer`) are the
kernels that see the samples adapted, so that a grey picture g and the same picture in n equal
channels give the same, by

    sum_c W_c g    (n channels to one),    sum_c (W / n) g    (one channel to n)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident

Shape = tuple[int, ...]


def split(model: Ref[State], at: int) -> tuple[Ref[State], Ref[State]]:
    """The first `at` blocks of a model, or of a part of one, and the others.

    Raises:
        SpecError: the model cannot be cut there.
    """
    front, back = model_arch(model).cut(at)
    return part_of(model, front), part_of(model, back)


def part_of(model: Ref[State], architecture: Architecture) -> Ref[State]:
    """The tensors of a model that a part of it has, whose names and shapes have been checked."""
    size = measure(architecture).state_bytes
    return Ref.of("part", model, nbytes=size, arch=architecture.text)


@lru_cache(maxsize=256)
def shapes(architecture: Architecture) -> Mapping[str, Shape]:
    """Shape of each tensor of a model or a part of one, by its name, in order."""
    with chance(0):
        state = architecture.build().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


@lru_cache(maxsize=256)
def trained(architecture: Architecture) -> Mapping[str, Shape]:
    """Shape of each parameter of a model or a part of one, by its name, in order."""
    with chance(0):
        module = architecture.build()
    return {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}


class Part:
    """Keeps the tensors of a part."""

    def __init__(self, ref: Ref[State]) -> None:
        self._shapes = shapes(Architecture.parse(ref.arg("arch")))
        self._state: State = {}

    def add(self, value: State) -> None:
        """Take in the model."""
        self._state = {name: _adapted(value[name], shape) for name, shape in self._shapes.items()}

    def result(self) -> State:
        """The part."""
        return self._state


def _adapted(tensor: Tensor, shape: Shape) -> Tensor:
    """Itself, or kernels for samples of that many channels."""
    if tensor.shape == shape:
        return tensor
    if shape[1] == 1:
        return tensor.sum(1, keepdim=True)
    return (tensor / shape[1]).expand(shape).contiguous()


def _compute(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Part(ref)
    fold.add(inputs[0])
    return fold.result()


PART = Operation(compute=_compute, fold=Part, light=True)
