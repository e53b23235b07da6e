"""HeteroFL and DepthFL through the whole stack, against loops that everybody would write.

Three boards, each of which trains another share of the model. A topology goes in, a model hash
comes out; beside it stands plain torch: modules, optimizers, and the mean value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.rng import entropy
from hetsim.federation.client import Client
from hetsim.learn.architecture import Architecture
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import measure
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.report import files
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

ROUNDS, WIDTH, HIDDEN = 2, 8, 12
CNN = f"task.model={{name: small_cnn, width: {WIDTH}, hidden: {HIDDEN}}}"
THREE = (
    "fleet[0].count=3", "fleet[1].data=none", "fleet[2].data=none", "selection.cohort=3",
    f"stop.rounds={ROUNDS}", "task.partition={name: dirichlet, alpha: 0.3}",
)  # fmt: skip
EACH = "assignment: fixed, proportions: [0.2, 0.2, 0.6]"
"""Of five devices, three of which hold data, one at each of the first levels."""
CLIENTS = ("pi-0", "pi-1", "pi-2")
State = dict[str, Tensor]
Loss = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
"""Of a module, samples, labels and the labels that the client holds."""


def scenario(method: str, *overrides: str) -> Scenario:
    return tiny(f"method={{{method}, batch: 16, lr: 0.05}}", CNN, *THREE, *overrides)


def smaller(rate: float) -> Architecture:
    width, hidden = -int(-WIDTH * rate // 1), -int(-HIDDEN * rate // 1)
    return Architecture.of("small_cnn", (1, 8, 8), 10, {"width": width, "hidden": hidden})


def samples(of: Scenario, rows: Tensor) -> tuple[Tensor, Tensor]:
    data, index = of.dataset, rows.numpy()
    x = (torch.from_numpy(data.x[index]).float() - data.mean[0]) / data.std[0]
    return x, torch.from_numpy(data.y[index])


def trained(
    of: Scenario, architecture: Architecture, state: State, client: str, number: int, loss: Loss
) -> State:
    """A round of a client, from the leading values of the server's model."""
    net: Any = architecture.build().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    own = {name: state[name][tuple(map(slice, t.shape))] for name, t in net.state_dict().items()}
    net.load_state_dict(own)
    optimizer = torch.optim.SGD(net.train().parameters(), lr=0.05)
    rows = torch.from_numpy(of.shards[CLIENTS.index(client)])
    held = torch.from_numpy(of.dataset.y[rows.numpy()]).unique()
    generator = torch.Generator().manual_seed(
        entropy(of.spec.seed, "learn/batches", client, number)
    )
    for part in rows[torch.randperm(len(rows), generator=generator)].split(16):
        x, y = samples(of, part)
        optimizer.zero_grad()
        loss(net, x, y, held).backward()
        optimizer.step()
    return net.state_dict()


def federated(
    of: Scenario,
    played: Played,
    sizes: Mapping[str, Architecture],
    losses: Mapping[str, Loss],
    *,
    by_samples: bool = False,
    classifier: str = "",
) -> str:
    """Hash of the last server model."""
    single_thread()
    with chance(entropy(of.spec.seed, "learn/initial") % 2**63):
        state: State = sizes["pi-0"].build().state_dict()
    for number in range(ROUNDS):
        asked = [book.device for book in played.trace.participations if book.round == number]
        assert sorted(asked) == list(CLIENTS)
        sums = {name: torch.zeros_like(t, dtype=torch.float64) for name, t in state.items()}
        counts = {name: torch.zeros_like(t, dtype=torch.float64) for name, t in state.items()}
        for client in asked:
            rows = of.shards[CLIENTS.index(client)]
            weight = float(len(rows)) if by_samples else 1.0
            update = trained(of, sizes[client], state, client, number, losses[client])
            held = set(of.dataset.y[rows].tolist())
            for name, tensor in update.items():
                for row, values in enumerate(tensor):
                    if classifier and name.startswith(classifier) and row not in held:
                        continue
                    there = tuple(map(slice, values.shape))
                    sums[name][row][there] += values.double() * weight
                    counts[name][row][there] += weight
        state = {
            name: torch.where(counts[name] > 0, sums[name] / counts[name], old.double()).float()
            for name, old in state.items()
        }
    return model_hash(state)


