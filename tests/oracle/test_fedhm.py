"""FedHM through the whole stack, against a loop that everybody would write.

Three boards at three ranks. A topology goes in, a model hash comes out; beside it stand a singular
value decomposition, plain modules and optimizers of torch, and the mean of products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import exp
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.errors import SpecError
from hetsim.core.rng import entropy
from hetsim.learn.architecture import Architecture
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import measure
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.learn.ops.factorise import low_rank
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

ROUNDS, WIDTH, HIDDEN = 3, 8, 24
CNN = f"task.model={{name: small_cnn, width: {WIDTH}, hidden: {HIDDEN}}}"
WHOLE = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": WIDTH, "hidden": HIDDEN})
THIN = ("conv2", "fc1")
THREE = (
    "fleet[0].count=3", "fleet[1].data=none", "fleet[2].data=none",
    f"stop.rounds={ROUNDS}", "task.partition={name: dirichlet, alpha: 0.3}",
)  # fmt: skip
EACH = "assignment: fixed, proportions: [0.2, 0.2, 0.6], factors: [1, 2, 6]"
"""Of five devices, three of which hold data, one at each level."""
SEED = 1
"""With which two of three are not always the same."""
FACTORS = {"pi-0": 1, "pi-1": 2, "pi-2": 6}
CLIENTS = tuple(FACTORS)
State = dict[str, Tensor]


def scenario(options: str, *overrides: str, cohort: int = 3, seed: int = 0) -> Scenario:
    method = f"method={{name: fedhm, batch: 16, lr: 0.05, {EACH}{options}}}"
    world = (method, CNN, *THREE, f"selection.cohort={cohort}", *overrides)
    return tiny(*world, seed=seed)


def samples(of: Scenario, rows: Tensor) -> tuple[Tensor, Tensor]:
    data, index = of.dataset, rows.numpy()
    x = (torch.from_numpy(data.x[index]).float() - data.mean[0]) / data.std[0]
    return x, torch.from_numpy(data.y[index])


# --- the loop -------------------------------------------------------------------------------------


def matrix(weight: Tensor) -> Tensor:
    if weight.dim() == 2:
        return weight.double()
    o, i, k, _ = weight.shape
    return weight.double().permute(0, 2, 1, 3).reshape(o * k, i * k)


def split(state: State, factor: int) -> State:
    """What a device receives."""
    if factor == 1:
        return state
    thin: State = {}
    for name, tensor in state.items():
        layer, kind = name.split(".")
        if layer not in THIN:
            thin[name] = tensor
        elif kind == "bias":
            thin[f"{layer}.u.bias"] = tensor
        else:
            r, (p, s, q) = round(len(tensor) / factor), torch.linalg.svd(matrix(tensor), False)
            u, v = p[:, :r] * s[:r].sqrt(), s[:r].sqrt()[:, None] * q[:r]
            if tensor.dim() == 4:
                o, i, k, _ = tensor.shape
                u = u.reshape(o, k, r).transpose(1, 2)[..., None]
                v = v.reshape(r, i, k)[:, :, None]
            thin[f"{layer}.u.weight"], thin[f"{layer}.v.weight"] = u.float(), v.float()
    return thin


def whole(thin: State, like: State) -> State:
    """What a device's factors stand for."""
    state: State = {}
    for name, tensor in like.items():
        layer, kind = name.split(".")
        if name in thin:
            state[name] = thin[name]
        elif kind == "bias":
            state[name] = thin[f"{layer}.u.bias"]
        else:
            u, v = (thin[f"{layer}.{which}.weight"].double() for which in "uv")
            if tensor.dim() == 2:
                state[name] = (u @ v).float()
            else:
                o, i, k, _ = tensor.shape
                product = u.squeeze(3).transpose(1, 2).reshape(o * k, -1) @ v.reshape(len(v), -1)
                state[name] = product.reshape(o, k, i, k).transpose(1, 2).float()
    return state


