"""A cellular radio between transfers: idle, promotion, connected, tail.

    idle --a transfer--> promotion --its time is over--> connected --no transfer left--> tail
    tail --a transfer--> connected,   tail --its time is over--> idle

A transfer that finds the radio idle waits for the promotion. The tail starts again after each
transfer. What the states draw is above the device's base power, of kind "radio_tail"; the bytes
themselves are paid by airtime, of kind "radio". States change at exact instants, and a node that
stops loses its state at once.

Source: Huang et al., "A close examination of performance and power characteristics of 4G LTE
networks", MobiSys 2012 (the states); 3GPP TS 36.331 and 38.331 (radio resource control).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from hetsim.core.quantities import Seconds, Watts
from hetsim.sim.clock import Call
from hetsim.sim.device import Radio
from hetsim.sim.node import Node

KIND = "radio_tail"


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioStates:
    """What a radio does between transfers.

    Attributes:
        promotion: from idle to connected.
        promoting: draw meanwhile.
        connected: draw during a transfer, apart from its bytes.
        tail: how long it stays connected after the last transfer.
        tailing: draw meanwhile.
    """

    promotion: Seconds
    promoting: Watts
    connected: Watts
    tail: Seconds
    tailing: Watts

    def above(self, radio: Radio) -> Radio:
        """What frames draw on top of the connected state, of a radio whose watts are all it draws.

        >>> states = RadioStates(promotion=0, promoting=0, connected=0.4, tail=0, tailing=0)
        >>> above = states.above(Radio(transmit=1.0, receive=0.3))
        >>> above.transmit, above.receive
        (0.6, 0.0)
        """
        return replace(
            radio,
            transmit=max(radio.transmit - self.connected, 0.0),
            receive=max(radio.receive - self.connected, 0.0),
        )


class RadioState:
    """The radio of one station; a party of every route that begins or ends there.

    Attributes:
        states: what it does and draws.
        state: what it is doing.
        transfers: how many it is needed for.
    """

    def __init__(self, node: Node, states: RadioStates) -> None:
        self._node, self.states = node, states
        self.state: Literal["idle", "promotion", "connected", "tail"] = "idle"
        self.transfers = 0
        self._until: Seconds = 0.0
        self._alarm: Call | None = None

    def begin(self, job: Any) -> Seconds:
        """A transfer needs the radio; returns how long it has to wait for it."""
        now = self._node.env.now
        self.transfers += 1
        if self.state == "idle" and self.states.promotion > 0.0:
            self._enter("promotion", self.states.promoting, self.states.promotion)
        elif self.state in ("idle", "tail"):
            self._enter("connected", self.states.connected)
        return self._until - now if self.state == "promotion" else 0.0

    def end(self, job: Any) -> None:
        """A transfer needs the radio no longer."""
        self.transfers -= 1
        if not self.transfers and self.state == "connected":
            self._rest()

    def drop(self) -> None:
        """The node stops: no promotion and no tail goes on without it."""
        self._enter("idle", 0.0)

    def _rest(self) -> None:
        if self.states.tail > 0.0:
            self._enter("tail", self.states.tailing, self.states.tail)
        else:
            self._enter("idle", 0.0)

    def _promoted(self) -> None:
        if self.transfers:
            self._enter("connected", self.states.connected)
        else:
            self._rest()

    def _enter(
        self,
        state: Literal["idle", "promotion", "connected", "tail"],
        power: Watts,
        time: Seconds = 0.0,
    ) -> None:
        """Be in `state` from now on, for `time` if it is above zero."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        self.state = state
        self._node.steady("radio", KIND, power)
        if time > 0.0:
            env = self._node.env
            self._until = env.now + time
            over = self._promoted if state == "promotion" else self.drop
            self._alarm = Call(env, over, time)