# --- widths ---------------------------------------------------------------------------------------


def narrow(scale: float, masked: bool) -> Loss:
    def loss(net: Any, x: Tensor, y: Tensor, held: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(net.conv1(x) / scale), 2)
        x = F.max_pool2d(F.relu(net.conv2(x) / scale), 2)
        logits = net.fc2(F.relu(net.fc1(x.flatten(1)) / scale))
        if masked:
            kept = torch.zeros(10).index_fill(0, held, 1.0).bool()
            logits = torch.where(kept, logits, torch.zeros(()))
        return F.cross_entropy(logits, y)

    return loss


@pytest.mark.parametrize(
    ("options", "scaler", "masked", "by_samples"),
    [
        ("", False, True, False),
        (", scaler: true", True, True, False),
        (", scaler: true, masked: false, weighting: samples", True, False, True),
    ],
)
def test_heterofl_is_the_loop_bit_for_bit(
    options: str, scaler: bool, masked: bool, by_samples: bool
) -> None:
    given = scenario(f"name: heterofl, rates: [1, 0.5, 0.2], {EACH}{options}")
    missing = [10 - len(set(given.dataset.y[rows].tolist())) for rows in given.shards[:3]]
    assert max(missing) > 0, "somebody lacks a class"
    assert len({len(rows) for rows in given.shards[:3]}) == 3, "shards differ in size"
    rates = dict(zip(CLIENTS, (1.0, 0.5, 0.2), strict=True))
    expected = federated(
        given,
        played := play(given),
        {client: smaller(rate) for client, rate in rates.items()},
        {client: narrow(rate if scaler else 1.0, masked) for client, rate in rates.items()},
        by_samples=by_samples,
        classifier="fc2" if masked else "",
    )
    assert played.summary["model_hash"] == expected


# --- depths ---------------------------------------------------------------------------------------


def deep(exits: int, weight: float) -> Loss:
    def loss(net: Any, x: Tensor, y: Tensor, held: Tensor) -> Tensor:
        del held
        first = F.max_pool2d(F.relu(net.conv1(x)), 2)
        logits = [net.exits["1"](first.flatten(2).mean(2))]
        if exits > 1:
            second = F.max_pool2d(F.relu(net.conv2(first)), 2)
            logits.append(net.exits["2"](second.flatten(2).mean(2)))
            if exits > 2:
                logits.append(net.fc2(F.relu(net.fc1(second.flatten(1)))))
        total = sum(F.cross_entropy(z, y) for z in logits)
        assert isinstance(total, Tensor)
        for i, mine in enumerate(logits):
            for j, theirs in enumerate(logits):
                if i != j:
                    taught = torch.softmax(theirs.detach(), 1) + 1e-7
                    spoken = torch.log_softmax(mine, 1)
                    kl = F.kl_div(spoken, taught, reduction="batchmean")
                    total = total + weight / (exits - 1) * kl
        return total

    return loss


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_depthfl_is_the_loop_bit_for_bit(weight: float) -> None:
    given = scenario(f"name: depthfl, distillation: {weight}, {EACH}")
    options = f'{{"hidden":{HIDDEN},"width":{WIDTH}}}'
    sizes = {
        client: Architecture.of(
            "multi_exit", (1, 8, 8), 10,
            {"model": "small_cnn", "options": options, "exits": exits},
        )
        for client, exits in zip(CLIENTS, [(1, 2, 4), (1, 2), (1,)], strict=True)
    }  # fmt: skip
    losses = {client: deep(exits, weight) for client, exits in zip(CLIENTS, (3, 2, 1), strict=True)}
    assert (played := play(given)).summary["model_hash"] == federated(given, played, sizes, losses)


def test_distillation_rises_with_the_rounds() -> None:
    hashes = {
        play(scenario(f"name: depthfl, {options}")).summary["model_hash"]
        for options in ("distillation: 0", "rampup: 3", "distillation: 1")
    }
    assert len(hashes) == 3
    early = play(scenario("name: depthfl, rampup: 1000000", "stop.rounds=1"))
    faint = play(scenario("name: depthfl, distillation: 0.006737946999085467", "stop.rounds=1"))
    assert early.summary["model_hash"] == faint.summary["model_hash"], "exp(-5) in round 0"


