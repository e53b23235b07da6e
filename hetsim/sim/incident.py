"""What happens to a world from outside: crashes, pauses, outages, bandwidths, work called off.

Each is an instant, or two: where it begins and where it ends. Several may overlap: a line is there
when no outage holds it, a node computes when no pause holds it. What a change touches is settled
first, so that a job interrupted anywhere is charged exactly what it used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hetsim.core.errors import si
from hetsim.core.quantities import Rate, Seconds
from hetsim.sim.clock import Call
from hetsim.sim.presence import CRASHED

if TYPE_CHECKING:
    from hetsim.sim.kernel import Kernel
    from hetsim.sim.leg import Leg
    from hetsim.sim.node import Node
    from hetsim.sim.presence import Presence


class Incidents:
    """What will happen in a run.

    Attributes:
        kernel: whose world it happens to.
        presences: coming and going of nodes, by name.
    """

    def __init__(self, kernel: Kernel, presences: Mapping[str, Presence]) -> None:
        self.kernel, self.presences = kernel, presences
        self._cut: dict[Leg, int] = {}
        self._paused: dict[Node, int] = {}
        self._serial = 0

    def at(
        self,
        when: Seconds,
        begin: Callable[[], None],
        lasts: Seconds | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        """Let `begin` happen at `when`, and `end` after `lasts`; None lasts to the end."""
        Call(self.kernel.env, begin, when)
        if end and lasts is not None:
            Call(self.kernel.env, end, when + lasts)

    def crash(self, name: str, when: Seconds, lasts: Seconds | None) -> None:
        """A node stops, and is back after `lasts` of rebooting, which draws its idle power.

        One that never comes back is off.
        """
        self._serial += 1
        reason, presence = f"{CRASHED} ({self._serial})", self.presences[name]
        away = "off" if lasts is None else "idle"
        leave = partial(presence.leave, reason, away, CRASHED)
        self.at(when, leave, lasts, partial(presence.come, reason))

    def pause(self, name: str, when: Seconds, lasts: Seconds | None) -> None:
        """A node computes nothing for a while, then goes on; its transfers go on all along."""
        node = self.kernel.node(name)
        self.at(when, partial(self._pause, node, 1), lasts, partial(self._pause, node, -1))

    def outage(self, name: str, legs: Sequence[Leg], when: Seconds, lasts: Seconds | None) -> None:
        """Nothing passes `legs` for a while; flows wait."""
        self.at(
            when, partial(self._cut_off, name, legs, 1), lasts,
            partial(self._cut_off, name, legs, -1),
        )  # fmt: skip

    def bandwidth(
        self, name: str, legs: Sequence[Leg], rate: Rate, when: Seconds, lasts: Seconds | None
    ) -> None:
        """`legs` carry `rate` for a while; of several that overlap the newest holds."""
        holder = object()

        def begin() -> None:
            self._note(name, f"held at {si(rate)}B/s")
            for leg in legs:
                self.kernel.network.impose(leg, holder, rate)

        def end() -> None:
            self._note(name, "no longer held at another bandwidth")
            for leg in legs:
                self.kernel.network.impose(leg, holder, None)

        self.at(when, begin, lasts, end)

    def cancel(self, name: str, when: Seconds) -> None:
        """What a node is doing is called off; it stays."""
        self.at(when, partial(self._cancel, self.kernel.node(name)))

    def _pause(self, node: Node, step: int) -> None:
        count = self._paused[node] = self._paused.get(node, 0) + step
        if count == (1 if step > 0 else 0):
            self._note(node.name, "paused" if step > 0 else "goes on")
            self.kernel.sharing.resize(node.processor, 0.0 if step > 0 else 1.0)

    def _cut_off(self, name: str, legs: Sequence[Leg], step: int) -> None:
        self._note(name, "outage" if step > 0 else "the outage is over")
        for leg in legs:
            count = self._cut[leg] = self._cut.get(leg, 0) + step
            self.kernel.network.change(leg, up=count == 0)

    def _cancel(self, node: Node) -> None:
        self._note(node.name, "its work is called off")
        self.kernel.call_off(node)

    def _note(self, name: str, text: str) -> None:
        self.kernel.note(name, "event", text)
