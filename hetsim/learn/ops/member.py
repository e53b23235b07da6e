"""Models of one kind put side by side, and taken out again, bit for bit.

Side by side they are a model themselves (`hetsim.learn.models.ensemble`), which answers by the mean
of their logits. Nothing is computed or copied.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.kept import message, units
from hetsim.learn.ops.smaller import made_of
from hetsim.learn.resident import Resident


def side_by_side(architecture: Architecture, members: int, gain: float = 1.0) -> Architecture:
    """So many models of an architecture.

    Args:
        architecture: of each.
        members: how many.
        gain: what their first values are multiplied by, but for those of the first layer.
    """
    return made_of("ensemble", architecture, members=members, gain=gain)


def member(model: Ref[State], number: int) -> Ref[State]:
    """One of the models that are side by side, or in a message of some of them, counted from 0.

    Raises:
        ValueError: there is no such member.
    """
    options: dict[str, Any] = dict(model_arch(model).options)
    if not 0 <= number < options["members"]:
        raise ValueError(f"member {number} of {options['members']}")
    architecture = _each(model_arch(model))
    size = measure(architecture).state_bytes
    return Ref.of("member", model, nbytes=size, number=number, arch=architecture.text)


def assembled(
    members: Sequence[Ref[State]],
    architecture: Architecture | None = None,
    numbers: Sequence[int] | None = None,
) -> Ref[State]:
    """Models side by side, or a message of some of them.

    Args:
        members: of one architecture.
        architecture: of all together; by default just these.
        numbers: places of these, in order; by default all there are.

    Raises:
        ValueError: they are of another kind, or there are no such places.
    """
    whole = architecture or side_by_side(model_arch(members[0]), len(members))
    every = units(whole, "member")
    places = tuple(range(len(every))) if numbers is None else tuple(numbers)
    kinds = {model_arch(one) for one in members}
    fitting = list(places) == sorted({*places} & {*range(len(every))})
    if kinds != {_each(whole)} or len(places) != len(members) or not fitting:
        raise ValueError(f"{len(members)} models at {places} of {whole.text}")
    told: dict[str, Any] = {"nbytes": sum(one.nbytes for one in members), "arch": whole.text}
    if len(places) < len(every):
        told = message(whole, [name for place in places for name in every[place]], len(every))
    return Ref.of("assembled", *members, numbers=places, **told)


def _each(architecture: Architecture) -> Architecture:
    """What each of the models that are side by side is."""
    options: dict[str, Any] = dict(architecture.options)
    inner = json.loads(options["options"])
    return Architecture.of(options["model"], architecture.shape, architecture.classes, inner)


def _member(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    prefix = _prefix(ref.arg("number"))
    state: State = inputs[0]
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


def _assembled(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return {
        _prefix(number) + name: value
        for number, state in zip(ref.arg("numbers"), inputs, strict=True)
        for name, value in state.items()
    }


def _prefix(number: int) -> str:
    return f"members.{number}."


MEMBER = Operation(compute=_member, light=True)
ASSEMBLED = Operation(compute=_assembled, light=True)
