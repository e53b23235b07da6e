"""What the authors of FedHM printed of sizes and costs.

Yao et al., "FedHM: Efficient Federated Learning for Heterogeneous Models via Low-rank
Factorization", arXiv 2111.14655: constants and bars of the plotting notebooks among their code
(github.com/YXShi2000/FedHM). The body of the article was not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "notebooks of github.com/YXShi2000/FedHM"
Level = tuple[str, float]
"""("factor", outputs of a layer over its rank; 1 for the whole) or ("width", share of channels)."""

PARAMETERS: Mapping[Level, float] = {
    ("factor", 1): 21.33, ("factor", 2): 8.40, ("factor", 4): 4.99, ("factor", 8): 3.27,
    ("factor", 12): 2.71, ("factor", 64): 1.78, ("factor", 512): 0.29, ("width", 0.64): 8.77,
    ("width", 0.5): 5.35, ("width", 0.4): 3.42, ("width", 0.3): 1.94, ("width", 0.1): 0.22,
}  # fmt: skip
"""Millions, ResNet-34 with 100 classes."""
MULTIPLY_ADDS: Mapping[Level, float] = {
    ("factor", 1): 1162.47, ("factor", 2): 747.24, ("factor", 4): 633.99, ("factor", 8): 577.31,
    ("factor", 12): 557.9,
}  # fmt: skip
"""Millions of a 32 x 32 image, the same network, as ptflops counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What reaching an accuracy took, with everybody's model at one rank factor.

    Attributes:
        data: set and partition.
        network: model and number of classes.
        target: percent of the test samples.
        sent, computed: what the charts call GB, by rank factor.
    """

    data: str
    network: tuple[str, int]
    target: int
    sent: Mapping[int, float]
    computed: Mapping[int, float]


BARS = (
    Bars(
        data="CIFAR-10, IID", network=("resnet18", 10), target=92,
        sent={1: 21.82, 2: 8.45, 4: 4.83, 8: 3.58},
        computed={1: 544.25, 2: 265.61, 4: 189.53, 8: 186.80},
    ),
    Bars(
        data="CIFAR-10, non-IID", network=("resnet18", 10), target=90,
        sent={1: 29.45, 2: 12.59, 4: 6.86, 8: 3.88},
        computed={1: 734.56, 2: 395.74, 4: 269.19, 8: 202.45},
    ),
    Bars(
        data="CIFAR-100, IID", network=("resnet34", 100), target=65,
        sent={1: 29.16, 2: 11.48, 4: 6.82, 8: 4.47, 12: 3.71},
        computed={1: 794.66, 2: 510.81, 4: 433.39, 8: 394.65, 12: 381.38},
    ),
    Bars(
        data="CIFAR-100, non-IID", network=("resnet34", 100), target=65,
        sent={1: 33.33, 2: 11.32, 4: 6.82, 8: 4.53, 12: 4.12},
        computed={1: 783.3, 2: 510.81, 4: 439.58, 8: 439.75, 12: 435.86},
    ),
)  # fmt: skip
