"""Control variates: steps that they correct, what they become, and how long a training is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent
from hetsim.learn.meter import measure, train_cost
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.part import trained
from hetsim.learn.ops.train import steps_of
from hetsim.learn.resident import Resident

SHAPE, CLASSES = (1, 8, 8), 10
MODELS = {
    "logistic": Architecture.of("logistic", SHAPE, CLASSES),
    "mlp": Architecture.of("mlp", SHAPE, CLASSES, {"hidden": [16, 16]}),
    "small_cnn": Architecture.of("small_cnn", SHAPE, CLASSES),
    "resnet8": Architecture.of("resnet8", SHAPE, CLASSES),
}
RULES: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "proximal": 0.1},
]


def some_variate(model: Ref[State], number: int) -> tuple[Ref[State], State]:
    """A variate of any values, and those values."""
    chance = torch.Generator().manual_seed(number)
    ref = Ref.of("made up", nbytes=ops.zeros(model).nbytes, arch=model.arg("arch"), number=number)
    shapes = trained(ops.model_arch(model))
    return ref, {name: 0.1 * torch.randn(shape, generator=chance) for name, shape in shapes.items()}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("where", ["gradient", "step"])
def test_zeros_change_nothing(
    name: str, rule: dict[str, Any], where: Any, resident: Resident
) -> None:
    start = ops.initial(MODELS[name], 0)
    shard = resident.shard(torch.arange(50).numpy())
    state, rows = ops.compute(start, (), resident), resident.rows(shard)
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.flatten()[0] = -0.0  # which 0.0 would change
    settings = {"epochs": 1, "batch": 16, "seed": 3, **rule}
    plain = ops.compute(ops.train(start, shard, **settings), (state, rows), resident)
    none = ops.zeros(start)
    zeros = ops.compute(none, (), resident)
    steered = ops.train(start, shard, control=(none, none), where=where, **settings)
    assert steered.op == "steer"
    assert steered.key != ops.train(start, shard, **settings).key
    found = ops.compute(steered, (state, rows, zeros, zeros), resident)
    assert model_hash(found) == model_hash(plain) != model_hash(state)


@pytest.mark.parametrize(
    ("name", "whole"),
    [(name, whole) for name in MODELS for whole in (True, False) if whole or name != "logistic"],
)
@pytest.mark.parametrize("where", ["gradient", "step"])
def test_each_step_is_corrected(name: str, where: Any, whole: bool, resident: Resident) -> None:
    start = ops.initial(MODELS[name], 0)
    part = start if whole else ops.split(start, 1)[0]
    shard = resident.shard(torch.arange(50).numpy())
    state, rows = ops.compute(start, (), resident), resident.rows(shard)
    (ours, c), (own, c_i) = some_variate(part, 1), some_variate(part, 2)
    lr, momentum, strength = 0.02, 0.5, 0.7
    ref = ops.train(
        start, shard, epochs=1, batch=16, lr=lr, momentum=momentum, seed=3,
        control=(ours, own), strength=strength, where=where,
    )  # fmt: skip
    found = ops.compute(ref, (state, rows, c, c_i), resident)

    module = MODELS[name].build()
    module.load_state_dict(state)
    module.train()
    sgd = torch.optim.SGD(module.parameters(), lr=lr, momentum=momentum)
    for batch in steps_of(ref, rows):
        x, y = resident.gather(rows.split, batch)
        sgd.zero_grad()
        F.cross_entropy(module(x), y).backward()
        for place, weight in module.named_parameters():
            if place in c and where == "gradient":
                assert weight.grad is not None
                weight.grad += strength * (c[place] - c_i[place])
        sgd.step()
        for place, weight in module.named_parameters():
            if place in c and where == "step":
                weight.data -= lr * strength * (c[place] - c_i[place])
    for place, value in module.state_dict().items():
        torch.testing.assert_close(found[place], value, rtol=1e-4, atol=1e-5)


def test_a_corrected_training_can_be_cut_short(resident: Resident) -> None:
    start = ops.initial(MODELS["mlp"], 0)
    shard = resident.shard(torch.arange(50).numpy())
    inputs = [ops.compute(start, (), resident), resident.rows(shard)]
    (ours, c), (own, c_i) = some_variate(start, 1), some_variate(start, 2)
    settings: dict[str, Any] = {
        "batch": 16, "lr": 0.1, "seed": 3, "control": (ours, own), "strength": 0.5, "where": "step",
    }  # fmt: skip
    whole = ops.train(start, shard, epochs=2, **settings)
    cut = ops.truncate(whole, 3)
    assert cut.key == ops.train(start, shard, steps=3, **settings).key
    assert cut.inputs == whole.inputs
    assert model_hash(ops.compute(cut, [*inputs, c, c_i], resident)) != model_hash(
        ops.compute(whole, [*inputs, c, c_i], resident)
    )
    assert ops.truncate(whole, 0) is start


def test_what_variates_cost() -> None:
    work: dict[str, Any] = {"steps": 7, "batch": 16, "samples": 100, "momentum": True}
    for architecture in (MODELS["small_cnn"], MODELS["resnet8"]):
        encoder, _ = architecture.cut(1)
        plain = train_cost(architecture, **work)
        for steered in (architecture, encoder):
            sheet = measure(steered)
            cost = train_cost(architecture, steered=steered, **work)
            assert cost.memory - plain.memory == 2 * sheet.parameter_bytes
            assert cost.traffic - plain.traffic == 8 * 3 * sheet.parameter_bytes
            assert cost.operators - plain.operators == 8 * sheet.tensors
            assert (cost.flops, cost.steps) == (plain.flops, plain.steps)


def test_variates_are_of_the_model_that_is_trained(resident: Resident) -> None:
    small, large = (ops.initial(MODELS[name], 0) for name in ("logistic", "mlp"))
    shard = resident.whole("train")
    settings: dict[str, Any] = {"epochs": 1, "batch": 16, "lr": 0.1, "seed": 0}
    front, back = ops.split(large, 1)
    for pair in ((small, small), (front, back), (large, front)):
        with pytest.raises(ValueError, match="variates"):
            ops.train(large, shard, control=tuple(map(ops.zeros, pair)), **settings)  # pyright: ignore


def test_zeros_are_for_what_is_trained(resident: Resident) -> None:
    for architecture in MODELS.values():
        zeros = ops.zeros(ops.initial(architecture, 0))
        module = architecture.build()
        value = ops.compute(zeros, (), resident)
        assert [(name, tensor.shape) for name, tensor in value.items()] == [
            (name, weight.shape) for name, weight in module.named_parameters()
        ]
        assert not any(tensor.any() for tensor in value.values())
        assert zeros.nbytes == 4 * sum(weight.numel() for weight in module.parameters())
        assert zeros.key == ops.zeros(ops.initial(architecture, 1)).key


# --- how long a training is -----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 7, 300])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_length_of_a_training_with_momentum(steps: int, momentum: float) -> None:
    velocity = moved = 0.0
    for _ in range(steps):
        velocity = momentum * velocity + 1.0
        moved += velocity
    closed = (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
    length = Descent(lr=0.3, momentum=momentum).length(steps)
    assert length == pytest.approx(moved, rel=1e-12)
    assert length == pytest.approx(closed, rel=1e-12)
    assert momentum or length == steps
    assert length <= steps / (1 - momentum)


@pytest.mark.parametrize("steps", [1, 2, 7, 300])
@pytest.mark.parametrize("mu", [0.01, 1.0])
def test_the_length_of_a_training_under_a_pull(steps: int, mu: float) -> None:
    lr = 0.3
    length = Descent(lr=lr, proximal=mu).length(steps)
    assert length == pytest.approx((1 - (1 - lr * mu) ** steps) / (lr * mu), rel=1e-9)


@pytest.mark.parametrize("rule", [{}, {"momentum": 0.9}, {"momentum": 0.5, "proximal": 0.3}])
def test_a_constant_gradient_moves_the_weights_by_the_length(rule: dict[str, Any]) -> None:
    descent = Descent(lr=0.1, **rule)
    weights = [torch.zeros(3, dtype=torch.float64)]
    velocity, anchor = descent.velocity(weights), descent.anchor(weights)
    for _ in range(25):
        descent.step(weights, [torch.ones(3, dtype=torch.float64)], velocity, anchor)
    torch.testing.assert_close(weights[0], torch.full_like(weights[0], -0.1 * descent.length(25)))


def test_a_training_that_was_cut_short_is_as_long_as_its_steps() -> None:
    start = ops.initial(MODELS["mlp"], 0)
    shard = Ref.of("shard", samples=50, rows="some")
    whole = ops.train(start, shard, epochs=3, batch=10, lr=0.1, momentum=0.5, seed=0)
    assert ops.length(whole) == Descent(lr=0.1, momentum=0.5).length(15)
    assert ops.length(ops.truncate(whole, 4)) == Descent(lr=0.1, momentum=0.5).length(4)


# --- what variates become -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["gradient", "step"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_new_variate_is_the_gradient_that_was_met(
    where: Any, momentum: float, strength: float, resident: Resident
) -> None:
    """Of a gradient that never changes; of the divisors, `exact` finds it."""
    steps, lr = 9, 0.1
    start = ops.initial(MODELS["mlp"], 0)
    names = trained(MODELS["mlp"])
    (ours, c), (own, c_i), (_, slope) = (some_variate(start, number) for number in (1, 2, 3))
    state = ops.compute(start, (), resident)
    update = ops.train(
        start, resident.whole("train"), steps=steps, batch=16, lr=lr, momentum=momentum, seed=0,
        control=(ours, own), strength=strength, where=where,
    )  # fmt: skip

    descent = Descent.of(update)
    weights = [state[name].clone() for name in names]
    correction = descent.correction(weights, [c[name] - c_i[name] for name in names])
    velocity = descent.velocity(weights)
    for _ in range(steps):
        gradient = [slope[name].clone() for name in names]
        descent.step(weights, gradient, velocity, [], correction)
    end = dict(zip(names, weights, strict=True))

    found: dict[str, State] = {}
    for divisor in ("exact", "limit", "steps"):
        new, change = ops.control((ours, own), start, update, divisor=divisor)
        assert new.nbytes == change.nbytes == own.nbytes
        found[divisor] = ops.compute(new, (c_i, c, state, end), resident)
        changed = ops.compute(change, (found[divisor], c_i), resident)
        for name in names:
            torch.testing.assert_close(changed[name], found[divisor][name] - c_i[name])
    longer = descent.length(steps) * (1 - momentum) / steps
    for name in names:
        torch.testing.assert_close(found["exact"][name], slope[name], rtol=1e-4, atol=1e-5)
        if where == "step":
            torch.testing.assert_close(
                found["limit"][name], longer * slope[name], rtol=1e-4, atol=1e-5
            )
            right = found["steps"][name] * steps / descent.length(steps)
            torch.testing.assert_close(right, slope[name], rtol=1e-4, atol=1e-5)
        if not momentum:
            assert torch.equal(found["exact"][name], found["limit"][name])
            assert torch.equal(found["exact"][name], found["steps"][name])


def test_option_two_as_it_is_written(resident: Resident) -> None:
    """c_i - c + (x - y) / (K r)."""
    start = ops.initial(MODELS["small_cnn"], 0)
    front, _ = ops.split(start, 1)
    (ours, c), (own, c_i), (_, moved) = (some_variate(front, number) for number in (1, 2, 3))
    state = ops.compute(start, (), resident)
    end = {name: value + moved.get(name, 1.0) for name, value in state.items()}
    update = ops.train(
        start, resident.whole("train"), steps=5, batch=16, lr=0.1, momentum=0.9, seed=0,
        control=(ours, own), where="step",
    )  # fmt: skip
    new, _ = ops.control((ours, own), start, update, divisor="steps")
    found = ops.compute(new, (c_i, c, state, end), resident)
    assert found.keys() == c.keys()
    for name, value in found.items():
        right = c_i[name] - c[name] + (state[name] - end[name]) / (5 * 0.1)
        torch.testing.assert_close(value, right, rtol=1e-5, atol=1e-6)


def test_what_new_variates_cost() -> None:
    start = ops.initial(MODELS["resnet8"], 0)
    shard, none = Ref.of("shard", samples=50, rows="some"), ops.zeros(start)
    update = ops.train(start, shard, epochs=1, batch=10, lr=0.1, seed=0, control=(none, none))
    new, change = ops.control((none, none), start, update)
    sheet = measure(MODELS["resnet8"])
    assert (new.cost + change.cost).traffic == 11 * sheet.parameter_bytes
    assert (new.cost + change.cost).operators == 4 * sheet.tensors
    assert new.cost.memory == start.nbytes + 3 * sheet.parameter_bytes
    assert new.cost.memory < update.cost.memory + sheet.parameter_bytes


# --- combinations ---------------------------------------------------------------------------------


def test_a_combination_sums_what_is_trained_and_averages_what_is_not(resident: Resident) -> None:
    refs = [ops.initial(MODELS["resnet8"], seed) for seed in range(3)]
    states = [ops.compute(ref, (), resident) for ref in refs]
    for place, state in enumerate(states):
        for name, value in state.items():
            if value.dtype == torch.int64:
                value.fill_(5 - place)
            elif name.endswith("running_var"):
                value.add_(place)
    names = trained(MODELS["resnet8"])
    factors, shares = (-0.5, 2.0, 0.25), (0.0, 0.75, 0.25)
    whole = ops.combined(refs, factors, shares=shares)
    assert whole.nbytes == refs[0].nbytes
    found = ops.compute(whole, states, resident)
    assert found.keys() == states[0].keys()
    counters = 0
    for name, value in found.items():
        taken = factors if name in names else shares
        if value.dtype == torch.int64:
            counters += 1
            assert value == 5
            continue
        exact = sum(
            (factor * state[name].double() for factor, state in zip(taken, states, strict=True)),
            torch.zeros(()).double(),
        )
        assert torch.equal(value, exact.float())
    assert counters
    without = ops.compute(ops.combined(refs, factors), states, resident)
    assert without.keys() == names.keys()
    assert all(torch.equal(value, found[name]) for name, value in without.items())
    mean = ops.compute(ops.mean(refs[1:], [3, 1]), states[1:], resident)
    same = ops.compute(
        ops.combined(refs[1:], (0.75, 0.25), shares=(0.75, 0.25)), states[1:], resident
    )
    assert model_hash(same) == model_hash(mean)


def test_combinations_that_make_no_sense() -> None:
    refs = [ops.initial(MODELS["mlp"], seed) for seed in range(2)]
    for factors, shares in (
        ((1.0,), None), ((1.0, float("nan")), None), ((1.0, 1.0), (1.0,)),
        ((1.0, 1.0), (2.0, -1.0)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="shares"):
            ops.combined(refs, factors, shares=shares)
    with pytest.raises(ValueError, match="values"):
        ops.combined([], [])
