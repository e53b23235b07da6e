"""SCAFFOLD and FedNova through the whole stack, beside the loops that everybody would write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.rng import entropy
from hetsim.core.trace import Participation
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import State, chance
from hetsim.learn.store import MemoryStore
from hetsim.spec.world import Scenario
from hetsim.testing import Played, play, tiny

SKEWED = "task.partition={name: dirichlet, alpha: 0.3}"
SMALL = "task.model={name: mlp, hidden: [16]}"
LARGE = "task.model=small_cnn"
NORMED = "task.model=resnet8"
SHORT = (
    "pace={name: deadline, deadline: 600 ms}", "method.epochs=160", "selection.cohort=4",
    "task.model=logistic",
)  # fmt: skip
"""Some train for fewer steps than they are asked, and some deliver nothing at first."""

Values = dict[str, Tensor]


def played(scenario: Scenario) -> tuple[list[Participation], State]:
    """Who did what, and the last model."""
    store = MemoryStore()
    lab = Lab(Inline(), store, scenario.resident)
    try:
        trace = scenario.play(lab, causality=True)
        model = store.get(trace.rounds[-1]["model_version"])
    finally:
        lab.close()
    assert model is not None
    return trace.participations, model


def samples(scenario: Scenario, client: str) -> tuple[Tensor, Tensor]:
    """The samples of a client, float64, and their labels."""
    place = [member.name for member in scenario.members()].index(client)
    rows, data = scenario.shards[place], scenario.dataset
    x = (torch.from_numpy(data.x[rows]).double() - data.mean[0]) / data.std[0]
    return x, torch.from_numpy(data.y[rows])


def batches(scenario: Scenario, book: Participation, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The first `steps` batches of a client in a round."""
    x, y = samples(scenario, book.device)
    seed = entropy(scenario.spec.seed, "learn/batches", book.device, book.round)
    generator, left = torch.Generator().manual_seed(seed), steps
    while left > 0:
        for part in torch.randperm(len(x), generator=generator).split(20)[:left]:
            left -= 1
            yield x[part], y[part]


def fresh(scenario: Scenario) -> nn.Module:
    """The model before the first round, float64."""
    with chance(entropy(scenario.spec.seed, "learn/initial") % 2**63):
        return scenario.architecture.build().double()


def copied(values: Mapping[str, Tensor]) -> Values:
    """A copy."""
    return {name: value.detach().clone() for name, value in values.items()}


