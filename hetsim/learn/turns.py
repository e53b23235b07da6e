"""Many sequences of batches, taken turn by turn: who can step together, and on which rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def turns(
    streams: Sequence[tuple[str, Iterator[Tensor]]],
) -> Iterator[tuple[str, list[int], Tensor]]:
    """At each turn every member takes its next batch; those of one split and size go together.

    Args:
        streams: of each member, the split of its rows and its batches, [batch] int64 each.

    Yields:
        The split, the members in rising order, and their rows [members, batch].
    """
    going = dict(enumerate(streams))
    while going:
        alike: dict[tuple[str, int], dict[int, Tensor]] = {}
        for member, (split, batches) in list(going.items()):
            batch = next(batches, None)
            if batch is None:
                del going[member]
            else:
                alike.setdefault((split, len(batch)), {})[member] = batch
        for (split, _), taken in alike.items():
            yield split, list(taken), torch.stack(list(taken.values()))
