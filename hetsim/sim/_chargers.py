"""Batteries of a fleet in columns that something charges: the events of all rows side by side.

`hetsim.sim.battery` with a tank, for rows whose load and whose source are constant between events:
the source offers something else, the device comes or goes, its radio falls silent, the battery runs
empty, or it is charged enough for the device to start again. A round of the loop takes every row to
its own next event.

During a message nobody knows the watts of an instant without the air's whole course, only the
joules of all of it, and the least and the most that it may draw. That is enough where the source
offers less than the least or more than the most all the time; elsewhere the row `varies`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Seconds
from hetsim.sim._radios import Radios, Silence
from hetsim.sim.columns import Array

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Course:
    """A number that changes in steps, known as far as somebody has looked."""

    def __init__(self, first: float, steps: Iterator[tuple[Seconds, float]]) -> None:
        self._steps, self._going_on = steps, True
        self._times, self._values = np.array([-inf, inf]), np.array([first])

    def at(self, when: Array) -> tuple[Array, Array]:
        """Its value at instants, and when it changes next."""
        if len(when) and self._going_on:
            self._look(float(when.max()))
        place = np.searchsorted(self._times, when, side="right")
        return self._values[place - 1], self._times[place]

    def _look(self, until: Seconds) -> None:
        """Know it until after an instant."""
        times, values = self._times[:-1].tolist(), self._values.tolist()
        if times[-1] > until:
            return
        while times[-1] <= until:
            step = next(self._steps, None)
            if step is None:
                self._going_on = False
                break
            times.append(step[0])
            values.append(float(step[1]))
        self._times, self._values = np.array([*times, inf]), np.array(values)


class Change(NamedTuple):
    """What became of batteries.

    Attributes:
        charge: joules in them.
        loss: joules lost on the way out.
        charged, supplied: joules that went from sources into them, and straight to the devices.
    """

    charge: Array
    loss: Array
    charged: Array
    supplied: Array


class Rested(NamedTuple):
    """Devices that nobody asks.

    Attributes:
        change: of their batteries.
        empty: whose battery has run empty, and was not charged enough since.
        here, away, off: seconds awake, away, and with an empty battery but power from the source.
        trail: joules of radios.
        silence: of radios; those of devices that have stopped are idle.
    """

    change: Change
    empty: Mask
    here: Array
    away: Array
    off: Array
    trail: Array
    silence: Silence


class Spell(NamedTuple):
    """A part of a script: seconds, joules, and the least and the most watts meanwhile."""

    lasts: Array
    joules: Array
    least: Array
    most: Array


class Chargers:
    """Sources, and the batteries that they charge.

    Attributes:
        fed: whose battery is charged now or later.
        empty: whose battery has run empty, and was not charged enough since.
        charged, supplied: joules so far, as of `Change`.
    """

    def __init__(
        self, offers: Sequence[Course | None], place: Rows, presence: Sequence[Course],
        pattern: Rows, columns: NDArray[np.float64], charge: Array,
    ) -> None:  # fmt: skip
        """Batteries.

        Args:
            offers: watts of each source; None for no source.
            place: of each device, a place among them.
            presence: 1 while devices of a pattern are there, else 0.
            pattern: of each device, a place among these.
            columns: capacity, efficiency, charge efficiency, level to restart from, and watts
                awake, away and off, a row each.
            charge: joules in each; infinite without a battery.
        """
        self._offers, self._place = offers, place
        self._presence, self._pattern = presence, pattern
        self._columns = columns
        known = np.array([offer is not None for offer in offers])
        self.fed = known[place] & (charge < inf)
        self.empty = np.zeros(len(charge), np.bool_)
        self.charged, self.supplied = np.zeros(len(charge)), np.zeros(len(charge))

    def rest(self, rows: Rows, charge: Array, since: Array, until: Array, radios: Radios) -> Rested:
        """Devices that nobody asks from one instant to another."""
        capacity, _, charging, restart, awake, asleep, off = self._columns[:, rows]
        promoting, _, tailing = radios.watts(rows)
        ready, silent = (column.copy() for column in radios.of(rows))
        empty, now = self.empty[rows], since.copy()
        spent, trailed, moved = np.zeros((3, len(rows))), np.zeros(len(rows)), _nothing(rows)
        while (going := now < until).any():
            offer, change = self._at(self._offers, self._place[rows], now)
            there, turn = self._at(self._presence, self._pattern[rows], now)
            here, promoted = (there > 0.0) & ~empty, (now < ready) & ~empty
            tail = (now < silent) & ~empty & ~promoted
            trail = np.where(promoted, promoting, np.where(tail, tailing, 0.0))
            powered = empty & (offer >= off)
            base = np.where(here, awake, np.where(empty, np.where(powered, off, 0.0), asleep))
            load = base + trail
            then = np.minimum(np.minimum(until, change), turn)
            then = np.where(promoted, np.minimum(then, ready), then)
            then = np.where(tail, np.minimum(then, silent), then)
            rises = np.where(offer >= load, (offer - load) * charging, 0.0)
            falls = self._falls(rows, load, offer)
            drained = np.where(~empty & (falls > 0.0), now + _until(charge, falls), inf)
            level = restart * capacity
            restored = np.where(empty & (rises > 0.0), now + _until(level - charge, rises), inf)
            then = np.where(going, np.minimum(np.minimum(then, drained), restored), now)
            step = then - now
            what = self._step(rows, charge, load * step, offer, step)
            spent += step * np.array([here, ~here & ~empty, powered])
            trailed += step * trail
            moved += what[1:]
            died, back = going & (drained <= then), going & (restored <= then)
            charge = np.where(died, 0.0, np.where(back, level, what.charge))
            silent = np.where(died, -inf, silent)
            ready = np.where(died, -inf, ready)
            empty = (empty | died) & ~back
            now = then
        here, away, powered = spent
        return Rested(
            Change(charge, *moved), empty, here, away, powered, trailed, Silence(ready, silent)
        )

    def script(
        self, rows: Rows, charge: Array, now: Array, spells: Sequence[Spell]
    ) -> tuple[Change, Mask, Mask]:
        """What becomes of batteries while devices play a script.

        Returns:
            it; whose battery would not last; and of whom it cannot be known, for they `vary`.
        """
        moved = _nothing(rows)
        fails, varies = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for lasts, joules, least, most in spells:
            end = now + lasts
            watts = np.divide(joules, lasts, out=np.zeros(len(rows)), where=lasts > 0.0)
            while (going := now < end).any():
                offer, change = self._at(self._offers, self._place[rows], now)
                between = (change < end) | ((least < offer) & (offer < most))
                varies |= going & (least < most) & between
                then = np.where(going, np.minimum(end, change), now)
                step = then - now
                what = self._step(rows, charge, watts * step, offer, step)
                fails |= going & (what.charge <= 0.0)
                charge, now = what.charge, then
                moved += what[1:]
        return Change(charge, *moved), fails, varies

    def _at(
        self, courses: Sequence[Course | None], place: Rows, when: Array
    ) -> tuple[Array, Array]:
        """Values of courses, and when they change."""
        values, following = np.zeros(len(when)), np.full(len(when), inf)
        for number in np.unique(place):
            course, mine = courses[int(number)], place == number
            if course:
                values[mine], following[mine] = course.at(when[mine])
        return values, following

    def _falls(self, rows: Rows, load: Array, offer: Array) -> Array:
        """Watts out of a battery, losses included."""
        return np.maximum(load - offer, 0.0) / self._columns[1, rows]

    def _step(self, rows: Rows, charge: Array, joules: Array, offer: Array, step: Array) -> Change:
        """What becomes of batteries of which all the time more or less is drawn than offered."""
        capacity, efficiency, charging = self._columns[:3, rows]
        offered = offer * step
        wanted = np.maximum(joules - offered, 0.0)
        out = wanted / efficiency
        charged = np.minimum(np.maximum(offered - joules, 0.0) * charging, capacity - charge)
        return Change(
            np.maximum(charge - out + charged, 0.0), out - wanted, charged,
            np.minimum(joules, offered),
        )  # fmt: skip


def _nothing(rows: Rows) -> NDArray[np.float64]:
    """Loss, charged and supplied joules of nobody yet."""
    return np.zeros((3, len(rows)))


def _until(joules: Array, watts: Array) -> Array:
    """Seconds for joules at watts; where there are none, of no use."""
    return np.maximum(joules, 0.0) / np.where(watts > 0.0, watts, 1.0)
