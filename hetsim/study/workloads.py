"""What a measured workload takes, from the words in which it is described.

Training of a network is counted as hetsim counts its own models, and the update adds the operators
and bytes of its rule: for each value, plain SGD touches 3 values in 1 operator a tensor, momentum 8
in 3, Adam 18 in 8, Adadelta 27 in 11 (their definitions, one tensor after the other).

A layer alone is counted by hand. With W bytes of weights, a step of a dense layer takes 6 flops a
weight and sample and moves 6 W bytes (read forward and backward, gradient written and read, weight
read and written). An LSTM does this at each of T instants, on 4 (in + out) out weights, but updates
once: (4 T + 2) W bytes. An embedding computes nothing and moves 4 W bytes, its gradient and its
update being dense.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Literal

from hetsim.core.cost import Cost
from hetsim.core.registry import MODELS
from hetsim.study.measurements import Measurement
from hetsim.study.published_networks import NETWORKS, TINY, Network

Family = Literal["training", "layer", "inference", "Linpack", "CoreMark", "cellular"]

_FLOAT = 4.0
_UPDATES = {"adadelta": (11, 27), "adam": (8, 18), "adamw": (8, 18), "momentum": (3, 8)}
"""Operators a tensor, and values touched a value; any other optimiser counts as plain SGD."""
_SGD = (1, 3)
_SAMPLES = {
    "tinyimagenet": 100_000, "imagenet": 1_281_167, "cifar100": 50_000, "cifar10": 50_000,
    "fashionmnist": 60_000, "mnist": 60_000, "imdb": 25_000, "squad": 88_524,
    "sentiment140": 1_600_000, "movielens1m": 5 * (1_000_209 - 6040),
}  # fmt: skip
"""Training samples of public data sets; a longer name stands before one that it contains. Of
MovieLens-1M each of 6040 users leaves one rating out, and four negatives are drawn for each of the
others (He et al., WWW 2017, section 4.1)."""
_SHAPES = {
    "imagenet": (3, 224, 224), "cifar": (3, 32, 32), "mnist": (1, 28, 28),
}  # fmt: skip
_UNSTATED = {
    "bert": "the number of tokens is not stated",
    "deepspeech": "hours of speech, kind of cell and precision are not stated",
    "resnet": "which ResNet it is, is not stated",
}
"""What descriptions of known networks leave open."""
_CLASSES = {"tinyimagenet": 200, "imagenet": 1000, "cifar100": 100}
_INT8 = 21.811 / 8.05
"""Int8 over float inferences a second of one Cortex-M board, NUCLEO_H7A3ZI
(github:mlcommons/tiny_results_v1.2@cadb362:closed/bosch): profiles hold the speed of float."""


class NotPredictable(Exception):
    """Why a row is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done in one measured unit.

    Attributes:
        family: what kind of thing it is.
        cost: its work; that of Linpack and CoreMark is one flop, for the ratio alone.
        remark: what had to be assumed.
    """

    family: Family
    cost: Cost
    remark: str = ""


def work_of(row: Measurement) -> Work:
    """The work of one unit of `row`.

    Raises:
        NotPredictable: hetsim does not know this workload.
    """
    text = row.workload.lower()
    name = compact(text)
    if re.search(r"\bhpl\b|linpack", text):
        return Work(family="Linpack", cost=Cost(flops=1.0))
    if "coremark" in name:
        return Work(family="CoreMark", cost=Cost(flops=1.0))
    if "iperf" in name:
        return Work(family="cellular", cost=Cost())
    if "mlperftiny" in name:
        return _inference(name)
    if layer := re.search(r"\b(\w+) layer training step", text):
        return _layer(layer[1], text)
    return _training(row, text, name)


def compact(text: str) -> str:
    """A name without what people write differently.

    >>> compact("ResNet-50, CIFAR-10")
    'resnet50cifar10'
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _inference(name: str) -> Work:
    for task, network in TINY.items():
        if task in name:
            cost = Cost(flops=network.forward / _INT8, steps=1, samples=1)
            return Work(family="inference", cost=cost, remark=f"int8 at {_INT8:.2f} x float speed")
    raise NotPredictable("no such task of MLPerf Tiny is counted")


