"""Memory admission: a job runs only where its peak fits beside what runs already.

A script may also hold memory under a name, for a value that outlives the job that made it (a
replica, a replay buffer). A job ends by itself, so whoever needs what jobs use waits for it, in
order: nobody overtakes the first in the queue, however little he needs. Nobody knows when what is
held will be let go, so what does not fit beside it is refused. It is lost with the node's power.
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
        used: by running jobs and by what is held.
        peak: most ever used.
        held: bytes held, by name.
        queue: what tries again for each job that waits, in order.
    """

    capacity: Bytes
    used: Bytes = 0.0
    peak: Bytes = 0.0
    held: dict[str, Bytes] = field(default_factory=dict[str, Bytes])
    queue: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])

    def check(self, node: str, size: Bytes, what: str = "the job", instead: str = "") -> None:
        """Refuse what can never have its place here, as far as anybody knows.

        Args:
            node: whose memory it is, for the message.
            size: of what needs a place.
            what: it is, for the message.
            instead: of what else it comes that is held now.

        Raises:
            OutOfMemory: `size` bytes are more than there are beside what is held.
        """
        if size > self.capacity:
            raise OutOfMemory(node, size, self.capacity, what)
        if self.held:
            left = self.capacity - sum(self.held.values()) + self.held.get(instead, 0.0)
            if size > left:
                raise OutOfMemory(node, size, left, what)

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

    def hold(self, name: str, size: Bytes) -> None:
        """Hold `size` bytes under `name` from now on, instead of what was held under it; 0 ends it.

        There must be room for it.
        """
        self.used -= self.held.pop(name, 0.0)
        if size:
            self.held[name] = size
            self.reserve(size)

    def lose(self) -> Bytes:
        """All that is held is gone; returns how much that was."""
        lost = sum(self.held.values())
        for name in list(self.held):
            self.hold(name, 0.0)
        return lost
