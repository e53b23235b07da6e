"""A smaller model out of a larger one: of its tensors the first so many along each axis.

The smaller model has some of the larger one's tensors, each no larger along any axis; its values
are the leading ones of those. A linear layer behind a picture sees the picture channel after
channel, so the first channels are its first inputs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident


def slice_of(model: Ref[State], architecture: Architecture) -> Ref[State]:
    """The values that a smaller architecture has of a model; the model itself if it is that.

    Raises:
        ValueError: it has a tensor that the model does not have, or a larger one.
    """
    whole = model_arch(model)
    if architecture == whole:
        return model
    large = shapes(whole)
    for name, shape in shapes(architecture).items():
        there = large.get(name, ())
        if name not in large or len(shape) != len(there) or shape != tuple(map(min, shape, there)):
            raise ValueError(f"{architecture.text} is no slice of {whole.text}: {name} {shape}")
    size = measure(architecture).state_bytes
    return Ref.of("slice", model, nbytes=size, arch=architecture.text)


def leading(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """A view of the first so many along each axis."""
    return tensor[tuple(map(slice, shape))]


class Slice:
    """Keeps the leading values of some tensors."""

    def __init__(self, ref: Ref[State]) -> None:
        self._shapes = shapes(Architecture.parse(ref.arg("arch")))
        self._state: State = {}

    def add(self, value: State) -> None:
        """Take in the larger model."""
        self._state = {
            name: leading(value[name], shape).clone() for name, shape in self._shapes.items()
        }

    def result(self) -> State:
        """The smaller one."""
        return self._state


def _slice(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Slice(ref)
    fold.add(inputs[0])
    return fold.result()


SLICE = Operation(compute=_slice, fold=Slice, light=True)
