"""Hardware-independent work: what a computation takes, before any device is named."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.quantities import Bytes, Flops, Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Work of one computation.

    Attributes:
        flops: floating-point operations (a multiply-add is two).
        traffic: bytes that its tensor operators read and write.
        memory: peak bytes resident while it runs.
        steps: optimizer steps (or forward batches): each pays a device's fixed overhead.
        samples: samples read through the input pipeline.
        operators: tensor operators launched (a convolution, a sum, the update of one tensor).
    """

    flops: Flops = 0.0
    traffic: Bytes = 0.0
    memory: Bytes = 0.0
    steps: float = 0.0
    samples: float = 0.0
    operators: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Work of both, one after the other: everything adds but the peak."""
        return Cost(
            flops=self.flops + other.flops,
            traffic=self.traffic + other.traffic,
            memory=max(self.memory, other.memory),
            steps=self.steps + other.steps,
            samples=self.samples + other.samples,
            operators=self.operators + other.operators,
        )

    def __mul__(self, share: Fraction) -> Cost:
        """The same work `share` times over; the peak stays.

        >>> (Cost(flops=10.0, memory=4.0, steps=2) * 3).flops
        30.0
        """
        return Cost(
            flops=self.flops * share,
            traffic=self.traffic * share,
            memory=self.memory,
            steps=self.steps * share,
            samples=self.samples * share,
            operators=self.operators * share,
        )
