"""What the authors of FedLP printed of communication and computation.

Zhu et al., "FedLP: Layer-wise Pruning Mechanism for Communication-Computation Efficient Federated
Learning", ICC 2023, arXiv 2303.06360: the table of results in github.com/Zhuzzq/FedLP, CIFAR-10.
"""

from __future__ import annotations

from collections.abc import Mapping

SOURCE = "results in github.com/Zhuzzq/FedLP"
COSTS: Mapping[str, tuple[float, float]] = {
    "FedAvg": (1102.93, 36.36),
    "Homo(0.1)": (606.61, 36.36), "Homo(0.3)": (716.91, 36.36),
    "Homo(0.5)": (827.20, 36.36), "Homo(0.7)": (937.49, 36.36),
    "Hetero(1)": (169.60, 17.73), "Hetero(3)": (225.28, 24.62),
    "Hetero(u)": (318.66, 23.83), "Hetero(5)": (710.80, 30.10),
}  # fmt: skip
"""Thousands of parameters a device and round, down and up; millions of operations an image."""
WHOLE = 36.36
"""Millions of operations of the whole network, as printed; mixtures follow from it too."""
