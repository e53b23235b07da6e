"""Federated averaging through the whole stack, against limits that are known without simulating.

A topology goes in, a model hash comes out; beside it stands the loop that everybody would write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.learn import ops
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
from hetsim.spec.world import Scenario
from hetsim.testing import Played, play, tiny

ONE_CLIENT = ("fleet[0].count=1", "fleet[1].data=none", "fleet[2].data=none")
SMALL = "task.model={name: mlp, hidden: [12]}"
LARGE = "task.model={name: mlp, hidden: [1000]}"
"""Too large to be trained in a stack: the loop below is bit for bit the same arithmetic."""
ROUNDS = 2


def batches(
    scenario: Scenario, rows: Sequence[int], client: str, number: int, epochs: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Round `number` of a client: rows permuted afresh each epoch by the client's own stream."""
    data = scenario.dataset
    batch = scenario.spec.method.options["batch"]
    seed = entropy(scenario.spec.seed, "learn/batches", client, number)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.tensor(rows)[torch.randperm(len(rows), generator=generator)]
        for part in order.split(batch):
            x = torch.from_numpy(data.x[part.numpy()]).float()
            yield (x - data.mean[0]) / data.std[0], torch.from_numpy(data.y[part.numpy()])


def fresh(scenario: Scenario) -> nn.Module:
    """The model before the first round."""
    single_thread()
    with chance(entropy(scenario.spec.seed, "learn/initial") % 2**63):
        net = scenario.architecture.build()
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("model", ["task.model=small_cnn", LARGE])
@pytest.mark.parametrize("epochs", [1, 2])
def test_with_one_client_it_is_sgd_bit_for_bit(model: str, epochs: int) -> None:
    scenario = tiny(model, *ONE_CLIENT, f"method.epochs={epochs}", "method.batch=32")
    net = fresh(scenario)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for number in range(ROUNDS):
        for x, y in batches(scenario, scenario.shards[0].tolist(), "pi-0", number, epochs):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
    assert play(scenario).summary["model_hash"] == model_hash(net.state_dict())


def test_two_clients_are_two_loops_and_a_weighted_mean() -> None:
    scenario = tiny(
        LARGE, "fleet[2].data=none", "fleet[1].data=none", "fleet[0].data={samples: 70}",
        "fleet[0].count=2", "stop.rounds=1", "task.partition={name: dirichlet, alpha: 0.5}",
    )  # fmt: skip
    sizes = [len(rows) for rows in scenario.shards[:2]]
    states: list[dict[str, Tensor]] = []
    for client, rows in zip(("pi-0", "pi-1"), scenario.shards[:2], strict=True):
        net = fresh(scenario)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for x, y in batches(scenario, rows.tolist(), client, 0, 1):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
        states.append(net.state_dict())
    mean = {
        name: sum(
            (state[name].double() * (size / sum(sizes))
             for state, size in zip(states[1:], sizes[1:], strict=True)),
            states[0][name].double() * (sizes[0] / sum(sizes)),
        ).float()
        for name in states[0]
    }  # fmt: skip
    assert play(scenario).summary["model_hash"] == model_hash(mean)


@pytest.mark.parametrize("model", ["task.model=logistic", SMALL, LARGE])
def test_fedprox_without_pull_is_fedavg_bit_for_bit(model: str) -> None:
    plain = play(tiny(model))
    assert play(tiny(model, "method.name=fedprox", "method.mu=0")).hashes == plain.hashes
    pulled = play(tiny(model, "method.name=fedprox", "method.mu=0.5"))
    assert pulled.summary["model_hash"] != plain.summary["model_hash"]


def test_a_pull_keeps_the_model_near_the_servers() -> None:
    """With a strong pull a round of many epochs moves the model less."""

    def loss(mu: float) -> float:
        return play(
            tiny(
                "method.name=fedprox", f"method.mu={mu}", "method.epochs=20", "method.lr=0.02",
                "stop.rounds=1",
            )
        ).summary["loss"]  # fmt: skip

    assert loss(0.0) < loss(5.0) < loss(30.0)


