"""How the samples of a data set fall to clients."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np

from hetsim.core.errors import SpecError

Shares: TypeAlias = list[np.ndarray]
"""Row indices of each client, int64, sorted."""


class Partition(Protocol):
    """A rule that deals out samples; a plug-in is a frozen dataclass with this method."""

    def split(
        self, labels: np.ndarray, users: np.ndarray | None, clients: int, rng: np.random.Generator
    ) -> Shares:
        """Deal rows 0 .. len(labels) - 1 to `clients` clients: all of them, none twice, none empty.

        Args:
            labels: [n] int64.
            users: [n] natural owner of each row, or none.
            clients: at least one.
            rng: the only source of chance.

        Raises:
            SpecError: these samples cannot be dealt out so.
        """
        ...


def require(name: str, samples: int, clients: int, each: int = 1, *, option: str = "") -> None:
    """Refuse a partition that would leave a client with fewer than `each` samples.

    Args:
        name: of the partition.
        samples: there are.
        clients: there are.
        each: fewest samples of a client.
        option: of the partition that sets `each`.

    Raises:
        SpecError: too few samples.
    """
    if samples < clients * each:
        ways = [
            f"use fewer devices (at most {samples // each} can hold data)",
            "give some groups `data: none`",
            "choose another data set",
        ]
        if each > 1:
            ways.append(f"lower `{option}`")
        remedy = f"{', '.join(ways[:-1])}, or {ways[-1]}."
        raise SpecError(
            f"{samples} samples do not give {clients} clients at least {each} each",
            key=f"task.partition ({name})",
            remedy=remedy[0].upper() + remedy[1:],
        )
