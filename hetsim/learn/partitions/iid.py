"""Samples dealt out at random, as evenly as they go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.learn.partitions.base import Shares, require


@dataclass(frozen=True, kw_only=True)
class IID:
    """Every client gets the same mix; shard sizes differ by at most one."""

    def split(
        self, labels: np.ndarray, users: np.ndarray | None, clients: int, rng: np.random.Generator
    ) -> Shares:
        """Rows of each client, as `hetsim.learn.partitions.base.Partition` says."""
        require("iid", len(labels), clients)
        return [np.sort(part) for part in np.array_split(rng.permutation(len(labels)), clients)]
