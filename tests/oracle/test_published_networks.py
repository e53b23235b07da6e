"""The counts of published networks, made again from their definitions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.operators import Operators, Tally
from hetsim.study.published_networks import NETWORKS, TINY
from tests.oracle import published_networks as published

FLOAT = 4
HIDDEN, WORDS = 256, 250
NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "resnet50": (lambda: published.resnet50(1000), (3, 224, 224)),
    "resnet18": (lambda: published.resnet18(2), (3, 224, 224)),
    "vitb16": (lambda: published.ViT(32, 10), (3, 32, 32)),
    "bidirectionallstm": (lambda: published.BiLstm(25_002, 100, HIDDEN), (WORDS,)),
    "shufflenetv2": (lambda: published.shufflenetv2(100), (3, 32, 32)),
    "squeezenet": (lambda: published.squeezenet(10), (3, 32, 32)),
    "mobilenetv3": (lambda: published.mobilenetv3_small(10), (3, 32, 32)),
    "ncf movielens1m": (lambda: published.NeuMf(6040, 3706, 32), (2,)),
}
SLOW = {"resnet50"}
LSTM_WEIGHTS = 2 * 4 * HIDDEN * ((100 + HIDDEN) + (2 * HIDDEN + HIDDEN))


class Flops:
    """Of all convolutions, matrix products, attentions and LSTMs that a module runs."""

    def __init__(self, module: nn.Module) -> None:
        self.total, self.first = 0, 0
        self.learned_input = any(isinstance(each, nn.Embedding) for each in module.modules())
        self.hooks = [each.register_forward_hook(self.see) for each in module.modules()]

    def forget(self) -> None:
        """See nothing any more."""
        for hook in self.hooks:
            hook.remove()

    def see(self, layer: nn.Module, inputs: tuple[Tensor, ...], out: Any) -> None:
        match layer:
            case nn.Conv2d():
                flops = 2 * out.numel() * layer.weight.numel() // layer.out_channels
            case nn.Linear():
                flops = 2 * out.numel() * layer.in_features
            case nn.LSTM():
                weights = sum(p.numel() for n, p in layer.named_parameters() if "weight" in n)
                flops = 2 * weights * inputs[0].shape[0] * inputs[0].shape[1]
            case published.Attention():
                batch, tokens, width = inputs[0].shape
                flops = 4 * batch * tokens * tokens * width
            case _:
                return
        self.first = self.first or flops
        self.total += flops

    @property
    def training(self) -> int:
        """Twice more backwards, but once for a first layer whose input is data."""
        return 3 * self.total - (0 if self.learned_input else self.first)


Counts = dict[str, float]


def counted(module: nn.Module, shape: tuple[int, ...]) -> Counts:
    """What `Network` holds, from training on two and on three samples."""
    torch.set_num_threads(1)
    module.train()
    tallies: list[Tally] = []
    for batch in (2, 3):
        flops = Flops(module)
        x, y = torch.zeros(batch, *shape), torch.zeros(batch, dtype=torch.long)
        with Operators() as operators:
            loss = F.cross_entropy(module(x), y)
            torch.autograd.grad(loss, list(module.parameters()))
        flops.forget()
        tallies.append(operators.tally)
    two, three = tallies
    growing = three.traffic - two.traffic
    parameters = list(module.parameters())
    return {
        "forward": flops.total / 3, "training": flops.training / 3, "operators": two.launches,
        "fixed": two.traffic - 2 * growing, "growing": growing,
        "parameters": sum(p.numel() for p in parameters) * FLOAT, "tensors": len(parameters),
    }  # fmt: skip


def agree(name: str, counts: Counts) -> None:
    stated = {key: getattr(NETWORKS[name], key) for key in counts}
    assert stated == pytest.approx(counts, rel=1e-3)
    for exact in ("forward", "training", "operators", "parameters", "tensors"):
        assert stated[exact] == counts[exact], exact


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NETS]
)
def test_counts(name: str) -> None:
    build, shape = NETS[name]
    counts = counted(build(), shape)
    if name == "bidirectionallstm":
        counts["fixed"] += 4 * WORDS * LSTM_WEIGHTS * FLOAT
        counts["operators"] += 5 * WORDS * 4 - 4  # of two directions in two layers
    agree(name, counts)
    assert NETWORKS[name].size in (0, shape[-1])


@pytest.mark.parametrize(
    ("data", "tokens"), [("sentiment140", 37), pytest.param("squad", 384, marks=pytest.mark.slow)]
)
def test_counts_of_bert(data: str, tokens: int) -> None:
    """Every one of its twelve layers takes what the second one does."""
    one, two = (counted(published.Bert(layers), (tokens,)) for layers in (1, 2))
    agree(f"bertbase {data}", {key: one[key] + 11 * (two[key] - one[key]) for key in one})


def test_every_network_is_counted() -> None:
    assert set(NETWORKS) == {*NETS, "bertbase sentiment140", "bertbase squad"}


def test_published_figures() -> None:
    """What papers and model cards say of the same networks, in millions."""
    assert NETWORKS["resnet50"].forward / 2e6 == pytest.approx(4089, abs=1)
    assert NETWORKS["resnet50"].parameters / 4e6 == pytest.approx(25.56, abs=0.01)
    assert NETWORKS["resnet18"].forward / 2e6 == pytest.approx(1814, abs=1)
    assert NETWORKS["mobilenetv3"].parameters / 4e6 == pytest.approx(2.54 - 1.01, abs=0.02)
    for data in ("sentiment140", "squad"):
        assert NETWORKS[f"bertbase {data}"].parameters / 4e6 == pytest.approx(109, abs=1)
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    macs = sum(a * b for a, b in pairwise(sizes))
    assert TINY["anomalydetection"].forward == 2 * macs, "ten layers of nodes, all dense"
