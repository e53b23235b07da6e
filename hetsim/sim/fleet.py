"""A fleet in columns: devices by the million, of which only those that are asked are touched.

A device is a row: its kind, its cell, its rates, joules by kind, the charge of its battery, and the
instant up to which it has been charged for being there. A device that nobody asks draws its idle
power, so what it has drawn by any instant follows from that row in closed form, its battery running
empty included: it is brought up to date when somebody looks.

Those who are asked play one script (`hetsim.sim.columns`), side by side from the same instant on
(`hetsim.sim.playing`). What a device computes takes it the time and the joules of
`hetsim.sim.dvfs`, alone on its processor at fixed clocks; what it moves shares the air of its cell
(`hetsim.sim.network`) by max-min fairness; radio joules follow bytes, whatever the contention. So
times and joules are those of the same script played device by device, up to rounding.

A radio of a cellular cell waits for its promotion and lingers in its tail, as its states say. A
battery may run empty at any instant, and it may be charged.

Temperatures are kept from above: a radio is taken to send for as long as a transfer takes. A device
that may grow so warm that it slows down is refused, and so is one whose battery runs empty in the
midst of a script although something charges it: such fleets must be played device by device.
Whoever is not refused never met a trip point. Batteries are tanks, clocks stay where they are, and
lines behind the cells never fill up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Seconds
from hetsim.core.rng import rng
from hetsim.sim._chargers import Change, Chargers, Course, Rested, Spell
from hetsim.sim._hours import Hours
from hetsim.sim._plan import Planner
from hetsim.sim._radios import Radios, Silence
from hetsim.sim._warmth import Stretch, Warmth
from hetsim.sim.availability.base import Away, Circumstances
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import EVERYONE, Array, Column, Party, trace
from hetsim.sim.playing import Phase, Played, Playing
from hetsim.sim.population import Population, Rows
from hetsim.sim.requests import Script
from hetsim.sim.supply import together


class Fleet:
    """Devices as rows of arrays, played in waves of those who are asked.

    Attributes:
        people: who there is.
        hub: name of the other end of their transfers.
        energy: joules by kind, a row each, as far as it was looked at; `settle` brings it up to
            date.
        charge: joules in each battery; infinite on mains.
        warmth: their temperatures.
        hours: when they are there.
        radios: what their radios do between transfers.
        since: instant up to which each device is charged.
        flows: transfers so far.
        solves: cells solved so far.
        touched: rows brought up to date so far.
    """

    def __init__(self, people: Population, hub: str = "server") -> None:
        self.people, self.hub = people, hub
        count = len(people)
        self.energy: dict[str, Array] = {"idle": np.zeros(count)}
        self.charge = people.charge.copy()
        self.since = np.zeros(count)
        self.flows = self.solves = self.touched = 0
        self._idle = np.array([profile.idle for profile in people.profiles])[people.kind]
        self._quiet = people.each(people.radio_idle)
        self._base = self._idle + self._quiet
        self.warmth = Warmth(
            people.profiles, people.kind, people.each(people.ambient),
            people.each(people.ambient if people.temperature is None else people.temperature),
            self._base,
        )  # fmt: skip
        patterns, pattern = (people.patterns, people.pattern) if people.patterns else (
            (None,), np.zeros(count, np.intp)
        )  # fmt: skip
        self.hours = Hours(patterns, pattern)
        self._states: list[Away] = [each.away if each else "idle" for each in patterns]
        self._state = np.array(self._states)[pattern]
        watts = [[getattr(each, state) for state in self._states] for each in people.profiles]
        self._asleep = np.array(watts)[people.kind, pattern]
        self._away = self._asleep + np.where(self._state == "idle", self._quiet, 0.0)
        self.radios = Radios([cell.states for cell in people.cells], people.cell)
        self._planner = Planner(people, self.radios)
        self.chargers = self._chargers(patterns, pattern) if people.supplies else None

    def _chargers(self, patterns: Sequence[Windows | None], pattern: Rows) -> Chargers:
        """What charges batteries, as the kernel would hear of it."""
        people = self.people
        about = Circumstances(rng=rng(0, "sim/hours"))  # windows draw nothing
        off = np.array([profile.off for profile in people.profiles])[people.kind]
        full = people.charge if people.capacity is None else people.capacity
        columns = (
            full, people.efficiency, people.charge_efficiency, people.restart, self._base,
            self._away, off,
        )  # fmt: skip
        return Chargers(
            [Course(0.0, together(sources)) if sources else None for sources in people.supplies],
            people.supply,
            [Course(1.0, each.changes(about) if each else iter(())) for each in patterns],
            pattern,
            np.array([people.each(column) for column in columns]),
            people.charge,
        )

    # --- being there ----------------------------------------------------------------------------

    def settle(self, rows: Rows | slice, now: Seconds | Array) -> None:
        """Charge devices for being there up to now; one whose battery runs empty stops.

        Raises:
            ValueError: some are charged up to a later instant, that at which their script ends.
        """
        until = np.broadcast_to(now, self.since[rows].shape)
        if (self.since[rows] > until).any():
            raise ValueError("some who were asked are not through yet")
        self._settle(rows, until, until)

    def present(self, rows: Rows | slice, now: Seconds) -> NDArray[np.bool_]:
        """Who is there at `now`, with a battery that lasts until then; changes nothing."""
        return self._charged(rows, now) & (self.hours.leave(rows, self._when(rows, now)) > now)

    def _charged(self, rows: Rows | slice, now: Seconds) -> NDArray[np.bool_]:
        """Whose battery lasts until `now`."""
        until = self._when(rows, now)
        drawn = self._draw(rows, *self._stay(rows, until)) + self._trail(rows, until)
        lasts = drawn < self.charge[rows] * self.people.efficiency[rows]
        mine, fed = self._fed(rows)
        if len(fed):
            lasts[mine] = ~self._rested(fed, until[mine]).empty
        return lasts

    def _when(self, rows: Rows | slice, now: Seconds) -> Array:
        return np.full(self.since[rows].shape, now)

    def _fed(self, rows: Rows | slice) -> tuple[Rows, Rows]:
        """Those whose battery something charges: places among the rows, and rows."""
        if self.chargers is None:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        mine = np.flatnonzero(self.chargers.fed[rows])
        return mine, np.arange(len(self.people))[rows][mine]

    def _rested(self, rows: Rows, until: Array) -> Rested:
        """What becomes of them if nobody asks them."""
        assert self.chargers
        return self.chargers.rest(rows, self.charge[rows], self.since[rows], until, self.radios)

    def _settle(self, rows: Rows | slice, until: Array, heard: Array) -> None:
        """Charge for being there, and for what radios draw by themselves up to `heard`."""
        mine, fed = self._fed(rows)
        if not len(fed):
            self._settle_alone(rows, until, heard)
            return
        others = np.delete(np.arange(len(self.people))[rows], mine)
        self._settle_alone(others, np.delete(until, mine), np.delete(heard, mine))
        self._settle_fed(fed, until[mine], self._rested(fed, until[mine]))

    def _settle_fed(self, rows: Rows, until: Array, rested: Rested) -> None:
        """The same of those whose battery something charges."""
        assert self.chargers
        self._charge_base(rows, rested.here, rested.away)
        off = np.array([profile.off for profile in self.people.profiles])[self.people.kind[rows]]
        for kind, joules in (("radio_tail", rested.trail), ("off", off * rested.off)):
            if joules.any():
                self._charge(rows, kind, joules)
        self.warmth.follow(rows, self._base[rows], self._rest(rows, until))
        self.radios.put(rows, rested.silence)
        self.chargers.empty[rows] = rested.empty
        self._change(rows, rested.change, until)
        self.touched += len(rows)

    def _change(self, rows: Rows, change: Change, until: Array) -> None:
        """Keep what became of batteries."""
        assert self.chargers
        self.charge[rows], self.since[rows] = change.charge, until
        self._charge(rows, "loss", change.loss)
        self.chargers.charged[rows] += change.charged
        self.chargers.supplied[rows] += change.supplied

    def _settle_alone(self, rows: Rows | slice, until: Array, heard: Array) -> None:
        """The same of those on mains, or on a battery that nothing charges."""
        since, charge, share = self.since[rows], self.charge[rows], self.people.efficiency[rows]
        here, away = self._stay(rows, until)
        trail = self._trail(rows, heard)
        drawn = self._draw(rows, here, away) + trail
        empty = np.flatnonzero(drawn >= charge * share)
        if len(empty):
            gone = np.arange(len(self.people))[rows][empty]
            died = np.minimum(self._dies(gone), until[empty])
            here[empty], away[empty] = self._stay(gone, died)
            trail[empty] = self._trail(gone, died)
            drawn = self._draw(rows, here, away) + trail
        self._charge_base(rows, here, away)
        if self.radios.any:
            self._charge(rows, "radio_tail", trail)
        lasted = here + away
        self.warmth.follow(rows, self._base[rows], self._rest(rows, since + lasted))
        self.warmth.cool(rows, until - since - lasted)
        self.since[rows] = until
        self._drain(rows, drawn, charge, share)
        self.charge[np.arange(len(self.people))[rows][empty]] = 0.0
        self.touched += len(drawn)

    def _stay(self, rows: Rows | slice, until: Array) -> tuple[Array, Array]:
        """Seconds from the instant up to which devices are charged, there and away."""
        since = self.since[rows]
        here = self.hours.seconds(rows, until) - self.hours.seconds(rows, since)
        return here, np.maximum(until - since - here, 0.0)

    def _draw(self, rows: Rows | slice, here: Array, away: Array) -> Array:
        """Joules for being there and for being away."""
        return self._base[rows] * here + self._away[rows] * away

    def _trail(self, rows: Rows | slice, until: Array) -> Array:
        """Joules of radios between transfers, from the instant up to which devices are charged."""
        if not self.radios.any:
            return np.zeros(len(until))
        promoting, _, tailing = self.radios.watts(rows)
        first, then = self.radios.of(rows).seconds(self.since[rows], until)
        return promoting * first + tailing * then

    def _rest(self, rows: Rows | slice, until: Array) -> list[Stretch]:
        """Power of devices that nobody asks, taken for awake all the time."""
        since = self.since[rows]
        nothing = np.zeros(len(until))
        if not self.radios.any:
            return [Stretch(until - since, nothing, nothing)]
        found = self._silent(rows, self.radios.of(rows), since, until)
        left = until - since - found[0].lasts - found[1].lasts
        return [*found, Stretch(left, nothing, nothing)]

    def _silent(
        self, rows: Rows | slice, silence: Silence, since: Array, until: Array | Seconds
    ) -> list[Stretch]:
        """A promotion that goes on, and the tail."""
        promoting, _, tailing = self.radios.watts(rows)
        first, then = silence.seconds(since, until)
        nothing = np.zeros(len(since))
        return [Stretch(first, nothing, promoting), Stretch(then, nothing, tailing)]

    def _dies(self, rows: Rows) -> Array:
        """When batteries run empty."""
        when = self.since[rows]
        stored = self.charge[rows] * self.people.efficiency[rows]
        died = np.full(len(rows), inf)
        if self.radios.any:
            base = self._base[rows]
            for stretch in self._silent(rows, self.radios.of(rows), when, inf):
                lasts, watts = stretch.lasts, base + stretch.besides
                ends = (died == inf) & (lasts > 0.0) & (stored <= watts * lasts)
                died[ends] = (when + stored / np.where(ends, watts, 1.0))[ends]
                when, stored = when + lasts, np.maximum(stored - watts * lasts, 0.0)
        later = self.hours.spent(rows, when, stored, self._base[rows], self._away[rows])
        return np.minimum(died, later)

    def _charge_base(self, rows: Rows | slice, here: Array, away: Array) -> None:
        """Joules for being there, and for being away, by kind."""
        self._charge(rows, "idle", self._idle[rows] * here)
        for state in dict.fromkeys(self._states):
            mine = (self._state[rows] == state) & (away > 0.0)
            if mine.any():
                self._charge(rows, state, np.where(mine, self._asleep[rows] * away, 0.0))
        quiet = self._quiet[rows]
        if quiet.any():
            awake = here + np.where(self._state[rows] == "idle", away, 0.0)
            self._charge(rows, "radio_idle", quiet * awake)

    def _charge(self, rows: Rows | slice, kind: str, joules: Array) -> None:
        if kind not in self.energy:
            self.energy[kind] = np.zeros(len(self.people))
        self.energy[kind][rows] += joules

    def _drain(self, rows: Rows | slice, used: Array, charge: Array, share: Array) -> None:
        """Take what the devices used out of their batteries, losses included."""
        fed = charge < inf
        if not fed.any():
            return
        lost = np.where(fed, used / share - used, 0.0)
        self._charge(rows, "loss", lost)
        self.charge[rows] = np.maximum(charge - np.where(fed, used + lost, 0.0), 0.0)

    # --- being asked ----------------------------------------------------------------------------

    def play(
        self,
        script: Callable[[Party], Script[Any]],
        rows: Rows,
        now: Seconds,
        until: Seconds = inf,
        first: float = inf,
    ) -> list[Phase]:
        """Let devices play a script side by side from now on.

        Args:
            script: of one device; it is played once, for all.
            rows: who is asked, each once.
            now: when.
            until: instant at which all stop. A device also stops when it leaves, and when its
                battery runs empty; one that is away, or whose battery is empty, begins nothing.
            first: when so many are through, the others stop.

        Returns:
            its steps in order, each with a row a device.

        Raises:
            NotTraceable: the script must be played device by device; nothing has changed then.
        """
        numbers = {name: Column(column[rows]) for name, column in self.people.numbers.items()}
        steps = trace(script(Party(EVERYONE, numbers)), self.hub)
        there, leave = self._stays(rows, now)
        stop = np.where(there, np.minimum(leave, until), now)
        plans = self._planner.plan(steps, rows, now)
        playing = Playing(self.people, self.radios, steps, plans, rows, now, there)
        played, died = playing.play(stop, self._stored(rows, now), self._base[rows], first)
        self.flows += playing.flows
        self.solves += playing.solves
        end, used = played.end, played.used
        silence = played.silence.until(np.where(died, end, leave))
        mine, fed = self._fed(rows)
        others, alone = np.delete(np.arange(len(rows)), mine), np.delete(rows, mine)
        self._check_clocks(rows, played.phases)
        warm = self._check_heat(rows, now, played, silence)
        rested = self._rested(fed, self._when(fed, now)) if len(fed) else None
        change = self._feed(fed, mine, now, played, rested) if rested else None
        self._settle_alone(alone, end[others], self._when(alone, now))
        for kind, joules in used.items():
            self._charge(rows, kind, joules)
        if used:
            total = np.sum(list(used.values()), axis=0)[others]
            self._drain(alone, total, self.charge[alone], self.people.efficiency[alone])
        if rested and change:
            self._settle_fed(fed, self._when(fed, now), rested)
            self._charge_base(fed, end[mine] - now, np.zeros(len(fed)))
            self._change(fed, change, end[mine])
        self.charge[rows[died]] = 0.0
        self.warmth.temperature[rows[there]] = warm[there]
        self.radios.put(rows, silence)
        return played.phases

    def _feed(self, rows: Rows, mine: Rows, now: Seconds, played: Played, rested: Rested) -> Change:
        """What becomes of batteries that something charges, while their devices play a script."""
        assert self.chargers
        base = self._base[rows]
        spells: list[Spell] = []
        for lasts, computing, besides, joules, least in played.stretches:
            seconds = lasts[mine]
            most = base + computing[mine] + besides[mine]
            if joules is None or least is None:
                spells.append(Spell(seconds, most * seconds, most, most))
            else:
                spells.append(
                    Spell(seconds, base * seconds + joules[mine], base + least[mine], most)
                )
        change, fails, varies = self.chargers.script(
            rows, rested.change.charge, self._when(rows, now), spells
        )
        for who, why in (
            (fails, "have a battery that is charged and yet runs empty amid a script"),
            (varies, "are charged with less than a message may draw, or not all the time"),
        ):
            self.people.refuse(rows, who, why)
        return change

    def _stays(self, rows: Rows, now: Seconds) -> tuple[NDArray[np.bool_], Array]:
        """Who can begin something, and until when they are there."""
        self.people.refuse(
            rows, self.since[rows] > now, "are asked before they are through with what they do"
        )
        leave = self.hours.leave(rows, self._when(rows, now))
        return self._charged(rows, now) & (leave > now), leave

    def _stored(self, rows: Rows, now: Seconds) -> Array:
        """Joules that devices can draw from now on; infinite on mains, or if something charges."""
        until = self._when(rows, now)
        spent = self._draw(rows, *self._stay(rows, until)) + self._trail(rows, until)
        stored = self.charge[rows] * self.people.efficiency[rows] - spent
        stored[self._fed(rows)[0]] = inf
        return stored

    def _check_clocks(self, rows: Rows, phases: Sequence[Phase]) -> None:
        """Refuse work while clocks still rise to where they are kept."""
        pause = np.array([profile.switch if any(points) else 0.0 for profile, points in zip(
            self.people.profiles, self._planner.points, strict=True
        )])[self.people.kind[rows]]  # fmt: skip
        early = [phase.begun & (phase.t0 < pause) for phase in phases if phase.works]
        if early:
            why = "compute while their clocks still rise, right at the start"
            self.people.refuse(rows, np.any(early, axis=0), why)

    def _check_heat(self, rows: Rows, now: Seconds, played: Played, silence: Silence) -> Array:
        """Refuse who may reach a trip point; returns how warm the others are in the end."""
        base = self._base[rows]
        warm = self.warmth.after(rows, base, self._rest(rows, self._when(rows, now)))
        hottest = warm
        for stretch in played.stretches:
            warm = self.warmth.after(rows, base, [stretch], warm)
            hottest = np.maximum(hottest, warm)
        if self.radios.any:
            later = warm
            for stretch in self._silent(rows, silence, played.end, inf):
                later = self.warmth.after(rows, base, [stretch], later)
                hottest = np.maximum(hottest, later)
        over = hottest >= self.warmth.trip(rows)
        self.people.refuse(rows, over, "may grow so warm that they slow down")
        return warm
