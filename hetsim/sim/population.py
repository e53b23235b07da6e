"""Who there is in a fleet in columns (`hetsim.sim.fleet`), and the cells where they hang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Celsius, Fraction, Joules, JoulesPerByte, Seconds, Watts
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import Array, NotTraceable
from hetsim.sim.device import Profile
from hetsim.sim.heat import ROOM
from hetsim.sim.radio import RadioStates
from hetsim.sim.supply import Supply

Rows = NDArray[np.intp]
_NAMED = 3
"""How many kinds of devices an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Air that stations share: one channel for both directions, or one for each.

    Attributes:
        latency: one way to the server, lines included.
        share: dcf for equal throughput, airtime for equal time; line where each station has a line
            of its own and none waits for another (a switch).
        apart: whether each direction has a channel of its own (LTE).
        states: what radios draw between transfers; None if they have no such states.
    """

    latency: Seconds
    share: Literal["dcf", "airtime", "line"] = "dcf"
    apart: bool = False
    states: RadioStates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Who there is, a row each.

    Attributes:
        profiles: the kinds.
        kind: of each device, a place in `profiles`.
        cells: where they hang.
        cell: of each device, a place in `cells`.
        up, down: its rates, bytes/s.
        transmit, receive: watts of its radio above idle while a frame is in the air; in a cell
            with radio states all that it draws above idle then, the connected state included.
        charge: joules in its battery; infinite on mains.
        efficiency: share of a stored joule that reaches it.
        numbers: what a script may know of it, by name.
        radio_idle: watts of its radio whenever it is awake.
        sending, receiving: joules a byte beside the watts, whatever the rate.
        latency: one way, of its own, beside its cell's.
        ambient: temperature around it.
        temperature: that at which it starts; None for the one around it.
        points: operating points of each kind; None for the highest.
        supplies: what may charge a battery, the sources of a place together.
        supply: of each device, a place in `supplies`. Left out, nothing is charged.
        capacity: joules in its battery when full; None for those at the start.
        charge_efficiency: share of a joule from a source that is stored.
        restart: level from which a device whose battery ran empty starts again.
        patterns: when devices are there; None for always. Left out, all are.
        pattern: of each device, a place in `patterns`.
    """

    profiles: Sequence[Profile]
    kind: Rows
    cells: Sequence[Cell]
    cell: Rows
    up: Array
    down: Array
    transmit: Array
    receive: Array
    charge: Array
    efficiency: Array
    numbers: Mapping[str, Array] = field(default_factory=dict[str, Array])
    radio_idle: Array | Watts = 0.0
    sending: Array | JoulesPerByte = 0.0
    receiving: Array | JoulesPerByte = 0.0
    latency: Array | Seconds = 0.0
    ambient: Array | Celsius = ROOM
    temperature: Array | Celsius | None = None
    points: Sequence[Sequence[int]] | None = None
    supplies: Sequence[Sequence[Supply]] = ()
    supply: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    capacity: Array | Joules | None = None
    charge_efficiency: Array | Fraction = 1.0
    restart: Array | Fraction = 0.05
    patterns: Sequence[Windows | None] = ()
    pattern: Rows = field(default_factory=lambda: np.empty(0, np.intp))

    def __len__(self) -> int:
        return len(self.kind)

    def each(self, values: Array | float) -> Array:
        """One value a row."""
        return np.broadcast_to(np.asarray(values, np.float64), len(self))

    def refuse(self, rows: Rows, who: NDArray[np.bool_], why: str) -> None:
        """Refuse to play what some of the rows would do otherwise.

        Raises:
            NotTraceable: somebody would.
        """
        if who.any():
            found: list[int] = np.unique(self.kind[rows[who]]).tolist()
            names = ", ".join(self.profiles[kind].name for kind in found[:_NAMED])
            more = ", …" if len(found) > _NAMED else ""
            raise NotTraceable(f"{int(who.sum())} of {len(rows)} devices {why} ({names}{more})")