def answer(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Logits, layer by layer, thin or not."""

    def layer(name: str, x: Tensor) -> Tensor:
        linear = name.startswith("fc")
        if f"{name}.weight" in state:
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            return F.linear(x, weight, bias) if linear else F.conv2d(x, weight, bias, padding=2)
        u, v, bias = (state[f"{name}.{each}"] for each in ("u.weight", "v.weight", "u.bias"))
        if linear:
            return F.linear(F.linear(x, v), u, bias)
        return F.conv2d(F.conv2d(x, v, padding=(0, 2)), u, bias, padding=(2, 0))

    for name in ("conv1", "conv2"):
        x = F.max_pool2d(F.relu(layer(name, x)), 2)
    return layer("fc2", F.relu(layer("fc1", x.flatten(1))))


def trained(
    of: Scenario, state: State, client: str, number: int, masked: bool, decay: float, both: bool
) -> State:
    """A round of a client; the decay of each value is written out."""
    thin = {
        name: tensor.clone(memory_format=torch.channels_last if tensor.dim() == 4
                           else torch.contiguous_format).requires_grad_()
        for name, tensor in split(state, FACTORS[client]).items()
    }  # fmt: skip
    rows = torch.from_numpy(of.shards[CLIENTS.index(client)])
    held = torch.from_numpy(of.dataset.y[rows.numpy()]).unique()
    kept = torch.zeros(10).index_fill(0, held, 1.0).bool()
    seed = entropy(of.spec.seed, "learn/batches", client, number)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    for part in rows[order].split(16):
        x, y = samples(of, part)
        logits = answer(thin, x)
        if masked:
            logits = torch.where(kept, logits, torch.zeros(()))
        loss = F.cross_entropy(logits, y)
        for name, tensor in thin.items():
            factor = ".u.w" in name or ".v.w" in name
            if decay and (both or not factor):
                loss = loss + decay / 2 * tensor.square().sum()
        for layer in THIN if decay else ():
            if f"{layer}.u.weight" in thin:
                u, v = thin[f"{layer}.u.weight"], thin[f"{layer}.v.weight"]
                product = u @ v if u.dim() == 2 else torch.einsum("orya,ribx->oiyx", u, v)
                loss = loss + decay / 2 * product.square().sum()
        gradient = torch.autograd.grad(loss, list(thin.values()))
        with torch.no_grad():
            for tensor, slope in zip(thin.values(), gradient, strict=True):
                tensor.sub_(0.05 * slope)
    return {name: tensor.detach() for name, tensor in thin.items()}


def federated(
    of: Scenario,
    played: Played,
    *,
    masked: bool = True,
    renormalise: bool = True,
    temperature: float = 0.0,
    by_samples: bool = False,
    decay: float = 0.0,
    both: bool = False,
) -> State:
    """The last server model."""
    single_thread()
    with chance(entropy(of.spec.seed, "learn/initial") % 2**63):
        state: State = WHOLE.build().state_dict()
    for number in range(ROUNDS):
        asked = [book.device for book in played.trace.participations if book.round == number]
        members: list[tuple[State, float, Sequence[int]]] = []
        for client in asked:
            update = trained(of, state, client, number, masked, decay, both)
            rows = of.shards[CLIENTS.index(client)]
            weight = float(len(rows)) if by_samples else 1.0
            if temperature:
                weight *= exp(-FACTORS[client] / temperature)
            held = sorted(set(of.dataset.y[rows].tolist())) if masked else range(10)
            members.append((whole(update, state), weight, held))
        if CLIENTS[0] not in asked:
            shards = [of.shards[CLIENTS.index(client)] for client in asked]
            weight = sum(map(len, shards)) / len(shards) if by_samples else 1.0
            members.append(
                (state, weight * (exp(-1 / temperature) if temperature else 1.0), range(10))
            )
        merged: State = {}
        for name, old in state.items():
            for row in range(len(old)):
                some = [each for each in members if not name.startswith("fc2") or row in each[2]]
                total = sum(w for _, w, _ in (some if renormalise else members))
                value = sum(each[name][row].double() * w for each, w, _ in some)
                new = value / total if some else (old[row] if renormalise else 0.0 * old[row])
                merged.setdefault(name, torch.zeros_like(old))[row] = new
        state = merged
    return state


def final(of: Scenario, monkeypatch: pytest.MonkeyPatch) -> tuple[Played, State]:
    """A run, and its last server model."""
    states: list[State] = []

    def seen(state: State) -> str:
        states.append(state)
        return model_hash(state)

    monkeypatch.setattr("hetsim.spec.world.scenario.model_hash", seen)
    played = play(of)
    return played, states[-1]


def close(one: State, other: State) -> bool:
    assert one.keys() == other.keys()
    return all(torch.allclose(one[name], other[name], atol=2e-6) for name in other)


@pytest.mark.parametrize(
    ("options", "cohort", "given"),
    [
        ("", 3, {}),
        ("", 2, {}),
        (", masked: false", 2, {"masked": False}),
        (", renormalise: false", 2, {"renormalise": False}),
        (", weighting: samples", 2, {"by_samples": True}),
        (", temperature: 3", 2, {"temperature": 3.0}),
        (", weight_decay: 0.1", 3, {"decay": 0.1}),
        (", weight_decay: 0.1, decay: both", 3, {"decay": 0.1, "both": True}),
    ],
)
def test_fedhm_is_the_loop(
    options: str, cohort: int, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = scenario(options, cohort=cohort, seed=SEED)
    missing = [10 - len(set(of.dataset.y[rows].tolist())) for rows in of.shards[:3]]
    assert max(missing) > 0, "somebody lacks a class"
    assert len({len(rows) for rows in of.shards[:3]}) == 3, "shards differ in size"
    played, state = final(of, monkeypatch)
    check_books(played.trace, of)
    absent = {book.round for book in played.trace.participations} - {
        book.round for book in played.trace.participations if book.device == CLIENTS[0]
    }
    assert bool(absent) == (cohort == 2), "in some round nobody has the highest rank"
    assert close(state, federated(of, played, **given))
    if given:
        assert not close(state, federated(of, played))


def test_without_renormalising_rows_shrink_that_few_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    of = scenario(", renormalise: false", "method.lr=1e-9", "stop.rounds=1")
    _, after = final(of, monkeypatch)
    with chance(entropy(of.spec.seed, "learn/initial") % 2**63):
        before = WHOLE.build().state_dict()["fc2.weight"]
    held = [set(of.dataset.y[rows].tolist()) for rows in of.shards[:3]]
    for row in range(10):
        share = sum(row in each for each in held) / 3
        assert torch.allclose(after["fc2.weight"][row], share * before[row], atol=1e-6)


# --- FedAvg inside --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [CNN, "task.model={name: mlp, hidden: [16]}"])
@pytest.mark.parametrize("weighting", ["samples", "uniform"])
@pytest.mark.parametrize("factors", ["factors: [1]", "assignment: memory"])
def test_of_whole_models_is_fedavg(model: str, weighting: str, factors: str) -> None:
    """Bit for bit, and to the joule, with momentum and decay."""
    rule = f"weighting: {weighting}, momentum: 0.9, weight_decay: 0.01"
    world = (model, "task.partition={name: dirichlet, alpha: 0.3}", "stop.rounds=3")
    factors = factors if model == CNN else "factors: [1]"
    plain = play(tiny(f"method={{name: fedavg, {rule}}}", *world))
    whole = play(tiny(f"method={{name: fedhm, masked: false, {rule}, {factors}}}", *world))
    assert whole.summary["model_hash"] == plain.summary["model_hash"]
    assert whole.summary["bytes_up"] == plain.summary["bytes_up"]
    assert whole.hashes == plain.hashes


def test_who_has_a_rank_that_shrinks_nothing_trains_the_whole_model() -> None:
    """Of 16 x 16, rank 8 has as many values; so the server's own model is not in the mean."""
    world = (
        "task.model={name: mlp, hidden: [16, 16]}",
        "selection={name: round_robin, cohort: 1}",
        "stop.rounds=3",
    )
    plain = play(tiny("method={name: fedavg, weighting: uniform}", *world))
    halves = "factors: [1, 2, 4], assignment: fixed, proportions: [1, 3, 0]"
    whole = play(tiny(f"method={{name: fedhm, masked: false, {halves}}}", *world))
    assert {note.text for note in whole.trace.notes} == {"full rank", "rank 1/2"}
    assert whole.summary["model_hash"] == plain.summary["model_hash"]


# --- who trains what, and what it takes -----------------------------------------------------------


def bytes_at(level: int) -> float:
    return measure(low_rank(WHOLE, (1, 2, 6)[level])).state_bytes


def test_each_device_receives_and_sends_the_factors_of_its_rank() -> None:
    of = scenario("")
    played = play(of)
    rows = {row["device"]: row for row in played.trace.devices}
    assert bytes_at(0) > bytes_at(1) > bytes_at(2)
    for level, client in enumerate(CLIENTS):
        assert rows[client]["bytes_down"] == rows[client]["bytes_up"] == ROUNDS * bytes_at(level)


def test_devices_take_the_rank_that_their_hardware_can() -> None:
    """By memory: the largest that fits."""
    free = tiny("method={name: fedhm, assignment: memory}", CNN)
    run = free.world(CostOnlyLab())
    levels = free.method().levels(run)  # pyright: ignore[reportAttributeAccessIssue]
    needs = [int(levels.cost(run.clients[0], level).memory) for level in range(4)]
    assert needs == sorted(needs, reverse=True)
    given = tiny(
        "method={name: fedhm, assignment: memory}", CNN,
        f'fleet[0].memory="{needs[2]} B"', "selection.cohort=4",
    )  # fmt: skip
    rows = {row["device"]: row for row in play(given).trace.devices}
    quarter = measure(low_rank(WHOLE, 4)).state_bytes
    assert rows["pi-0"]["bytes_down"] == 2 * quarter
    assert rows["pi-0"]["peak_memory_b"] == needs[2]
    assert rows["jetson-0"]["bytes_down"] == 2 * measure(WHOLE).state_bytes


def test_by_hardware_the_slow_train_lower_ranks() -> None:
    of = tiny(
        "method={name: fedhm}", CNN, "selection.cohort=4",
        'fleet[0].link={to: ap, rate: "300 kbit/s"}', "cost_only=true",
    )  # fmt: skip
    rows = {row["device"]: row for row in play(of).trace.devices}
    assert 0 < rows["pi-0"]["bytes_down"] < rows["jetson-0"]["bytes_down"]


def test_the_server_pays_for_decompositions_and_products() -> None:
    """Once a round for each level in use, and once for each update of one."""
    of = scenario("")
    played = play(of)
    spans = [span for span in played.trace.spans if span.actor == "server"]
    split_up = [span for span in spans if span.kind == "compress"]
    assert len(split_up) == ROUNDS * 2
    assert all(span.t1 > span.t0 and span.energy > 0.0 for span in split_up)
    taken_in = [span for span in spans if span.kind == "aggregate"]
    assert len(taken_in) == ROUNDS * (2 + 1), "two products and a mean"
    idle = play(scenario("", "pace={name: sync, deadline: 1 ms}", "cost_only=true"))
    spans = [span for span in idle.trace.spans if span.actor == "server"]
    assert [span.kind for span in spans] == ["compress"] * 2, "once, as the model stays"
    alone = play(tiny("method={name: fedhm, factors: [1]}", CNN, *THREE))
    spans = [span for span in alone.trace.spans if span.actor == "server"]
    assert not [span for span in spans if span.kind == "compress"]
    assert len([span for span in spans if span.kind == "aggregate"]) == ROUNDS


def test_costs_are_the_same_without_learning() -> None:
    for options in ("", ", temperature: 1", ", weight_decay: 0.1"):
        learned, priced = (
            play(scenario(options, f"cost_only={cost_only}")) for cost_only in ("false", "true")
        )
        assert learned.summary["trace_hash"] == priced.summary["trace_hash"]


def test_ranks_are_drawn_each_round() -> None:
    of = tiny(
        "method={name: fedhm, assignment: dynamic, temperature: 1}", CNN, "selection.cohort=4",
        "stop.rounds=6",
    )  # fmt: skip
    played = play(of)
    check_books(played.trace, of)
    sizes = {span.size for span in played.trace.spans if span.kind == "download"}
    assert sizes == {measure(low_rank(WHOLE, factor)).state_bytes for factor in (1, 2, 4, 8)}
    assert played.hashes == play(of).hashes


@pytest.mark.parametrize("late", ["steps", "layers"])
def test_takes_in_partial_work(late: str) -> None:
    """The slowest, on Wi-Fi, have a little less time than they need."""
    world = (f"method={{name: fedhm, {EACH}}}", CNN, *THREE, "selection.cohort=3", "stop.rounds=1")
    books = play(tiny(*world, "cost_only=true")).trace.participations
    slowest = max(book.t1 - book.t0 for book in books)
    given = tiny(*world, f"pace={{name: deadline, deadline: {0.97 * slowest} s, late: {late}}}")
    played = play(given)
    check_books(played.trace, given)
    shares = sorted(book.share for book in played.trace.participations if book.used >= 0)
    assert shares[0] < 1.0 == shares[-1]
    assert played.summary["model_hash"] != play(tiny(*world)).summary["model_hash"]


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("factors: []", "factors are"),
        ("factors: [0, 1]", "factors are"),
        ("factors: [2, 1]", "factors are"),
        ("factors: [1, 1]", "factors are"),
        ("assignment: fixed, proportions: [1, 1]", "2 proportions"),
        ("temperature: -1", "temperature is -1"),
        ("temperature: 0.001", "weighs nothing"),
        ("decay: l2", "not allowed"),
        ("decay: both", "weight_decay is 0"),
        ("masked: false, renormalise: false", "not renormalised"),
    ],
)
def test_nonsense_is_refused_with_its_place(options: str, what: str) -> None:
    with pytest.raises(SpecError) as refusal:
        tiny(f"method={{name: fedhm, {options}}}", CNN)
    assert refusal.value.key.startswith("method")
    assert what in str(refusal.value)
    assert refusal.value.remedy


@pytest.mark.parametrize("model", ["{name: mlp, hidden: []}", "{name: mlp, hidden: [8]}"])
def test_a_model_without_a_layer_to_factorise_is_refused(model: str) -> None:
    given = tiny("method=fedhm", f"task.model={model}")
    for refused in (given.workload, partial(play, given)):
        with pytest.raises(SpecError) as refusal:
            refused()
        assert "no layer that factors [1, 2, 4, 8] make smaller" in str(refusal.value)
        assert refusal.value.key == "method"
        assert refusal.value.remedy
