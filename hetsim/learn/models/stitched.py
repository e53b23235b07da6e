"""A network put together from parts of others, with a stitch before each part but the first.

Such networks are what FedStitch (Zhan et al., arXiv 2409.07202, IWQoS 2024) makes; the layers
between the parts are ours (`hetsim.learn.models._stitch`). As a chain it has a block for each part,
with the stitch that leads to it, and one for the classifier: the mean of every channel, then a
linear layer. So a network under construction, which ends with a part, is a part of it. It is made
from parts that have been trained by `hetsim.learn.ops.stitched`; as a model of its own it can also
be trained from scratch.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from hetsim.learn.architecture import Architecture
from hetsim.learn.models._chain import Block, Chain
from hetsim.learn.models._stitch import Stitch, pooled


def stitched(
    shape: tuple[int, ...],
    classes: int,
    *,
    parts: tuple[
        tuple[
            str,
            tuple[tuple[str, bool | str | float | int | tuple[int, ...]], ...],
            int,
            int,
        ],
        ...,
    ],
) -> nn.Module:
    """The network of parts [first, last) of models, whose samples are those of this one.

    Args:
        shape: of a sample.
        classes: number of labels.
        parts: in order, each the name of a model, its options as pairs, its first block, and the
            block before which it ends: `[plain_cnn, [[width, 0.5]], 2, 4]`.
    """
    return _Network(
        classes,
        [
            replace(Architecture.of(name, shape, classes, dict(options)), part=(first, last))
            for name, options, first, last in parts
        ],
    )


class _Network(Chain):
    def __init__(self, classes: int, parts: list[Architecture]) -> None:
        super().__init__()
        _check(parts)
        blocks: list[Block] = []
        for number, part in enumerate(parts):
            stitch = ()
            if number:
                stitch = (f"stitch{number}",)
                self.add_module(*stitch, Stitch(parts[number - 1].gives, part.takes))
            self.add_module(f"part{number}", part.build())
            blocks.append((*stitch, f"part{number}"))
        self.linear = nn.Linear(parts[-1].gives[0], classes)
        self.blocks = (*blocks, (pooled, "linear"))


def _check(parts: list[Architecture]) -> None:
    """The first part takes samples, no other one does, and none is a classifier.

    Raises:
        ValueError: it is not so.
    """
    if not parts:
        raise ValueError("it needs at least one part")
    for number, part in enumerate(parts):
        first, last = part.span
        most = part.whole.blocks - 1
        if not (first < last <= most and (first == 0) == (number == 0)):
            start = "begins with block 0" if number == 0 else "begins after block 0"
            raise ValueError(
                f"part {number} is [{first}, {last}) of {part.name}, but it {start} and ends no "
                f"later than before block {most}, the classifier"
            )