def _layer(kind: str, text: str) -> Work:
    if not re.fullmatch(r"\w*lstm|output|dense|embedding", kind):
        raise NotPredictable(f"no {kind} layer is counted")
    sizes: dict[str, float] = {}
    for key in ("in", "out", "seq", "batch"):
        found = re.search(rf"\b{key}\s*=?\s*(\d+)", text)
        if found:
            sizes[key] = float(found[1])
    if missing := {"in", "out", "batch"} - sizes.keys():
        raise NotPredictable(f"the layer's {' and '.join(sorted(missing))} is not stated")
    rows = sizes["batch"] * sizes.get("seq", 1.0)
    weights = sizes["in"] * sizes["out"]
    moves = 6.0
    if kind.endswith("lstm"):
        weights = 4.0 * (sizes["in"] + sizes["out"]) * sizes["out"]
        moves = 4.0 * sizes.get("seq", 1.0) + 2.0
    elif kind == "embedding":
        rows, moves = 0.0, 4.0
    cost = Cost(
        flops=6.0 * weights * rows, traffic=moves * _FLOAT * weights, steps=1,
        samples=sizes["batch"],
    )  # fmt: skip
    return Work(family="layer", cost=cost)


def _training(row: Measurement, text: str, name: str) -> Work:
    found = re.search(r"batch(?:\s+size)?\s*(?:of\s*)?(\d+)", text)
    if not found:
        raise NotPredictable("no batch size is stated, or no such workload is known")
    batch = int(found[1])
    epochs = re.search(r"\be\s*=\s*(\d+)", text)
    network = next(
        (each for key, each in NETWORKS.items() if all(word in name for word in key.split())), None
    )
    model = max((each for each in MODELS.names() if compact(each) in name), key=len, default="")
    if not (network or model):
        why = (why for key, why in _UNSTATED.items() if key in name)
        raise NotPredictable(next(why, "no network of this name is counted"))
    samples, steps = _amount(row.unit.lower(), text, name, batch, int(epochs[1]) if epochs else 1)
    size = _image_size(text, name)
    if network and (not network.size or size in (0, network.size)):
        return _counted(network, name, samples, steps)
    cost = _registered(model, name, samples, batch, steps) if model else None
    if cost is None and network:
        raise NotPredictable(f"{network.title} is counted for {network.size} x {network.size} only")
    if cost is None:
        raise NotPredictable(f"what {model} is trained on is not known")
    return Work(family="training", cost=cost)


def _counted(network: Network, name: str, samples: int, steps: int) -> Work:
    rule = next((rule for key, rule in _UPDATES.items() if key in name), _SGD)
    operators, touched = rule
    cost = Cost(
        flops=network.training * samples,
        traffic=steps * (network.fixed + touched * network.parameters) + samples * network.growing,
        steps=steps,
        samples=samples,
        operators=steps * (network.operators + operators * network.tensors),
    )
    return Work(family="training", cost=cost, remark=network.remark)


def _registered(model: str, name: str, samples: int, batch: int, steps: int) -> Cost | None:
    """Of a model that hetsim has, if it knows the shape of its data."""
    shape = next((shape for key, shape in _SHAPES.items() if key in name), None)
    if shape is None:
        return None
    from hetsim.federation.price import training

    classes = next((count for key, count in _CLASSES.items() if key in name), 10)
    return training(model, shape, classes, samples=samples, batch=batch, steps=steps)


def _amount(unit: str, text: str, name: str, batch: int, epochs: int) -> tuple[int, int]:
    """Samples and steps of one unit."""
    number = re.search(r"(\d[\d,]*)\s*(samples|images)", unit)
    if number:
        samples = int(number[1].replace(",", ""))
        return samples, epochs * ceil(samples / epochs / batch)
    if re.search(r"batch|step", unit) and "epoch" not in unit:
        count = re.search(r"\d+", unit)
        steps = int(count[0]) if count else 1
        return steps * batch, steps
    if "epoch" not in unit:
        raise NotPredictable(f'how much "{unit or "one unit"}" is, is not stated')
    count = re.match(r"(\d+)", unit)
    times = int(count[1]) if count else 1
    if steps := re.search(r"(\d[\d,]*)\s*(?:batches|steps)", unit):
        each = int(steps[1].replace(",", ""))
        return times * each * batch, times * each
    if number := re.search(r"(\d[\d,]*)\s*(?:images|samples)", text):
        samples = int(number[1].replace(",", ""))
    else:
        known = (size for key, size in _SAMPLES.items() if key in name)
        samples = next(known, 0)
    if not samples:
        raise NotPredictable("the size of the data set is not known")
    return times * samples, times * ceil(samples / batch)


def _image_size(text: str, name: str) -> int:
    """Width of the images: as stated, else that of the data set; 0 if neither is known."""
    stated = re.search(r"(?:image size|resized to)\s*(\d+)|\b(\d+)\s*x\s*\2\b", text)
    if stated:
        return int(stated[1] or stated[2])
    return next((shape[-1] for key, shape in _SHAPES.items() if key in name), 0)
