"""Partial work: what is delivered at a deadline is exactly what had been done by then."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.federation.pace.deadline import Deadline
from hetsim.federation.run import Reply, Run
from hetsim.learn import ops
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.store import MemoryStore
from hetsim.spec.world import Scenario
from hetsim.testing import play, tiny

EPOCHS, BATCH, STEPS = 40, 20, 120
"""Of 50 samples each: three steps an epoch."""
LIMIT = 0.03
TRAINING: dict[str, Any] = {"epochs": EPOCHS, "batch": BATCH, "lr": 0.1}


def scenario(pace: str, *overrides: str) -> Scenario:
    """Three boards that cannot do it all in time, and a phone that is far away."""
    return tiny(
        f"pace={{name: deadline, deadline: 30 ms, {pace}}}", "selection.cohort=4",
        f"method={{name: fedavg, epochs: {EPOCHS}, batch: {BATCH}, lr: 0.1}}",
        "task.model={name: mlp, hidden: [32]}", *overrides,
    )  # fmt: skip


async def work(device: Client, model: Ref[Any]) -> Ref[Any]:
    await device.download(model)
    update = await device.train(model, **TRAINING)
    await device.upload(update)
    return update


def replies(run: Run, rounds: int = 1) -> tuple[Ref[Any], list[list[Reply[Any]]]]:
    """The model that all rounds start from, and what each round's clients deliver."""
    model = run.initial_model()
    delivered: list[list[Reply[Any]]] = []

    async def server() -> None:
        for _ in range(rounds):
            delivered.append(await run.cohort(work, model))
            await run.report(model)

    run.kernel.run(server(), run.server.id)
    return model, delivered


# --- fewer steps ----------------------------------------------------------------------------------


def test_delivers_the_training_of_the_steps_that_were_done() -> None:
    run = scenario("late: steps").world(CostOnlyLab(), causality=True)
    model, rounds = replies(run, rounds=2)
    spans = [span for span in run.kernel.trace.spans if span.kind == "train"]
    for number, delivered in enumerate(rounds):
        assert {reply.client.id for reply in delivered} == {"pi-0", "pi-1", "jetson-0"}
        for reply in delivered:
            client = reply.client
            [span] = [one for one in spans if (one.actor, one.round) == (client.id, number)]
            steps = int(span.progress * STEPS)
            assert 0 < steps < STEPS
            assert client.shard
            seed = entropy(0, "learn/batches", client.id, number)
            whole = ops.train(model, client.shard, seed=seed, **TRAINING)
            assert span.outcome == "cut"
            assert span.key == whole.key
            assert reply.value.key == ops.truncate(whole, steps).key
            assert reply.participation.share == steps / STEPS


def test_stops_when_the_last_way_back_times_the_reserve_is_left() -> None:
    run = scenario("late: steps, reserve: 1.5").world(CostOnlyLab())
    replies(run, rounds=2)
    for client in (client for client in run.clients if client.id != "phone-0"):
        mine = [span for span in run.kernel.trace.spans if span.actor == client.id]
        there, first, back, _, second, _ = mine
        begin = run.rows[0]["t1_s"]
        assert first.t1 == pytest.approx(LIMIT - 1.5 * (there.t1 - there.t0))
        assert second.t1 == pytest.approx(begin + LIMIT - 1.5 * (back.t1 - back.t0))
        assert [span.kind for span in mine] == 2 * ["download", "train", "upload"]


def test_who_does_not_do_one_step_is_dropped() -> None:
    run = scenario("late: steps", "pace.deadline=14 ms").world(CostOnlyLab())
    _, [delivered] = replies(run)
    assert [reply.client.id for reply in delivered] == ["jetson-0"]
    outcomes = {book.device: book.outcome for book in run.kernel.trace.participations}
    assert outcomes == {
        "pi-0": "deadline", "pi-1": "deadline", "phone-0": "deadline", "jetson-0": "done",
    }  # fmt: skip


def test_with_time_enough_it_is_a_synchronous_round() -> None:
    slow = play(scenario("late: steps", "pace.deadline=1 h"))
    assert slow.hashes == play(scenario("late: steps", "pace={name: sync, deadline: none}")).hashes


