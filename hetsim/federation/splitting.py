"""Where each device's model is cut, so that a cohort is fast or its devices draw little.

A client may keep any number of blocks, all of them too: it then trains by itself. For those who are
asked side by side the server looks for the cuts that a forecast likes best. It knows what profiles
say, what links carried when something last passed them, and what it has planned itself; so those
who share its processor or a link get into each other's way in the forecast as in the run
(`hetsim.sim.forecast`). It begins with the best of: one cut for all, whichever; and for each
client what is best if nobody else is there. Then it changes one client's cut after the other as
long as that helps (best responses), which ends, for each change makes the forecast better.

When a bandwidth on its way changes, a client that is at work is looked at again. When its cut
moves, a batch is begun anew, which speaks for staying; the blocks in between move, and with
momentum their optimizer's state, which is as large; and one batch passes before it may move again.
What is learned does not change. The forecast takes the bandwidths of that moment for those of all
time to come.

Di Wu, Ullah, Harvey, Kilpatrick, Spence, Varghese, "FedAdapt: Adaptive Offloading for IoT Devices
in Federated Learning", IEEE Internet of Things Journal 9(21), 2022, lets an agent learn the cuts of
groups of devices from round times; here they are computed, which needs no training (our decision).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from math import ceil, inf
from typing import Any, Literal

from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.ref import Ref
from hetsim.federation.client import Client, Errand
from hetsim.federation.run import Run
from hetsim.sim.clock import CUT, Call
from hetsim.sim.forecast import Act, drawn, forecast
from hetsim.sim.kernel import Kernel
from hetsim.sim.network.base import Route
from hetsim.sim.radio import RadioState
from hetsim.sim.requests import Compute, Stream, Transfer

Aim = Literal["fastest", "thriftiest"]
"""What cuts are for: the slowest client ends early; devices draw little, base power included."""
_WORTH = 1e-3
"""By what share a forecast must be better for a change."""

Score = tuple[float, float]
"""What a plan is judged by; the second part only where the first is no worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A client's errand with one cut.

    Attributes:
        front: what the device needs of the model before, all of it if it trains by itself.
        back: what the server needs; None for nothing.
        after: what the device uploads at the end.
        model: what is learned.
        stages: of the training, for all items.
        items: batches.
    """

    front: Ref[Any]
    back: Ref[Any] | None
    after: Ref[Any]
    model: Ref[Any]
    stages: tuple[Compute | Transfer, ...]
    items: int


@dataclass(slots=True, eq=False, kw_only=True)
class _Task:
    """An errand and how far it is.

    Attributes:
        offers: what it is, by cut.
        cut: where it is cut; 0 before it has begun.
        planned: where it is to be cut when it begins.
        left: items, when last told.
        pace: of those under way `since` then, seconds an item by the forecast; inf if none are.
        seen: what its ways carried when it was planned last.
    """

    client: Client
    errand: Errand
    offers: Mapping[int, Offer]
    cut: int = 0
    planned: int = 0
    left: int
    pace: Seconds = inf
    since: Seconds = 0.0
    seen: tuple[float, ...] = ()

    @property
    def alive(self) -> bool:
        """Whether the client is still on it."""
        going = self.errand.participation.outcome == "unfinished"
        return going and self.client.errand is self.errand

    def remaining(self, now: Seconds) -> float:
        """Items that have not passed, as far as one can tell."""
        passed = (now - self.since) / self.pace if self.pace > 0.0 else self.left
        return max(self.left - passed, 0.0)

    def acts(self, cut: int, left: float, state: float) -> list[Act]:
        """What is still to be done, with this cut from now on; with another, of whole items."""
        offer, client = self.offers[cut], self.client
        left = left if cut == self.cut else ceil(left)
        acts: list[Act] = []
        if not self.cut:
            acts.append(client.downlink(float(offer.front.nbytes)))
        elif cut != self.cut:
            acts.append(self.move(cut, state))
        if left:
            acts.append(_stream(offer, left))
        acts.append(client.uplink(float(offer.after.nbytes)))
        return acts

    def move(self, cut: int, state: float) -> Transfer:
        """Sending the blocks between its cut and another one, `state` bytes for each of theirs."""
        size: Bytes = self.offers[cut].front.nbytes - self.offers[self.cut].front.nbytes
        way = self.client.downlink if size > 0 else self.client.uplink
        return way(abs(size) * state)


def _stream(offer: Offer, items: float) -> Stream:
    """So many items of an offer, one after the other."""
    share = items / offer.items
    stages = tuple(
        replace(stage, size=stage.size * share)
        if isinstance(stage, Transfer)
        else replace(stage, cost=stage.cost * share)
        for stage in offer.stages
    )
    return Stream(stages=stages, items=ceil(items), window=1)


class Splitting:
    """The cuts of the clients of a run.

    Args:
        run: the run.
        aim: what for.
        offers: what the errand of a client with a model is, by cut, of the cuts that are possible.
        state: bytes to move for each byte of a block: 2 with momentum.
    """

    def __init__(
        self,
        run: Run,
        aim: Aim,
        offers: Callable[[Client, Ref[Any]], Mapping[int, Offer]],
        *,
        state: float,
    ) -> None:
        self._run, self._aim, self._offers = run, aim, offers
        self._state = state
        self._tasks: dict[Client, _Task] = {}

    async def errand(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """A client's part: download, train, upload, with the cut that suits best at the time."""
        run, hub = self._run, device.hub
        task = self._task(device, model)
        offer = task.offers[task.planned]
        run.has(hub, offer.front)
        await device.download(offer.front)
        task.cut = task.planned
        device.watch(model)
        while task.left:
            self._reconsider(task)
            offer, moves = task.offers[task.planned], task.planned != task.cut
            if moves:
                move, task.cut = task.move(task.planned, self._state), task.planned
                await move
            run.has(device, offer.front)
            if offer.back:
                run.has(hub, offer.back)
            if moves:  # a batch passes before the next change, however often bandwidths change
                await _stream(offer, 1)
                task.left -= 1
                continue
            with self._watched(task):
                done = await _stream(offer, task.left)
            task.left = round((1.0 - done) * task.left)
        run.has(device, offer.after)
        await device.upload(offer.after)
        run.has(hub, offer.model)
        return offer.model

    # --- who is under way -----------------------------------------------------------------------

    def _task(self, device: Client, model: Ref[Any]) -> _Task:
        """The errand of a client; the first of those asked at once has all of them planned."""
        self._forget()
        if device not in self._tasks:
            asked = [client for client in self._run.clients if self._new(client, device)]
            for client in asked:
                assert client.errand
                offers = self._offers(client, model)
                items = next(iter(offers.values())).items
                self._tasks[client] = _Task(
                    client=client, errand=client.errand, offers=offers, left=items
                )
            self._plan([self._tasks[client] for client in asked])
        return self._tasks[device]

    def _forget(self) -> None:
        """Leave out who has delivered or was dropped."""
        self._tasks = {client: task for client, task in self._tasks.items() if task.alive}

    def _new(self, client: Client, device: Client) -> bool:
        """Whether a client has been asked with a device, and has no plan."""
        mine, theirs = device.errand, client.errand
        return (
            mine is not None
            and theirs is not None
            and client not in self._tasks
            and theirs.participation.outcome == "unfinished"
            and theirs.hub is mine.hub
            and theirs.participation.t0 == mine.participation.t0
        )

    # --- forecasts ------------------------------------------------------------------------------

    def _score(self, cuts: Mapping[_Task, int], only: Iterable[_Task] | None = None) -> Score:
        """How good cuts are for those under way, or for some of them if nobody else is there."""
        tasks = list(self._tasks.values() if only is None else only)
        errands, ends = self._forecast(cuts, tasks)
        latest = max(end[-1] for end in ends)
        if self._aim == "fastest":
            return latest, sum(end[-1] for end in ends)
        joules = sum(
            drawn(self._run.kernel, task.client.id, acts, end)
            for task, acts, end in zip(tasks, errands, ends, strict=True)
        )
        return joules, latest

    def _forecast(
        self, cuts: Mapping[_Task, int], tasks: Sequence[_Task]
    ) -> tuple[list[list[Act]], list[list[Seconds]]]:
        """What is still to be done, and when it will be."""
        now, state = self._run.now, self._state
        errands = [task.acts(cuts[task], task.remaining(now), state) for task in tasks]
        return errands, forecast(self._run.kernel, errands)

    def _now(self) -> dict[_Task, int]:
        """The cuts of all who are under way."""
        return {task: task.cut or task.planned for task in self._tasks.values()}

    def _plan(self, tasks: Sequence[_Task]) -> None:
        """Choose the cuts of those who begin."""
        others = {task: cut for task, cut in self._now().items() if task not in tasks}
        every = sorted({cut for task in tasks for cut in task.offers})
        starts = [{task: _nearest(task.offers, cut) for task in tasks} for cut in every]
        if len(tasks) > 1:
            starts.append({task: self._alone(task) for task in tasks})
        scored = [(self._score(others | start), start) for start in starts]
        score, best = scored[0]
        for each, start in scored[1:]:
            if _better(each, score):
                score, best = each, start
        stuck = 0
        for task in cycle(tasks):
            found = self._response(others | best, score, task)
            stuck = 0 if found else stuck + 1
            if found:
                score, best = found[0], {**best, task: found[1]}
            elif stuck == len(tasks):
                break
        for task, cut in best.items():
            task.planned, task.seen = cut, _carry(self._run, task)

    def _alone(self, task: _Task) -> int:
        """What is best for a client if nobody else is there."""
        return min(task.offers, key=lambda cut: self._score({task: cut}, [task]))

    def _response(
        self, cuts: Mapping[_Task, int], score: Score, task: _Task
    ) -> tuple[Score, int] | None:
        """A client's best cut while those of the others stay, if it is better than its own."""
        best: tuple[Score, int] | None = None
        for cut in task.offers:
            if cut != cuts[task]:
                each = self._score({**cuts, task: cut})
                if _better(each, best[0] if best else score):
                    best = each, cut
        return best

    # --- on the way -----------------------------------------------------------------------------

    @contextmanager
    def _watched(self, task: _Task) -> Generator[None]:
        """Look at the cut again whenever a bandwidth on the client's ways changes."""
        run = self._run
        self._pace(task)
        watch = _Watch(run.kernel, partial(self._reconsider, task))
        parties = [
            party
            for route in _routes(run, task)
            for party in route.parties
            if not isinstance(party, RadioState)  # which need not be awake for that
        ]
        for party in parties:
            party.begin(watch)
        try:
            yield
        finally:
            watch.over = True
            task.pace = inf
            for party in parties:
                party.end(watch)

    def _pace(self, task: _Task) -> None:
        """Tell by a forecast how long an item of a client takes from now on."""
        self._forget()
        tasks = list(self._tasks.values())
        ends = self._forecast(self._now(), tasks)[1][tasks.index(task)]
        task.since, task.pace = self._run.now, ends[0] / task.left

    def _reconsider(self, task: _Task) -> bool:
        """Plan another cut for a client, if that is better with what its ways carry; whether it is.

        Nothing is to be gained if they carry what they did when it was looked at last.
        """
        seen, task.seen = task.seen, _carry(self._run, task)
        if task.seen == seen:
            return False
        self._forget()
        cuts = self._now()
        found = self._response(cuts, self._score(cuts), task)
        if found:
            task.planned = found[1]
        return found is not None


