"""Where operations are computed: an executor knows single tasks, not what depends on what.

Every CPU executor gives bitwise the same values, because a process has one thread and the functions
are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hetsim.core.ref import Ref
from hetsim.learn.resident import Resident


class Executor(Protocol):
    """Computes tasks in any order; a plug-in is a class that is called with its settings.

    Attributes:
        width: tasks worth having submitted at a time; they bound the memory of finished values.
    """

    width: int

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set; called once, before anything else."""
        ...

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Begin to compute a Ref from the values of its inputs."""
        ...

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of tasks that have ended since the last call.

        Args:
            wait: block until at least one has, if any was submitted.

        Raises:
            HetsimError: a task cannot be computed here.
        """
        ...

    def close(self) -> None:
        """Give up what is under way and release everything."""
        ...
