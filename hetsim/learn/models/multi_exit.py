"""Any model of several blocks with more exits: a classifier of its own after some of its blocks.

An exit is the mean over space, if there is any, and one linear layer; after the last block it is
the model's own output. What the whole gives is the mean of the logits of its exits, and one that
ends at an earlier exit is a part of it: fewer values, under the same names. The network of DepthFL
(Kim, Yu, Kim, Moon, "DepthFL: Depthwise Federated Learning for Heterogeneous Clients", ICLR 2023),
whose exits have more layers before the mean (assumed: none, as for any model).
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.learn import plugin
from hetsim.learn.models._chain import blocks_of, keep, passed, steps_of

_EXITS = 4


def multi_exit(
    shape: tuple[int, ...],
    classes: int,
    *,
    model: str = "small_cnn",
    options: str = "{}",
    exits: tuple[int, ...] = (),
) -> nn.Module:
    """A model with exits after some of its blocks; it ends at the last of them.

    Args:
        shape: of a sample.
        classes: how many it tells apart.
        model: name of the model.
        options: of the model, a mapping in JSON.
        exits: blocks before each exit, in order; left out, at most four in equal distances.

    Raises:
        SpecError: exits where there are no blocks, or a model of a single block.
    """
    inner = plugin.make(MODELS, model, plugin.options(json.loads(options)), shape, classes)
    blocks = len(blocks_of(inner))
    if blocks == 1:
        raise SpecError(
            f'model "{model}" is one block and has no room for exits',
            remedy="Choose a model with more, such as mlp or small_cnn.",
        )
    after = exits or spread(blocks)
    if list(after) != sorted(set(after)) or not 0 < after[0] <= after[-1] <= blocks:
        raise SpecError(
            f'model "{model}" has {blocks} blocks and cannot have exits after {list(after)}',
            remedy=f"Name blocks in order, from 1 to {blocks}.",
        )
    return _Exits(inner, shape, classes, after)


def spread(blocks: int, count: int = _EXITS) -> tuple[int, ...]:
    """Exits of a model of so many blocks, the classifier's included: at most `count`.

    The blocks before the classifier are dealt into equal parts, as far as possible, with an exit
    after each; the last exit is the model's own.

    >>> spread(4), spread(11), spread(3)
    ((1, 2, 4), (2, 5, 8, 11), (1, 3))
    """
    hidden = blocks - 1
    count = min(count, hidden)
    ends = [round(part * hidden / count) for part in range(1, count)]
    return (*ends, blocks)


class _Exits(nn.Module):
    def __init__(
        self, inner: nn.Module, shape: tuple[int, ...], classes: int, after: tuple[int, ...]
    ) -> None:
        super().__init__()
        blocks = blocks_of(inner)
        whole = len(blocks)
        inner.eval()
        with torch.no_grad():
            sizes = [given.shape[1] for given in passed(inner, torch.zeros(2, *shape))]
        inner.train()
        paths = [step for block in blocks[: after[-1]] for step in block if isinstance(step, str)]
        self._steps = tuple(steps_of(inner, block) for block in blocks[: after[-1]])
        self._after = after
        for name, child in inner.named_children():
            self.add_module(name, child)
        keep(self, paths)
        self.exits = nn.ModuleDict(
            {str(at): nn.Linear(sizes[at], classes) for at in after if at < whole}
        )

    def logits(self, x: Tensor) -> list[Tensor]:
        """Those of each exit [batch, classes], the earliest first."""
        given: list[Tensor] = []
        for number, block in enumerate(self._steps, 1):
            for step in block:
                x = step(x)
            if number in self._after:
                name = str(number)
                given.append(self.exits[name](_features(x)) if name in self.exits else x)
        return given

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the logits of all exits."""
        return torch.stack(self.logits(x)).mean(0)


def _features(x: Tensor) -> Tensor:
    """The mean of every channel over space."""
    return x.flatten(2).mean(2) if x.dim() > 2 else x
