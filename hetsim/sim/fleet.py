"""A fleet in columns: devices by the million, of which only those that are asked are touched.

A device is a row: its kind, its cell, its rates, joules by kind, the charge of its battery, and the
instant up to which it has been charged for being there. A device that nobody asks draws its idle
power, so what it has drawn by any instant follows from that row in closed form, its battery running
empty included: it is brought up to date when somebody looks.

Those who are asked play one script (`hetsim.sim.columns`), side by side from the same instant on.
What a device computes takes it the time and the joules of `hetsim.sim.dvfs`, alone on its processor
at fixed clocks; what it moves shares the air of its cell (`hetsim.sim.network`) by max-min
fairness (`hetsim.sim._cell`); radio joules follow bytes, whatever the contention. So times and
joules are those of the same script played device by device, up to rounding.

A radio of a cellular cell waits for its promotion and lingers in its tail, as its states say. A
battery may be charged.

Temperatures are kept from above: a radio is taken to send for as long as a transfer takes. A device
that may grow so warm that it slows down, or whose battery would not last, is refused, and so must
be played device by device; whoever is not refused never met a trip point. Batteries are tanks,
clocks stay where they are, and lines behind the cells never fill up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.core.cost import Cost
from hetsim.core.quantities import Joules, Seconds
from hetsim.core.rng import rng
from hetsim.sim._cell import Wave, play, play_apart
from hetsim.sim._chargers import Change, Chargers, Course, Rested, Spell
from hetsim.sim._hours import Hours
from hetsim.sim._radios import Radios, Silence
from hetsim.sim._warmth import Stretch, Warmth
from hetsim.sim.availability.base import Away, Circumstances
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import (
    EVERYONE,
    Array,
    Column,
    Move,
    NotTraceable,
    Party,
    Rest,
    Step,
    Work,
    alike,
    trace,
)
from hetsim.sim.population import Cell, Population, Rows
from hetsim.sim.requests import Script
from hetsim.sim.supply import together

__all__ = ["Cell", "Fleet", "Phase", "Population", "Rows"]

_NAMED = 3
"""How many kinds of devices an error names."""
_NOT_LASTING = "have a battery that would not last to the end of the script"
_KIND_OF_DOMAIN = {"cpu": "compute", "gpu": "compute", "memory": "memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step of all who were asked, a row each; steps that a trace would leave out are none.

    Attributes:
        kind: what it is called in a trace.
        t0, t1: from when to when.
        energy: joules above base power.
        size: bytes moved.
        progress: share that was done.
        begun: who began it; the other rows mean nothing.
        alone: what all of it would take with everything to itself.
        latency: what of that no faster link would save.
        up: of a message, whether it goes to the server; None of all else.
    """

    kind: str
    t0: Array
    t1: Array
    energy: Array
    size: Array
    progress: Array
    begun: NDArray[np.bool_]
    alone: Array
    latency: Array
    up: bool | None = None


class _Plan(NamedTuple):
    """What a step takes of each device.

    Attributes:
        lasts: seconds; of a message, until its first byte counts.
        joules: above base, by kind.
        computing, radio: watts above base meanwhile.
        wait: what of `lasts` is a wait for the radio; None if it needs none.
        flow: level it needs, and air it takes a level; None without bytes.
        channel: of a flow, where each direction has its own.
    """

    lasts: Array
    joules: Mapping[str, Array]
    computing: Array
    radio: Array
    wait: Array | None = None
    flow: tuple[Array, Array] | None = None
    channel: int = 0


