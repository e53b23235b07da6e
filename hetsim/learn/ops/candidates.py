"""Parts of trained models, of which a network can be put together (`hetsim.learn.models.stitched`).

A model is cut into so many consecutive parts, its classifier (its last block) left out: of n other
blocks, part i of L takes those from i n // L up to (i + 1) n // L, so that parts differ by at most
one block. A part is one for the samples of the task, which may be larger or smaller than those that
the model was trained on, and grey or in colour (`hetsim.learn.ops.part`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import model_arch
from hetsim.learn.ops.transfer import take

POSITIONS = 4
"""Parts of a model."""
_DEEPER = ("resnet8", "plain_cnn", "resnet20", "resnet56", "cnn1d")
"""Models for pictures and for signals that can be cut, from few blocks to many."""


class Candidate(NamedTuple):
    """A part of a trained model, for the samples of a task.

    Attributes:
        model: the whole model, as it was trained.
        part: its architecture, on samples of the task.
    """

    model: Ref[State]
    part: Architecture

    @property
    def weights(self) -> Ref[State]:
        """The values of the part alone: what is sent of it.

        Raises:
            SpecError: the model has no such part for samples of this shape.
        """
        return take(self.model, self.part)

    @property
    def ahead(self) -> Architecture | None:
        """What comes before it in its own model; None for a first part."""
        first = self.part.span[0]
        return replace(self.part, part=(0, first)) if first else None


def candidates(
    model: Ref[State], shape: tuple[int, ...], classes: int, *, positions: int = POSITIONS
) -> list[Candidate]:
    """The parts of a trained model, from the one that takes samples on.

    Args:
        model: trained on any samples that its layers take.
        shape: of a sample of the task.
        classes: labels of the task.
        positions: how many parts.

    Raises:
        SpecError: the model has too few blocks, or takes no samples of this shape.
    """
    whole = replace(model_arch(model).whole, shape=tuple(shape), classes=classes)
    blocks = whole.blocks - 1
    if not 1 <= positions <= blocks:
        raise SpecError(
            f'model "{whole.name}" has {_counted(blocks, "block")} before its classifier, not '
            f"enough for {_counted(positions, 'part')}",
            remedy=_others(whole, positions),
        )
    ends = pairwise(number * blocks // positions for number in range(positions + 1))
    return [Candidate(model, replace(whole, part=end)) for end in ends]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _others(whole: Architecture, positions: int) -> str:
    """The remedy: models that can be cut into so many parts, for the same samples."""
    names: list[str] = []
    for name in _DEEPER:
        try:
            blocks = Architecture.of(name, whole.shape, whole.classes).blocks - 1
        except SpecError:  # it takes other samples
            continue
        names += [name] * (1 <= positions <= blocks)
    deeper = f"; or a deeper model: {', '.join(names)}" if names else ""
    return f"Choose fewer parts, 1 at least{deeper}."
