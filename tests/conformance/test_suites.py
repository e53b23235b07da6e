"""The suites notice: a plug-in that breaks a promise fails the test that is about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint
from math import inf
from typing import Any, ClassVar

import numpy as np
import pytest

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.core.registry import PACES
from hetsim.core.rng import rng
from hetsim.federation.roster import Candidate, Situation
from hetsim.federation.rounds import Rounds
from hetsim.federation.run import Demand, Reply, Run
from hetsim.learn.data.base import load
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.partitions.iid import IID
from hetsim.sim.device import Radio
from hetsim.sim.governors.base import Choice, View
from hetsim.sim.network.base import Hop, Station
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.radio import RadioStates
from hetsim.sim.requests import Gather
from hetsim.sim.sharing import Resource
from hetsim.sim.world import domain
from hetsim.testing import (
    DataSuite,
    GovernorSuite,
    NetworkSuite,
    PaceSuite,
    PartitionSuite,
    PluginSuite,
    SelectionSuite,
    Shuffled,
    Suite,
    check_books,
    play,
    tiny,
)

CPU = (domain((1.0, 1.0), (2.0, 4.0), (4.0, 9.0)),)
LOAD = Cost(flops=1.0)


def noticed(test: Callable[..., None], *arguments: Any) -> None:
    """Assert that a test fails."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(*arguments)


# --- governors ------------------------------------------------------------------------------------


class _Beyond:
    def choose(self, view: View) -> Choice:
        return Choice(tuple(len(each.points) for each in view.domains))


class _Restless:
    """Up and down for ever."""

    def choose(self, view: View) -> Choice:
        return Choice(tuple(1 - min(point, 1) for point in view.points), review=0.1)


class _Asking:
    """Stays, and keeps asking."""

    def choose(self, view: View) -> Choice:
        return Choice(view.points, review=0.1)


class _Drifting:
    """Says that it is done, and goes on climbing when asked."""

    def choose(self, view: View) -> Choice:
        return Choice(tuple(min(point + 1, 2) for point in view.points))


class _Unresting:
    """Plans, and looks at a job that is over as if it went on."""

    def begin(self, stream: int = 0) -> _Unresting:
        return _Unresting()

    def __init__(self) -> None:
        self._worked = False

    def choose(self, view: View) -> Choice:
        assert view.outlook
        self._worked = self._worked or bool(view.outlook().tasks)
        return Choice((2 if self._worked else 0,) * len(view.domains))


class _Glancing(_Unresting):
    """Plans, and looks again before anything can have happened."""

    def begin(self, stream: int = 0) -> _Glancing:
        return self

    def choose(self, view: View) -> Choice:
        assert view.outlook
        return Choice((0,), 1e-6 if view.outlook().tasks else inf)


def test_governors() -> None:
    suite = GovernorSuite()
    noticed(suite.test_rests_after_work_as_without, _Unresting(), CPU)
    noticed(suite.test_settles_at_a_constant_load, _Glancing(), CPU, LOAD, 0)
    noticed(suite.test_answers_with_a_point_of_each_domain, _Beyond(), CPU, 1.0)
    for governor in (_Restless(), _Asking(), _Drifting()):
        noticed(suite.test_settles_at_a_constant_load, governor, CPU, LOAD, 0)
        noticed(suite.test_settles_at_a_constant_load, governor, CPU, None, 0)


# --- network technologies -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Technology:
    change: Callable[[Hop, Station], Hop]
    power: float = 0.0
    radio: Radio = Radio(transmit=0.0, receive=0.0)  # noqa: RUF009
    rates: tuple[float, float] | None = None
    states: RadioStates | None = None

    def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
        hops = Wifi().attach(name, stations)
        return {
            station.name: tuple(self.change(hop, station) for hop in hops[station.name])
            for station in stations
        }  # pyright: ignore


@pytest.mark.parametrize(
    "change",
    [
        lambda hop, station: replace(hop, uses={}),
        lambda hop, station: replace(hop, uses=dict.fromkeys(hop.uses, 0.0)),
        lambda hop, station: replace(hop, latency=0.002),
        lambda hop, station: replace(hop, weight=inf),
        lambda hop, station: replace(hop, uses={Resource("dead", 0.0): 1.0}),
        lambda hop, station: replace(hop, airtime=2 / hop.rate),
    ],
    ids=["no resources", "for nothing", "own latency ignored", "weight", "dead line", "air"],
)
def test_networks(change: Callable[[Hop, Station], Hop]) -> None:
    noticed(NetworkSuite().test_every_station_gets_a_way_up_and_down, _Technology(change=change))


@pytest.mark.parametrize("upload", [True, False])
def test_networks_at_half_speed(upload: bool) -> None:
    slow = _Technology(
        change=lambda hop, station: replace(
            hop, uses={line: 2 * use for line, use in hop.uses.items()}
        )
    )
    noticed(NetworkSuite().test_alone_a_station_has_its_own_rate, slow, upload)


