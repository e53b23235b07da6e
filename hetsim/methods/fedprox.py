"""FedProx: federated averaging whose local loss pulls towards the server model.

A step descends on `loss + mu / 2 * |w - w_server|^2`; buffers are left out of the penalty.

Source: Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, "Federated Optimization in Heterogeneous
Networks", MLSys 2020, algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.core.ref import Ref
from hetsim.federation.run import Run
from hetsim.methods._local import LocalSgd


@dataclass(frozen=True, slots=True, kw_only=True)
class FedProx(LocalSgd):
    """Local SGD with a proximal term.

    Attributes:
        mu: strength of the pull; 0 is FedAvg, bit for bit.
    """

    mu: float = 0.01

    @property
    def training(self) -> dict[str, Any]:
        """SGD and the pull."""
        return {**self.sgd, "proximal": self.mu}

    def start(self, run: Run) -> Ref[Any]:
        """The untrained model."""
        return run.initial_model()