def test_the_server_model_is_the_mean_of_truncated_trainings() -> None:
    chosen = scenario("late: steps", "stop.rounds=1")
    run = chosen.world(CostOnlyLab())
    model, [delivered] = replies(run)
    lab = Lab(Inline(), MemoryStore(), chosen.resident)
    updates: list[Ref[Any]] = []
    for reply in delivered:
        assert reply.client.shard
        seed = entropy(0, "learn/batches", reply.client.id, 0)
        steps = round(reply.participation.share * STEPS)
        options = {**TRAINING, "epochs": None, "steps": steps}
        updates.append(ops.train(model, reply.client.shard, seed=seed, **options))
    [expected] = lab.settle([ops.mean(updates, [reply.client.samples for reply in delivered])])
    played = chosen.world(lab)
    played.kernel.run(chosen.method().server(played), played.server.id)
    assert played.model
    [state] = lab.settle([played.model])
    assert all(torch.equal(state[name], expected[name]) for name in expected)


# --- fewer layers ---------------------------------------------------------------------------------

SLOW = (
    "fleet[0].link.rate=5 Mbit/s",
    "method.epochs=1",
    "task.model={name: mlp, hidden: [32, 24]}",
    "pace.deadline=86 ms",
)


def test_layers_arrive_from_the_output_back() -> None:
    """Sizes 250, 792 and 2080 of four bytes each."""
    model = scenario("late: layers", *SLOW).world(CostOnlyLab()).initial_model()
    last, middle, first = ops.layers_of(model)
    assert ops.arrived(model, 249 / 3122) == ()
    assert ops.arrived(model, 250 / 3122) == (last,)
    assert ops.arrived(model, 1041 / 3122) == (last,)
    assert ops.arrived(model, 1042 / 3122) == (last, middle)
    assert ops.arrived(model, 1.0) == (last, middle, first)


def test_what_has_arrived_counts_and_the_rest_stays() -> None:
    """One client alone: its last layers are the new ones, its first layers the old ones."""
    chosen = scenario(
        "late: layers", *SLOW, "fleet[0].count=1", "fleet[1].data=none", "fleet[2].data=none",
        "stop.rounds=1",
    )  # fmt: skip
    lab = Lab(Inline(), MemoryStore(), chosen.resident)
    run = chosen.world(lab, causality=True)
    run.kernel.run(chosen.method().server(run), run.server.id)
    [book] = run.kernel.trace.participations
    [sent] = [span for span in run.kernel.trace.spans if span.kind == "upload"]
    assert sent.outcome == "cut"
    assert sent.t1 == pytest.approx(0.086)
    assert 0.0 < book.share < 1.0
    assert book.outcome == "done"
    assert book.used == 0
    client, merged = run.clients[0], run.model
    model = run.initial_model()
    assert client.shard
    assert merged
    seed = entropy(0, "learn/batches", client.id, 0)
    update = ops.train(model, client.shard, seed=seed, **{**TRAINING, "epochs": 1})
    here = ops.arrived(update, sent.progress)
    assert book.share == len(here) / 3
    old, new, got = lab.settle([model, update, merged])
    for name in got:
        source = new if name.rpartition(".")[0] in here else old
        assert torch.equal(got[name], source[name]), name
        assert not torch.equal(old[name], new[name])


def test_a_layer_is_the_mean_over_those_that_delivered_it() -> None:
    chosen = scenario("late: layers")
    lab = Lab(Inline(), MemoryStore(), chosen.resident)
    models = [ops.initial(chosen.architecture, seed) for seed in range(3)]
    server, first, second = models
    last, early = ops.layers_of(server)
    merged = ops.layered_mean(server, [first, second], [3.0, 1.0], [(last, early), (last,)])
    got, _, one, two = lab.settle([merged, *models])
    for name in got:
        both = 0.75 * one[name].double() + 0.25 * two[name].double()
        expected = both.float() if name.startswith(last) else one[name]
        assert torch.equal(got[name], expected), name


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "demands"), [("drop", set()), ("steps", {"steps"}), ("layers", {"layers"})]
)
def test_demands_what_it_may_deliver(late: Any, demands: set[str]) -> None:
    assert Deadline(late=late).demands == demands


@pytest.mark.parametrize(
    ("wrong", "says"), [({"deadline": 0.0}, "deadline is 0"), ({"reserve": -1.0}, "reserve is -1")]
)
def test_refuses(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Deadline(**wrong)
