"""How a run starts from pre-trained parts: some blocks of a model are another one's.

They are the first blocks, or all but the last, which is the classifier: the other model may know
other classes. The two may also differ in whether their samples are grey; what sees the samples is
then adapted (`hetsim.learn.ops.part`). Any other difference in shape is refused.
"""

from __future__ import annotations

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import model_arch
from hetsim.learn.ops.join import join
from hetsim.learn.ops.part import Shape, part_of, shapes, split


def transfer(model: Ref[State], origin: Ref[State], *, blocks: int | None = None) -> Ref[State]:
    """`model` with the first `blocks` blocks of `origin`; by default with all but the classifier.

    Raises:
        SpecError: these models have no such blocks in common.
    """
    part = transferred(model_arch(model), model_arch(origin), blocks)
    return join(take(origin, part), split(model, part.blocks)[1])


def take(origin: Ref[State], part: Architecture) -> Ref[State]:
    """A part as it is in a model that may have been trained for other classes.

    It depends on nothing else: runs that take the same part share what they compute with it.

    Raises:
        SpecError: the model has no such part.
    """
    _check(part, model_arch(origin))
    return part_of(origin, part)


def transferred(
    into: Architecture, source: Architecture, blocks: int | None = None
) -> Architecture:
    """The part of `into` that `transfer` takes over.

    Raises:
        SpecError: there is none, or it does not fit.
    """
    most = into.blocks - 1
    if blocks is None and not most:
        raise SpecError(
            f'model "{into.name}" is a single block: no part of it can be pre-trained',
            remedy=_OTHER_MODEL,
        )
    if blocks is not None and not 1 <= blocks <= most:
        raise SpecError(
            f'model "{into.name}" has {into.blocks} blocks, of which {blocks} cannot be '
            "pre-trained",
            remedy=f"Choose 1 to {most}." if most else _OTHER_MODEL,
        )
    part, _ = into.cut(blocks or most)
    _check(part, source)
    return part


_OTHER_MODEL = "Choose a model with more layers, such as mlp or small_cnn."


def _check(part: Architecture, source: Architecture) -> None:
    """A part must be in the other model, but for the channels of the samples.

    Raises:
        SpecError: it is not.
    """
    mine, theirs = shapes(part), shapes(source)
    sees = next(iter(mine)) if part.span[0] == 0 else None
    for name, shape in mine.items():
        given = theirs.get(name)
        if given != shape and not (given and name == sees and _adaptable(given, shape)):
            there = "not there" if given is None else _words(given)
            raise SpecError(
                f'layer "{name}" of model "{part.name}" is {_words(shape)}, and pre-trained on '
                f"samples of {_words(source.shape)} it is {there}",
                remedy="Choose a model that takes pictures of any size (resnet8, mobilenetv2), or "
                "a source whose samples have the shape of the task's.",
            )


def _adaptable(given: Shape, shape: Shape) -> bool:
    """Whether they are kernels that differ in whether samples are grey."""
    same = len(given) == len(shape) > 2 and (given[0], *given[2:]) == (shape[0], *shape[2:])
    return same and 1 in (given[1], shape[1])


def _words(shape: Shape) -> str:
    return " x ".join(map(str, shape))
