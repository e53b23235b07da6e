"""Label skew: each class falls to the clients in proportions drawn from a Dirichlet distribution.

Source: Hsu, Qi, Brown, arXiv 1909.06335, and Li et al., arXiv 2102.02079 (section 3.1: per class).
Small alpha: few classes a client; large alpha: nearly iid.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.learn.partitions.base import Shares, require


@dataclass(frozen=True, kw_only=True)
class Dirichlet:
    """Dirichlet label skew.

    No draw is repeated until it suits: while a client holds fewer than `minimum` samples, the
    client that holds most gives it one, ties going to the lower number.

    Attributes:
        alpha: concentration, above zero.
        minimum: fewest samples of a client.
    """

    alpha: float = 0.5
    minimum: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf") or self.minimum < 1:
            raise SpecError(
                f"alpha {self.alpha}, minimum {self.minimum}",
                key="task.partition (dirichlet)",
                remedy="alpha is a number above 0 (0.1 strong skew, 100 nearly none), "
                "minimum at least 1.",
            )

    def split(
        self, labels: np.ndarray, users: np.ndarray | None, clients: int, rng: np.random.Generator
    ) -> Shares:
        """Rows of each client, as `hetsim.learn.partitions.base.Partition` says."""
        require("dirichlet", len(labels), clients, self.minimum, option="minimum")
        shares: list[list[np.ndarray]] = [[] for _ in range(clients)]
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            proportions = rng.dirichlet(np.full(clients, self.alpha))
            cuts = np.rint(np.cumsum(proportions)[:-1] * len(rows)).astype(np.int64)
            for share, part in zip(shares, np.split(rows, cuts), strict=True):
                share.append(part)
        dealt = [np.concatenate(share).tolist() for share in shares]
        _level(dealt, self.minimum)
        return [np.sort(np.array(rows, dtype=np.int64)) for rows in dealt]


def _level(dealt: list[list[int]], minimum: int) -> None:
    """Move samples from the largest shares until none is below `minimum`; in place."""
    largest = [(-len(rows), client) for client, rows in enumerate(dealt)]
    heapq.heapify(largest)
    for rows in dealt:
        while len(rows) < minimum:
            size, giver = heapq.heappop(largest)
            if -size != len(dealt[giver]):
                heapq.heappush(largest, (-len(dealt[giver]), giver))
                continue
            rows.append(dealt[giver].pop())
            heapq.heappush(largest, (-len(dealt[giver]), giver))
