"""How much each client counts where what they made is averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hetsim.federation.client import Client
from hetsim.methods._sgd import Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted(Sgd):
    """Abstract: SGD at clients, and a mean of what they made.

    Attributes:
        weighting: by shard size, or the same for all.
    """

    weighting: Literal["samples", "uniform"] = "samples"

    def weigh(self, client: Client) -> float:
        """What the client's update weighs in the mean."""
        return float(client.samples) if self.weighting == "samples" else 1.0
