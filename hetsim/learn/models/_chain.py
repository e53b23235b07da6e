"""A model as a chain of blocks, which can be cut between any two of them.

A block is one weight layer with what follows it: a convolution with its normalisation, activation
and pooling; a residual block; a linear layer. It is written as its steps in order, each of them the
path of a submodule ("layer1.0") or a function of a tensor. A model is the composition of its blocks
and says nothing else about what it computes, so the blocks [first, last) of it are a model too: the
same submodules under the same names, and the others gone.

A `torch.nn.Sequential` is a chain without saying so. Any other module is one block.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

Step = str | Callable[[Tensor], Tensor]
Block = tuple[Step, ...]


class Chain(nn.Module):
    """A module that is told its blocks, once it has its submodules, with `self.blocks = ...`.

    Paths are followed then, and no more at each call: a submodule that takes the place of another
    one afterwards is not seen until the blocks are told again.
    """

    _blocks: tuple[Block, ...]
    _steps: tuple[Callable[[Tensor], Tensor], ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What it computes."""
        return self._blocks

    @blocks.setter
    def blocks(self, blocks: tuple[Block, ...]) -> None:
        self._blocks = blocks
        # A tuple, so that torch does not take them for submodules of a second name.
        self._steps = tuple(_step(self, step) for block in blocks for step in block)

    def forward(self, x: Tensor) -> Tensor:
        """All steps of all blocks, in order."""
        for step in self._steps:
            x = step(x)
        return x


def layers(module: nn.Module, name: str = "") -> tuple[Block, ...]:
    """The blocks of a sequence of modules: each begins with a child that has weights.

    Children before the first of those belong to its block; normalisation, whose values are vectors,
    begins none.

    Args:
        module: whose children are applied one after the other.
        name: path of it in the chain.
    """
    blocks: list[Block] = []
    weighty = False
    for child, part in module.named_children():
        path = f"{name}.{child}" if name else child
        begins = any(parameter.dim() > 1 for parameter in part.parameters())
        if blocks and not (begins and weighty):
            blocks[-1] += (path,)
        else:
            blocks.append((path,))
        weighty = weighty or begins
    return tuple(blocks)


def blocks_of(module: nn.Module) -> tuple[Block, ...]:
    """The blocks of any module; one that is no chain is a single block."""
    if isinstance(module, Chain):
        return module.blocks
    return layers(module) if isinstance(module, nn.Sequential) else (("",),)


def passed(module: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """What each block takes when the module is given `x`, and last what the last one gives."""
    yield x
    for block in blocks_of(module):
        for step in block:
            x = _step(module, step)(x)
        yield x


def part_of(module: nn.Module, first: int, last: int) -> nn.Module:
    """The blocks [first, last) of a module, which is used up."""
    blocks = blocks_of(module)[first:last]
    if len(blocks) == len(blocks_of(module)):
        return module
    paths = [step for block in blocks for step in block if isinstance(step, str)]
    if not isinstance(module, Chain):
        return nn.Sequential(OrderedDict((path, module.get_submodule(path)) for path in paths))
    module.blocks = blocks
    keep(module, paths)
    return module


def steps_of(module: nn.Module, block: Block) -> tuple[Callable[[Tensor], Tensor], ...]:
    """The steps of a block of a module, ready to be applied one after the other."""
    return tuple(_step(module, step) for step in block)


def _step(module: nn.Module, step: Step) -> Callable[[Tensor], Tensor]:
    return module.get_submodule(step) if isinstance(step, str) else step


def keep(module: nn.Module, paths: Sequence[str]) -> None:
    """Remove every submodule that no path leads to or through."""
    for name, child in list(module.named_children()):
        rest = [path.partition(".")[2] for path in paths if path.partition(".")[0] == name]
        if not rest:
            delattr(module, name)
        elif all(rest):  # none of the paths ends here
            keep(child, rest)


def flat(x: Tensor) -> Tensor:
    """A sample's features in one row."""
    return x.flatten(1)


def pool(x: Tensor) -> Tensor:
    """The largest of every 2 x 2."""
    return F.max_pool2d(x, 2)


def halve(x: Tensor) -> Tensor:
    """The largest of every 2 x 2, also where a side is odd, as long as two points remain."""
    return F.max_pool2d(x, 2, ceil_mode=True) if min(x.shape[2:]) > 2 else x


def average(x: Tensor) -> Tensor:
    """The mean of every channel over height and width."""
    return x.mean((2, 3))


def relu(x: Tensor) -> Tensor:
    """What is above zero."""
    return F.relu(x)


def every(name: str, module: nn.Module) -> tuple[Block, ...]:
    """A block for each child of a sequence, such as a stage of residual blocks."""
    return tuple((f"{name}.{child}",) for child, _ in module.named_children())
