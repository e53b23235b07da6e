"""FedLP and Split-Mix through the whole stack, against loops that everybody would write.

Three boards. A topology goes in, a model hash comes out; beside it stands plain torch: modules,
optimizers, and the mean tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.rng import entropy, rng
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.spec.world import Scenario
from hetsim.testing import Played, play, tiny

ROUNDS, WIDTH, HIDDEN, HEAD = 2, 8, 12, 7
CNN = f"task.model={{name: small_cnn, width: {WIDTH}, hidden: {HIDDEN}}}"
WORLD = (
    CNN, "fleet[0].count=3", "fleet[1].data=none", "fleet[2].data=none", "selection.cohort=3",
    f"stop.rounds={ROUNDS}", "task.partition={name: dirichlet, alpha: 0.3}",
)  # fmt: skip
EACH = "assignment: fixed, proportions: [0.2, 0.2, 0.6]"
"""Of five devices, three of which hold data, one at each of three levels."""
CLIENTS = ("pi-0", "pi-1", "pi-2")
LAYERS = ("conv1", "conv2", "fc1", "fc2")
WHOLE = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": WIDTH, "hidden": HIDDEN})
State = dict[str, Tensor]
Forward = Callable[[Any, Tensor], Tensor]


def scenario(method: str, *overrides: str) -> Scenario:
    return tiny(f"method={{{method}, batch: 16, lr: 0.05}}", *WORLD, *overrides)


def first(architecture: Architecture, *name: str) -> Any:
    """A module with the weights that a stream of this name gives."""
    with chance(entropy(0, "learn/initial", *name) % 2**63):
        return architecture.build()


def asked(played: Played, number: int) -> list[str]:
    books = played.trace.participations
    return [book.device for book in books if book.round == number]


def trained(of: Scenario, net: Any, client: str, number: int, forward: Forward) -> State:
    """A round of a client, in place."""
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    data, rows = of.dataset, torch.from_numpy(of.shards[CLIENTS.index(client)])
    generator = torch.Generator().manual_seed(entropy(0, "learn/batches", client, number))
    for part in rows[torch.randperm(len(rows), generator=generator)].split(16):
        x = (torch.from_numpy(data.x[part.numpy()]).float() - data.mean[0]) / data.std[0]
        optimizer.zero_grad()
        F.cross_entropy(forward(net, x), torch.from_numpy(data.y[part.numpy()])).backward()
        optimizer.step()
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def mean(old: State, updates: Sequence[State], weights: Sequence[float]) -> State:
    """Tensor by tensor over those who have it; the old one if nobody does."""
    state: State = {}
    for name, tensor in old.items():
        here = [
            (update[name].double(), weight)
            for update, weight in zip(updates, weights, strict=True)
            if name in update
        ]
        whole = sum(weight for _, weight in here)
        total = sum((value * weight for value, weight in here), torch.zeros(()))
        state[name] = (total / whole).float() if here else tensor
    return state


def plainly(net: Any, x: Tensor) -> Tensor:
    return net(x)


# --- layers that are left out of messages ---------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "rates", "by_tensor"),
    [
        ("preserve: 0.4", (0.4, 0.4, 0.4), False),
        ("preserve: [0.9, 0.1, 1.0, 0.5, 0.5]", (0.9, 0.1, 1.0), False),
        ("preserve: 0.4, unit: tensor", (0.4, 0.4, 0.4), True),
    ],
)
def test_fedlp_is_the_loop_bit_for_bit(
    options: str, rates: Sequence[float], by_tensor: bool
) -> None:
    single_thread()
    given = scenario(f"name: fedlp, {options}")
    played = play(given)
    state: State = first(WHOLE).state_dict()
    missed = 0
    for number in range(ROUNDS):
        updates: list[State] = []
        for client in asked(played, number):
            net = WHOLE.build()
            net.load_state_dict(state)
            update = trained(given, net, client, number, plainly)
            names = list(update) if by_tensor else list(LAYERS)
            draws = rng(0, "sim/layers", "up", client, number, 0).random(len(names))
            rate = rates[CLIENTS.index(client)]
            chosen = {name for name, draw in zip(names, draws, strict=True) if draw < rate}
            updates.append(
                {
                    name: tensor for name, tensor in update.items()
                    if (name if by_tensor else name.partition(".")[0]) in chosen
                }
            )  # fmt: skip
        missed += sum(all(name not in update for update in updates) for name in state)
        state = mean(state, updates, [1.0] * len(updates))
    assert played.summary["model_hash"] == model_hash(state)
    assert missed or min(rates) < 0.4, "some tensor has been sent by nobody"


def test_layers_that_are_left_out_on_the_way_down_are_the_devices_own() -> None:
    single_thread()
    given = scenario("name: fedlp, preserve: 0.5, down: true")
    played = play(given)
    state: State = first(WHOLE).state_dict()
    own: dict[str, State] = {}
    for number in range(ROUNDS):
        updates: list[State] = []
        for client in asked(played, number):
            arrived = LAYERS
            if client in own:
                draws = rng(0, "sim/layers", "down", client, number, 0).random(4)
                arrived = tuple(
                    layer for layer, draw in zip(LAYERS, draws, strict=True) if draw < 0.5
                )  # fmt: skip
            net = WHOLE.build()
            net.load_state_dict(
                {
                    name: tensor if name.partition(".")[0] in arrived else own[client][name]
                    for name, tensor in state.items()
                }
            )
            own[client] = trained(given, net, client, number, plainly)
            draws = rng(0, "sim/layers", "up", client, number, 0).random(4)
            sent = {layer for layer, draw in zip(LAYERS, draws, strict=True) if draw < 0.5}
            updates.append(
                {
                    name: tensor for name, tensor in own[client].items()
                    if name.partition(".")[0] in sent
                }
            )  # fmt: skip
        state = mean(state, updates, [1.0] * len(updates))
    assert played.summary["model_hash"] == model_hash(state)


# --- layers that devices do not hold --------------------------------------------------------------


class Shallow(nn.Module):
    """One convolution or two, and a head of two layers."""

    def __init__(self, front: Any, convolutions: int) -> None:
        super().__init__()
        self.names = ("conv1", "conv2")[:convolutions]
        for name in self.names:
            self.add_module(name, getattr(front, name))
        features = (WIDTH * 16, 2 * WIDTH * 4)[convolutions - 1]
        self.head = nn.Sequential(nn.Linear(features, HEAD), nn.Linear(HEAD, 10))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = F.max_pool2d(F.relu(getattr(self, name)(x)), 2)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("head", ["kept", "fresh"])
def test_fedlp_with_heads_is_the_loop_bit_for_bit(head: str) -> None:
    single_thread()
    given = scenario(
        f"name: fedlp, scheme: heterogeneous, depths: [4, 2, 1], hidden: {HEAD}, head: {head}, "
        f"{EACH}"
    )
    played = play(given)
    state: State = first(WHOLE).state_dict()
    private: dict[str, Shallow] = {}
    for number in range(ROUNDS):
        updates: list[State] = []
        assert sorted(asked(played, number)) == list(CLIENTS)
        for client in asked(played, number):
            kept = {"pi-0": 0, "pi-1": 2, "pi-2": 1}[client]
            if not kept:
                net: nn.Module = WHOLE.build()
                net.load_state_dict(state)
            elif client in private and head == "kept":
                net = private[client]
            else:
                with chance(entropy(0, "learn/initial", "head", client) % 2**63):
                    net = private[client] = Shallow(WHOLE.build(), kept)
            shared = {name: value for name, value in state.items() if name in net.state_dict()}
            net.load_state_dict(shared, strict=not kept)
            update = trained(given, net, client, number, plainly)
            updates.append({name: value for name, value in update.items() if name in state})
        assert {len(update) for update in updates} == {8, 4, 2}
        state = mean(state, updates, [1.0] * 3)
    assert played.summary["model_hash"] == model_hash(state)


# --- networks side by side ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "gain", "by_samples"),
    [
        ("", 0.5, True),
        (", rescaled: false, weighting: uniform", 1.0, False),
        (", scaler: true", 0.5, True),
    ],
)
def test_split_mix_is_the_loop_bit_for_bit(options: str, gain: float, by_samples: bool) -> None:
    single_thread()
    given = scenario(f"name: split_mix, base: 0.25, budgets: [1, 0.5, 0.25], {EACH}{options}")
    played = play(given)
    narrow = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 2, "hidden": 3})
    with chance(entropy(0, "learn/initial") % 2**63):
        nets = [narrow.build() for _ in range(4)]
    for net in nets:
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.mul_(1.0 if name.startswith("conv1") else gain)
    states: list[State] = [net.state_dict() for net in nets]

    def forward(net: Any, x: Tensor) -> Tensor:
        scale = 0.25 if "scaler" in options else 1.0
        x = F.max_pool2d(F.relu(net.conv1(x) / scale), 2)
        x = F.max_pool2d(F.relu(net.conv2(x) / scale), 2)
        return net.fc2(F.relu(net.fc1(x.flatten(1)) / scale))

    turns = [int(each) for each in rng(0, "sim/networks", "turns", 0).permutation(4)]
    turns += [int(each) for each in rng(0, "sim/networks", "turns", 1).permutation(4)]
    for number in range(ROUNDS):
        found: list[list[tuple[State, float]]] = [[] for _ in range(4)]
        for client in asked(played, number):
            mine = [turns.pop(0)]
            if others := {"pi-0": 3, "pi-1": 1, "pi-2": 0}[client]:
                left = [each for each in range(4) if each != mine[0]]
                draw = rng(0, "sim/networks", client, number, 0)
                mine += [left[place] for place in draw.choice(3, size=others, replace=False)]
            weight = float(len(given.shards[CLIENTS.index(client)])) if by_samples else 1.0
            for each in mine:
                net = narrow.build()
                net.load_state_dict(states[each])
                found[each].append((trained(given, net, client, number, forward), weight))
        states = [
            mean(old, [update for update, _ in pairs], [weight for _, weight in pairs])
            for old, pairs in zip(states, found, strict=True)
        ]
    together = {
        f"members.{number}.{name}": value
        for number, state in enumerate(states)
        for name, value in state.items()
    }
    assert played.summary["model_hash"] == model_hash(together)


# --- FedAvg inside --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [CNN, "task.model={name: mlp, hidden: [16, 16]}"])
@pytest.mark.parametrize("weighting", ["samples", "uniform"])
@pytest.mark.parametrize(
    "options",
    ["preserve: 1", "preserve: 1, down: true", "scheme: heterogeneous, assignment: memory"],
)
def test_fedlp_of_whole_models_is_fedavg(model: str, weighting: str, options: str) -> None:
    """Bit for bit, and to the joule."""
    world = (model, "task.partition={name: dirichlet, alpha: 0.3}", "stop.rounds=3")
    plain = play(tiny(f"method={{name: fedavg, weighting: {weighting}}}", *world))
    whole = play(tiny(f"method={{name: fedlp, weighting: {weighting}, {options}}}", *world))
    assert whole.hashes == plain.hashes


def test_split_mix_of_one_network_is_fedavg() -> None:
    """Its model has other names, and all else is the same."""
    world = (CNN, "task.partition={name: dirichlet, alpha: 0.3}", "stop.rounds=3")
    plain = play(tiny("method={name: fedavg}", *world))
    whole = play(tiny("method={name: split_mix, base: 1, budgets: [1]}", *world))
    for name in ("t1_s", "energy_j", "bytes_up", "bytes_down", "loss", "accuracy"):
        assert [row[name] for row in whole.trace.rounds] == [
            row[name] for row in plain.trace.rounds
        ]
