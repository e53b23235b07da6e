"""Why a node is away, if it is: churn, a crash and an empty battery can overlap.

A node is there while nothing keeps it away. While it is away it draws the lowest of the base states
that its absences ask for; what it did when it left is lost, and charged exactly as far as it got.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from hetsim.sim.availability.base import Away, Changes
from hetsim.sim.clock import Call

if TYPE_CHECKING:
    from hetsim.sim.kernel import Kernel
    from hetsim.sim.node import Node

OFF_CHARGER = "left the charger"
"""The absence of a node that is there only while it is charged."""
CRASHED = "crashed"
"""How the absences of a node begin that has crashed, and so has lost what it held in memory."""
_DEPTHS = ("off", "sleep", "idle")


class Presence:
    """A node's coming and going."""

    def __init__(self, kernel: Kernel, node: Node) -> None:
        self._kernel, self._node = kernel, node

    def leave(self, absence: str, away: Away, why: str = "") -> None:
        """Go, or stay away for one more reason; why is told to whoever reads, if it goes now."""
        self._node.absences.setdefault(absence, away)
        if self._node.present:
            self._kernel.kill(self._node, "churn", away, why or absence)
        else:
            self._sink()
        if absence.startswith(CRASHED):
            self._node.forget()

    def come(self, absence: str) -> None:
        """One reason to be away is gone."""
        if self._node.absences.pop(absence, None) is None:
            return
        if self._node.absences:
            self._sink()
        else:
            self._kernel.revive(self._node)

    def follow(self, absence: str, changes: Changes, away: Away) -> None:
        """Come and go as `changes` say; ends where the node can never come back."""
        env = self._kernel.env

        def next_change() -> None:
            when, present = next(changes, (inf, True))
            if when <= env.now:
                change(present)
            elif when < inf:
                Call(env, partial(change, present), when - env.now)

        def change(present: bool) -> None:
            if self._node.lost:
                return
            if present:
                self.come(absence)
            else:
                self.leave(absence, away)
            next_change()

        next_change()

    def _sink(self) -> None:
        """Draw as little as the reasons to be away allow; an empty battery draws nothing."""
        if not (self._node.battery and self._node.battery.empty):
            self._node.switch(lowest(self._node.absences.values()))


def lowest(states: Iterable[str]) -> str:
    """The base state that draws least."""
    return min(states, key=_DEPTHS.index)
