"""Memory admission: a job runs only where its peak fits beside what runs already."""

from __future__ import annotations

from dataclasses import dataclass

from hetsim.core.errors import OutOfMemory
from hetsim.core.quantities import Bytes


@dataclass(slots=True, kw_only=True)
class MemoryState:
    """Memory of a node that jobs may use.

    Attributes:
        capacity: bytes for jobs, after the operating system's share.
        used: by running jobs.
        peak: most ever used.
    """

    capacity: Bytes
    used: Bytes = 0.0
    peak: Bytes = 0.0

    def admit(self, node: str, size: Bytes) -> None:
        """Reserve `size` bytes.

        Raises:
            OutOfMemory: they are not free.
        """
        if self.used + size > self.capacity:
            raise OutOfMemory(node, size, self.capacity - self.used)
        self.used += size
        self.peak = max(self.peak, self.used)

    def release(self, size: Bytes) -> None:
        """Give `size` bytes back."""
        self.used -= size