# --- FedAvg inside --------------------------------------------------------------------------------

NEUTRAL = "masked: false"


@pytest.mark.parametrize("model", [CNN, "task.model={name: mlp, hidden: [16]}"])
@pytest.mark.parametrize("weighting", ["samples", "uniform"])
@pytest.mark.parametrize("rates", ["rates: [1], scaler: true", "assignment: memory"])
def test_heterofl_of_whole_models_is_fedavg(model: str, weighting: str, rates: str) -> None:
    """Bit for bit, and to the joule."""
    world = (model, "task.partition={name: dirichlet, alpha: 0.3}", "stop.rounds=3")
    plain = play(tiny(f"method={{name: fedavg, weighting: {weighting}}}", *world))
    whole = play(
        tiny(f"method={{name: heterofl, masked: false, weighting: {weighting}, {rates}}}", *world)
    )
    assert whole.hashes == plain.hashes


def test_depthfl_with_one_exit_at_the_end_is_fedavg() -> None:
    world = (CNN, "stop.rounds=3")
    plain = play(tiny("method={name: fedavg, weighting: uniform}", *world))
    whole = play(tiny("method={name: depthfl, exits: [4]}", *world))
    assert whole.summary["model_hash"] == plain.summary["model_hash"]
    assert whole.summary["bytes_up"] == plain.summary["bytes_up"]


def test_all_small_is_fedavg_of_a_small_model() -> None:
    """Everybody takes what the weakest can, and there is nothing else at the server."""
    small = "task.model={name: small_cnn, width: 2, hidden: 3}"
    plain = play(tiny("method={name: fedavg, weighting: uniform}", small))
    weak = needs(tiny(f"method={{name: heterofl, {NEUTRAL}}}", CNN))["phone-0"][2]
    given = tiny(
        f"method={{name: heterofl, assignment: weakest, {NEUTRAL}}}", CNN,
        f'fleet[1].memory="{weak} B"',
    )  # fmt: skip
    assert play(given).hashes == plain.hashes


# --- who trains what ------------------------------------------------------------------------------


def levels(of: Scenario) -> tuple[Any, list[Client]]:
    """The levels of a run, and its clients."""
    run = of.world(CostOnlyLab())
    return of.method().levels(run), run.clients  # pyright: ignore[reportAttributeAccessIssue]


def needs(of: Scenario) -> dict[str, list[int]]:
    """Bytes that each device needs at each level."""
    chosen, clients = levels(of)
    return {
        client.id: [int(chosen.cost(client, level).memory) for level in range(len(chosen.sizes))]
        for client in clients
    }


def taken(of: Scenario, number: int = 0) -> dict[str, int]:
    chosen, clients = levels(of)
    return {client.id: chosen.of(client, number) for client in clients}


METHODS = ("heterofl", "depthfl")
BY_MEMORY = "method={{name: {}, assignment: memory}}".format


@pytest.mark.parametrize("method", METHODS)
def test_a_device_trains_the_largest_model_that_fits_its_memory(method: str) -> None:
    plain = tiny(BY_MEMORY(method), CNN)
    asked = needs(plain)["pi-0"]
    assert asked == sorted(set(asked), reverse=True)
    assert set(taken(plain).values()) == {0}
    for level, size in enumerate(asked):
        for memory, expected in ((size, level), (size - 1, level + 1)):
            if expected == len(asked):
                continue
            given = tiny(BY_MEMORY(method), CNN, f'fleet[0].memory="{memory} B"')
            assert taken(given) == {"pi-0": expected, "pi-1": expected, "phone-0": 0, "jetson-0": 0}


