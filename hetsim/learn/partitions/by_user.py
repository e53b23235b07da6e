"""The natural partition: a client is a person of the data set, or a few of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.learn.partitions.base import Shares


@dataclass(frozen=True, kw_only=True)
class ByUser:
    """Users dealt to clients at random; with fewer clients than users, some hold several."""

    def split(
        self, labels: np.ndarray, users: np.ndarray | None, clients: int, rng: np.random.Generator
    ) -> Shares:
        """Rows of each client, as `hetsim.learn.partitions.base.Partition` says."""
        if users is None:
            raise SpecError(
                "this data set does not know whose samples they are",
                key="task.partition (by_user)",
                remedy="Choose hapt or spoken_digits, or the partition dirichlet, shards or iid.",
            )
        people = rng.permutation(np.unique(users))
        if len(people) < clients:
            raise SpecError(
                f"{len(people)} users cannot be {clients} clients",
                key="task.partition (by_user)",
                remedy=f"Use fewer devices (at most {len(people)} can hold data), give some groups "
                "`data: none`, or choose the partition dirichlet, shards or iid.",
            )
        return [
            np.flatnonzero(np.isin(users, people[client::clients])) for client in range(clients)
        ]
