"""Radio states of a fleet in columns: `hetsim.sim.radio`, two instants a row.

A radio is being promoted until `ready`, and then in its tail until `asleep`; later it is idle. A
device plays one script at a time, so from the end of a transfer to the next one only time passes:
whether that outlasts the tail is known before anything is played, and so is who waits for a
promotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Seconds
from hetsim.sim.columns import Array
from hetsim.sim.radio import RadioStates

Rows = NDArray[np.intp] | slice
_NONE = RadioStates(promotion=0.0, promoting=0.0, connected=0.0, tail=0.0, tailing=0.0)


class Silence(NamedTuple):
    """What radios do until the next transfer.

    Attributes:
        ready: end of a promotion that goes on though nobody waits for it any more.
        asleep: end of the tail.
    """

    ready: Array
    asleep: Array

    def until(self, when: Array) -> Silence:
        """The same of devices that stop at instants."""
        return Silence(np.minimum(self.ready, when), np.minimum(self.asleep, when))

    def seconds(self, since: Array, until: Array | Seconds) -> tuple[Array, Array]:
        """Those of promotion and those of tail."""
        ready = np.maximum(self.ready, since)
        promoting = np.maximum(np.minimum(ready, until) - since, 0.0)
        return promoting, np.maximum(np.minimum(self.asleep, until) - ready, 0.0)


class Radios:
    """Radios of all devices.

    Attributes:
        any: whether some have states.
        silence: of each device, since its last transfer.
    """

    def __init__(self, states: Sequence[RadioStates | None], cell: NDArray[np.intp]) -> None:
        self.any = any(states)
        self._cell = cell
        known = [each or _NONE for each in states]
        self._promotion = np.array([each.promotion for each in known])
        self._tail = np.array([each.tail for each in known])
        self._watts = np.array(
            [(each.promoting, each.connected, each.tailing) for each in known]
        ).reshape(-1, 3)
        self.silence = Silence(*(np.full(len(cell), -inf) for _ in range(2)))

    def of(self, rows: Rows) -> Silence:
        """Of some devices."""
        return Silence(*(column[rows] for column in self.silence))

    def put(self, rows: Rows, silence: Silence) -> None:
        """Keep it of some devices."""
        for column, values in zip(self.silence, silence, strict=True):
            column[rows] = values

    def watts(self, rows: Rows) -> tuple[Array, Array, Array]:
        """Of promotion, connection and tail, above base power."""
        watts = self._watts[self._cell[rows]]
        return watts[:, 0], watts[:, 1], watts[:, 2]

    def wait(self, rows: Rows, when: Array) -> Array:
        """Seconds that the first transfers wait if they are asked for at instants."""
        ready, asleep = self.of(rows)
        late = np.where(when < asleep, 0.0, self._promotion[self._cell[rows]])
        return np.where(when < ready, ready - when, late)

    def wait_after(self, rows: Rows, gap: Array) -> Array:
        """The same of transfers that are asked for so long after the one before."""
        cell = self._cell[rows]
        return np.where(gap < self._tail[cell], 0.0, self._promotion[cell])

    def heard(self, rows: Rows, since: Array, wait: Array, end: Array) -> Silence:
        """What follows transfers asked for at `since`, over or cut at `end`."""
        ready = since + wait
        return Silence(ready, np.maximum(ready, end) + self._tail[self._cell[rows]])
