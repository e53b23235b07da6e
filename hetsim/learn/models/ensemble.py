"""Several models side by side, which answer by the mean of their logits.

Members are of one kind and share nothing; each has first weights of its own. The base networks of
Split-Mix (Hong, Wang, Wang, Zhou, "Efficient Split-Mix Federated Learning for On-Demand and In-Situ
Customization", ICLR 2022, code github.com/illidanlab/SplitMix) are such, each a narrow copy of a
network; they start as if every layer but the first, which sees the samples, still had the inputs of
the wide one: torch draws first weights and biases within 1 / sqrt(inputs), so those of a network of
a share w of the channels are multiplied by sqrt(w), which is what `gain` is for.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from hetsim.core.registry import MODELS
from hetsim.learn import plugin
from hetsim.learn.models._shape import positive


def ensemble(
    shape: tuple[int, ...],
    classes: int,
    *,
    model: str = "small_cnn",
    options: str = "{}",
    members: int = 2,
    gain: float = 1.0,
) -> nn.Module:
    """Members of one kind.

    Args:
        shape: of a sample.
        classes: how many they tell apart.
        model: name of the model that each of them is.
        options: of the model, a mapping in JSON.
        members: how many.
        gain: what the first weights and biases of each layer but the first are multiplied by.
    """
    positive(members=members, gain=gain)
    given = plugin.options(json.loads(options))
    built = [plugin.make(MODELS, model, given, shape, classes) for _ in range(members)]
    for member in built:
        _multiply(member, gain)
    return _Ensemble(built)


class _Ensemble(nn.Module):
    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the logits of all members."""
        return torch.stack([member(x) for member in self.members]).mean(0)


def _multiply(model: nn.Module, gain: float) -> None:
    """Weights and biases of layers with a matrix, but for the first one's, by a number."""
    layers = [each for each in model.modules() if isinstance(each, _WEIGHTY)]
    with torch.no_grad():
        for layer in layers[1:] if gain != 1.0 else ():
            for parameter in layer.parameters():
                parameter.mul_(gain)


_WEIGHTY = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
