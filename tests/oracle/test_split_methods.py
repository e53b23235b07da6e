"""LGL and FedGKT through the whole stack, against loops that everybody would write.

Three boards, two of which are asked in each round. A topology goes in, a model hash comes
out; beside it stands plain torch: modules, optimizers, batch by batch, and the mean by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.rng import entropy
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.spec.world import Scenario
from hetsim.testing import Played, play, tiny

WIDTH, ROUNDS = 4, 3
CLIENTS = ("pi-0", "pi-1", "pi-2")
State = dict[str, Tensor]
Train = Callable[[str, int, nn.ModuleDict], None]
"""What a client and the server do in a round: from its name, the round and the parts."""


def scenario(method: str, *overrides: str) -> Scenario:
    return tiny(
        f"method={{name: {method}, batch: 16, lr: 0.05}}", f"stop.rounds={ROUNDS}",
        f"task.model={{name: small_cnn, width: {WIDTH}, hidden: 8}}", "fleet[0].count=3",
        "task.partition={name: dirichlet, alpha: 0.5}", "fleet[1].data=none",
        "fleet[2].data=none", "selection={name: round_robin, cohort: 2}", *overrides,
    )  # fmt: skip


def start(of: Scenario) -> nn.ModuleDict:
    """The parts before the first round: one seed for the model, another one for the head."""
    single_thread()
    seed = of.spec.seed
    with chance(entropy(seed, "learn/initial") % 2**63):
        net: Any = of.architecture.build()
    with chance(entropy(seed, "learn/initial", "head") % 2**63):
        head = Architecture.of("logistic", (2 * WIDTH, 2, 2), 10).build()
    front = nn.Sequential(
        net.conv1, nn.ReLU(), nn.MaxPool2d(2), net.conv2, nn.ReLU(), nn.MaxPool2d(2)
    )
    back = nn.Sequential(nn.Flatten(), net.fc1, nn.ReLU(), net.fc2)
    parts = nn.ModuleDict({"net": net, "front": front, "head": head, "back": back})
    return parts.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def samples(of: Scenario, rows: Tensor) -> tuple[Tensor, Tensor]:
    data, index = of.dataset, rows.numpy()
    x = (torch.from_numpy(data.x[index]).float() - data.mean[0]) / data.std[0]
    return x, torch.from_numpy(data.y[index])


def descent(of: Scenario, *modules: nn.Module) -> torch.optim.Optimizer:
    """One for modules that are trained together, afresh in each round."""
    options = of.spec.method.options
    weights = [weight for module in modules for weight in module.parameters()]
    return torch.optim.SGD(
        weights, lr=0.05, momentum=0.9, weight_decay=options.get("weight_decay", 0.0)
    )


def shard(of: Scenario, client: str) -> Tensor:
    return torch.from_numpy(of.shards[CLIENTS.index(client)])


def federated(of: Scenario, played: Played, train: Train) -> str:
    """Hash of the last model: who was asked trains a copy, and all values are averaged."""
    state: State = start(of).state_dict()
    weighted = of.spec.method.options.get("weighting") == "samples"
    for number in range(ROUNDS):
        asked = [book.device for book in played.trace.participations if book.round == number]
        assert len(asked) == 2
        states: list[State] = []
        for client in asked:
            parts = start(of)
            parts.load_state_dict(state)
            train(client, number, parts.train())
            states.append(parts.state_dict())
        sizes = [len(shard(of, client)) if weighted else 1 for client in asked]
        one, two = (size / sum(sizes) for size in sizes)
        state = {
            name: (states[0][name].double() * one + states[1][name].double() * two).float()
            for name in state
        }
    return model_hash(
        {name.removeprefix("net."): t for name, t in state.items() if name.startswith("net.")}
    )


# --- local losses ---------------------------------------------------------------------------------


def lgl(of: Scenario, epochs: int, client: str, number: int, parts: nn.ModuleDict) -> None:
    """Samples afresh in order each epoch; every part takes a step on each batch."""
    front, head, back = (parts[name] for name in ("front", "head", "back"))
    near, far = descent(of, front, head), descent(of, back)
    rows = shard(of, client)
    seed = entropy(of.spec.seed, "learn/batches", client, number)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for part in rows[torch.randperm(len(rows), generator=generator)].split(16):
            x, y = samples(of, part)
            near.zero_grad()
            far.zero_grad()
            z = front(x)
            F.cross_entropy(head(z), y).backward()
            F.cross_entropy(back(z.detach()), y).backward()
            near.step()
            far.step()


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ((), 1),
        (("method.epochs=2", "method.weight_decay=1e-3", "method.weighting=samples"), 2),
        (("method.overlap=true",), 1),
    ],
)
def test_lgl_is_the_loop_bit_for_bit(options: Sequence[str], epochs: int) -> None:
    given = scenario("lgl", *options)
    assert len({len(shard(given, client)) for client in CLIENTS}) == 3, "shards differ in size"
    played = play(given)
    expected = federated(given, played, partial(lgl, given, epochs))
    assert played.summary["model_hash"] == expected


# --- knowledge transfer ---------------------------------------------------------------------------


def distance(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    taught = torch.softmax(teacher / temperature, 1) + 1e-7
    kl = nn.KLDivLoss(reduction="batchmean")
    return temperature**2 * kl(torch.log_softmax(logits / temperature, 1), taught)


def fedgkt(
    of: Scenario, epochs: int, alpha: float, temperature: float, teachers: dict[str, list[Tensor]],
    client: str, number: int, parts: nn.ModuleDict,
) -> None:  # fmt: skip
    """The client first, by what the server told it the last time; then the server."""
    front, head, back = (parts[name] for name in ("front", "head", "back"))
    near, far = descent(of, front, head), descent(of, back)
    batches = [samples(of, part) for part in shard(of, client).split(16)]
    for _ in range(epochs):
        for index, (x, y) in enumerate(batches):
            near.zero_grad()
            logits = head(front(x))
            loss = F.cross_entropy(logits, y)
            if client in teachers:
                loss = loss + alpha * distance(logits, teachers[client][index], temperature)
            loss.backward()
            near.step()
    returned: list[Tensor] = []
    for x, y in batches:
        with torch.no_grad():
            z = front(x)
            heard = head(z)
        far.zero_grad()
        logits = back(z)
        loss = distance(logits, heard, temperature) + alpha * F.cross_entropy(logits, y)
        loss.backward()
        far.step()
        returned.append(logits.detach())
    teachers[client] = returned


class Forgetful(dict[str, list[Tensor]]):
    """Nobody remembers what it was taught."""

    def __setitem__(self, client: str, logits: list[Tensor]) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize(
    ("options", "epochs", "alpha", "temperature"),
    [
        ((), 1, 1.0, 3.0),
        (("method.alpha=0.4", "method.temperature=1.7"), 1, 0.4, 1.7),
        (("method.epochs=2", "method.weight_decay=1e-3", "method.weighting=samples"), 2, 1.0, 3.0),
    ],
)
def test_fedgkt_is_the_loop_bit_for_bit(
    options: Sequence[str], epochs: int, alpha: float, temperature: float
) -> None:
    """Who is asked again has a teacher, also after a round without it."""
    given = scenario("fedgkt", *options)
    played = play(given)
    rounds = {
        client: [book.round for book in played.trace.participations if book.device == client]
        for client in CLIENTS
    }
    assert sorted(rounds.values()) == [[0, 1, 2], [0, 2], [1]]
    settings = (given, epochs, alpha, temperature)
    assert played.summary["model_hash"] == federated(given, played, partial(fedgkt, *settings, {}))
    untaught = federated(given, played, partial(fedgkt, *settings, Forgetful()))
    assert played.summary["model_hash"] != untaught
