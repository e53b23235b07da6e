"""A message of some output channels of a model: their values, and which ones they are.

A channel's values are those of `hetsim.learn.salience.channels.Layer`; what belongs to no layer
that channels were chosen in is sent whole. The channels are a bitmap, one bit for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.part import shapes, trained
from hetsim.learn.resident import Resident
from hetsim.learn.salience.channels import Masks, bitmap, layers

_KEPT = "kept:"
"""Before the name of a layer: which of its channels are in the message."""


def counted(selection: Ref[Masks], found: Masks | None = None) -> tuple[int, ...]:
    """How many channels of each layer a selection keeps.

    Args:
        selection: of which that is known beforehand, or any.
        found: its value.

    Raises:
        ValueError: it must be observed first.
    """
    if found is not None:
        return tuple(int(mask.sum()) for mask in found.values())
    known: Any = dict(selection.args).get("kept")
    if known is None:
        raise ValueError(f"{selection} says how many channels it keeps only once it is observed")
    return known


def masked(
    value: Ref[State], selection: Ref[Masks], numbers: Sequence[int], *, variate: bool = False
) -> Ref[State]:
    """The message of a selection's channels of a model, or of a part of one.

    Args:
        value: what they are taken from; it has the part that channels were chosen in.
        selection: the channels.
        numbers: how many of each layer (`counted`).
        variate: whether `value` is a control variate, which has no buffers; it is sent beside a
            message of the model that says which channels they are.
    """
    encoder, architecture = Architecture.parse(selection.arg("encoder")), model_arch(value)
    known = trained(architecture) if variate else shapes(architecture)
    gone: Bytes = 0
    for layer, number in zip(layers(encoder), numbers, strict=True):
        of_one = sum(prod(known[name][1:]) for name in layer.tensors if name in known)
        gone += FLOAT * of_one * (layer.channels - number)
    moved = value.nbytes - gone
    return Ref.of(
        "masked",
        value,
        selection,
        nbytes=moved + (0 if variate else bitmap(encoder)),
        cost=Cost(traffic=2 * moved, memory=value.nbytes + moved, operators=len(known)),
        arch=architecture.text,
        encoder=encoder.text,
        numbers=tuple(numbers),
    )


def _masked(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    state, masks = inputs
    numbers = tuple(int(mask.sum()) for mask in masks.values())
    if numbers != ref.arg("numbers"):
        raise ValueError(f"{ref}: {numbers} channels are kept, not {ref.arg('numbers')}")
    owner = owners(Architecture.parse(ref.arg("encoder")))
    message = {
        name: tensor[masks[owner[name]]] if name in owner else tensor.clone()
        for name, tensor in state.items()
    }
    return message | {_KEPT + layer: mask for layer, mask in masks.items()}


def owners(encoder: Architecture) -> Mapping[str, str]:
    """The layer whose channels each tensor has a row for, by the tensor's name."""
    return {name: layer.name for layer in layers(encoder) for name in layer.tensors}


def channels_of(message: State, layer: str) -> Tensor:
    """Which channels of a layer are in a message [channels] bool."""
    return message[_KEPT + layer]


MASKED = Operation(compute=_masked, light=True)
