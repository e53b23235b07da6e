"""Computes in this process: one task at a time, or a stack of tasks of one kin."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.executors.base import STACK
from hetsim.learn.numerics import single_thread, tag
from hetsim.learn.resident import Resident


class Inline:
    """The plainest executor, and the one that all others must agree with."""

    width = 1

    def __init__(self) -> None:
        self._tasks: list[ops.Task] = []
        self._kin: Hashable | None = None

    @property
    def tag(self) -> str:
        """That of this host."""
        return tag()

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set."""
        single_thread()
        self._resident = resident

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether nothing waits to be computed, or only kin of `ref`."""
        if not self._tasks:
            return True
        kin = ops.kin(ref)
        return kin is not None and len(self._tasks) < STACK and kin == self._kin

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Have a Ref computed from the values of its inputs when somebody waits."""
        if not self._tasks:
            self._kin = ops.kin(ref)
        self._tasks.append((ref, inputs))

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of all tasks, if somebody waits for them."""
        if not wait or not self._tasks:
            return []
        tasks, self._tasks = self._tasks, []
        values = ops.compute_all(tasks, self._resident)
        return [(ref.key, value) for (ref, _), value in zip(tasks, values, strict=True)]

    def close(self) -> None:
        """Forget what was not computed."""
        self._tasks.clear()
