"""Cutting a model in two: the values of its blocks before the cut, and those after it.

Nothing is computed or copied: a part has the tensors of the model that bear its names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident


def split(model: Ref[State], at: int) -> tuple[Ref[State], Ref[State]]:
    """The first `at` blocks of a model, or of a part of one, and the others.

    Raises:
        SpecError: the model cannot be cut there.
    """
    front, back = model_arch(model).cut(at)
    return _part(model, front), _part(model, back)


def take(model: Ref[State], part: Architecture) -> Ref[State]:
    """The tensors of a part, from a model that may have been trained for other classes.

    For a start from pre-training: all blocks but the last are the same whatever the classes.

    Raises:
        ValueError: the model has no such blocks.
    """
    given = model_arch(model)
    (first, last), (begin, end) = part.span, given.span
    alike = replace(given.whole, classes=part.classes) == part.whole
    if not alike or first < begin or last > end or (part.decides and given.whole != part.whole):
        raise ValueError(f"{given.text} does not hold {part.text}")
    return _part(model, part)


def _part(model: Ref[State], architecture: Architecture) -> Ref[State]:
    size = measure(architecture).state_bytes
    return Ref.of("part", model, nbytes=size, arch=architecture.text)


class Part:
    """Keeps the tensors of a part."""

    def __init__(self, ref: Ref[State]) -> None:
        self._names = _names(ref.arg("arch"))
        self._state: State = {}

    def add(self, value: State) -> None:
        """Take in the model."""
        self._state = {name: value[name] for name in self._names}

    def result(self) -> State:
        """The part."""
        return self._state


@lru_cache(maxsize=256)
def _names(architecture: str) -> tuple[str, ...]:
    with chance(0):
        return tuple(Architecture.parse(architecture).build().state_dict())


def _compute(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Part(ref)
    fold.add(inputs[0])
    return fold.result()


PART = Operation(compute=_compute, fold=Part, light=True)
