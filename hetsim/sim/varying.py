"""Links whose bandwidth follows a signal.

The signal is only looked at while a transfer needs the link: one event at each change then, and
none on an idle link, whose past bandwidths concern nobody.
"""

from __future__ import annotations

from math import inf
from typing import Any

import simpy

from hetsim.core.quantities import Seconds
from hetsim.sim.bandwidth.base import Signal
from hetsim.sim.clock import Call
from hetsim.sim.graph import Network
from hetsim.sim.leg import Leg


class Varying:
    """Plays a signal on legs; a party of every route that passes one of them.

    Attributes:
        transfers: how many need it now.
    """

    def __init__(
        self, env: simpy.Environment, network: Network, legs: tuple[Leg, ...], signal: Signal
    ) -> None:
        self._env, self._network, self._signal = env, network, signal
        self._legs = tuple(dict.fromkeys(legs))
        self.transfers = 0
        self._next: Call | None = None
        for leg in self._legs:
            leg.parties = (*leg.parties, self)

    def begin(self, job: Any) -> Seconds:
        """A transfer needs a leg: its bandwidth is what the signal says."""
        self.transfers += 1
        if self.transfers == 1:
            self._follow()
        return 0.0

    def end(self, job: Any) -> None:
        """A transfer is over; nobody looks any more after the last."""
        self.transfers -= 1
        if not self.transfers and self._next:
            self._next.cancel()
            self._next = None

    def _follow(self) -> None:
        now = self._env.now
        rate, until = self._signal.at(now)
        for leg in self._legs:
            self._network.change(leg, rate=rate)
        self._next = Call(self._env, self._follow, until - now) if until < inf else None
