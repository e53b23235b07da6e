"""The server's view of a run, played with scripts instead of a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import CausalityError, HetsimError
from hetsim.core.ref import Ref
from hetsim.core.trace import Progress
from hetsim.federation.client import Client
from hetsim.federation.run import Reply, Run
from hetsim.learn import ops
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing import check_books, play, tiny

AWAY = "{name: windows, on: [[25 s, 900 s]], period: 1000 s}"
SETTINGS: dict[str, Any] = {"epochs": 1, "batch": 20, "lr": 0.1}


def world(*overrides: str, **kwargs: Any) -> Run:
    return tiny("cost_only=true", *overrides).world(CostOnlyLab(), causality=True, **kwargs)


def played(run: Run, script: Any) -> float:
    """Play a server script; returns its end."""
    return run.kernel.run(script, run.server.id)


async def work(device: Client, seconds: float = 1.0) -> str:
    await device.sleep(seconds)
    return device.id


class TestGather:
    def test_replies_come_in_the_order_of_the_clients(self) -> None:
        run = world()

        async def server() -> None:
            clients = list(reversed(run.clients))
            replies = await run.gather(work, clients, 2.0)
            assert [reply.client for reply in replies] == clients
            assert [reply.value for reply in replies] == [client.id for client in clients]
            assert run.now == 2.0

        played(run, server())
        assert [client.rounds_done for client in run.clients] == [1] * 4

    def test_who_is_away_is_dropped_and_the_others_deliver(self) -> None:
        run = world()
        gone = run.clients[1]

        async def server() -> None:
            run.kernel.kill(gone.node, "churn")
            replies = await run.gather(work, run.clients)
            assert gone not in [reply.client for reply in replies]
            assert len(replies) == 3

        played(run, server())
        assert gone.dropped["churn"] == 1
        assert gone.rounds_done == 0
        assert gone.participated == 0.0

    def test_deadline_drops_and_charges(self) -> None:
        run = world()

        async def client(device: Client) -> None:
            await device.sleep(1.0 if device.index < 2 else 9.0)

        async def server() -> None:
            replies = await run.gather(client, run.clients, deadline=3.0)
            assert [reply.client.index for reply in replies] == [0, 1]

        assert played(run, server()) == 3.0
        assert [client.dropped["deadline"] for client in run.clients] == [0, 0, 1, 1]
        for each, seconds in zip(run.clients, (1.0, 1.0, 3.0, 3.0), strict=True):
            idle = sum(each.node.base["idle"].values())
            battery = each.node.battery
            drawn = idle * seconds / (battery.efficiency if battery else 1.0)
            assert each.participated == pytest.approx(drawn)

    def test_nobody_to_ask(self) -> None:
        run = world()

        async def server() -> None:
            assert await run.gather(work, []) == []

        assert played(run, server()) == 0.0


class TestSelect:
    def test_takes_who_is_present(self) -> None:
        run = world(f"fleet[0].availability={AWAY}")

        async def server() -> None:
            assert [client.id for client in await run.select(9)] == ["phone-0", "jetson-0"]

        assert played(run, server()) == 0.0

    def test_waits_for_the_first_to_come_back(self) -> None:
        run = world(*[f"fleet[{group}].availability={AWAY}" for group in range(3)])

        async def server() -> None:
            assert len(await run.select(9)) == 4

        assert 25.0 <= played(run, server()) <= 35.0

    def test_nobody_can_ever_come(self) -> None:
        run = world()
        for client in run.clients:
            client.exclude("memory", "too small")

        async def server() -> None:
            assert await run.select(9) == []
            assert not run.going

        assert played(run, server()) == 0.0
        assert run.kernel.trace.notes[-1].text == "no client is left to ask"


class TestGoing:
    def test_ends_after_the_rounds(self) -> None:
        run = world("stop.rounds=3")

        async def server() -> None:
            model = run.initial_model()
            while run.going:
                await run.report(model)

        played(run, server())
        assert [row["round"] for row in run.rows] == [0, 1, 2]

    def test_ends_with_the_round_in_which_the_time_is_over(self) -> None:
        run = world("stop.rounds=9", "stop.time=5 s")

        async def server() -> None:
            model = run.initial_model()
            while run.going:
                await run.gather(work, run.clients, 2.0)
                await run.report(model)

        assert played(run, server()) == 6.0
        assert len(run.rows) == 3


class TestRequire:
    def test_excludes_with_the_numbers_and_once(self) -> None:
        run = world("fleet[0].data=none")
        for _ in range(2):
            run.require(lambda client: Cost(memory=1e12 if client.id == "phone-0" else 1.0))
        reasons = {client.id: client.excluded for client in run.clients}
        assert reasons["pi-0"] == reasons["pi-1"] == "holds no data"
        assert reasons["jetson-0"] == ""
        assert "needs 1 TB of memory" in reasons["phone-0"]
        assert "are available" in reasons["phone-0"]
        assert run.clients[2].dropped["memory"] == 1
        assert [note.actor for note in run.kernel.trace.notes] == ["phone-0"]
        assert [client.present for client in run.clients] == [False, False, False, True]


class TestReport:
    def test_rounds_add_up_to_the_run(self) -> None:
        run = world("stop.rounds=3")

        async def server() -> None:
            model = run.initial_model()
            while run.going:
                await run.gather(upload, run.clients, model)
                await run.report(model)

        async def upload(device: Client, model: Ref[Any]) -> None:
            await device.download(model)
            await device.upload(model)

        end = played(run, server())
        total = sum(node.total for node in run.kernel.nodes.values())
        assert sum(row["energy_j"] for row in run.rows) == pytest.approx(total, rel=1e-12)
        assert run.rows[0]["t0_s"] == 0.0
        assert run.rows[-1]["t1_s"] == end
        assert run.model is not None
        for row in run.rows:
            assert row["bytes_up"] == row["bytes_down"] == 4 * run.model.nbytes
            assert row["participants"] == 4

    def test_progress_counts_rounds_and_who_is_away(self) -> None:
        seen: list[Progress] = []
        run = world(f"fleet[0].availability={AWAY}", progress=seen.append)

        async def server() -> None:
            model = run.initial_model()
            while run.going:
                await run.gather(work, run.clients[2:])
                await run.report(model)

        played(run, server())
        assert [state[:3] for state in seen] == [(1, 2, 1.0), (2, 2, 2.0)]
        assert [state.away for state in seen] == [2, 2]
        assert seen[0].energy < seen[1].energy
        assert seen[0].accuracy is None


@pytest.mark.parametrize(
    ("overrides", "evaluated"),
    [
        (("stop.rounds=4",), [0, 1, 2, 3]),
        (("stop.rounds=4", "report.evaluate_every=2"), [1, 3]),
        (("stop.rounds=5", "report.evaluate_every=2"), [1, 3, 4]),
        (("stop.rounds=9", "report.evaluate_every=9", "stop.time=800 ms"), [1]),
    ],
)
def test_the_last_round_is_always_evaluated(overrides: Sequence[str], evaluated: list[int]) -> None:
    run = play(tiny("selection.cohort=4", *overrides))
    rows = run.trace.rounds
    assert [row["round"] for row in rows if row["accuracy"] is not None] == evaluated
    assert run.summary["accuracy"] == rows[-1]["accuracy"]
    assert run.executed["evaluate"] == len(evaluated)


# --- what a client may do -------------------------------------------------------------------------


def asked(run: Run, client: Any) -> list[Reply[Any]]:
    """Replies of the first client to a script that gets the model."""
    replies: list[Reply[Any]] = []

    async def server() -> None:
        replies.extend(await run.gather(client, run.clients[:1], run.initial_model()))

    played(run, server())
    return replies


def test_training_needs_the_model_first() -> None:
    async def forgetful(device: Client, model: Ref[Any]) -> None:
        await device.train(model, **SETTINGS)

    with pytest.raises(CausalityError, match=r"pi-0 works on .* but never received it"):
        asked(world(), forgetful)


def test_sending_needs_the_value_first() -> None:
    async def forgetful(device: Client, model: Ref[Any]) -> None:
        await device.upload(model)

    with pytest.raises(CausalityError, match=r"pi-0 sends .* but never received it"):
        asked(world(), forgetful)


def test_training_needs_data() -> None:
    async def hopeful(device: Client, model: Ref[Any]) -> None:
        await device.download(model)
        await device.train(model, **SETTINGS)

    with pytest.raises(HetsimError, match=r"pi-0 holds no data to train on\n.*run\.require"):
        asked(world("fleet[0].data=none"), hopeful)


def test_training_costs_what_it_says() -> None:
    async def diligent(device: Client, model: Ref[Any]) -> Ref[Any]:
        await device.download(model)
        return await device.train(model, **SETTINGS)

    run = world()
    [reply] = asked(run, diligent)
    device, update = reply.client, reply.value
    assert update.cost == device.training_cost(run.initial_model(), **SETTINGS)
    assert update.cost.samples == device.samples == 50
    [span] = [span for span in run.kernel.trace.spans if span.kind == "train"]
    effort = device.node.effort(update.cost)
    assert span.key == update.key
    assert span.t1 - span.t0 == pytest.approx(effort.duration)
    assert span.energy == pytest.approx(sum(effort.joules))


def test_a_selection_that_can_never_ask_anybody_says_so() -> None:
    scenario = tiny("selection.name=exclusive", "selection.headroom=1e9", "cost_only=true")
    with pytest.raises(HetsimError, match="asks none of 4 clients"):
        play(scenario)


def test_a_selection_that_asks_nobody_now_waits_for_those_who_are_away() -> None:
    """Until they are there, somebody who is good enough may come; then nobody can."""
    away = "{name: windows, on: [[5 s, 900 s]], period: 1000 s}"
    run = tiny(
        "selection.name=exclusive", "selection.headroom=1e9", "cost_only=true",
        f"fleet[0].availability={away}",
    ).world(CostOnlyLab())  # fmt: skip

    async def server() -> None:
        for client in run.clients:
            run.roster.need(client, 1e6)
        with pytest.raises(HetsimError, match="asks none of 4 clients"):
            await run.select(2)

    assert run.kernel.run(server(), run.server.id) == 10.0
    assert [span.kind for span in run.kernel.trace.spans] == ["away"]


def test_a_selection_that_asks_nobody_is_given_a_day_of_charging() -> None:
    """Who is being charged may become good enough; not for ever."""
    run = tiny(
        "selection.name=exclusive", "selection.headroom=1e9", "cost_only=true",
        "fleet[1].battery={charge: 50 %, charger: {power: 5 W}}",
    ).world(CostOnlyLab())  # fmt: skip

    async def server() -> None:
        for client in run.clients:
            run.roster.need(client, 1e6)
        with pytest.raises(HetsimError, match="asks none of 4 clients"):
            await run.select(2)

    assert run.kernel.run(server(), run.server.id) == pytest.approx(86400.0, abs=10.0)


def test_polls_are_in_the_books_as_work_for_no_update() -> None:
    scenario = tiny("selection={name: power_of_choice, cohort: 2, loss: fresh}")
    played = play(scenario)
    check_books(played.trace, scenario)
    wasted = played.summary["wasted"]
    polled = wasted["by_cause"]["polled"]
    assert polled["participations"] == 2 * 4  # all four are drawn, in each of two rounds
    assert polled["bytes"] > 0.0
    assert polled["energy_j"] > 0.0
    assert sum(row["asked"] for row in played.trace.devices) == 2 * 2
    moved = played.summary["bytes_up"] + played.summary["bytes_down"]
    assert wasted["of"]["bytes"] == pytest.approx(moved)


def test_what_was_delivered_at_the_end_of_a_run_counts_as_delivered() -> None:
    """A server that is slow to average has deliveries in its inbox when the run ends."""
    scenario = tiny(
        "pace=fedasync", "stop.rounds=6", "server.profile=raspberry_pi_zero_2_w", "cost_only=true",
        "fleet[2].count=20", "selection.cohort=20", "task.model={name: mlp, hidden: [512]}",
    )  # fmt: skip
    played = play(scenario)
    check_books(played.trace, scenario)
    books = played.trace.participations
    delivered = sum(book.outcome == "done" for book in books)
    assert delivered > 6, "or nothing is left in the inbox"
    assert played.summary["device_rounds"] == delivered
    assert sum(row["participants"] for row in played.trace.rounds) == delivered
    assert {book.waste for book in books if book.outcome == "done"} == {"", "unused"}


def test_scores_what_is_used_in_the_place_of_the_model() -> None:
    """The mean over clients' own models, which are other ones than the server's."""
    scenario = tiny("stop.rounds=3", "report={evaluate_every: 2, views: true}")
    lab = scenario.lab()
    run = scenario.world(lab)
    others = [ops.initial(run.architecture, seed) for seed in (1, 2)]

    async def server() -> None:
        model = run.initial_model()
        while run.going:
            await run.report(model, used=others, views=lambda: {"the first": others[0]})

    played(run, server())
    run.finish(run.now)
    test = scenario.resident.whole("test")
    both = lab.settle([ops.evaluate(each, test) for each in others])
    assert list(run.scores) == [1, 2]
    for score in lab.settle(list(run.scores.values())):
        assert score["accuracy"] == sum(each["accuracy"] for each in both) / 2
        assert score["loss"] == sum(each["loss"] for each in both) / 2
        assert score["samples"] == both[0]["samples"]
    assert list(run.views) == [(1, "the first"), (2, "the first")]
    assert lab.settle(list(run.views.values())) == [both[0]] * 2


def test_scores_clients_on_the_labels_that_they_hold() -> None:
    """Each model against a loop over the test samples, weighted by what its client holds."""
    scenario = tiny("task.partition={name: dirichlet, alpha: 0.2}", "report.views=true")
    lab = scenario.lab()
    run = scenario.world(lab)
    models = {
        client: ops.initial(run.architecture, seed) for seed, client in enumerate(run.clients)
    }

    async def server() -> None:
        await run.report(run.initial_model(), views=lambda: {"own labels": run.local(models)})

    played(run, server())
    y = scenario.dataset.split("test")[1]
    accuracies: list[float] = []
    for client, model in models.items():
        [found] = lab.settle([ops.labels(model, scenario.resident.whole("test"))])
        held = scenario.dataset.y[scenario.shards[client.index]]
        right = [found["right"][label] / (y == label).sum() for label in held]
        accuracies.append(sum(right) / len(right))
    assert len(set(accuracies)) > 1
    [score] = lab.settle(list(run.views.values()))
    assert score["accuracy"] == pytest.approx(sum(accuracies) / len(accuracies), rel=1e-12)
    assert score["loss"] is None
