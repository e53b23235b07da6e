"""A message of some units of a model: whole layers, single tensors, or members of an ensemble.

A layer is one with a matrix (a convolution, a linear layer) with the normalisation behind it, which
is computed next and has vectors only. The message holds the tensors of its units and a bit
for each unit of the model, in whole bytes: which of them these are. What else a model has stays
with its owner; nothing is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, Literal, TypeAlias

from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident

Unit: TypeAlias = tuple[str, ...]
"""Names of its tensors."""
Grain = Literal["layer", "tensor", "member"]


def units(architecture: Architecture, grain: Grain = "layer") -> tuple[Unit, ...]:
    """The units of a model, layers in the order in which it computes them."""
    match grain:
        case "layer":
            return _layers(architecture)
        case "tensor":
            return tuple((name,) for name in shapes(architecture))
        case "member":
            return _members(architecture)


def kept(model: Ref[State], chosen: Collection[int], grain: Grain = "layer") -> Ref[State]:
    """A message of the units of a model with these numbers.

    Raises:
        ValueError: there is no such unit.
    """
    every = units(model_arch(model), grain)
    if not set(chosen) <= set(range(len(every))):
        raise ValueError(f"units {sorted(chosen)} of {len(every)}")
    tensors = [name for number in sorted(chosen) for name in every[number]]
    return Ref.of("kept", model, **message(model_arch(model), tensors, len(every)))


def message(architecture: Architecture, tensors: Sequence[str], units: int) -> dict[str, Any]:
    """What a Ref says of a message of these tensors of a model of so many units."""
    sizes = tensor_bytes(architecture)
    return {
        "nbytes": sum(sizes[name] for name in tensors) + ceil(units / 8),
        "tensors": tuple(tensors), "units": units, "arch": architecture.text,
    }  # fmt: skip


def partial(model: Ref[State]) -> bool:
    """Whether this is a message of some units of a model, and no model."""
    return any(name == "tensors" for name, _ in model.args)


def patched(model: Ref[State], brought: Ref[State]) -> Ref[State]:
    """A model with the units that a message brings in place of its own."""
    return Ref.of("join", model, brought, nbytes=model.nbytes, arch=model.arg("arch"))


def tensors_in(model: Ref[State]) -> Sequence[str]:
    """Names of the tensors of a model, or of those that a message of some of its units holds."""
    return model.arg("tensors") if partial(model) else tuple(shapes(model_arch(model)))


def header(model: Ref[State]) -> Bytes:
    """What says which units of a model a message holds; a model itself has none."""
    return float(ceil(model.arg("units") / 8)) if partial(model) else 0.0


@lru_cache(maxsize=256)
def tensor_bytes(architecture: Architecture) -> Mapping[str, Bytes]:
    """Size of each tensor of a model or a part of one, by its name, in order."""
    with chance(0):
        state = architecture.build().state_dict()
    return {name: float(tensor.numel() * tensor.element_size()) for name, tensor in state.items()}


@lru_cache(maxsize=256)
def _layers(architecture: Architecture) -> tuple[Unit, ...]:
    modules: dict[str, list[str]] = {}
    for name in shapes(architecture):
        modules.setdefault(name.rpartition(".")[0], []).append(name)
    computed = (layer.name for layer in measure(architecture).layers)
    order = dict.fromkeys([*(name for name in computed if name in modules), *modules])
    found: list[Unit] = []
    weighty = False
    for module in order:
        begins = any(len(shapes(architecture)[name]) > 1 for name in modules[module])
        if found and not (begins and weighty):
            found[-1] += tuple(modules[module])
        else:
            found.append(tuple(modules[module]))
        weighty = weighty or begins
    return tuple(found)


@lru_cache(maxsize=256)
def _members(architecture: Architecture) -> tuple[Unit, ...]:
    if architecture.name != "ensemble":
        raise ValueError(f"{architecture.text} has no members")
    members: dict[str, list[str]] = {}
    for name in shapes(architecture):
        members.setdefault(name.split(".", 2)[1], []).append(name)
    return tuple(map(tuple, members.values()))


def _kept(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return {name: inputs[0][name] for name in ref.arg("tensors")}


KEPT = Operation(compute=_kept, light=True)