@pytest.mark.parametrize("method", METHODS)
def test_nobody_exceeds_the_memory_and_bytes_are_those_of_the_level(method: str) -> None:
    sizes = needs(tiny(BY_MEMORY(method), CNN))
    limits = {0: sizes["pi-0"][1], 1: sizes["phone-0"][2], 2: sizes["jetson-0"][0]}
    given = tiny(
        BY_MEMORY(method), CNN, "selection.cohort=4",
        *(f'fleet[{group}].memory="{memory} B"' for group, memory in limits.items()),
    )  # fmt: skip
    chosen, _ = levels(given)
    played = play(given)
    check_books(played.trace, given)
    rows = {row["device"]: row for row in played.trace.devices}
    for client, level in {"pi-0": 1, "pi-1": 1, "phone-0": 2, "jetson-0": 0}.items():
        size = measure(chosen.sizes[level]).state_bytes
        assert rows[client]["peak_memory_b"] == sizes[client][level]
        assert rows[client]["bytes_down"] == rows[client]["bytes_up"] == ROUNDS * size
        assert rows[client]["rounds_done"] == ROUNDS


@pytest.mark.parametrize("method", METHODS)
def test_only_who_cannot_train_the_smallest_is_left_out(method: str) -> None:
    smallest = needs(tiny(BY_MEMORY(method), CNN))["pi-0"][-1]
    for memory, left_out in ((smallest, 0), (smallest - 1, 2)):
        played = play(tiny(BY_MEMORY(method), CNN, f'fleet[0].memory="{memory} B"'))
        assert played.summary["dropouts"]["memory"] == left_out
    with pytest.raises(HetsimError, match="no device can take part"):
        play(tiny(BY_MEMORY(method), CNN, *(f'fleet[{i}].memory="99 B"' for i in range(3))))


@pytest.mark.parametrize("method", METHODS)
def test_the_server_keeps_what_somebody_trains(method: str) -> None:
    """With too little memory everywhere, the largest that anybody takes."""
    memory = needs(tiny(BY_MEMORY(method), CNN))["pi-0"][1]
    given = tiny(BY_MEMORY(method), CNN, *(f'fleet[{i}].memory="{memory} B"' for i in range(3)))
    chosen, _ = levels(given)
    assert chosen.top == 1
    reports = [span for span in play(given).trace.spans if span.kind == "download"]
    assert {span.size for span in reports} == {measure(chosen.sizes[1]).state_bytes}


def seconds(client: str, level: int) -> float:
    """What a round takes this device at a level, when nobody else is asked."""
    options = f"name: heterofl, assignment: fixed, {FAST}"
    for number in range(4):
        proportions = [0.0] * 3
        proportions[level] = 1.0
        given = tiny(
            f"method={{{options}, proportions: {proportions}}}", CNN, "selection.cohort=1",
            "governor=performance", "stop.rounds=1", f"seed={number}", "cost_only=true",
        )  # fmt: skip
        [book] = play(given).trace.participations
        if book.device == client:
            return book.t1 - book.t0
    raise AssertionError(f"{client} is never asked")


FAST = "rates: [1, 0.5, 0.25], epochs: 4"


def test_a_device_trains_the_largest_model_that_it_is_done_with_in_time() -> None:
    """What is predicted is what a round of one device takes; a little less moves it down."""
    options = f"name: heterofl, {FAST}"
    takes = [seconds("jetson-0", level) for level in range(3)]
    assert takes == sorted(set(takes), reverse=True)
    for level, each in enumerate(takes):
        for limit, expected in ((1.000001 * each, level), (0.999999 * each, min(level + 1, 2))):
            given = tiny(f"method={{{options}, round_time: {limit} s}}", CNN)
            assert taken(given)["jetson-0"] == expected
            paced = tiny(f"method={{{options}}}", CNN, f"pace={{name: sync, deadline: {limit} s}}")
            assert taken(paced) == taken(given)


def test_without_a_time_the_median_device_sets_it() -> None:
    """Half of the devices train the whole model, others a smaller one as they are slower."""
    given = tiny(f"method={{name: heterofl, {FAST}}}", CNN)
    levels_taken = taken(given)
    assert sorted(levels_taken.values())[:2] == [0, 0]
    assert max(levels_taken.values()) > 0
    assert levels_taken["phone-0"] == max(levels_taken.values()), "150 ms away"


def test_a_device_without_time_for_any_trains_the_smallest_that_fits() -> None:
    given = tiny(f"method={{name: heterofl, {FAST}, round_time: 1 us}}", CNN)
    assert set(taken(given).values()) == {2}