@pytest.mark.parametrize(
    "wrong",
    [
        {"power": -1.0},
        {"radio": Radio(transmit=0.0, receive=0.0, sending=-1.0)},
        {"states": RadioStates(promotion=1, promoting=1, connected=1, tail=1, tailing=-1)},
    ],
)
def test_networks_that_generate_power(wrong: dict[str, Any]) -> None:
    technology = _Technology(change=lambda hop, station: hop, **wrong)
    noticed(NetworkSuite().test_watts_are_not_negative, technology)


def test_networks_that_promise_more_than_they_carry() -> None:
    slow = _Technology(
        change=lambda hop, station: replace(
            hop, uses={line: 2 * use for line, use in hop.uses.items()}
        ),
        rates=(1e6, 1e6),
    )
    noticed(NetworkSuite().test_a_station_may_get_its_rate_from_the_technology, slow)


def test_networks_whose_radios_pay_for_contention() -> None:
    def crowded(hop: Hop, station: Station) -> Hop:
        return replace(hop, airtime=0.5 / hop.rate if station.name == "slow" else None)

    class Crowded(_Technology):
        def attach(self, name: str, stations: list[Station]) -> dict[str, tuple[Hop, Hop]]:
            alone = len(stations) == 1
            return (Wifi() if alone else _Technology(change=crowded)).attach(name, stations)

    suite = NetworkSuite()
    noticed(suite.test_together_nobody_is_faster_and_no_byte_is_lost,
            Crowded(change=crowded), True)  # fmt: skip


# --- selections -----------------------------------------------------------------------------------


FLEET: list[Candidate] = SelectionSuite.fleet.__wrapped__(SelectionSuite())  # pyright: ignore


@dataclass(frozen=True)
class _Selection:
    choice: Callable[[list[Candidate], int], list[Candidate]]
    cohort: int = 1
    observes: bool = False

    def begin(self) -> _Selection:
        return self

    def choose(self, candidates: Any, count: int, about: Situation) -> list[Candidate]:
        return self.choice(candidates, count)


@pytest.mark.parametrize(
    "choice",
    [
        lambda candidates, count: [],
        lambda candidates, count: list(candidates),
        lambda candidates, count: [candidates[0]] * count,
        lambda candidates, count: FLEET[:1],
    ],
    ids=["nobody", "too many", "one twice", "who is not there"],
)
def test_selections(choice: Callable[[list[Candidate], int], list[Candidate]]) -> None:
    noticed(SelectionSuite().test_chooses_from_the_candidates, _Selection(choice), list(FLEET), 5)


def test_selections_that_reorder_the_fleet() -> None:
    def pop(candidates: list[Candidate], count: int) -> list[Candidate]:
        return [candidates.pop()]

    suite = SelectionSuite()
    noticed(suite.test_leaves_the_candidates_as_they_are, _Selection(pop), list(FLEET))
    noticed(suite.test_cohort_is_at_least_one, _Selection(pop, cohort=0))


# --- paces ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """One cohort at a time, to be spoilt."""

    @property
    def demands(self) -> frozenset[Demand]:
        return frozenset()

    def begin(self, run: Run) -> Rounds:
        return Rounds(run, partial(self.ask, run))

    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        return await run.gather(script, await run.select(2), *args)


class _Idle(_Pace):
    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        return []


class _Deaf(_Pace):
    """Does not note how it ended."""

    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        children = [run.ask(script, client, args) for client in await run.select(1)]
        return [each.value for each in await Gather(children=tuple(children))]


class _Moody(_Pace):
    """Goes by what it did in other runs."""

    asked: ClassVar[list[int]] = []

    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        self.asked.append(1)
        return await run.gather(script, await run.select(1 + len(self.asked) % 3), *args)


class _Curious(_Pace):
    """Asks more where values are computed."""

    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        count = 1 if isinstance(run.lab, CostOnlyLab) else 2
        return await run.gather(script, await run.select(count), *args)


class _Leaky(_Pace):
    """Sends memory on a walk that nobody ends."""

    async def ask(self, run: Run, script: Any, args: Any) -> list[Reply[Any]]:
        run.server.node.memory.reserve(1.0)
        return await run.gather(script, await run.select(2), *args)


