"""Clients whose governors plan: what they are told of deadlines and work, and what comes of it."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import Dropped
from hetsim.core.registry import GOVERNORS
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.sim.governors._paced import Paced
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.testing import Played, check_books, play, tiny

PACED = [name for name in GOVERNORS.names() if issubclass(GOVERNORS.load(name), Paced)]
JETSONS = """\
fleet:
  - {profile: jetson_agx_xavier, count: 2, name: xavier, link: {rate: "940 Mbit/s"}}
  - {profile: jetson_tx2, count: 2, name: tx2, link: {rate: "940 Mbit/s"}}
network: ethernet
server: gmktec_n150
task: {data: {name: digits, train: 400, test: 100}, model: small_cnn, partition: iid}
method: {name: fedavg, epochs: 2, batch: 10, lr: 0.1}
stop: {rounds: 3}
"""


# --- what a node is told --------------------------------------------------------------------------


def world(*overrides: str) -> Run:
    return tiny("cost_only=true", *overrides).world(CostOnlyLab(), causality=True)


def test_a_deadline_is_that_of_the_errand_less_an_upload():
    """At first its links tell what an upload will take, not the download; the phone's is slower."""
    run, seen = world("governor=race_to_idle"), list[float]()
    device = run.clients[2]
    model = run.initial_model()

    async def script(client: Client) -> None:
        seen.append(client.node.deadline)
        begun = run.now
        await client.download(model)
        down = run.now - begun
        expected = (60.0 - client.node.deadline) / 1.5
        await client.compute(Cost(flops=1e6))
        begun = run.now
        await client.upload(model)
        up = run.now - begun
        await client.compute(Cost(flops=1e6))
        assert client.node.deadline == 60.0 - 1.5 * up
        assert expected == pytest.approx(up + 0.32)  # the radio may be asleep by then
        assert expected != pytest.approx(down, rel=1e-3)

    async def server() -> None:
        await run.gather(script, [device], deadline=60.0, reserve=1.5)

    run.kernel.run(server(), run.server.id)
    assert seen == [60.0]
    assert device.rounds_done == 1
    assert device.node.deadline == inf


def test_uploads_that_take_longer_than_what_is_left_leave_no_time_to_compute():
    run = world("governor=race_to_idle")
    [device, *_] = run.clients
    model = run.initial_model()

    async def script(client: Client) -> None:
        await client.download(model)
        assert client.node.deadline < run.now

    async def server() -> None:
        await run.gather(script, [device], deadline=1.0, reserve=1e6)

    run.kernel.run(server(), run.server.id)
    assert device.rounds_done == 1


@pytest.mark.parametrize("drop", [False, True])
def test_what_is_planned_is_over_with_the_errand(drop: bool):
    run = world()
    [device, *_] = run.clients
    half = Cost(flops=1e6, traffic=1e5, steps=2.0, samples=3.0, operators=7.0)

    async def script(client: Client) -> None:
        client.plan(half * 2.0)
        await client.compute(half)
        assert client.node.ahead == half
        if drop:
            raise Dropped("churn")

    async def server() -> None:
        await run.gather(script, [device], deadline=60.0)

    run.kernel.run(server(), run.server.id)
    assert device.node.ahead == Cost()
    assert device.node.deadline == inf


def test_no_deadline_without_one():
    run = world()

    async def script(client: Client) -> None:
        await client.download(run.initial_model())
        assert client.node.deadline == inf

    async def server() -> None:
        assert len(await run.gather(script, run.clients)) == 4

    run.kernel.run(server(), run.server.id)


ALIKE = """\
fleet:
  - {profile: jetson_tx2, name: tx2, count: 4, link: {up: "1 Mbit/s", down: "100 Mbit/s"}}
network: %s
server: gmktec_n150
task: {data: {name: digits, train: 320, test: 100}, model: small_cnn, partition: iid}
method: {name: fedavg, epochs: 5, batch: 8, lr: 0.1}
pace: {name: sync, deadline: "1.3 s"}
stop: {rounds: 3}
"""


def alike(path: Path, network: str, *overrides: str) -> Scenario:
    path.write_text(ALIKE % network, encoding="utf-8")
    return resolve(load_topology(path, overrides=("cost_only=true", *overrides)))


@pytest.mark.parametrize("name", PACED)
def test_a_first_upload_that_is_slower_than_the_download_is_in_time(tmp_path: Path, name: str):
    """Whoever is asked has never been asked before: nothing is known of its uploads."""
    few = ("selection={name: random, cohort: 2}", f"governor={name}")
    played = play(alike(tmp_path / "alike.yaml", "ethernet", *few))
    assert not any(played.summary["dropouts"].values())
    assert len(played.trace.participations) == 6


