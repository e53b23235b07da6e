"""What methods share that cut a model: the device keeps the front, the server trains the back.

The defaults are the protocol of Wu et al., "EcoFed: Efficient Communication for DNN
Partitioning-based Federated Learning", IEEE TPDS 35(3), 2024, arXiv 2304.05495, and of its code
(github.com/blessonvar/EcoFed): one batch after the other passes device, link and server; every
client has a back part of its own at the server, trained by an optimizer that starts afresh each
round; and all count the same in the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hetsim.core.ref import Ref
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Sgd):
    """Abstract: training in two places, without a gradient between them.

    Attributes:
        cut: blocks of the model that the device keeps.
        overlap: whether a device goes on with the next batch while the last one is on its way or
            at the server; otherwise one batch after the other passes all three.
        weighting: of a client in the mean: by its samples, or the same for all.
    """

    cut: int = 2
    batch: int = 10
    lr: float = 0.01
    momentum: float = 0.9
    overlap: bool = False
    weighting: Literal["samples", "uniform"] = "uniform"

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    @property
    def window(self) -> float:
        """How many batches may be under way at once."""
        return float("inf") if self.overlap else 1.0

    async def mean(self, run: Run, values: Sequence[Ref[Any]], samples: Sequence[int]) -> Ref[Any]:
        """The mean of values that were trained on so many samples each; the server pays for it."""
        weights = samples if self.weighting == "samples" else None
        merged = ops.mean(values, weights)
        await run.server.compute(merged)
        return merged