@pytest.mark.parametrize("method", METHODS)
def test_each_level_is_scored_where_that_is_asked_for(method: str, tmp_path: Path) -> None:
    option = f"method={{name: {method}, assignment: fixed}}"
    plain, told = (play(tiny(option, CNN, f"report.views={each}")) for each in ("false", "true"))
    assert not plain.trace.views
    assert plain.summary["model_hash"] == told.summary["model_hash"]
    assert plain.summary["trace_hash"] == told.summary["trace_hash"]
    rows = told.trace.views
    assert {row["round"] for row in rows} == set(range(ROUNDS))
    names = [row["view"] for row in rows if row["round"] == 0]
    assert len(names) == len(set(names)) > 1
    whole = {row["round"]: row["accuracy"] for row in told.trace.rounds}
    assert [row["accuracy"] for row in rows if row["view"] == names[0]] == list(whole.values())
    files.write(told.trace, tmp_path, page=False)
    (tmp_path / "spec.yaml").write_text("{}")
    assert files.read(tmp_path).views == rows
    files.write(plain.trace, tmp_path, page=False)
    assert not (tmp_path / "views.parquet").exists()


def test_the_learning_rate_falls_at_milestones() -> None:
    def played(options: str) -> str:
        return play(scenario(f"name: heterofl, {options}")).summary["model_hash"]

    assert ROUNDS == 2
    assert played("milestones: [2]") == played("gamma: 0.5")
    assert played("milestones: [1], gamma: 1") == played("gamma: 0.5")
    halved, tenth = played("milestones: [1], gamma: 0.5"), played("milestones: [1]")
    assert len({halved, tenth, played("gamma: 0.5")}) == 3


def test_fixed_rates_go_by_number_and_yield_to_memory() -> None:
    options = "name: heterofl, assignment: fixed, rates: [1, 0.5, 0.25]"
    assert taken(tiny(f"method={{{options}}}", CNN)) == {
        "pi-0": 0, "pi-1": 1, "phone-0": 1, "jetson-0": 2,
    }  # fmt: skip
    quarter = tiny(f"method={{{options}, proportions: [1, 0, 3]}}", CNN)
    assert list(taken(quarter).values()) == [0, 2, 2, 2]
    memory = needs(quarter)["pi-0"][1]
    tight = tiny(f"method={{{options}}}", CNN, f'fleet[0].memory="{memory} B"')
    assert list(taken(tight).values()) == [1, 1, 1, 2]
    chosen, _ = levels(tight)
    assert chosen.top == 1


def test_dynamic_rates_are_drawn_each_round_and_yield_to_memory() -> None:
    options = "name: heterofl, assignment: dynamic, rates: [1, 0.5, 0.25]"
    given = tiny(f"method={{{options}}}", CNN)
    drawn = [taken(given, number) for number in range(60)]
    assert drawn == [taken(given, number) for number in range(60)]
    counts = [sum(list(each.values()).count(level) for each in drawn) for level in range(3)]
    assert all(55 < count < 105 for count in counts), counts
    assert drawn != [taken(tiny(f"method={{{options}}}", CNN, seed=1), n) for n in range(60)]
    memory = needs(given)["pi-0"][1]
    tight = tiny(f"method={{{options}}}", CNN, f'fleet[0].memory="{memory} B"')
    assert [taken(tight, n)["pi-0"] for n in range(60)] == [max(1, each["pi-0"]) for each in drawn]
    check_books(play(tight).trace, tight)
    never = tiny(f"method={{{options}, proportions: [0, 1, 1]}}", CNN)
    chosen, _ = levels(never)
    seen = {level for number in range(60) for level in taken(never, number).values()}
    assert (seen, chosen.top) == ({1, 2}, 1)


def test_check_knows_what_each_device_does() -> None:
    memory = needs(tiny(BY_MEMORY("heterofl"), CNN))["pi-0"][2]
    given = tiny(BY_MEMORY("heterofl"), CNN, f'fleet[0].memory="{memory} B"')
    costs = {member.name: cost for member, _, cost in given.workload()}
    assert costs["pi-0"]
    assert costs["jetson-0"]
    assert costs["pi-0"].memory == memory
    assert costs["pi-0"].flops < costs["jetson-0"].flops / 4