class _Watch:
    """What is told when a bandwidth changes, and cuts the script's stream if it is to be cut.

    Attributes:
        pipe: it counts as a job that follows every change.
        over: whether the stream is.
    """

    pipe = True

    def __init__(self, kernel: Kernel, reconsider: Callable[[], bool]) -> None:
        self._kernel, self._player = kernel, kernel.playing
        self._reconsider = reconsider
        self._asked = self.over = False

    def refresh(self) -> None:
        """A bandwidth has changed; look at it once all that changes at this instant has."""
        if not self._asked:
            self._asked = True
            Call(self._kernel.env, self._look, priority=CUT)

    def _look(self) -> None:
        self._asked = False
        if not self.over and self._reconsider():
            self._kernel.cut(self._player)


def _routes(run: Run, task: _Task) -> tuple[Route, Route]:
    """The ways between a client and who asks it."""
    client, hub, network = task.client.id, task.errand.hub.id, run.kernel.network
    return network.route(client, hub), network.route(hub, client)


def _carry(run: Run, task: _Task) -> tuple[float, ...]:
    """What decides how fast its ways are."""
    routes = _routes(run, task)
    return tuple(number for route in routes for number in (route.cap, *route.uses.values()))


def _nearest(offers: Iterable[int], cut: int) -> int:
    return min(offers, key=lambda each: (abs(each - cut), each))


def _better(score: Score, than: Score) -> bool:
    """Whether a forecast is worth a change."""
    if score[0] < than[0] * (1.0 - _WORTH):
        return True
    return score[0] <= than[0] and score[1] < than[1] * (1.0 - _WORTH)
