"""How a server takes in updates: of older models, and of which only some layers have arrived."""

from __future__ import annotations

import pytest
import torch

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.numerics import State
from hetsim.learn.resident import Resident


@pytest.fixture
def models(digits: Dataset) -> list[Ref]:
    """Four of one architecture with a counter in it (batch normalisation)."""
    architecture = Architecture.of("resnet8", digits.shape, digits.classes)
    return [ops.initial(architecture, seed) for seed in range(4)]


@pytest.fixture
def states(models: list[Ref], resident: Resident) -> list[State]:
    """Their weights, with counters that differ."""
    found = [ops.compute(model, (), resident) for model in models]
    for count, state in enumerate(found):
        for tensor in state.values():
            if not tensor.is_floating_point():
                tensor.fill_(count)
    return found


def test_the_model_moves_by_a_share_of_what_each_update_moved(
    models: list[Ref], states: list[State], resident: Resident
) -> None:
    x, w1, w2, b = models
    ref = ops.mix(x, [w1, w2], [x, b], [0.25, 0.5])
    assert [needed.key for needed in ref.inputs] == [x.key, w1.key, w2.key, b.key]
    found = ops.compute(ref, states, resident)
    for name, tensor in found.items():
        sx, s1, s2, sb = (state[name].double() for state in states)
        if tensor.is_floating_point():
            assert torch.allclose(tensor.double(), sx + 0.25 * (s1 - sx) + 0.5 * (s2 - sb))
            assert tensor.dtype == states[0][name].dtype
        else:
            assert int(tensor) == 2  # of the model and the updates; what one started from is past


def test_fresh_updates_of_full_shares_are_a_mean(
    models: list[Ref], states: list[State], resident: Resident
) -> None:
    x, *updates = models
    mixed = ops.mix(x, updates, [x] * 3, [0.25, 0.25, 0.5])
    mean = ops.mean(updates, [1, 1, 2])
    a, b = ops.compute(mixed, states, resident), ops.compute(mean, states[1:], resident)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert mixed.cost.flops > mean.cost.flops


def test_a_share_of_one_fresh_update_is_the_asynchronous_rule(
    models: list[Ref], states: list[State], resident: Resident
) -> None:
    found = ops.compute(ops.mix(models[0], models[1:2], models[:1], [0.6]), states[:2], resident)
    for name, tensor in found.items():
        if tensor.is_floating_point():
            wanted = states[0][name].double() * (1.0 - 0.6)
            wanted.add_(states[1][name], alpha=0.6)
            assert torch.equal(tensor, wanted.to(tensor.dtype))


@pytest.mark.parametrize("shares", [[-0.1], [float("nan")], [float("inf")], [], [0.5, 0.5]])
def test_shares_that_make_no_sense_are_refused(shares: list[float], models: list[Ref]) -> None:
    with pytest.raises(ValueError, match="shares"):
        ops.mix(models[0], models[1:2], models[:1], shares)


def test_layers_are_sent_from_the_output_back(models: list[Ref]) -> None:
    layers = ops.layers_of(models[0])
    assert len(set(layers)) == len(layers)
    assert ops.arrived(models[0], 0.0) == ()
    assert ops.arrived(models[0], 1.0) == layers
    half = ops.arrived(models[0], 0.5)
    assert half == layers[: len(half)]
    assert 0 < len(half) < len(layers)


def test_arrived_layers_are_whole(digits: Dataset) -> None:
    """Two layers of 64 x 32 + 32 and 32 x 10 + 10 float32: the small one is sent first."""
    model = ops.initial(Architecture.of("mlp", digits.shape, digits.classes, {"hidden": [32]}), 0)
    last, first = ops.layers_of(model)
    whole = 4.0 * (64 * 32 + 32 + 32 * 10 + 10)
    small = 4.0 * (32 * 10 + 10)
    assert ops.arrived(model, small / whole) == (last,)
    assert ops.arrived(model, (small - 1.0) / whole) == ()
    assert ops.arrived(model, (whole - 1.0) / whole) == (last,)
    assert ops.arrived(model, 1.0) == (last, first)


def test_a_layer_is_the_mean_of_those_who_delivered_it(
    models: list[Ref], states: list[State], resident: Resident
) -> None:
    layers = ops.layers_of(models[0])
    first, second = layers[:1], layers[:3]
    ref = ops.layered_mean(models[0], models[1:3], [1.0, 3.0], [first, second])
    found = ops.compute(ref, states[:3], resident)
    old, one, two = states[:3]
    for name, tensor in found.items():
        layer = name.rpartition(".")[0]
        if layer in first and tensor.is_floating_point():
            wanted = 0.25 * one[name].double() + 0.75 * two[name].double()
        elif layer in second:
            wanted = two[name]
        else:
            wanted = old[name]
        if tensor.is_floating_point():
            assert torch.allclose(tensor.double(), wanted.double()), name
        else:
            assert torch.equal(tensor, wanted), name


def test_whole_updates_are_a_plain_mean(
    models: list[Ref], states: list[State], resident: Resident
) -> None:
    layers = [ops.layers_of(models[0])] * 3
    layered = ops.layered_mean(models[0], models[1:], [1.0, 1.0, 2.0], layers)
    mean = ops.mean(models[1:], [1, 1, 2])
    a = ops.compute(layered, states, resident)
    b = ops.compute(mean, states[1:], resident)
    assert all(torch.allclose(a[name], b[name]) for name in a)


def test_nothing_to_average_is_refused(models: list[Ref]) -> None:
    with pytest.raises(ValueError, match="0 updates"):
        ops.layered_mean(models[0], [], [], [])
    with pytest.raises(ValueError, match="weights"):
        ops.layered_mean(models[0], models[1:2], [0.0], [()])