class _Played(NamedTuple):
    """What a script has come to.

    Attributes:
        phases: its steps.
        used: joules above base, by kind.
        end: when each device is through.
        stretches: what each has drawn on the way, at most.
        silence: of their radios from then on.
    """

    phases: list[Phase]
    used: dict[str, Array]
    end: Array
    stretches: list[Stretch]
    silence: Silence


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
        self._quiet = self._each(people.radio_idle)
        self._base = self._idle + self._quiet
        self.warmth = Warmth(
            people.profiles, people.kind, self._each(people.ambient),
            self._each(people.ambient if people.temperature is None else people.temperature),
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
        self._by_time = np.array([cell.share != "dcf" for cell in people.cells])
        self._latency = np.array([cell.latency for cell in people.cells])
        connected = np.array([each.states.connected if each.states else 0.0
                              for each in people.cells])  # fmt: skip
        self._connected = connected
        self.chargers = self._chargers(patterns, pattern) if people.supplies else None
        self._points = people.points or [profile.highest for profile in people.profiles]

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
            np.array([self._each(column) for column in columns]),
            people.charge,
        )

    def _each(self, values: Array | float) -> Array:
        """One value a row."""
        return np.broadcast_to(np.asarray(values, np.float64), len(self.people))

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
            until: instant at which all stop. A device also stops when it leaves; one that is away,
                or whose battery is empty, begins nothing.
            first: when so many are through, the others stop.

        Returns:
            its steps in order, each with a row a device.

        Raises:
            NotTraceable: the script must be played device by device, or a battery would not last;
                nothing has changed then.
        """
        numbers = {name: Column(column[rows]) for name, column in self.people.numbers.items()}
        steps = trace(script(Party(EVERYONE, numbers)), self.hub)
        there, leave = self._stays(rows, now)
        stop = np.where(there, np.minimum(leave, until), now)
        played = self._phases(steps, rows, now, stop, there)
        if first < len(rows):
            done = np.all([each.progress == 1.0 for each in played.phases if each.kind], axis=0)
            enough = np.sort(played.end[done])[int(first) - 1] if done.sum() >= first else inf
            late = ~done | (played.end > enough)
            stop = np.where(late, np.minimum(stop, enough), stop)
            played = self._phases(steps, rows, now, stop, there)
        end, used, silence = played.end, played.used, played.silence.until(leave)
        mine, fed = self._fed(rows)
        others, alone = np.delete(np.arange(len(rows)), mine), np.delete(rows, mine)
        self._check_charge(rows, now, played, others[there[others]])
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
        self.warmth.temperature[rows[there]] = warm[there]
        self.radios.put(rows, silence)
        return played.phases

    def _feed(
        self, rows: Rows, mine: Rows, now: Seconds, played: _Played, rested: Rested
    ) -> Change:
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
        self._refuse(rows, fails, _NOT_LASTING)
        self._refuse(
            rows, varies, "are charged with less than a message may draw, or not all the time"
        )
        return change

    def _refuse(self, rows: Rows, who: NDArray[np.bool_], why: str) -> None:
        """Refuse to play what some of the devices would do otherwise."""
        if who.any():
            found: list[int] = np.unique(self.people.kind[rows[who]]).tolist()
            names = ", ".join(self.people.profiles[kind].name for kind in found[:_NAMED])
            more = ", …" if len(found) > _NAMED else ""
            raise NotTraceable(f"{int(who.sum())} of {len(rows)} devices {why} ({names}{more})")

    def _stays(self, rows: Rows, now: Seconds) -> tuple[NDArray[np.bool_], Array]:
        """Who can begin something, and until when they are there."""
        self._refuse(
            rows, self.since[rows] > now, "are asked before they are through with what they do"
        )
        leave = self.hours.leave(rows, self._when(rows, now))
        return self._charged(rows, now) & (leave > now), leave

    def _check_charge(self, rows: Rows, now: Seconds, played: _Played, places: Rows) -> None:
        """Refuse if a battery that nothing charges would run empty before its device is through."""
        rows = rows[places]
        wanted = self._draw(rows, *self._stay(rows, played.end[places]))
        wanted += self._trail(rows, self._when(rows, now))
        for joules in played.used.values():
            wanted = wanted + joules[places]
        stored = self.charge[rows] * self.people.efficiency[rows]
        self._refuse(rows, wanted >= stored, _NOT_LASTING)

    def _check_heat(self, rows: Rows, now: Seconds, played: _Played, silence: Silence) -> Array:
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
        self._refuse(rows, over, "may grow so warm that they slow down")
        return warm

    def _phases(
        self, steps: Sequence[Step], rows: Rows, now: Seconds, until: Array,
        there: NDArray[np.bool_],
    ) -> _Played:  # fmt: skip
        """What the steps come to from now on, if each device that is there stops at `until`."""
        plans = self._plan(steps, rows, now)
        waves, pause = list[Wave](), np.zeros(len(rows))
        for plan in plans:
            pause = pause + plan.lasts
            if plan.flow:
                waves.append(Wave(pause, *plan.flow, plan.channel))
                pause = np.zeros(len(rows))
        moved = iter(zip(*self._share(waves, rows, now, until), strict=True))
        phases: list[Phase] = []
        used: dict[str, Array] = {}
        stretches: list[Stretch] = []
        silence = self.radios.of(rows)
        t0 = np.full(len(rows), now)
        begun = there
        for step, plan in zip(steps, plans, strict=True):
            end, done = next(moved) if plan.flow else _timed(t0, plan.lasts, until)
            t1 = np.minimum(end, until)
            whole = isinstance(step, Rest)  # of which there are no parts
            done = np.where(begun & (done == 1.0) if whole else begun, done, 0.0)
            drawn = np.zeros(len(rows))
            for kind, joules in plan.joules.items():
                drawn = drawn + joules * done
                used[kind] = used.get(kind, 0.0) + joules * done
            if _is_told(step):
                size = step.size if isinstance(step, Move) else 0.0
                alone = plan.lasts + (plan.flow[0] * plan.flow[1] if plan.flow else 0.0)
                told = begun & (plan.lasts > 0.0) if isinstance(step, Work) else begun
                phases.append(
                    Phase(
                        kind=step.kind, t0=t0, t1=t1, energy=drawn, size=size * done, progress=done,
                        begun=told, alone=alone,
                        latency=0.0 * alone if plan.wait is None else plan.lasts - plan.wait,
                        up=step.up if isinstance(step, Move) else None,
                    )
                )  # fmt: skip
            if isinstance(step, Work):
                self._check_clocks(rows, t0, begun)
            if self.radios.any:
                parts, trail, silence = self._listen(rows, plan, silence, t0, t1, begun, drawn)
                stretches += parts
                used["radio_tail"] = used.get("radio_tail", 0.0) + trail
            else:
                joules = (drawn, np.zeros(len(rows))) if plan.flow else ()
                stretches.append(Stretch(t1 - t0, plan.computing, plan.radio, *joules))
            t0, begun = t1, begun & (done == 1.0)
        return _Played(phases, used, t0, stretches, silence)

    def _check_clocks(self, rows: Rows, t0: Array, begun: NDArray[np.bool_]) -> None:
        """Refuse work while clocks still rise to where they are kept."""
        pause = np.array([profile.switch if any(points) else 0.0 for profile, points in zip(
            self.people.profiles, self._points, strict=True
        )])  # fmt: skip
        if pause.any():
            early = begun & (t0 < pause[self.people.kind[rows]])
            self._refuse(rows, early, "compute while their clocks still rise, right at the start")

    def _listen(
        self, rows: Rows, plan: _Plan, silence: Silence, t0: Array, t1: Array,
        begun: NDArray[np.bool_], drawn: Array,
    ) -> tuple[list[Stretch], Array, Silence]:  # fmt: skip
        """What radios with states do during a step: its stretches, their joules, and what follows.

        Of one that was not begun nothing follows, and it has no seconds.
        """
        promoting, connected, tailing = self.radios.watts(rows)
        if plan.wait is None:
            first, then = silence.seconds(t0, t1)
            left = t1 - t0 - first - then
            nothing = np.zeros(len(rows))
            parts = [
                Stretch(lasts, plan.computing, watts)
                for lasts, watts in ((first, promoting), (then, tailing), (left, nothing))
            ]
            return parts, promoting * first + tailing * then, silence
        waited = np.minimum(plan.wait, t1 - t0)
        there = t1 - t0 - waited
        joules = (drawn + connected * there, connected) if plan.flow else ()
        parts = [
            Stretch(waited, plan.computing, promoting),
            Stretch(there, plan.computing, connected + plan.radio, *joules),
        ]
        heard = self.radios.heard(rows, t0, plan.wait, t1)
        silence = Silence(*(
            np.where(begun, new, old) for new, old in zip(heard, silence, strict=True)
        ))  # fmt: skip
        return parts, promoting * waited + connected * there, silence

    def _plan(self, steps: Sequence[Step], rows: Rows, now: Seconds) -> list[_Plan]:
        """What each step takes of each device, if all of it is done."""
        nothing = np.zeros(len(rows))
        latency = self._latency[self.people.cell[rows]] + self._each(self.people.latency)[rows]
        plans: list[_Plan] = []
        passed, heard = nothing, False
        for step in steps:
            wait = None
            if isinstance(step, Move):
                wait = nothing
                if self.radios.any:
                    known = self.radios.wait_after if heard else self.radios.wait
                    wait = known(rows, passed if heard else now + passed)
                passed, heard = nothing, True
            plans.append(self._take(step, rows, wait, latency))
            if wait is None:
                passed = passed + plans[-1].lasts
        return plans

    def _take(self, step: Step, rows: Rows, wait: Array | None, latency: Array) -> _Plan:
        """What one step takes of each device."""
        nothing = np.zeros(len(rows))
        match step:
            case Work(cost=cost):
                lasts, kinds = self._work(cost, rows)
                joules = sum(kinds.values(), nothing)
                watts = np.divide(joules, lasts, out=nothing.copy(), where=lasts > 0.0)
                return _Plan(lasts, kinds, watts, nothing)
            case Rest(duration=duration):
                return _Plan(np.full(len(rows), duration), {}, nothing, nothing)
            case Move(size=size, up=up):
                lag = latency if wait is None else wait + latency
                if not size:
                    return _Plan(lag, {}, nothing, nothing, wait)
                work, demand, price, watts = self._flow(rows, up)
                flow = size * work, demand
                return _Plan(lag, {"radio": size * price}, nothing, watts, wait, flow, int(up))

    def _work(self, cost: Cost, rows: Rows) -> tuple[Array, dict[str, Array]]:
        """Seconds of a work, and joules by kind; counted once for all who are alike."""
        place, examples = alike(cost, self.people.kind[rows])
        lasts: list[Seconds] = []
        kinds: dict[str, list[Joules]] = {"compute": [], "memory": []}
        for kind, each in examples:
            profile = self.people.profiles[kind]
            if each.memory > profile.memory:
                raise NotTraceable(
                    f"the work does not fit into the memory of {profile.name}, which would drop it"
                )
            effort = profile.effort(each, self._points[kind])
            lasts.append(effort.duration)
            for joules in kinds.values():
                joules.append(0.0)
            for domain, joules in zip(profile.domains, effort.joules, strict=True):
                kinds[_KIND_OF_DOMAIN[domain.kind]][-1] += joules
        tables = {kind: np.array(joules)[place] for kind, joules in kinds.items() if any(joules)}
        return np.array(lasts)[place], tables

    def _flow(self, rows: Rows, up: bool) -> tuple[Array, Array, Array, Array]:
        """Of each device: level a byte, air a level, radio joules a byte, radio watts at most."""
        people, cell = self.people, self.people.cell[rows]
        rate = people.up[rows] if up else people.down[rows]
        watts = people.transmit[rows] if up else people.receive[rows]
        watts = np.maximum(watts - self._connected[cell], 0.0)
        beside = self._each(people.sending if up else people.receiving)[rows]
        weight = np.where(self._by_time[cell], rate, 1.0)
        return 1.0 / weight, weight / rate, watts / rate + beside, watts + beside * rate

    def _share(
        self, waves: Sequence[Wave], rows: Rows, now: Seconds, until: Array
    ) -> tuple[list[Array], list[Array]]:
        """When each flow ends, and how much of it was moved, cell by cell."""
        ends = [np.empty(len(rows)) for _ in waves]
        shares = [np.empty(len(rows)) for _ in waves]
        if not waves:
            return ends, shares
        cell = self.people.cell[rows]
        number = np.min_scalar_type(len(self.people.cells))  # small numbers are sorted by counting
        order = np.argsort(cell.astype(number), kind="stable")
        ordered = [wave.of(order) for wave in waves]
        stops = until[order]
        bounds = np.flatnonzero(np.diff(cell[order], prepend=-1, append=-1))
        for first, last in pairwise(bounds.tolist()):
            part = slice(first, last)
            here = self.people.cells[int(cell[order[first]])]
            there = [wave.of(part) for wave in ordered]
            if not here.apart:
                there = [wave._replace(channel=0) for wave in there]
            solve = play_apart if here.share == "line" else play
            times, moved = solve(now, there, stops[part])
            for place in range(len(waves)):
                ends[place][order[part]] = times[place]
                shares[place][order[part]] = moved[place]
            self.solves += 1
        self.flows += len(waves) * len(rows)
        return ends, shares


def _is_told(step: Step) -> bool:
    """Whether a trace tells of a step: of messages with bytes, and of rests that have a name."""
    return bool(step.size if isinstance(step, Move) else isinstance(step, Work) or step.kind)


def _timed(begun: Array, lasts: Array, until: Array) -> tuple[Array, Array]:
    """When steps of known length end, and the share that is done by `until`."""
    end = begun + lasts
    left = np.maximum(until - begun, 0.0)
    part = np.divide(left, lasts, out=np.ones_like(lasts), where=lasts > left)
    return end, np.where(end <= until, 1.0, part)
