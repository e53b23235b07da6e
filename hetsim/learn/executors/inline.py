"""Computes in this process, one task at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.numerics import single_thread
from hetsim.learn.resident import Resident


class Inline:
    """The plainest executor, and the one that all others must agree with."""

    width = 1

    def __init__(self) -> None:
        self._done: list[tuple[str, Any]] = []

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set."""
        single_thread()
        self._resident = resident

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Compute a Ref from the values of its inputs."""
        self._done.append((ref.key, ops.compute(ref, inputs, self._resident)))

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values computed since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Forget what was computed."""
        self._done.clear()