# --- paces ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("late", ["steps", "layers"])
def test_takes_in_partial_work(method: str, late: str) -> None:
    """The slowest, on Wi-Fi, have a little less time than they need."""
    world = (BY_MEMORY(method), CNN, "selection.cohort=4", "stop.rounds=1", "fleet[1].data=none")
    books = play(tiny(*world, "cost_only=true")).trace.participations
    slowest = max(book.t1 - book.t0 for book in books)
    given = tiny(*world, f"pace={{name: deadline, deadline: {0.96 * slowest} s, late: {late}}}")
    played = play(given)
    check_books(played.trace, given)
    shares = sorted(book.share for book in played.trace.participations if book.used >= 0)
    assert len(shares) == 3
    assert shares[0] < 1.0 == shares[-1]
    whole = play(tiny(*world)).summary["model_hash"]
    assert played.summary["model_hash"] != whole


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pace", ["fedasync", "fedbuff"])
def test_refuses_paces_whose_demands_it_does_not_meet(method: str, pace: str) -> None:
    with pytest.raises(SpecError, match=f"{method} cannot take in updates that started from older"):
        tiny(f"method={method}", f"pace={pace}", CNN)


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("name: heterofl, rates: []", "rates are"),
        ("name: heterofl, rates: [0.5, 1]", "rates are"),
        ("name: heterofl, rates: [1, 0.5, 0.5]", "rates are"),
        ("name: heterofl, rates: [1, 0]", "rates are"),
        ("name: heterofl, rates: [1, 2]", "rates"),
        ("name: heterofl, assignment: fixed, proportions: [1, 1]", "2 proportions"),
        (
            "name: heterofl, rates: [1], assignment: fixed, proportions: [0]",
            "proportions are [0.0]",
        ),
        ("name: heterofl, rates: [1, 0.5], assignment: dynamic, proportions: [2, -1]", "[2.0, -1"),
        ("name: heterofl, rates: [1], proportions: [1]", "assigned by hardware"),
        ("name: heterofl, assignment: best", "not allowed"),
        ('name: heterofl, round_time: "0 s"', "round_time is 0"),
        ('name: heterofl, round_time: "9 s", assignment: memory', "round_time is given"),
        ("name: heterofl, milestones: [0, 3]", "milestones are [0, 3]"),
        ("name: heterofl, milestones: [3, 3]", "milestones are [3, 3]"),
        ("name: heterofl, gamma: 0", "gamma is 0"),
        ("name: heterofl, lr: 0", "lr is 0"),
        ("name: depthfl, distillation: -1", "distillation is -1"),
        ("name: depthfl, rampup: -1", "rampup is -1"),
        ("name: depthfl, temperature: 0", "temperature is 0"),
    ],
)
def test_nonsense_is_refused_with_its_place(options: str, what: str) -> None:
    with pytest.raises(SpecError) as refusal:
        tiny(f"method={{{options}}}", CNN)
    assert refusal.value.key.startswith("method")
    assert what in str(refusal.value)
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("options", "model", "what"),
    [
        ("name: heterofl", "resnet9", "cannot be made narrower"),
        ("name: depthfl", "{name: mlp, hidden: []}", "one block"),
        ("name: depthfl, exits: [3, 9]", "{name: mlp, hidden: [8]}", "has 2 blocks"),
        ("name: depthfl, assignment: fixed, proportions: [1, 1]", "small_cnn", "2 proportions"),
    ],
)
def test_a_model_that_cannot_be_made_smaller_is_refused(
    options: str, model: str, what: str
) -> None:
    larger = "task.data={name: synthetic, shape: [1, 16, 16], train: 200, test: 50}"
    data = (larger,) if model == "resnet9" else ()
    given = tiny(f"method={{{options}}}", f"task.model={model}", *data)
    for refused in (given.workload, partial(play, given)):
        with pytest.raises(SpecError) as refusal:
            refused()
        assert what in str(refusal.value)
        assert refusal.value.key == "method"
        assert refusal.value.where.startswith("--set method=")
        assert refusal.value.remedy
