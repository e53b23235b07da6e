"""Where operations are computed: an executor knows single tasks, not what depends on what.

Every CPU executor gives bitwise the same values, because a process has one thread and the functions
are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hetsim.core.ref import Ref
from hetsim.learn.resident import Resident

STACK = 64
"""Tasks of one kin that are computed together, at most."""


class Executor(Protocol):
    """Computes tasks in any order; a plug-in is a class that is called with its settings.

    Attributes:
        width: tasks that it computes at a time, and those worth having ready for it.
    """

    width: int

    @property
    def tag(self) -> str:
        """Names its arithmetic (`numerics.tag`); values of two tags never mix."""
        ...

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set; called once, before anything else."""
        ...

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether it wants this task now; whatever it takes, its memory is bounded."""
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
