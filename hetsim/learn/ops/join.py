"""Putting parts of a model together again: the inverse of a cut, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident


def join(front: Ref[State], back: Ref[State]) -> Ref[State]:
    """The model of which these are the parts, or the part of it that they are together.

    Raises:
        ValueError: the back does not begin where the front ends.
    """
    architecture = model_arch(front).joined(model_arch(back))
    size = front.nbytes + back.nbytes
    return Ref.of("join", front, back, nbytes=size, arch=architecture.text)


class Join:
    """Takes in one part after the other."""

    def __init__(self, ref: Ref[State]) -> None:
        self._state: State = {}

    def add(self, value: State) -> None:
        """Take in the next part."""
        self._state = {**self._state, **value}

    def result(self) -> State:
        """All parts, in order."""
        return self._state


def _compute(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Join(ref)
    for value in inputs:
        fold.add(value)
    return fold.result()


JOIN = Operation(compute=_compute, fold=Join, light=True)