def steps_of(scenario: Scenario, book: Participation, epochs: int) -> int:
    """How many steps a client took."""
    whole = epochs * -(-len(samples(scenario, book.device)[1]) // 20)
    return round(book.share * whole)


def hurried(books: list[Participation]) -> bool:
    """Whether somebody was cut short, and somebody was dropped and came again."""
    dropped = {book.device for book in books if book.outcome == "deadline"}
    again = {book.device for book in books if book.outcome == "done"}
    return any(0.0 < book.share < 1.0 for book in books) and bool(dropped & again)


def averaged(states: list[Values], shares: list[float]) -> Values:
    """The weighted mean; of counters the largest."""
    return {
        name: sum((share * state[name] for share, state in zip(shares, states, strict=True)),
                  torch.zeros(()).double())
        if value.is_floating_point() else torch.stack([state[name] for state in states]).amax(0)
        for name, value in states[0].items()
    }  # fmt: skip


# --- SCAFFOLD ------------------------------------------------------------------------------------


def scaffold(
    scenario: Scenario,
    books: list[Participation],
    *,
    lr: float,
    epochs: int,
    momentum: float,
    strength: float,
    server_lr: float,
) -> Values:
    """Algorithm 1 of its source with option II, in double precision."""
    net = fresh(scenario)
    trained = [name for name, _ in net.named_parameters()]
    model = copied(net.state_dict())
    c = {name: torch.zeros_like(model[name]) for name in trained}
    own = {member.name: copied(c) for member in scenario.members()}
    for number in range(3):
        states: list[Values] = []
        changes: list[Values] = []
        for book in books:
            steps = steps_of(scenario, book, epochs)
            if book.round != number or not steps:
                continue
            net.load_state_dict(model)
            net.train()
            sgd = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
            mine = own[book.device]
            for x, y in batches(scenario, book, steps):
                sgd.zero_grad()
                F.cross_entropy(net(x), y).backward()
                for name, weight in net.named_parameters():
                    assert weight.grad is not None
                    weight.grad += strength * (c[name] - mine[name])
                sgd.step()
            states.append(copied(net.state_dict()))
            long = steps / (1 - momentum)
            new = {
                name: strength * (mine[name] - c[name])
                + (model[name] - states[-1][name]) / (long * lr)
                for name in trained
            }
            changes.append({name: new[name] - mine[name] for name in trained})
            own[book.device] = new
        mean = averaged(states, [1 / len(states)] * len(states))
        moved = {name: model[name] + server_lr * (mean[name] - model[name]) for name in trained}
        model = {**mean, **moved}
        for name in trained:
            c[name] += sum(change[name] for change in changes) / len(own)
    return model


@pytest.mark.parametrize(
    ("overrides", "settings"),
    [
        ((SMALL, SKEWED), {}),
        ((SMALL, SKEWED, "method.momentum=0.6", "method.strength=0.5", "method.server_lr=0.7"),
         {"momentum": 0.6, "strength": 0.5, "server_lr": 0.7}),
        ((LARGE, "method.lr=0.01"), {"lr": 0.01}),
        ((NORMED, "method.server_lr=0.7", "method.lr=0.001"), {"server_lr": 0.7, "lr": 0.001}),
        ((SKEWED, *SHORT), {"epochs": 160}),
    ],
)  # fmt: skip
def test_three_rounds_of_scaffold_by_hand(
    overrides: tuple[str, ...], settings: dict[str, Any]
) -> None:
    scenario = tiny("method.name=scaffold", "stop.rounds=3", *overrides)
    books, model = played(scenario)
    assert (SHORT[0] in overrides) == hurried(books)
    given = {"lr": 0.1, "epochs": 1, "momentum": 0.0, "strength": 1.0, "server_lr": 1.0, **settings}
    mine = scaffold(scenario, books, **given)
    assert mine.keys() == model.keys()
    for name, value in model.items():
        torch.testing.assert_close(value.double(), mine[name].double(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("model", ["task.model=logistic", SMALL, LARGE, NORMED])
@pytest.mark.parametrize("where", ["gradient", "step"])
def test_the_first_round_of_scaffold_is_fedavg_bit_for_bit(model: str, where: str) -> None:
    world = (model, "stop.rounds=1", "method.momentum=0.5", SKEWED)
    plain = play(tiny(*world, "method.weighting=uniform")).summary["model_hash"]
    zero = play(tiny(*world, "method.name=scaffold", f"method.where={where}"))
    assert zero.summary["model_hash"] == plain


def test_scaffold_without_strength_is_fedavg_bit_for_bit() -> None:
    for weighting in ("samples", "uniform"):
        world = (SMALL, SKEWED, "stop.rounds=3", f"method.weighting={weighting}")
        plain = play(tiny(*world)).summary["model_hash"]
        zero = play(tiny(*world, "method.name=scaffold", "method.strength=0"))
        assert zero.summary["model_hash"] == plain
        steered = play(tiny(*world, "method.name=scaffold"))
        assert steered.summary["model_hash"] != plain


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_scaffold_moves_twice_the_bytes_of_fedavg(model: str) -> None:
    """None of these models has buffers: the variates are as large as they are."""

    def moved(method: str) -> list[tuple[float, float]]:
        trace = play(tiny(model, f"method.name={method}", "cost_only=true")).trace
        return [(row["bytes_up"], row["bytes_down"]) for row in trace.rounds]

    assert moved("scaffold") == [(2 * up, 2 * down) for up, down in moved("fedavg")]


def test_running_statistics_have_no_variates() -> None:
    scenario = tiny(NORMED, "method.name=scaffold", "cost_only=true")
    net = scenario.architecture.build()
    trained = sum(value.numel() for value in net.parameters())
    sent = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    for row in play(scenario).trace.rounds:
        assert row["bytes_up"] == row["bytes_down"] == 3 * (4 * trained + sent)


def test_control_variates_undo_client_drift() -> None:
    """Whole-batch steps on clients that disagree, with a loss that has one minimum.

    Many local steps lead federated averaging to a point of its own; with variates the same steps
    end at the minimum of the mean loss.
    """
    world = (
        "task.model=logistic", "task.partition={name: dirichlet, alpha: 0.1}",
        "selection.cohort=4", "method.batch=200", "method.epochs=40", "method.lr=0.1",
        "method.weight_decay=0.1", "method.weighting=uniform",
    )  # fmt: skip
    scenario = tiny(*world)
    net = fresh(scenario)
    clients = [samples(scenario, member.name) for member in scenario.members()]
    search = torch.optim.LBFGS(net.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        mean = torch.stack([F.cross_entropy(net(x), y) for x, y in clients]).mean()
        whole = mean + 0.05 * sum(weight.square().sum() for weight in net.parameters())
        whole.backward()
        return whole

    search.step(loss)
    assert all(weight.grad.abs().max() < 1e-4 for weight in net.parameters())  # pyright: ignore
    best = copied(net.state_dict())

    def apart(method: str, rounds: int) -> float:
        run = tiny(*world, f"method.name={method}", f"stop.rounds={rounds}")
        _, model = played(run)
        return sum(float((model[name] - best[name]).square().sum()) for name in best) ** 0.5

    drifted = apart("fedavg", 30)
    print(drifted, apart("fedavg", 15), apart("scaffold", 15), apart("scaffold", 30))
    assert apart("fedavg", 15) == pytest.approx(drifted, rel=0.01), "it goes nowhere any more"
    assert apart("scaffold", 30) < 0.1 * drifted


# --- FedNova -------------------------------------------------------------------------------------


def fednova(
    scenario: Scenario,
    books: list[Participation],
    *,
    lr: float,
    epochs: int,
    momentum: float,
    mu: float,
) -> Values:
    """Normalised averaging, in double precision, a_i accumulated step by step."""
    net = fresh(scenario)
    trained = {name for name, _ in net.named_parameters()}
    model = copied(net.state_dict())
    for number in range(3):
        states: list[Values] = []
        sizes: list[int] = []
        lengths: list[float] = []
        for book in books:
            steps = steps_of(scenario, book, epochs)
            if book.round != number or not steps:
                continue
            net.load_state_dict(model)
            net.train()
            sgd = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
            length = carried = 0.0
            for x, y in batches(scenario, book, steps):
                sgd.zero_grad()
                F.cross_entropy(net(x), y).backward()
                for name, weight in net.named_parameters():
                    assert weight.grad is not None
                    weight.grad += mu * (weight.detach() - model[name])
                sgd.step()
                carried = momentum * carried + 1.0
                length = length * (1.0 - lr * mu) + carried
            states.append(copied(net.state_dict()))
            sizes.append(len(samples(scenario, book.device)[1]))
            lengths.append(length)
        shares = [size / sum(sizes) for size in sizes]
        mean = averaged(states, shares)
        far = sum(share * length for share, length in zip(shares, lengths, strict=True))
        model = {
            name: model[name]
            - far * sum(
                (share * (model[name] - state[name]) / length
                 for share, state, length in zip(shares, states, lengths, strict=True)),
                torch.zeros(()).double(),
            )
            if name in trained else mean[name]
            for name in model
        }  # fmt: skip
    return model


@pytest.mark.parametrize(
    ("overrides", "settings"),
    [
        ((SMALL,), {}),
        ((SMALL, "method.momentum=0.6"), {"momentum": 0.6}),
        ((SMALL, "method.mu=0.5"), {"mu": 0.5}),
        ((NORMED, "method.lr=0.01"), {"lr": 0.01}),
        (SHORT, {"epochs": 160}),
    ],
)
def test_three_rounds_of_fednova_by_hand(
    overrides: tuple[str, ...], settings: dict[str, Any]
) -> None:
    scenario = tiny("method.name=fednova", "stop.rounds=3", SKEWED, *overrides)
    assert len({len(rows) for rows in scenario.shards}) > 2, "trainings differ in length"
    books, model = played(scenario)
    assert (SHORT[0] in overrides) == hurried(books)
    given = {"lr": 0.1, "epochs": 1, "momentum": 0.0, "mu": 0.0, **settings}
    mine = fednova(scenario, books, **given)
    for name, value in model.items():
        torch.testing.assert_close(value.double(), mine[name].double(), rtol=1e-5, atol=2e-6)
    plain: Played = play(tiny("stop.rounds=3", SKEWED, SMALL, "method.weighting=samples"))
    assert plain.summary["model_hash"] != play(scenario).summary["model_hash"]


@pytest.mark.parametrize("model", ["task.model=logistic", SMALL, LARGE, NORMED])
def test_with_trainings_of_one_length_fednova_is_fedavg_bit_for_bit(model: str) -> None:
    """Shards of 50 samples each."""
    world = (model, "method.momentum=0.5")
    plain = play(tiny(*world)).summary["model_hash"]
    assert play(tiny(*world, "method.name=fednova")).summary["model_hash"] == plain
    prox = play(tiny(*world, "method.name=fedprox", "method.mu=0.1")).summary["model_hash"]
    same = play(tiny(*world, "method.name=fednova", "method.mu=0.1")).summary["model_hash"]
    assert same == prox != plain


def test_fednova_sends_one_number_more() -> None:
    rows = [
        play(tiny(f"method.name={method}", "cost_only=true")).trace.rounds
        for method in ("fedavg", "fednova")
    ]
    for plain, normalised in zip(*rows, strict=True):
        assert normalised["bytes_down"] == plain["bytes_down"]
        assert normalised["bytes_up"] == plain["bytes_up"] + 3 * 4
