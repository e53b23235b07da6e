"""SPATL's traffic and operations, from networks that are built and counted, beside its figures.

Yu et al., SC 2022, arXiv 2111.14345. What ten clients send until an accuracy is reached follows
from the printed rounds and megabytes,

    total = rounds * 10 * MB / D,

with D = 1024 in some rows of Table I and 1000 in others. True bytes of a client's round follow from
the parameters: 8 a parameter in FedAvg and FedProx (float32, down and up), 16 in SCAFFOLD (with its
variates). FedNova sends a model and one number, 8 a parameter, and is charged twice as many there.

If every convolution keeps a share p of its channels, the agent's formula of operations becomes
F_1 p + (F - F_1) p^2, whose root is the share that saves a given part of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from hetsim.core.quantities import Fraction
from hetsim.federation.price import Convolutions, convolutional, counts
from hetsim.study.comparisons import _spatl_published as published
from hetsim.study.comparisons._beside import beside
from hetsim.study.comparisons._spatl_published import LINES, Line

_CLIENTS, _CLASSES = 10, 10
_PHOTO, _IMAGE = (3, 32, 32), (1, 28, 28)
_MEGA = 1e6
_DIVISORS = (1024, 1000)
_BYTES = {"fedavg": 8, "fedprox": 8, "fednova": 8, "scaffold": 16}
"""Of a parameter and client's round."""
_PASSES = 3
"""Forward passes that training on a sample takes: one, and two for the gradients."""
_KEPT = 0.7752
"""Share of every layer that saves what the abstract says of VGG-11."""
_SHORT = (3, 500)
"""Episodes of a pre-trained agent, and samples of a client's own that each is scored on."""


class _Network(NamedTuple):
    """A network of the authors.

    Attributes:
        model: by name.
        shape: of a sample.
        options: of the model.
        encoder: blocks that are shared in the authors' code: no stem, where there is one.
    """

    model: str
    shape: tuple[int, ...]
    options: Mapping[str, Any]
    encoder: tuple[int, int]


_TITLES = {"resnet20": "ResNet-20", "resnet32": "ResNet-32", "vgg11_plain": "VGG-11"}
_NETWORKS = (
    _Network("resnet20", _PHOTO, {}, (1, 10)),
    _Network("resnet32", _PHOTO, {}, (1, 16)),
    _Network("vgg11_plain", _PHOTO, {}, (0, 8)),
    _Network("lenet5", _PHOTO, {"padding": 0}, (0, 2)),
    _Network("lenet5", _IMAGE, {"padding": 0}, (0, 2)),
)


