"""Any chain of blocks with layers of low rank: two thin layers in place of one.

The kernels of a k x k convolution from I to O channels are a matrix A of k O rows and k I columns:
row o k + y, column i k + x holds kernel o, channel i, height y, width x. In its place stands U V of
rank r = max(round(O / factor), 1): first V, r kernels of 1 x k, with the convolution's stride and
padding across, then U, O kernels of k x 1, with those down, and its bias. That is k r (I + O)
values instead of k^2 I O. A hidden linear layer from I to O features becomes two of r (I + O).

Which layers stay as they are: the first block (the stem), the classifier, convolutions of 1 x 1 or
in groups; of ResNet-18 the first block of stage 1, of ResNet-34 stages 1 and 2; with factors above
128 stage 1 of both, above 256 none but stem and classifier. Source: Yao et al., "FedHM: Efficient
Federated Learning for Heterogeneous Models via Low-rank Factorization", arXiv 2111.14655, and its
code (github.com/YXShi2000/FedHM). Assumed: the stem and the classifier for all models, linear
layers, and that a layer which would not get smaller stays as it is.
"""

from __future__ import annotations

import json
from collections import OrderedDict

import torch
from torch import nn

from hetsim.core.errors import SpecError
from hetsim.core.registry import MODELS
from hetsim.learn import plugin
from hetsim.learn.models._chain import Chain, blocks_of

_FULL = {"resnet18": ("layer1.0",), "resnet34": ("layer1", "layer2")}
"""Submodules that stay as they are, with factors up to `_MODERATE`."""
_MODERATE, _HIGH = 128, 256


def low_rank(
    shape: tuple[int, ...],
    classes: int,
    *,
    model: str = "small_cnn",
    options: str = "{}",
    factor: int = 2,
) -> nn.Module:
    """A model whose layers have about 1 / `factor` of their rank.

    What the factors start from has the variance that the layer's own weights would start with
    (assumed; `hetsim.learn.ops.factorised` starts them from a model).

    Args:
        shape: of a sample.
        classes: how many it tells apart.
        model: name of the model.
        options: of the model, a mapping in JSON.
        factor: outputs of a layer over its rank; 1 leaves the model as it is.

    Raises:
        SpecError: a factor below 1, or a model that is no chain of blocks.
    """
    if factor < 1:
        raise SpecError(f"factor is {factor}", remedy="Choose 1 (the whole model) or more.")
    inner = plugin.make(MODELS, model, plugin.options(json.loads(options)), shape, classes)
    if factor == 1:
        return inner
    if not isinstance(inner, Chain | nn.Sequential):
        raise SpecError(
            f'model "{model}" is no chain of blocks, and its layers keep their rank',
            remedy="Choose another one, such as small_cnn or resnet18.",
        )
    for path in _thinned(inner, model, factor):
        parent, _, name = path.rpartition(".")
        layer = inner.get_submodule(path)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        setattr(inner.get_submodule(parent), name, Factors(layer, _rank(layer, factor)))
    if isinstance(inner, Chain):
        inner.blocks = inner.blocks
    return inner


class Factors(nn.Sequential):
    """Two layers that stand in place of one: `v`, the first, gives as many outputs as the rank."""

    u: nn.Conv2d | nn.Linear
    v: nn.Conv2d | nn.Linear

    def __init__(self, layer: nn.Conv2d | nn.Linear, rank: int) -> None:
        biased = layer.bias is not None
        if isinstance(layer, nn.Linear):
            first: nn.Module = nn.Linear(layer.in_features, rank, bias=False)
            second: nn.Module = nn.Linear(rank, layer.out_features, bias=biased)
        else:
            height, width = layer.kernel_size
            down, across = layer.stride
            assert not isinstance(layer.padding, str)
            low, side = layer.padding
            first = nn.Conv2d(
                layer.in_channels, rank, (1, width), (1, across), (0, side), bias=False
            )
            second = nn.Conv2d(
                rank, layer.out_channels, (height, 1), (down, 1), (low, 0), bias=biased
            )
        super().__init__(OrderedDict(v=first, u=second))
        with torch.no_grad():
            spread = (layer.weight.square().mean().double() / rank) ** 0.25
            for each in (self.u.weight, self.v.weight):
                each.normal_().mul_(spread)
            if layer.bias is not None:
                self.u.bias = nn.Parameter(layer.bias.clone())


def _thinned(inner: nn.Module, model: str, factor: int) -> list[str]:
    """Paths of the layers that are factorised."""
    stem = [step for step in blocks_of(inner)[0] if isinstance(step, str)]
    if factor <= _MODERATE:
        stem += _FULL.get(model, ())
    elif factor <= _HIGH and model in _FULL:
        stem.append("layer1")
    weighty = [
        (path, layer) for path, layer in inner.named_modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    ]  # fmt: skip
    return [
        path for path, layer in weighty[:-1]
        if not any(f"{path}.".startswith(f"{full}.") for full in stem)
        and _smaller(layer, _rank(layer, factor))
    ]  # fmt: skip


def _rank(layer: nn.Module, factor: int) -> int:
    """Of a layer's factors."""
    outputs = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    assert isinstance(outputs, int)
    return max(round(outputs / factor), 1)


def _smaller(layer: nn.Module, rank: int) -> bool:
    """Whether a layer can be factorised, and two factors of that rank have fewer values."""
    if isinstance(layer, nn.Linear):
        return rank * sum(layer.weight.shape) < layer.weight.numel()
    if not isinstance(layer, nn.Conv2d):
        return False
    height, width = layer.kernel_size
    plain = (
        height == width > 1 and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    )  # fmt: skip
    factors = rank * (width * layer.in_channels + height * layer.out_channels)
    return plain and factors < layer.weight.numel()