def test_equal_weighting_ignores_shard_sizes() -> None:
    skewed = "task.partition={name: dirichlet, alpha: 0.3}"
    by_size, equal = (
        play(tiny(skewed, f"method.weighting={way}", "stop.rounds=1")).summary["model_hash"]
        for way in ("samples", "uniform")
    )
    assert by_size != equal
    same = [
        play(tiny(f"method.weighting={way}", "stop.rounds=1")).summary["model_hash"]
        for way in ("samples", "uniform")
    ]
    assert same[0] == same[1], "shards of 50 samples each weigh the same"


def test_centralised_is_a_chain_of_trainings_on_the_union() -> None:
    scenario = tiny("method.name=centralised", "method.epochs=2")
    resident: Resident = scenario.resident
    model: Ref = ops.initial(scenario.architecture, entropy(0, "learn/initial") % 2**63)
    union = resident.shard(torch.cat([torch.from_numpy(rows) for rows in scenario.shards]).numpy())
    for number in range(ROUNDS):
        seed = entropy(0, "learn/batches", "server", number)
        model = ops.train(model, union, epochs=2, batch=20, lr=0.1, seed=seed)
    [state] = Lab(Inline(), MemoryStore(), resident).settle([model])
    assert play(scenario).summary["model_hash"] == model_hash(state)


# --- a deadline: the phone's link is slow, and at 200 ms only the others are done ------

EVERYBODY = "selection.cohort=4"
LATE = (EVERYBODY, "pace.deadline=200 ms")


@pytest.fixture(scope="module")
def late() -> Played:
    return play(tiny(*LATE))


def test_what_comes_too_late_is_never_computed(late: Played) -> None:
    assert play(tiny(EVERYBODY)).executed["train"] == 4 * ROUNDS
    assert late.summary["dropouts"]["deadline"] == ROUNDS
    assert late.summary["device_rounds"] == late.executed["train"] == 3 * ROUNDS


def test_what_comes_too_late_is_paid_for(late: Played) -> None:
    [phone] = [row for row in late.trace.devices if row["device"] == "phone-0"]
    assert phone["dropped_deadline"] == ROUNDS
    assert phone["rounds_done"] == 0
    assert 0.0 < phone["active_j"] < phone["energy_j"]
    assert phone["active_j"] < phone["participant_j"] <= phone["energy_j"]
    cut = [span for span in late.trace.spans if span.outcome == "deadline"]
    assert {span.actor for span in cut} == {"phone-0"}
    assert all(0.0 <= span.progress < 1.0 for span in cut)
    assert all(0.2 <= row["t1_s"] - row["t0_s"] < 0.21 for row in late.trace.rounds)


def test_what_comes_too_late_changes_no_model(late: Played) -> None:
    away = "fleet[1].availability={name: windows, on: [[500 s, 900 s]], period: 1000 s}"
    absent = play(tiny(EVERYBODY, away))
    assert absent.summary["dropouts"] == dict.fromkeys(absent.summary["dropouts"], 0)
    assert late.summary["model_hash"] == absent.summary["model_hash"]


def test_over_selection_counts_the_first_to_deliver() -> None:
    played = play(tiny("selection.cohort=2", "pace.over_selection=2"))
    assert [row["participants"] for row in played.trace.rounds] == [4, 4]
    assert [row["dropped"] for row in played.trace.rounds] == [2, 2]
    assert played.executed["train"] == 2 * ROUNDS


def test_a_round_without_replies_keeps_the_model() -> None:
    played = play(tiny("pace.deadline=1 ms"))
    first, second = played.trace.rounds
    assert first["model_version"] == second["model_version"]
    assert first["loss"] == second["loss"]
    assert played.executed["train"] == 0
    assert played.summary["simulated_s"] == pytest.approx(2e-3)
