"""The one module of an architecture in a process computes what the architecture says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.architecture import Architecture
from hetsim.learn.net import Net
from hetsim.learn.numerics import chance

SHAPE, CLASSES = (3, 16, 16), 4


@pytest.mark.parametrize("width", [0.02, 0.0875, 0.2, 0.5])
def test_narrow_shortcuts_are_what_the_model_says(width: float) -> None:
    """Their strided 1 x 1 convolutions are computed in another way, to the same values."""
    architecture = Architecture.of("resnet18", SHAPE, CLASSES, {"width": width})
    ready = Net(architecture)
    with chance(0):
        plain = architecture.build().double()
    ready.load({name: value.float() for name, value in plain.state_dict().items()})
    strided = [
        layer for layer in ready.module.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.stride != (1, 1)
    ]  # fmt: skip
    assert all(layer.in_channels >= 16 for layer in strided)
    assert len(strided) == sum(round(width * each) >= 16 for each in (64, 128, 256))
    with chance(1):
        x, y = torch.randn(5, *SHAPE), torch.randint(0, CLASSES, (5,))

    def gradients(module: nn.Module, samples: Tensor) -> list[Tensor]:
        loss = F.cross_entropy(module.train()(samples), y)
        return list(torch.autograd.grad(loss, list(module.parameters())))

    for found, expected in zip(
        gradients(ready.module, x), gradients(plain, x.double()), strict=True
    ):
        torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=2e-5)
