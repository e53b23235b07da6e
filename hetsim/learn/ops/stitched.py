"""A network put together from parts of trained models (`hetsim.learn.models.stitched`).

Nothing is computed: parts, stitches and classifier only get the names that they have in the whole.
Without a classifier it is a network under construction: its features are what its last part gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.ops.part import shapes
from hetsim.learn.resident import Resident

_NAME = "stitched"


def stitched(
    chosen: Sequence[Candidate], stitches: Sequence[Ref[State]], head: Ref[State] | None = None
) -> Ref[State]:
    """The network of these parts.

    Args:
        chosen: its parts, in order.
        stitches: linear maps, one before each part but the first (`ops.ridge`, `ops.padded`).
        head: the classifier, a linear map too; None for a network under construction.

    Raises:
        ValueError: another number of stitches.
        SpecError: the parts make no network.
    """
    if len(stitches) != len(chosen) - 1:
        raise ValueError(f"{len(chosen)} parts and {len(stitches)} stitches")
    architecture = network([candidate.part for candidate in chosen])
    if head is None:
        architecture = replace(architecture, part=(0, len(chosen)))
    maps = [*stitches, *([] if head is None else [head])]
    return Ref.of(
        "stitched",
        *(candidate.weights for candidate in chosen),
        *maps,
        nbytes=measure(architecture).state_bytes,
        arch=architecture.text,
        parts=len(chosen),
    )


def network(parts: Sequence[Architecture]) -> Architecture:
    """The architecture of the whole network of these parts."""
    written = tuple((part.name, part.options, *part.span) for part in parts)
    shape, classes = parts[0].shape, parts[0].classes
    return Architecture.of(_NAME, shape, classes, {"parts": written})


def parts_of(network: Architecture) -> list[Architecture]:
    """The parts that such a network, or the beginning of one, is made of.

    Raises:
        ValueError: it is no such network.
    """
    if network.name != _NAME:
        raise ValueError(f"{network.text} is not put together from parts")
    shape, classes = network.shape, network.classes
    written: Any = dict(network.options)["parts"]
    return [
        replace(Architecture.of(name, shape, classes, dict(options)), part=(first, last))
        for name, options, first, last in written[: network.span[1]]
    ]


def step(prefix: Architecture | None, part: Architecture) -> Architecture:
    """A part with the stitch that leads to it from a network under construction.

    Raises:
        ValueError: a first part with something before it, or a later one with nothing.
    """
    before = [] if prefix is None else parts_of(prefix)
    whole = network([*before, part])
    return replace(whole, part=(len(before), len(before) + 1))


def named(number: int, part: State, stitch: State | None) -> State:
    """Values of a part and of the stitch before it, by their names in the network."""
    state = {f"part{number}.{name}": tensor for name, tensor in part.items()}
    if stitch is not None:
        state |= {f"stitch{number}.layer.{name}": tensor for name, tensor in stitch.items()}
    return state


def fitted(architecture: Architecture, state: State) -> State:
    """The same values in the shapes that the architecture gives them: linear maps as kernels.

    Each has memory of its own, so that the network can be kept although two of its maps are one.
    """
    return {
        name: state[name].reshape(shape).clone() for name, shape in shapes(architecture).items()
    }


def _stitched(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    count: int = ref.arg("parts")
    parts, maps = inputs[:count], inputs[count:]
    state: State = {}
    for number, part in enumerate(parts):
        state |= named(number, part, maps[number - 1] if number else None)
    if len(maps) == count:
        state |= {f"linear.{name}": tensor for name, tensor in maps[-1].items()}
    return fitted(model_arch(ref), state)


STITCHED = Operation(compute=_stitched, light=True)
