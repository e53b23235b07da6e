"""A model some of whose layers are another one's: how a run starts from pre-trained parts.

The layers are the first blocks, or all but the classifier, which is the last layer that has
parameters: the other model may know other classes. A block is a weight layer (convolution, linear
layer) with the normalisation after it, or a residual block as a whole (Wu et al., EcoFed, count
so). A layer takes its weights, biases and running statistics along.

The two models may differ in the channels of a sample. What sees the samples is then adapted so that
a grey picture g and the same picture in n equal channels give the same, by

    sum_c W_c g    (n channels to one),    sum_c (W / n) g    (one channel to n)

Any other difference in shape is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.resident import Resident

Shape = tuple[int, ...]


def transfer(model: Ref[State], origin: Ref[State], *, blocks: int | None = None) -> Ref[State]:
    """`model` with the first `blocks` blocks of `origin`; by default with all but the classifier.

    Raises:
        SpecError: these models have no such layers in common.
    """
    into, source = model_arch(model), model_arch(origin)
    layers = transferred(into, source, blocks)
    size = model.nbytes
    return Ref.of(
        "transfer",
        model,
        origin,
        nbytes=size,
        cost=Cost(traffic=2 * size, memory=2 * size),
        arch=into.text,
        layers=layers,
    )


def transferred(
    into: Architecture, source: Architecture, blocks: int | None = None
) -> tuple[str, ...]:
    """Names of the layers that `transfer` takes over.

    Raises:
        SpecError: there are none, or they do not fit.
    """
    there = blocks_of(into)
    if blocks is None:
        features = [layer for block in there for layer in block][:-1]
    elif 1 <= blocks <= len(there) - 1:
        features = [layer for block in there[:blocks] for layer in block]
    else:
        raise SpecError(
            f'model "{into.name}" has {len(there)} blocks, of which {blocks} cannot be pre-trained',
            remedy=f"Choose 1 to {len(there) - 1}." if len(there) > 1 else _OTHER_MODEL,
        )
    if not features:
        raise SpecError(
            f'model "{into.name}" has nothing but a classifier: no part of it can be pre-trained',
            remedy=_OTHER_MODEL,
        )
    mine, theirs = _shapes(into), _shapes(source)
    for name, shape in mine.items():
        if name.rpartition(".")[0] not in features:
            continue
        given = theirs.get(name, ())
        if given != shape and not (name == next(iter(mine)) and _adaptable(given, shape)):
            raise SpecError(
                f'layer "{name}" of model "{into.name}" is {_words(shape)}, and pre-trained on '
                f"samples of {_words(source.shape)} it is {_words(given)}",
                remedy="Choose a model that takes pictures of any size (resnet8, mobilenetv2), or "
                "a source whose samples have the shape of the task's.",
            )
    return tuple(features)


_OTHER_MODEL = "Choose a model with more layers, such as mlp or small_cnn."


@lru_cache(maxsize=256)
def blocks_of(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """Names of the layers that have parameters, block by block, in order."""
    with chance(0):
        module = architecture.build()
    known = {layer.name for layer in measure(architecture).layers if layer.parameters}
    blocks: list[tuple[str, ...]] = []
    for path, part in _units("", module):
        layers = tuple(
            ".".join(filter(None, (path, name))) for name, _ in part.named_modules()
        )  # fmt: skip
        layers = tuple(name for name in layers if name in known)
        weighty = any(parameter.dim() > 1 for parameter in part.parameters())
        if blocks and not weighty:
            blocks[-1] += layers
        elif layers:
            blocks.append(layers)
    return tuple(blocks)


def _units(path: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """What a model does one after the other: its children, those of sequences in their place."""
    units: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        inner = f"{path}.{name}" if path else name
        units += _units(inner, child) if isinstance(child, nn.Sequential) else [(inner, child)]
    return units or [(path, module)]


@lru_cache(maxsize=256)
def _shapes(architecture: Architecture) -> dict[str, Shape]:
    with chance(0):
        state = architecture.build().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _adaptable(given: Shape, shape: Shape) -> bool:
    """Whether they are kernels that differ in whether samples are grey."""
    same = len(given) == len(shape) > 2 and (given[0], *given[2:]) == (shape[0], *shape[2:])
    return same and 1 in (given[1], shape[1])


def _words(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "not there"


def _adapted(tensor: Tensor, shape: torch.Size) -> Tensor:
    if tensor.shape == shape:
        return tensor.clone()
    if shape[1] == 1:
        return tensor.sum(1, keepdim=True)
    return (tensor / shape[1]).expand(shape).clone()


def _transfer(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    model, origin = inputs
    layers = set(ref.arg("layers"))
    return {
        name: _adapted(origin[name], tensor.shape)
        if name.rpartition(".")[0] in layers
        else tensor.clone()
        for name, tensor in model.items()
    }


TRANSFER = Operation(compute=_transfer, light=True)
