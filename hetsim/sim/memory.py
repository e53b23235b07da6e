"""Memory admission: a job runs only where its peak fits beside what runs already.

A job that the empty node could not hold is refused. One that only has to wait for others does so in
order: nobody overtakes the first in the queue, however little he needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hetsim.core.errors import OutOfMemory
from hetsim.core.quantities import Bytes


@dataclass(slots=True, kw_only=True)
class MemoryState:
    """Memory of a node that jobs may use.

    Attributes:
        capacity: bytes for jobs, after the operating system's share.
        used: by running jobs.
        peak: most ever used.
        queue: what tries again for each job that waits, in order.
    """

    capacity: Bytes
    used: Bytes = 0.0
    peak: Bytes = 0.0
    queue: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])

    def check(self, node: str, size: Bytes) -> None:
        """Refuse what can never run here.

        Raises:
            OutOfMemory: `size` bytes are more than there are.
        """
        if size > self.capacity:
            raise OutOfMemory(node, size, self.capacity)

    def free(self, size: Bytes) -> bool:
        """Whether `size` bytes are free now."""
        return self.used + size <= self.capacity

    def reserve(self, size: Bytes) -> None:
        """Take `size` bytes."""
        self.used += size
        self.peak = max(self.peak, self.used)

    def release(self, size: Bytes) -> None:
        """Give `size` bytes back."""
        self.used -= size
