"""Label skew by sorting: each client holds a few runs of samples of nearly one label each.

Source: McMahan et al., arXiv 1602.05629, section 3 ("pathological non-IID", two runs a client).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.learn.partitions.base import Shares, require


@dataclass(frozen=True, kw_only=True)
class Shards:
    """Samples sorted by label, cut into equal runs, `per_client` of them dealt to each client.

    Attributes:
        per_client: runs of a client.
    """

    per_client: int = 2

    def __post_init__(self) -> None:
        if self.per_client < 1:
            raise SpecError(
                f"per_client {self.per_client}",
                key="task.partition (shards)",
                remedy="Each client needs at least one run of samples.",
            )

    def split(
        self, labels: np.ndarray, users: np.ndarray | None, clients: int, rng: np.random.Generator
    ) -> Shares:
        """Rows of each client, as `hetsim.learn.partitions.base.Partition` says."""
        require("shards", len(labels), clients, self.per_client, option="per_client")
        mixed = rng.permutation(len(labels))
        by_label = mixed[np.argsort(labels[mixed], kind="stable")]
        runs = np.array_split(by_label, clients * self.per_client)
        dealt = rng.permutation(len(runs)).reshape(clients, self.per_client)
        return [np.sort(np.concatenate([runs[run] for run in mine])) for mine in dealt]
