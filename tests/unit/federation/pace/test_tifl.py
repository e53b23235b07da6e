"""Tiers of clients whose response times are known, and how often each is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.client import Client
from hetsim.federation.pace.tifl import Tiers, TiFL, dealt
from hetsim.federation.run import Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.sim.requests import Sleep
from hetsim.testing import check_books, play, tiny

SECONDS = (5.0, 1.0, 3.0, 9.0, 2.0, 7.0, 4.0, 8.0, 6.0, 10.0)
"""What each of ten clients takes."""
BY_SPEED = [[1, 4], [2, 6], [0, 8], [5, 7], [3, 9]]


def world(*overrides: str) -> Run:
    """Ten clients, eight of them in the first group."""
    return tiny(
        "cost_only=true", "fleet[0].count=8", "selection.cohort=2", "stop.rounds=2000", *overrides
    ).world(CostOnlyLab())  # fmt: skip


def asked(run: Run, tiers: Tiers, rounds: int, rest: float = 0.0) -> list[list[int]]:
    """Places of whom each round asks; each takes its seconds, and the server rests in between."""
    cohorts: list[list[int]] = []

    async def client(device: Client, cohort: list[int]) -> None:
        cohort.append(device.index)
        await device.sleep(SECONDS[device.index])

    async def server() -> None:
        model = run.initial_model()
        for _ in range(rounds):
            cohorts.append([])
            await tiers.ask(client, (cohorts[-1],))
            await run.report(model)
            await Sleep(duration=rest)

    run.kernel.run(server(), run.server.id)
    return cohorts


def places(tiers: Tiers) -> list[list[int]]:
    return [[client.index for client in tier] for tier in tiers.tiers()]


def test_everybody_is_timed_and_dealt_by_speed() -> None:
    run = world()
    tiers = Tiers(TiFL(), run)
    [first] = asked(run, tiers, 1)
    assert sorted(first) == list(range(10))
    assert places(tiers) == BY_SPEED


def test_profiling_takes_the_rounds_it_is_given() -> None:
    run = world()
    cohorts = asked(run, Tiers(TiFL(profiling=3), run), 5)
    assert [len(cohort) for cohort in cohorts] == [10, 10, 10, 2, 2]


def test_a_round_asks_one_tier() -> None:
    run = world()
    cohorts = asked(run, Tiers(TiFL(), run), 40)
    assert all(sorted(cohort) in BY_SPEED for cohort in cohorts[1:])


@pytest.mark.parametrize(
    ("policy", "chances"),
    [
        ("uniform", (0.2, 0.2, 0.2, 0.2, 0.2)),
        ("random", (0.7, 0.1, 0.1, 0.05, 0.05)),
        ("fast", (1.0, 0.0, 0.0, 0.0, 0.0)),
        ("slow", (0.0, 0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_each_tier_is_drawn_as_often_as_the_policy_says(
    policy: Any, chances: Sequence[float]
) -> None:
    run, rounds = world(), 1000
    settings = TiFL(policy=policy)
    assert settings.chances == pytest.approx(chances)
    cohorts = asked(run, Tiers(settings, run), 1 + rounds)
    times = Counter(BY_SPEED.index(sorted(cohort)) for cohort in cohorts[1:])
    for tier, chance in enumerate(chances):
        deviation = (rounds * chance * (1.0 - chance)) ** 0.5
        assert abs(times[tier] - rounds * chance) <= 4.0 * deviation


def test_who_comes_late_is_of_the_slowest_tier_until_it_has_delivered() -> None:
    """The phone is the slowest but one; it is away while the others are timed."""
    away = "{name: windows, on: [[11 s, 9000 s]], period: 10000 s}"
    run = world(f"fleet[1].availability={away}")
    tiers = Tiers(TiFL(tiers=3, policy="slow"), run)
    phone = next(client.index for client in run.clients if client.id == "phone-0")
    before: list[list[list[int]]] = []

    async def client(device: Client) -> None:
        await device.sleep(0.5 if device.index == phone else SECONDS[device.index])

    async def server() -> None:
        model = run.initial_model()
        for _ in range(9):
            await tiers.ask(client, ())
            await run.report(model)
            before.append(places(tiers))

    run.kernel.run(server(), run.server.id)
    assert phone in before[0][-1]
    assert before[0] == [[1, 4, 2], [6, 0, 5], [7, 3, 9, phone]]
    assert phone == before[-1][0][0], "it turned out to be the fastest"


def test_of_an_empty_tier_the_next_one_is_asked() -> None:
    """All but the Jetson leave after they have been timed."""
    away = "{name: windows, on: [[0 s, 12 s]], period: 90000 s}"
    run = world(*(f"fleet[{group}].availability={away}" for group in range(2)))
    tiers = Tiers(TiFL(policy="fast"), run)
    first, second = asked(run, tiers, 2, rest=5.0)
    assert len(first) == 10
    assert places(tiers) == BY_SPEED
    assert second == [9]


def test_fewer_clients_than_tiers() -> None:
    run = tiny("cost_only=true", "selection.cohort=9").world(CostOnlyLab())
    tiers = Tiers(TiFL(tiers=7), run)
    cohorts = asked(run, tiers, 20)
    assert places(tiers) == [[1], [2], [0], [3], [], [], []]
    assert {len(cohort) for cohort in cohorts[1:]} == {1}


@pytest.mark.parametrize(("clients", "sizes"), [(10, [4, 3, 3]), (9, [3, 3, 3]), (2, [1, 1, 0])])
def test_tiers_are_of_one_size(clients: int, sizes: list[int]) -> None:
    everybody = world().clients[:clients]
    tiers = dealt(everybody, 3)
    assert [len(tier) for tier in tiers] == sizes
    assert [client for tier in tiers for client in tier] == everybody


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tiers": 0}, "tiers is 0"),
        ({"profiling": 0}, "profiling is 0"),
        ({"tiers": 4, "policy": "random"}, "no chances for 4 tiers"),
    ],
)
def test_refuses(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        TiFL(**wrong)


def adaptive(accuracies: list[list[float]], rounds: int, **settings: Any) -> tuple[Tiers, Run]:
    """Tiers whose accuracy at each look is given, after so many rounds."""
    run = world()
    looks = iter(accuracies)

    async def survey(
        clients: Sequence[Client], *, deadline: float = inf
    ) -> list[tuple[Client, Any]]:
        scores = next(looks)
        speeds = {place: tier for tier, members in enumerate(BY_SPEED) for place in members}
        return [(client, {"accuracy": scores[speeds[client.index]]}) for client in clients]

    run.survey = survey
    tiers = Tiers(TiFL(policy="adaptive", **settings), run)
    asked(run, tiers, rounds)
    return tiers, run


def test_the_worst_tier_is_favoured_when_the_one_drawn_last_does_not_grow() -> None:
    """Looks at rounds 1, 3 and 5: all grow at the second, none at the third."""
    growing = [[0.1] * 5, [0.5, 0.3, 0.4, 0.6, 0.2]]
    tiers, _ = adaptive(growing, 5, interval=2)
    assert tiers._chances == TiFL().chances
    tiers, _ = adaptive([*growing, [0.5, 0.3, 0.4, 0.6, 0.2]], 6, interval=2)
    assert tiers._chances == (0.1, 0.3, 0.2, 0.0, 0.4)


def test_a_tier_is_drawn_as_often_as_it_has_credits() -> None:
    run = world()
    tiers = Tiers(TiFL(policy="adaptive", credits=3, interval=1000), run)
    run.survey = _nothing
    cohorts = asked(run, tiers, 1 + 15)
    speeds = {place: tier for tier, members in enumerate(BY_SPEED) for place in members}
    assert Counter(speeds[cohort[0]] for cohort in cohorts[1:]) == dict.fromkeys(range(5), 3)


async def _nothing(clients: Sequence[Client], *, deadline: float = inf) -> list[tuple[Client, Any]]:
    return []


def test_looking_is_paid_for_and_changes_who_is_asked() -> None:
    """Everybody receives the model, evaluates it and sends a number back."""
    options = ("pace={name: tifl, policy: adaptive, interval: 2, tiers: 2}", "stop.rounds=6")
    scenario = tiny(*options)
    played = play(scenario)
    check_books(played.trace, scenario)
    looks = [span for span in played.trace.spans if span.kind == "evaluate"]
    assert len(looks) == 3 * 4
    assert all(span.energy > 0.0 and span.actor != "server" for span in looks)


def test_a_cost_only_run_cannot_look() -> None:
    with pytest.raises(SpecError, match="tifl goes by learned values"):
        tiny("pace={name: tifl, policy: adaptive}", "cost_only=true")