def salient(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Networks, Table I, claims, shares of channels, and what choosing them takes.

    Args:
        measured: not needed.
    """
    return {
        "spatl_networks": [_network(each) for each in _NETWORKS],
        "spatl_traffic": [_line(each) for each in LINES],
        "spatl_claims": list(_claims()),
        "spatl_shares": [row for each in _NETWORKS[:3] for row in _shares(each)],
        "spatl_selection": list(_selection()),
    }


@cache
def _parameters(model: str) -> int:
    return counts(model, _PHOTO, _CLASSES).parameters


def _network(network: _Network) -> Mapping[str, Any]:
    model, shape, options, (first, last) = network
    whole = counts(model, shape, _CLASSES, options=options)
    encoder, stemmed = (
        counts(model, shape, _CLASSES, options=options, blocks=(start, last))
        for start in (first, 0)
    )
    layers = _layers(network)
    return {
        "network": model, "sample": " x ".join(map(str, shape)),
        "parameters": whole.parameters, "encoder": encoder.parameters,
        "encoder_with_stem": stemmed.parameters,
        "convolutions": layers.layers, "channels": layers.channels,
        "convolution_multiply_adds": layers.multiply_adds,
        "linear_multiply_adds": whole.multiply_adds - layers.multiply_adds,
        "agent_flops": layers.flops,
        "fedavg_b": _BYTES["fedavg"] * whole.parameters,
        "scaffold_b": _BYTES["scaffold"] * whole.parameters,
        "channel_map_b": layers.channels / 8,
    }  # fmt: skip


def _layers(network: _Network, share: Fraction = 1.0) -> Convolutions:
    model, shape, options, _ = network
    return convolutional(model, shape, _CLASSES, share=share, options=options)


def _line(line: Line) -> Mapping[str, Any]:
    """A row of Table I from its rounds and megabytes; and, where they are known, true bytes."""
    totals = {divisor: line.rounds * _CLIENTS * line.mb / divisor for divisor in _DIVISORS}
    divisor = min(totals, key=lambda each: abs(totals[each] - line.gb))
    base = next(each for each in LINES if (each.method, each.model) == ("fedavg", line.model))
    scaffold = next(each for each in LINES if (each.method, each.model) == ("scaffold", line.model))
    per_parameter = _BYTES.get(line.method)
    exact = per_parameter * _parameters(line.model) / _MEGA if per_parameter else None
    return {
        "method": line.method, "model": line.model, "rounds": line.rounds,
        "mb_published": line.mb, "divisor": divisor,
        **beside(totals[divisor], line.gb, "total_gb"),
        "total_gb_1024": totals[1024],
        **beside(round(line.gb - base.gb, 2), line.more_gb, "more_gb"),
        **beside(base.gb / line.gb, line.speedup, "speedup"),
        "exact_mb": exact,
        "mb_error_percent": round(100.0 * (line.mb / exact - 1.0), 1) if exact else None,
        "exact_total_gb": line.rounds * _CLIENTS * exact / 1e3 if exact else None,
        "of_scaffold": line.mb / scaffold.mb if line.method == "spatl" else None,
        "source": published.TABLE_SOURCE,
    }  # fmt: skip


def _claims() -> Iterator[Mapping[str, Any]]:
    """What the abstracts say, from the rows of Table I that it follows from."""
    gb = {(line.method, line.model): line.gb for line in LINES}
    once = {(line.method, line.model): line.rounds * _CLIENTS * line.mb / 1024 for line in LINES}
    small, large = "resnet20", "vgg11_plain"
    spatl, nova = gb["spatl", small], gb["fednova", small]

    def claim(
        what: str, ours: float, printed: float | None, source: str, note: str = ""
    ) -> Mapping[str, Any]:
        return {"claim": what, **beside(ours, printed), "source": source, "note": note}

    abstract, first, table = published.ABSTRACT, published.FIRST_ABSTRACT, published.TABLE_SOURCE
    beside_nova = "beside FedNova, which is charged twice what it sends"
    less = 100.0 * (1.0 - spatl / nova)
    yield claim("less sent, %", less, published.LESS_PERCENT, abstract, beside_nova)
    yield claim(
        "times less sent, ResNet-20", nova / spatl, published.LESS_TIMES, abstract, beside_nova
    )
    for other, printed in (("fedavg", 3.78), ("scaffold", None)):
        times = gb[other, small] / spatl
        yield claim(f"times less sent than {other}, ResNet-20", times, printed, table)
    for model in _TITLES:
        yield claim(
            f"times less sent than fedavg, {_TITLES[model]}, one divisor",
            once["fedavg", model] / once["spatl", model],
            next(each.speedup for each in LINES if (each.method, each.model) == ("spatl", model)),
            table, "printed totals are over 1024 of one and over 1000 of the other",
        )  # fmt: skip
    for other in ("fedavg", "fednova"):
        yield claim(
            f"GB saved beside {other}, VGG-11", round(gb[other, large] - gb["spatl", large], 2),
            published.FIRST_SAVED_GB, first, "does not follow from Table I",
        )  # fmt: skip
    yield claim("times less sent, ResNet-20, first version", nova / spatl, published.FIRST_TIMES,
                first, "does not follow from Table I")  # fmt: skip
    kept = _layers(_NETWORKS[2], _KEPT)
    yield claim(
        f"operations saved by keeping {_KEPT} of every layer of VGG-11, %",
        100.0 * (1.0 - kept.kept / kept.flops), published.SAVED_PERCENT, abstract,
        "the share is derived",
    )  # fmt: skip


def _shares(network: _Network) -> Iterator[Mapping[str, Any]]:
    """The share of every layer's channels that saves a part of the operations."""
    layers = _layers(network)
    others = layers.flops - layers.first
    for saved in (0.2, published.SAVED_PERCENT / 100.0, 0.5):
        left = (1.0 - saved) * layers.flops
        share = (sqrt(layers.first**2 + 4.0 * others * left) - layers.first) / (2.0 * others)
        yield {"network": network.model, "saved": saved, "share": share}


def _selection() -> Iterator[Mapping[str, Any]]:
    """Multiply-adds of choosing channels beside those of training, a client's round."""
    work = counts("resnet20", _PHOTO, _CLASSES).multiply_adds
    training = _PASSES * work * published.EPOCHS * published.SAMPLES
    for what, (episodes, samples) in (
        ("defaults of the code", (published.EPISODES, published.VALIDATED)),
        ("pre-trained, a tenth of the client's own", _SHORT),
    ):
        choosing = episodes * samples * work
        yield {
            "agent": what, "episodes": episodes, "samples": samples, "training": training,
            "choosing": choosing, "choosing_over_training": choosing / training,
        }  # fmt: skip