def test_who_draws_at_random_draws_for_each_device_and_each_run(tmp_path: Path):
    """What bofl does is the same in a run repeated, and another with every device and seed."""

    def clocks(seed: int) -> list[tuple[float, ...]]:
        about = ("governor=bofl", "pace={name: sync, deadline: 5 s}", f"seed={seed}")
        trace = play(alike(tmp_path / "alike.yaml", "ethernet", *about)).trace
        return [
            tuple(each.value for each in trace.counters
                  if each.actor == f"tx2-{i}" and each.track == "frequency_hz.gpu")
            for i in range(4)
        ]  # fmt: skip

    one, other = clocks(1), clocks(2)
    assert clocks(1) == one
    assert len({*one, *other}) == 8


def test_who_is_asked_together_shares_what_they_send_over(tmp_path: Path):
    """All at once on one channel: each first upload may take as long as all of them do."""
    scenario = alike(tmp_path / "alike.yaml", "wifi", "governor=race_to_idle")
    run = scenario.world(CostOnlyLab(), causality=True)
    model, told = run.initial_model(), list[float]()

    async def script(client: Client) -> None:
        await client.download(model)
        told.append(100.0 - client.node.deadline)

    async def server() -> None:
        await run.gather(script, run.clients, deadline=100.0)
        await run.gather(script, run.clients[:1], deadline=100.0 - run.now)

    run.kernel.run(server(), run.server.id)
    *together, alone = told
    assert together == pytest.approx([together[0]] * 4)
    assert together[0] > 3.0 * alone


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def jetsons(tmp_path: Path) -> Any:
    path = tmp_path / "jetsons.yaml"
    path.write_text(JETSONS, encoding="utf-8")

    def scenario(*overrides: str) -> Scenario:
        return resolve(load_topology(path, overrides=overrides))

    return scenario


def drawn(played: Played) -> float:
    """Joules of the devices above base."""
    return sum(row["active_j"] for row in played.trace.devices if row["role"] == "device")


def settled(scenario: Scenario) -> Played:
    played = play(scenario)
    check_books(played.trace, scenario)
    return played


DEADLINE = "pace={name: sync, deadline: 0.4 s}"


def test_every_policy_keeps_the_deadline_for_no_more_joules(jetsons: Any):
    assert {"best_single", "deadline_feedback", "deadline_oracle", "race_to_idle"} <= {*PACED}
    highest = settled(jetsons("cost_only=true", DEADLINE))
    for name in PACED:
        paced = settled(jetsons("cost_only=true", DEADLINE, f"governor.name={name}"))
        assert not paced.summary["dropouts"]["deadline"], name
        assert drawn(paced) <= drawn(highest) * (1.0 + 1e-9), name


def test_what_planning_is_worth(jetsons: Any):
    """Perfect knowledge draws least, and one setting a job cannot use up the time."""
    joules = {
        name: drawn(settled(jetsons("cost_only=true", DEADLINE, f"governor.name={name}")))
        for name in ("performance", "race_to_idle", "best_single", "deadline_feedback",
                     "deadline_oracle")
    }  # fmt: skip
    assert joules["race_to_idle"] == pytest.approx(joules["performance"])
    assert joules["deadline_feedback"] < 0.8 * joules["performance"]
    assert joules["deadline_oracle"] <= joules["deadline_feedback"] * (1.0 + 1e-6)
    assert joules["deadline_oracle"] <= joules["best_single"] * (1.0 + 1e-6)


@pytest.mark.parametrize("name", PACED)
def test_what_is_learned_is_the_same(jetsons: Any, name: str):
    highest, paced = play(jetsons(DEADLINE)), play(jetsons(DEADLINE, f"governor.name={name}"))
    assert paced.summary["model_hash"] == highest.summary["model_hash"]
    assert paced.summary["accuracy"] == highest.summary["accuracy"]


@pytest.mark.parametrize("method", ["dpfl", "ecofed", "fedgkt", "lgl"])
@pytest.mark.parametrize("overlap", [False, True])
def test_streams_end_in_time(method: str, overlap: bool):
    """All deliver within 2 s at the highest clocks; paced they use more of it, and fewer joules."""
    more = ("method.overlap=true",) if overlap and method != "dpfl" else ()
    about = ("cost_only=true", f"method.name={method}", "pace={name: sync, deadline: 6 s}", *more)
    highest, paced = (
        settled(tiny(*about, f"governor.name={name}"))
        for name in ("performance", "deadline_feedback")
    )
    assert highest.summary["dropouts"] == paced.summary["dropouts"]
    assert not paced.summary["dropouts"]["deadline"]
    assert drawn(paced) < drawn(highest)
    assert highest.summary["simulated_s"] < paced.summary["simulated_s"] <= 12.0


def test_no_step_is_lost_where_the_highest_clocks_lose_none(jetsons: Any):
    pace = 'pace={name: deadline, deadline: "0.4 s", late: steps}'
    paced = play(jetsons("cost_only=true", pace, "governor.name=deadline_feedback"))
    assert {book.share for book in paced.trace.participations} == {1.0}
