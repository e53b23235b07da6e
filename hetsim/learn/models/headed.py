"""The first blocks of any model, and a head of its own: what a device has that holds no more.

The tensors of the blocks have the names and shapes that they have in the model, so what is learned
in them is of use to it; those of the head begin with `head` and belong to nobody else. Behind
pictures or signals, which are halved unless the last block has just made them smaller, the head is
a linear layer of `hidden` features and, without an activation between the two, one of the classes;
behind features it is the latter alone. So are the smaller networks of FedLP (Zhu et al., "FedLP:
Layer-wise Pruning Mechanism for Communication-Computation Efficient Federated Learning", ICC 2023,
arXiv 2303.06360, code github.com/Zhuzzq/FedLP), whose smallest one has the most values: its head
sees the largest pictures.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.learn import plugin
from hetsim.learn.models._chain import Chain, blocks_of, flat, halve, part_of, passed
from hetsim.learn.models._shape import positive

_HEAD = "head"


def headed(
    shape: tuple[int, ...],
    classes: int,
    *,
    model: str = "small_cnn",
    options: str = "{}",
    blocks: int = 1,
    hidden: int = 128,
) -> nn.Module:
    """The first blocks of a model, with a head.

    Args:
        shape: of a sample.
        classes: how many it tells apart.
        model: name of the model.
        options: of the model, a mapping in JSON.
        blocks: how many of its first blocks.
        hidden: features of the head's first layer, behind pictures and signals.

    Raises:
        SpecError: there are no such blocks but the last, or one of them is called `head` too.
    """
    positive(hidden=hidden)
    inner = plugin.make(MODELS, model, plugin.options(json.loads(options)), shape, classes)
    count = len(blocks_of(inner))
    if not 0 < blocks < count:
        raise SpecError(
            f'model "{model}" has {count} blocks and cannot have a head after block {blocks}',
            remedy=f"Keep 1 to {count - 1} of its blocks." if count > 1
            else "Choose a model with more, such as mlp or small_cnn.",
        )  # fmt: skip
    inner.eval()
    with torch.no_grad():
        given = list(passed(inner, torch.zeros(2, *shape)))
    front = part_of(inner.train(), 0, blocks)
    if _HEAD in dict(front.named_children()):
        raise SpecError(
            f'the first {blocks} blocks of model "{model}" have a part called "{_HEAD}" themselves',
            remedy="Keep fewer of its blocks, or choose another model.",
        )
    return _Headed(front, given[blocks - 1], given[blocks], classes, hidden)


def depths(blocks: int, pictures: int) -> tuple[int, ...]:
    """Blocks kept by devices that hold a model of so many, the most first; all, then at most four.

    Below the whole model it goes down from one block less than those that give pictures, or, if
    none does, than all but the last, by one block at a time or a fifth of them: the levels of
    FedLP's two networks, and of others likewise (assumed).

    >>> depths(8, 6), depths(6, 0), depths(4, 2), depths(29, 28)
    ((8, 5, 4, 3, 2), (6, 4, 3, 2, 1), (4, 1), (29, 23, 18, 13, 8))
    """
    body = pictures or blocks - 1
    step = max(1, body // (_SMALLER + 1))
    return (blocks, *(kept for times in range(_SMALLER) if (kept := body - step * (times + 1)) > 0))


_SMALLER = 4
"""Levels below the whole model."""


class _Headed(Chain):
    def __init__(
        self, front: nn.Module, before: Tensor, given: Tensor, classes: int, hidden: int
    ) -> None:
        super().__init__()
        for name, child in front.named_children():
            self.add_module(name, child)
        pictures = given.dim() > 2
        pooled = (_halve,) if pictures and given.shape[-1] == before.shape[-1] else ()
        features = (_halve(given) if pooled else given)[0].numel()
        widths = (features, hidden, classes) if pictures else (features, classes)
        self.head = nn.Sequential(*map(nn.Linear, widths, widths[1:]))
        self.blocks = (*blocks_of(front), (*pooled, flat, _HEAD))


def _halve(x: Tensor) -> Tensor:
    """Pictures as others do, signals along time."""
    return halve(x) if x.dim() == 4 else F.max_pool1d(x, 2, ceil_mode=True)
