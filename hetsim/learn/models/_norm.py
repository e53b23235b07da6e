"""Batch normalisation that keeps nothing: always the statistics of the batch at hand.

Split learning as Wu et al. (EcoFed, arXiv 2304.05495) run it switches running statistics off in all
models, so that evaluation too normalises by the batch that it is given, and the mean of models is
one of trained values only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STATISTICS = ("batch", "running")


def norm(channels: int, statistics: str) -> nn.BatchNorm2d:
    """Batch normalisation by the statistics of each batch ("batch"), or torch's usual ("running").

    Raises:
        ValueError: neither of the two.
    """
    if statistics not in STATISTICS:
        raise ValueError(f'statistics is "{statistics}", and must be one of {STATISTICS}')
    return nn.BatchNorm2d(channels) if statistics == "running" else _Batch(channels)


class _Batch(nn.BatchNorm2d):
    """The same numbers as torch's; a channel of a single value, which torch refuses, gives zero."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; the arguments left out are running statistics and how fast they move."""
        given = input, self.weight, self.bias
        return torch.batch_norm(*given, None, None, True, 0.0, self.eps, False)
