"""Federated averaging.

Source: McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.methods._averaging import Averaging


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvg(Averaging):
    """Plain local SGD."""

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.local_sgd
