"""Federated averaging.

Source: McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep
Networks from Decentralized Data", AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.core.ref import Ref
from hetsim.federation.run import Run
from hetsim.methods._local import LocalSgd


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvg(LocalSgd):
    """Plain local SGD."""

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    def start(self, run: Run) -> Ref[Any]:
        """The untrained model."""
        return run.initial_model()
