"""A script that devices of a fleet in columns play side by side, to the end that each comes to.

Messages share the air of their cell (`hetsim.sim._cell`), so who stops makes room for others. A
device stops when it leaves, at a deadline, when enough others are through, and when its battery
runs empty. Only the last instant is not known from the start: it follows from what all others do up
to then. Nothing that happens later can change it, so in a cell the first death is where it is
found, and so is each that the air has not yet felt when it happens. These devices stop there, the
cell is played again, and so on until nobody dies who does not stop. So a cell is played at most
once more for each death that others feel.

A battery that runs empty at the very instant at which a step ends lets the step be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Seconds
from hetsim.sim._cell import Wave, play, play_apart
from hetsim.sim._level import Level
from hetsim.sim._plan import Plan
from hetsim.sim._radios import Radios, Silence
from hetsim.sim._warmth import Stretch
from hetsim.sim.columns import Array, Move, Rest, Step, Work
from hetsim.sim.population import Population, Rows

Mask = NDArray[np.bool_]


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
        works: whether it computes.
        up: of a message, whether it goes to the server; None of all else.
    """

    kind: str
    t0: Array
    t1: Array
    energy: Array
    size: Array
    progress: Array
    begun: Mask
    alone: Array
    latency: Array
    works: bool = False
    up: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a script has come to, a row a device.

    Attributes:
        phases: its steps.
        used: joules above base, by kind.
        end: when each device is through.
        done: who has come to the end of it.
        stretches: what each has drawn on the way, at most.
        silence: of their radios from then on.
    """

    phases: list[Phase]
    used: dict[str, Array]
    end: Array
    done: Mask
    stretches: list[Stretch]
    silence: Silence


class Playing:
    """A script and those who play it, all from one instant on.

    Attributes:
        flows: messages with bytes in it.
        solves: cells solved so far.
    """

    def __init__(
        self, people: Population, radios: Radios, steps: Sequence[Step], plans: Sequence[Plan],
        rows: Rows, now: Seconds, there: Mask,
    ) -> None:  # fmt: skip
        """Let rows set out, of whom only those that are `there` begin anything."""
        self._people, self._radios, self._steps, self._plans = people, radios, steps, plans
        self._rows, self._now, self._there = rows, now, there
        waves, pause = list[Wave](), np.zeros(len(rows))
        for plan in plans:
            pause = pause + plan.lasts
            if plan.flow:
                waves.append(Wave(pause, *plan.flow, plan.channel))
                pause = np.zeros(len(rows))
        self._cell = cell = people.cell[rows]
        number = np.min_scalar_type(len(people.cells))  # small numbers are sorted by counting
        self._order = np.argsort(cell.astype(number), kind="stable")
        bounds = np.flatnonzero(np.diff(cell[self._order], prepend=-1, append=-1))
        self._parts = {
            int(cell[self._order[first]]): slice(first, last)
            for first, last in pairwise(bounds.tolist())
        }
        self._waves, self._ordered = waves, [wave.of(self._order) for wave in waves]
        self._stops = np.full(len(rows), -inf)
        self._begins, self._ends = ([np.full(len(rows), inf) for _ in waves] for _ in range(2))
        self._shares = [np.zeros(len(rows)) for _ in waves]
        self._prices = [plan.joules["radio"] / plan.flow[0] for plan in plans if plan.flow]
        self.flows, self.solves = len(waves) * len(rows), 0

    def play(
        self, until: Array, stored: Array, base: Array, first: float = inf
    ) -> tuple[Played, Mask]:
        """Let all play until they stop.

        Args:
            until: instant at which each does.
            stored: joules that each can draw; infinite for those whose battery lasts.
            base: watts that each draws whatever it does.
            first: when so many are through, the others stop.

        Returns:
            what has come of it, and whose battery has run empty.
        """
        until, died = until.copy(), np.zeros(len(until), np.bool_)
        whole = played = self._play(until)
        places = np.arange(len(until))
        while True:
            drawn = sum(played.used.values(), base[places] * (played.end - self._now))
            weak = self._there[places] & ~died[places] & (drawn >= stored[places])
            who = places[weak]
            dies = self._dies(played, who, weak, stored[who], base[who])
            known, cells = self._known(who, dies)
            if not known.any():
                break
            until[who[known]] = np.minimum(until[who], dies)[known]
            died[who[known]] = True
            if not cells:
                break
            places = np.concatenate([self._order[self._parts[cell]] for cell in cells])
            played = self._play(until, places)
        if died.any():
            whole = self._play(until)
        if whole.done.sum() >= first:
            enough = np.sort(whole.end[whole.done])[int(first) - 1]
            late = (until > enough) & (~whole.done | (whole.end > enough))
            if late.any():
                whole, died = self._play(np.where(late, enough, until)), died & ~late
        return whole, died

    # --- batteries that run empty ---------------------------------------------------------------

    def _known(self, who: Rows, dies: Array) -> tuple[Mask, list[int]]:
        """Which deaths are where they were found, and the cells in which others feel them.

        The air feels a death once bytes of the device move, or would have begun to.
        """
        felt = np.full(len(who), inf)
        for begin, end in zip(self._begins, self._ends, strict=True):
            gone = end[who] > dies
            felt[gone] = np.minimum(felt, np.maximum(begin[who], dies))[gone]
        known, cell = dies < inf, self._cell[who]
        cells: list[int] = []
        found: list[int] = np.unique(cell[known]).tolist()
        for number in found:
            if self._people.cells[number].share == "line":
                continue
            mine = np.flatnonzero(known & (cell == number))
            mine = mine[np.argsort(dies[mine], kind="stable")]
            first = np.minimum.accumulate(felt[mine])
            known[mine[1:]] = dies[mine[1:]] <= first[:-1]
            if first[-1] < inf:
                cells.append(number)
        return known, cells

    def _dies(self, played: Played, who: Rows, weak: Mask, left: Array, base: Array) -> Array:
        """When batteries run empty that do not last; infinite if rounding says that they do.

        Args:
            played: what whole cells have come to.
            who: the devices.
            weak: where they are in it.
            left: joules that they can draw.
            base: watts that they draw whatever they do.
        """
        when, found = np.full(len(who), self._now), np.full(len(who), inf)
        levels: dict[int, Level] = {}
        wave = -1
        for stretch in played.stretches:
            lasts, joules, least = stretch.lasts[weak], stretch.joules, stretch.least
            watts = base + stretch.computing[weak]
            watts = watts + (stretch.besides if least is None else least)[weak]
            need = watts * lasts if joules is None else base * lasts + joules[weak]
            ends = (found == inf) & (lasts > 0.0) & (need >= left)
            found[ends] = (when + left / np.where(ends, watts, 1.0))[ends]
            if joules is not None:
                wave += 1
                begins, over = self._begins[wave][who], self._ends[wave][who]
                for each in np.flatnonzero(ends & (found > begins)).tolist():
                    level = self._level(wave, int(who[each]), levels)
                    price = float(self._prices[wave][who[each]])
                    rest = left[each] - watts[each] * (begins[each] - when[each])
                    flow = float(begins[each]), float(over[each])
                    found[each] = level.when(flow, float(rest), float(watts[each]), price)
            when, left = when + lasts, left - need
        return found

    def _level(self, wave: int, place: int, known: dict[int, Level]) -> Level:
        """That of the air in which a device moves the bytes of a wave."""
        cell = int(self._cell[place])
        here, channel = self._people.cells[cell], self._waves[wave].channel
        there, part, number = list(range(len(self._waves))), self._order[self._parts[cell]], cell
        if here.share == "line":
            there, part, number = [wave], np.array([place]), -1 - place
        elif here.apart:
            there = [n for n, each in enumerate(self._waves) if each.channel == channel]
            number += channel * len(self._people.cells)
        if number not in known:
            demands = [each.demand for each in self._waves]
            known[number] = Level(*(
                np.concatenate([columns[n][part] for n in there])
                for columns in (self._begins, self._ends, demands)
            ))  # fmt: skip
        return known[number]

    # --- steps ----------------------------------------------------------------------------------

    def _play(self, until: Array, places: Rows | None = None) -> Played:
        """What comes of it if each device stops at `until`, whatever its battery holds.

        Args:
            until: of all devices.
            places: those that are looked at; None for all.
        """
        self._share(until)
        plans, mine = self._plans, slice(None) if places is None else places
        if places is not None:
            plans = [plan.of(places) for plan in plans]
        rows, until, begun = self._rows[mine], until[mine], self._there[mine]
        phases: list[Phase] = []
        used: dict[str, Array] = {}
        stretches: list[Stretch] = []
        silence, t0, wave = self._radios.of(rows), np.full(len(rows), self._now), 0
        for step, plan in zip(self._steps, plans, strict=True):
            if plan.flow:
                end, done = self._ends[wave][mine], self._shares[wave][mine]
                begins = t0 + plan.lasts
                self._begins[wave][mine] = np.where(begun & (begins <= until), begins, inf)
                wave += 1
            else:
                end, done = _timed(t0, plan.lasts, until)
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
                works = isinstance(step, Work)
                phases.append(
                    Phase(
                        kind=step.kind, t0=t0, t1=t1, energy=drawn, size=size * done, progress=done,
                        begun=begun & (plan.lasts > 0.0) if works else begun, alone=alone,
                        latency=0.0 * alone if plan.wait is None else plan.lasts - plan.wait,
                        works=works, up=step.up if isinstance(step, Move) else None,
                    )
                )  # fmt: skip
            if self._radios.any:
                parts, trail, silence = self._listen(rows, plan, silence, t0, t1, begun, drawn)
                stretches += parts
                used["radio_tail"] = used.get("radio_tail", 0.0) + trail
            else:
                joules = (drawn, np.zeros(len(rows))) if plan.flow else ()
                stretches.append(Stretch(t1 - t0, plan.computing, plan.radio, *joules))
            t0, begun = t1, begun & (done == 1.0)
        return Played(
            phases=phases, used=used, end=t0, done=begun, stretches=stretches, silence=silence
        )

    def _listen(
        self, rows: Rows, plan: Plan, silence: Silence, t0: Array, t1: Array, begun: Mask,
        drawn: Array,
    ) -> tuple[list[Stretch], Array, Silence]:  # fmt: skip
        """What radios with states do during a step: its stretches, their joules, and what follows.

        Of one that was not begun nothing follows, and it has no seconds.
        """
        promoting, connected, tailing = self._radios.watts(rows)
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
        heard = self._radios.heard(rows, t0, plan.wait, t1)
        silence = Silence(*(
            np.where(begun, new, old) for new, old in zip(heard, silence, strict=True)
        ))  # fmt: skip
        return parts, promoting * waited + connected * there, silence

    def _share(self, until: Array) -> None:
        """When each flow ends, and how much of it is moved, of the cells where somebody stops."""
        stops = until[self._order]
        changed = stops != self._stops
        self._stops = stops
        if not self._waves:
            return
        for number, part in self._parts.items():
            if not changed[part].any():
                continue
            here = self._people.cells[number]
            there = [wave.of(part) for wave in self._ordered]
            if not here.apart:
                there = [wave._replace(channel=0) for wave in there]
            solve = play_apart if here.share == "line" else play
            times, moved = solve(self._now, there, stops[part])
            for wave in range(len(there)):
                self._ends[wave][self._order[part]] = times[wave]
                self._shares[wave][self._order[part]] = moved[wave]
            self.solves += 1


def _is_told(step: Step) -> bool:
    """Whether a trace tells of a step: of messages with bytes, and of rests that have a name."""
    return bool(step.size if isinstance(step, Move) else isinstance(step, Work) or step.kind)


def _timed(begun: Array, lasts: Array, until: Array) -> tuple[Array, Array]:
    """When steps of known length end, and the share that is done by `until`."""
    end = begun + lasts
    left = np.maximum(until - begun, 0.0)
    part = np.divide(left, lasts, out=np.ones_like(lasts), where=lasts > left)
    return end, np.where(end <= until, 1.0, part)