@pytest.mark.parametrize(
    ("pace", "test", "more"),
    [
        (_Idle, PaceSuite.test_everybody_asked_is_accounted_for, ("all well",)),
        (_Idle, PaceSuite.test_time_passes_and_the_books_balance, ()),
        (_Idle, PaceSuite.test_waits_for_somebody_who_is_away, ()),
        (_Idle, PaceSuite.test_methods_with_rules_of_their_own_get_every_reply, ()),
        (_Deaf, PaceSuite.test_everybody_asked_is_accounted_for, ("all well",)),
        (_Moody, PaceSuite.test_the_same_run_again_is_the_same, ()),
        (_Moody, PaceSuite.test_order_of_computing_changes_nothing, ()),
        (_Curious, PaceSuite.test_training_changes_no_times, ()),
        (_Leaky, PaceSuite.test_nothing_outlives_the_run, ()),
    ],
)
def test_paces(
    pace: type[_Pace], test: Callable[..., None], more: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    point = EntryPoint("spoilt", f"{__name__}:{pace.__name__}", "hetsim.paces")
    monkeypatch.setitem(PACES.__dict__, "_foreign", {"spoilt": point})
    monkeypatch.setattr(EntryPoint, "load", lambda point: _Pace)
    test(PaceSuite(), "spoilt", *more)
    monkeypatch.setattr(EntryPoint, "load", lambda point: pace)
    noticed(test, PaceSuite(), "spoilt", *more)


# --- partitions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Partition:
    change: Callable[[list[np.ndarray]], Iterable[np.ndarray]]

    def split(self, labels: Any, users: Any, clients: int, rng: Any) -> list[np.ndarray]:
        return list(self.change(IID().split(labels, users, clients, rng)))


@pytest.mark.parametrize(
    "change",
    [
        lambda shares: shares[1:],
        lambda shares: [*shares[:-1], shares[-1][:0]],
        lambda shares: [*shares[:-1], shares[-1][1:]],
        lambda shares: [*shares[:-1], shares[0]],
        lambda shares: [rows[::-1] for rows in shares],
        lambda shares: [rows.astype(np.int32) for rows in shares],
    ],
    ids=["a client too few", "an empty one", "a row lost", "a share twice", "order", "dtype"],
)
def test_partitions(change: Callable[[list[np.ndarray]], Iterable[np.ndarray]]) -> None:
    noticed(PartitionSuite().test_deals_every_row_once_and_everybody_some, _Partition(change), 7)


def test_partitions_with_chance_of_their_own() -> None:
    class _Stubborn:
        def split(self, labels: Any, users: Any, clients: int, stream: Any) -> list[np.ndarray]:
            return IID().split(labels, users, clients, rng(0, "learn/always the same"))

    noticed(PartitionSuite().test_depends_on_its_stream_alone, _Stubborn())


# --- data sets ------------------------------------------------------------------------------------


def test_data_sets() -> None:
    digits, suite = load("digits", ()), DataSuite()
    few = load("digits", (("test", 30), ("train", 60)))
    order = np.argsort(digits.y)
    by_label = replace(digits, x=digits.x[order], y=digits.y[order])
    noticed(suite.test_samples_and_labels_fit_together, replace(digits, y=digits.y + 1))
    noticed(suite.test_samples_and_labels_fit_together, replace(digits, y=digits.y[1:]))
    noticed(suite.test_samples_and_labels_fit_together, replace(digits, y=digits.y.astype("i4")))
    noticed(suite.test_no_test_sample_is_trained_on, replace(digits, test_x=digits.x[:297]))
    noticed(suite.test_a_limit_takes_a_prefix_of_the_one_order, by_label, few)
    noticed(suite.test_a_prefix_is_a_fair_sample, replace(few, y=few.y * 0), digits)
    noticed(suite.test_what_a_model_sees_is_standardised, replace(digits, mean=(0.0,)))


# --- what all kinds share -------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Loose:
    """A plug-in that can change.

    Attributes:
        told: what it means.
    """

    told: int = 1
    untold: int = 2


class _Anything:
    def load(self, name: str) -> Any:
        return _Loose


def test_options() -> None:
    class Everything(PluginSuite):
        registry: Any = _Anything()

    noticed(Everything().test_describes_every_option, "loose")
    noticed(Everything().test_settings_cannot_change, _Loose())


def test_a_suite_without_a_plugin_says_what_is_missing() -> None:
    assert Suite.plugin == ""
    noticed(Suite.name.__wrapped__, Suite())  # pyright: ignore


# --- books and executors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forge",
    [
        lambda trace: trace.summary["energy_j"].update(radio=0.0),
        lambda trace: trace.summary["energy_by_role_j"].update(server=0.0),
        lambda trace: trace.devices[0].update(energy_j=0.0),
        lambda trace: trace.devices[2].update(battery_end_wh=0.0),
        lambda trace: trace.devices[0].update(participant_j=1e9),
        lambda trace: trace.devices[0].update(bytes_up=0.0),
        lambda trace: trace.counters.pop(next(
            i for i, step in enumerate(trace.counters)
            if step.track == "power_w" and step.actor == "pi-0" and step.t > 0.0
        )),
    ],
    ids=["kinds", "roles", "nodes", "battery", "participant", "bytes", "power"],
)  # fmt: skip
def test_forged_books(forge: Callable[[Any], None]) -> None:
    scenario = tiny("cost_only=true", "selection.cohort=4")
    trace = play(scenario).trace
    check_books(trace, scenario)
    forge(trace)
    noticed(check_books, trace, scenario)


def test_shuffled_computes_out_of_order() -> None:
    executor = Shuffled(seed=0)
    executor.start(tiny().resident)
    refs = [Ref.of("initial", arch=tiny().architecture.text, seed=seed) for seed in range(8)]
    for ref in refs:
        executor.submit(ref, ())
    assert list(executor.finished(wait=False)) == []
    came: list[str] = []
    while len(came) < len(refs):
        came += [key for key, _ in executor.finished(wait=True)]
    assert sorted(came) == sorted(ref.key for ref in refs)
    assert came != [ref.key for ref in refs]
