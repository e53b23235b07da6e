"""One model out of a value that holds several, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation
from hetsim.learn.resident import Resident


def pick(several: Ref[State], name: str, architecture: Architecture) -> Ref[State]:
    """The model called `name`; it costs nothing, for it has been computed with the others."""
    size = measure(architecture).state_bytes
    return Ref.of("pick", several, nbytes=size, name=name, arch=architecture.text)


def packed(models: Mapping[str, State]) -> State:
    """Several models as one value."""
    return {
        f"{name}/{tensor}": value
        for name, state in models.items()
        for tensor, value in state.items()
    }


class Pick:
    """Keeps the tensors of one model."""

    def __init__(self, ref: Ref[State]) -> None:
        self._prefix = f"{ref.arg('name')}/"
        self._state: State = {}

    def add(self, value: State) -> None:
        """Take in the value that holds several."""
        self._state = {
            name.removeprefix(self._prefix): tensor
            for name, tensor in value.items()
            if name.startswith(self._prefix)
        }

    def result(self) -> State:
        """The model."""
        return self._state


def _pick(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    fold = Pick(ref)
    fold.add(inputs[0])
    return fold.result()


PICK = Operation(compute=_pick, fold=Pick, light=True)
