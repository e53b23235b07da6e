"""A pacing policy in charge of a device: what it is told of the jobs there, and what it decides.

An item is a training step, or an item of a stream. Items that take the same but for a factor are
one kind of work, with a pacer of its own that learns from job to job; a new one may inherit what
the device's last one knows of the device. It believes what the device's
profile says: seconds and joules of an item at every combination of the operating points that heat
allows now. Joules are those of the domains, and (P_idle - P_rest) t for a device that rests, once
it is done, at another power than idle.

The pacer sees one job at a time. Other jobs on the device, and work that is announced, count as so
many items of the oldest job's kind as take as long at the highest clocks, so that all the work
shares the time until the deadline. Of a stream the time elsewhere is set aside. When a stretch is
over, a job comes or goes, or heat changes what is allowed, the pacer is told what was really done,
in which time and with how many joules, and asked again.

Where nobody sets a deadline a job has `slack` times what it takes at the highest clocks. They are
used, too, once the deadline has passed, and when nothing has progressed for a whole stretch. An
idle device is at its lowest clocks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import frexp, inf, ldexp
from typing import Literal

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Joules, Seconds, Watts
from hetsim.sim.dvfs import Domain, Timing, effort
from hetsim.sim.governors._pacing import Heir, Pacer, Settings, Stretch
from hetsim.sim.governors.base import Choice, Governor, Outlook, Task, View

Points = tuple[int, ...]

_DIGITS = 2.0**30
"""Costs of an item that agree to so many parts are the same."""
_WHOLE = 1e-6
"""Of an item: by so much a number of items may miss a whole one."""
_NOTHING = 1e-12
"""Share of a job that rounding has left of it."""
_NO_WORK = Cost()
_KINDS = 32
"""Kinds of work that are remembered, those used last."""
_LEAST = 1e-3
"""Of an item: a stretch is no shorter, and nobody is told of less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """Abstract: a policy that governs devices.

    Attributes:
        slack: how many times as long as at the highest clocks a job may take that has no deadline.
        margin: share of the time until a deadline that is kept free for what nobody foresees.
        rest: base state that the device is taken to be in once it is done.
    """

    slack: float = 1.2
    margin: Fraction = 0.05
    rest: Literal["idle", "sleep", "off"] = "idle"

    def __post_init__(self) -> None:
        """Refuse less time than the highest clocks need, and a margin that leaves none."""
        if not self.slack >= 1.0:
            what = f"slack is {self.slack:g}; no clocks are faster than the highest"
            raise SpecError(what, remedy="Give 1 or more, such as 1.2.")
        if not 0.0 <= self.margin < 1.0:
            what = f"margin is {self.margin:g}; it is a share of the time, and some must be left"
            raise SpecError(what, remedy="Give 0 or more, below 1, such as 0.05.")

    @abstractmethod
    def pacer(self, settings: Settings) -> Pacer:
        """A pacer that knows nothing yet but `settings`."""

    def begin(self, stream: int = 0) -> Governor:
        """The governor of one device; who draws at random does so by `stream`."""
        return _Governor(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of work on a device.

    Attributes:
        settings: what is believed of an item.
        points: operating points of each setting, the highest last.
        above: watts by which an idle device draws more than one at rest.
        pacer: of this kind of work.
    """

    settings: Settings
    points: Sequence[Points]
    above: Watts
    pacer: Pacer

    @property
    def fastest(self) -> Seconds:
        """What an item takes at the highest clocks."""
        return self.settings.times[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What a task took of the work on the device, at some instant.

    Attributes:
        task: which.
        here: seconds of all of it at the highest clocks.
        between, after: seconds in other places, between its items and after them.
        done: share that was done.
    """

    task: Task
    here: Seconds
    between: Seconds
    after: Seconds
    done: Fraction

    @property
    def left(self) -> Fraction:
        """Share that was not done."""
        return max(1.0 - self.done, 0.0)

    @property
    def since(self) -> Fraction:
        """Share that has been done since then."""
        return self.task.done - self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """A stretch under way.

    Attributes:
        kind: of work.
        shares: of the work on the device, when it began.
        setting: at which it is done.
        items: that were to be done.
        patience: how many times as long as believed it may take until somebody looks.
        choice: what was answered.
        begun: when.
        drawn: joules drawn until then.
    """

    kind: _Kind
    shares: Sequence[_Share]
    setting: int
    items: float
    patience: float
    choice: Choice
    begun: Seconds
    drawn: Joules

    def knows(self, shares: Sequence[_Share]) -> bool:
        """Whether it has counted in all of them."""
        known = [share.task for share in self.shares]
        return all(share.task in known for share in shares)

    def under(self, highest: Points) -> bool:
        """Whether the same operating points were allowed."""
        return self.kind.points[-1] == highest

    def holds(self, now: Seconds, shares: Sequence[_Share]) -> bool:
        """Whether it has just been chosen, with nothing new since."""
        return now == self.begun and len(shares) == len(self.shares) and self.knows(shares)

    def tell(self, look: Outlook) -> float:
        """Tell the pacer what was done; returns how patient to be with the next stretch.

        Twice as patient if less than half was done in time, infinitely if nothing was.
        """
        kind = self.kind
        items = sum(share.here * share.since for share in self.shares) / kind.fastest
        seconds = look.now - self.begun - max(share.between * share.since for share in self.shares)
        if items >= _LEAST and seconds > 0.0:
            joules = look.drawn - self.drawn + kind.above * seconds
            kind.pacer.told(Stretch(self.setting, items), seconds, joules)
        if look.now < self.begun + self.choice.review or items >= self.items / 2.0:
            return 1.0
        return self.patience * 2.0 if items >= _LEAST else inf


class _Governor:
    """Paces the jobs of one device."""

    def __init__(self, policy: Paced) -> None:
        self._policy = policy
        self._kinds: dict[tuple[Cost, Points], _Kind] = {}
        self._course: _Course | None = None
        self._deadline: Seconds = inf
        self._due: Seconds = inf

    def choose(self, view: View) -> Choice:
        """The points of the next stretch, and when it is over."""
        lowest = (0,) * len(view.domains)
        highest = tuple([len(domain.points) - 1 for domain in view.domains])
        if view.outlook is None:
            return Choice(highest if any(view.busy) else lowest)
        if highest == lowest:
            return Choice(highest)
        look, last = view.outlook(), self._course
        same = last if last and last.under(highest) else None
        known = {share.task: share.here for share in same.shares} if same else {}
        shares = [_share(task, view, look, known) for task in look.tasks]
        shares = [share for share in shares if share.here and share.left > _NOTHING]
        if same and same.holds(look.now, shares):
            return same.choice
        patience = last.tell(look) if last else 1.0
        self._course = None
        if shares:
            goes_on = same and same.shares[0].task == shares[0].task
            kind = same.kind if same and goes_on else self._kind(shares[0].task, view, look)
            self._course = self._next(view, look, kind, shares, last, patience)
        return self._course.choice if self._course else Choice(lowest)

    def _next(
        self,
        view: View,
        look: Outlook,
        kind: _Kind,
        shares: Sequence[_Share],
        last: _Course | None,
        patience: float,
    ) -> _Course:
        """The next stretch of what is on the device."""
        comes = last is None or not last.knows(shares)
        here = sum(share.here * share.left for share in shares)
        between = max(share.between * share.left for share in shares)
        elsewhere = max(share.between * share.left + share.after for share in shares)
        ahead = _seconds(look.ahead, view.domains, look) if look.ahead != _NO_WORK else 0.0
        work = here + ahead
        items = max(_whole(work / kind.fastest), _LEAST)
        until = self._until(look, work + elsewhere, comes)
        seconds = until - look.now - elsewhere if elsewhere < inf else 0.0
        if comes or last is None or last.kind is not kind:
            kind.pacer.begin(items, max(seconds, 0.0))
            patience = 1.0
        stretch = Stretch(len(kind.points) - 1)
        if seconds > 0.0 and patience < inf:
            stretch = kind.pacer.next(items, seconds)
        points, review = kind.points[stretch.setting], inf
        part, most = max(stretch.items, _LEAST), here / kind.fastest
        if part < most - _WHOLE:
            review = part * kind.settings.times[stretch.setting] + part / most * between
            review = patience * review + (look.switch if points != view.points else 0.0)
            if look.now + review <= look.now:
                review = inf
        return _Course(
            kind=kind, shares=shares, setting=stretch.setting, items=min(part, most),
            patience=patience, choice=Choice(points, review), begun=look.now, drawn=look.drawn,
        )  # fmt: skip

    def _until(self, look: Outlook, seconds: Seconds, comes: bool) -> Seconds:
        """When to be done with what takes so many seconds at the highest clocks.

        That is never while a line is down, and looked at again if nobody has set a deadline.
        """
        now, deadline, before = look.now, look.deadline, self._deadline
        self._deadline = deadline
        if deadline == inf:
            if comes or before < inf or self._due == inf:
                self._due = now + self._policy.slack * seconds
        elif deadline != before:
            self._due = deadline - self._policy.margin * max(deadline - now, 0.0)
        return self._due

    def _kind(self, task: Task, view: View, look: Outlook) -> _Kind:
        """The kind of work that a task is."""
        item = _item(task)
        key = item, tuple([len(domain.points) for domain in view.domains])
        kind = self._kinds.pop(key, None) or self._new(item, view, look)
        self._kinds[key] = kind
        if len(self._kinds) > _KINDS:
            del self._kinds[next(iter(self._kinds))]
        return kind

    def _new(self, item: Cost, view: View, look: Outlook) -> _Kind:
        """A kind of work not met before; its pacer may know the device from the last kind."""
        domains = tuple(view.domains)
        above = look.base["idle"] - look.base[self._policy.rest]
        settings = believed(domains, look.timing, item, above)
        pacer = self._policy.pacer(settings)
        if self._kinds and isinstance(pacer, Heir):
            pacer.inherit(self._kinds[next(reversed(self._kinds))].pacer)
        return _Kind(
            settings=settings, points=_points(tuple([len(each.points) for each in domains])),
            above=above, pacer=pacer,
        )  # fmt: skip


def _seconds(cost: Cost, domains: Sequence[Domain], look: Outlook) -> Seconds:
    """What a cost takes at the highest clocks."""
    highest = tuple([len(domain.points) - 1 for domain in domains])
    return effort(domains, highest, cost, look.timing).duration


def _share(task: Task, view: View, look: Outlook, known: Mapping[Task, Seconds]) -> _Share:
    """What a task takes now; of some it is `known` what they take at the highest clocks."""
    here = known.get(task) or _seconds(task.cost, view.domains, look)
    between, after = task.elsewhere
    return _Share(task=task, here=here, between=between, after=after, done=task.done)


def _whole(items: float) -> float:
    """So many items, without what rounding has left of them."""
    nearest = float(round(items))
    return nearest if abs(items - nearest) < _WHOLE else items


def _item(task: Task) -> Cost:
    """What an item takes; the same for all of a kind."""
    cost, items = task.cost, task.items
    return Cost(
        flops=_rounded(cost.flops / items),
        traffic=_rounded(cost.traffic / items),
        steps=_rounded(cost.steps / items),
        samples=_rounded(cost.samples / items),
        operators=_rounded(cost.operators / items),
    )


def _rounded(number: float) -> float:
    mantissa, exponent = frexp(number)
    return ldexp(round(mantissa * _DIGITS) / _DIGITS, exponent)


@lru_cache(maxsize=64)
def _points(limits: Points) -> Sequence[Points]:
    """Every combination of so many operating points of each domain."""
    return list(product(*map(range, limits)))


@lru_cache(maxsize=64)
def _clocks(domains: tuple[Domain, ...]) -> Sequence[tuple[float, ...]]:
    """The clocks at each combination, as shares of the highest."""
    shares = [
        [point.frequency / domain.points[-1].frequency for point in domain.points]
        for domain in domains
    ]
    return list(product(*shares))


@lru_cache(maxsize=64)
def believed(domains: tuple[Domain, ...], timing: Timing, item: Cost, above: Watts) -> Settings:
    """What a device's profile says of an item at every combination of operating points.

    Args:
        domains: of the device.
        timing: of the device.
        item: its work.
        above: watts by which an idle device draws more than one at rest.
    """
    times: list[Seconds] = []
    energies: list[Joules] = []
    for points in _points(tuple([len(domain.points) for domain in domains])):
        work = effort(domains, points, item, timing)
        times.append(work.duration)
        energies.append(sum(work.joules) + above * work.duration)
    return Settings(clocks=_clocks(domains), times=times, energies=energies)
