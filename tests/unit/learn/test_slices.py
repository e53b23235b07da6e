"""Smaller models inside a larger one, and the mean of models of several sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.pool import Pool
from hetsim.learn.meter import mean_cost, measure
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.resident import Resident

LabMaker = Callable[..., Any]
RATES = (1.0, 0.5, 0.25, 0.125, 0.0625)
SCALABLE = (
    "cnn1d", "fedlp_cnn", "lenet5", "mlp", "mobilenetv2", "plain_cnn",
    *sorted(f"resnet{depth}" for depth in (8, 18, 20, 32, 34, 44, 56)),
    "separable_cnn", "small_cnn", "vgg11_plain", "wide_cnn",
)  # fmt: skip
CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 8, "hidden": 16})
MLP = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [24, 10]})
SIGNALS = Architecture.of("cnn1d", (6, 16), 10, {"width": 12})
NORMED = Architecture.of("resnet8", (1, 8, 8), 10)


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


# --- narrower -----------------------------------------------------------------------------------


def test_channels_of_every_hidden_layer_are_scaled_and_rounded_up() -> None:
    widths = [dict(ops.narrowed(CNN, rate).options) for rate in RATES]
    assert [(each["width"], each["hidden"]) for each in widths] == [
        (8, 16), (4, 8), (2, 4), (1, 2), (1, 1),
    ]  # fmt: skip
    assert dict(ops.narrowed(MLP, 0.25).options)["hidden"] == (6, 3)
    assert dict(ops.narrowed(Architecture.of("small_cnn", (1, 8, 8), 10), 0.1).options) == {
        "width": 2, "hidden": 13,
    }  # fmt: skip
    assert dict(ops.narrowed(SIGNALS, 0.1).options)["width"] == 2
    thirty = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [30]})
    assert dict(ops.narrowed(thirty, 0.1).options)["hidden"] == (3,), "0.1 * 30 is above 3"


def test_the_whole_is_at_rate_one() -> None:
    assert ops.narrowed(CNN, 1.0) is CNN
    logistic = Architecture.of("logistic", (1, 8, 8), 10)
    assert ops.narrowed(logistic, 1.0) is logistic


@pytest.mark.parametrize("name", ["logistic", "lenet_pi", "resnet9"])
def test_a_model_without_a_width_is_refused_with_those_that_have_one(name: str) -> None:
    with pytest.raises(SpecError) as refusal:
        ops.narrowed(Architecture.of(name, (1, 16, 16), 10), 0.5)
    assert name in refusal.value.what
    assert refusal.value.remedy


@pytest.mark.parametrize("name", SCALABLE)
def test_every_model_with_a_width_can_be_sliced(name: str) -> None:
    """Down to a sixteenth: every tensor has its place in the whole one's."""
    shape = (6, 32) if name == "cnn1d" else (3, 32, 32)
    whole = Architecture.of(name, shape, 10)
    model = ops.initial(whole, 0)
    sizes = [ops.slice_of(model, ops.narrowed(whole, rate)).nbytes for rate in (0.5, 0.0625)]
    assert sizes[0] < 0.6 * model.nbytes
    assert sizes[1] < 0.1 * model.nbytes


def test_the_remedy_names_all_of_these() -> None:
    with pytest.raises(SpecError) as refusal:
        ops.narrowed(Architecture.of("logistic", (1, 8, 8), 10), 0.5)
    assert refusal.value.remedy == f"Choose one of {', '.join(SCALABLE)}."


@pytest.mark.parametrize("width", [8, 12])
def test_bytes_are_those_of_the_formula(width: int) -> None:
    """(25 c + 1) w + (25 w + 1) 2 w + (8 w + 1) h + (h + 1) 10 values of four bytes."""
    wide = Architecture.of("small_cnn", (3, 8, 8), 10, {"width": width, "hidden": 2 * width})
    for rate in (1.0, 0.5, 0.25):
        w, h = int(rate * width), int(rate * 2 * width)
        model = ops.slice_of(ops.initial(wide, 0), ops.narrowed(wide, rate))
        count = 76 * w + (25 * w + 1) * 2 * w + (8 * w + 1) * h + (h + 1) * 10
        assert model.nbytes == 4 * count


# --- slices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [CNN, MLP, SIGNALS], ids=lambda each: each.name)
def test_narrower_models_lie_inside_wider_ones(
    architecture: Architecture, resident: Resident
) -> None:
    model = ops.initial(architecture, 1)
    slices = [ops.slice_of(model, ops.narrowed(architecture, rate)) for rate in RATES]
    assert slices[0] is model
    for wide, narrow in pairwise(slices):
        again = ops.slice_of(wide, ops.model_arch(narrow))
        assert model_hash(value(again, resident)) == model_hash(value(narrow, resident))
    whole, part = value(model, resident), value(slices[2], resident)
    for name, tensor in part.items():
        for place in product(*map(range, tensor.shape)):
            assert tensor[place] == whole[name][place]
        assert tensor.is_contiguous()


def test_a_linear_layer_behind_a_picture_keeps_the_inputs_of_its_channels(
    resident: Resident,
) -> None:
    """What is left of a model gives what the model would give with the other channels at zero."""
    model = ops.initial(CNN, 1)
    narrow = ops.narrowed(CNN, 0.5)
    state = value(model, resident)
    with torch.no_grad():
        for name, tensor in value(ops.slice_of(model, narrow), resident).items():
            inside = state[name][tuple(map(slice, tensor.shape))].clone()
            state[name].zero_()
            state[name][tuple(map(slice, tensor.shape))] = inside
    wide, thin = CNN.build(), narrow.build()
    wide.load_state_dict(state)
    thin.load_state_dict(value(ops.slice_of(model, narrow), resident))
    x = torch.linspace(-1, 1, 3 * 64).reshape(3, 1, 8, 8)
    assert torch.allclose(wide(x), thin(x), atol=1e-6)


def test_what_is_no_slice_is_refused() -> None:
    model = ops.initial(ops.narrowed(CNN, 0.5), 0)
    with pytest.raises(ValueError, match="no slice"):
        ops.slice_of(model, CNN)
    with pytest.raises(ValueError, match="no slice"):
        ops.slice_of(model, MLP)


# --- shallower ----------------------------------------------------------------------------------


def test_exits_are_spread_over_the_blocks() -> None:
    assert [dict(each.options)["exits"] for each in ops.with_exits(CNN, ())] == [
        (1, 2, 4), (1, 2), (1,),
    ]  # fmt: skip
    deep = Architecture.of("resnet20", (1, 8, 8), 10)
    assert dict(ops.with_exits(deep, ())[0].options)["exits"] == (2, 5, 8, 11)
    assert [dict(each.options)["exits"] for each in ops.with_exits(deep, (4, 11))] == [
        (4, 11), (4,),
    ]  # fmt: skip


@pytest.mark.parametrize("architecture", [CNN, MLP, SIGNALS, NORMED], ids=lambda each: each.name)
def test_a_shallower_model_gives_what_the_earlier_exits_give(
    architecture: Architecture, resident: Resident
) -> None:
    sizes = ops.with_exits(architecture, ())
    model = ops.initial(sizes[0], 1)
    deep: Any = sizes[0].build().eval()
    deep.load_state_dict(value(model, resident))
    x = torch.linspace(-1, 1, 2 * int(np.prod(architecture.shape))).reshape(2, *architecture.shape)
    logits = deep.logits(x)
    assert len(logits) == len(sizes)
    assert torch.equal(deep(x), torch.stack(logits).mean(0))
    for size in sizes[1:]:
        part: Any = size.build().eval()
        part.load_state_dict(value(ops.slice_of(model, size), resident))
        shallow = part.logits(x)
        assert all(torch.equal(a, b) for a, b in zip(shallow, logits, strict=False))
        assert 0 < len(shallow) < len(logits)
        logits = logits[: len(shallow)]


def test_the_last_exit_is_the_models_own(resident: Resident) -> None:
    """With the same first weights, under the same names."""
    plain, [own] = ops.initial(CNN, 1), ops.with_exits(CNN, (4,))
    assert model_hash(value(ops.initial(own, 1), resident)) == model_hash(value(plain, resident))
    several = value(ops.initial(ops.with_exits(CNN, ())[0], 1), resident)
    assert all(torch.equal(several[name], t) for name, t in value(plain, resident).items())
    assert sorted(several.keys() - value(plain, resident).keys()) == [
        "exits.1.bias", "exits.1.weight", "exits.2.bias", "exits.2.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "exits", "what"),
    [
        (Architecture.of("logistic", (1, 8, 8), 10), (), "one block"),
        (CNN, (0, 2), "cannot have exits"),
        (CNN, (2, 2), "cannot have exits"),
        (CNN, (3, 2), "cannot have exits"),
        (CNN, (2, 5), "cannot have exits"),
        (ops.with_exits(CNN, ())[0], (), "one block"),
    ],
)
def test_exits_where_there_are_no_blocks_are_refused(
    architecture: Architecture, exits: tuple[int, ...], what: str
) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        measure(ops.with_exits(architecture, exits)[0])
    assert refusal.value.remedy


# --- means --------------------------------------------------------------------------------------


def by_value(
    old: State,
    updates: Sequence[State],
    weights: Sequence[float],
    layers: Sequence[Sequence[str] | None],
    owned: Sequence[Sequence[int] | None],
    classifier: str,
) -> State:
    """Each value by itself, in plain loops."""
    result = {name: tensor.clone() for name, tensor in old.items()}
    for name, tensor in old.items():
        layer = name.rpartition(".")[0]
        for place in product(*map(range, tensor.shape)):
            top = bottom = 0.0
            for update, weight, arrived, classes in zip(
                updates, weights, layers, owned, strict=True
            ):
                inside = name in update and all(
                    at < size for at, size in zip(place, update[name].shape, strict=True)
                )
                mine = layer != classifier or classes is None or place[0] in classes
                if inside and mine and (arrived is None or layer in arrived):
                    top += weight * float(update[name][place])
                    bottom += weight
            if bottom:
                result[name][place] = top / bottom
    return result


def mean_of(
    resident: Resident,
    architecture: Architecture,
    rates: Sequence[float],
    weights: Sequence[float],
    layers: Sequence[tuple[str, ...] | None] = (),
    shards: Sequence[np.ndarray] = (),
) -> tuple[State, State]:
    """What the operation makes of random models of these widths, and what plain loops make."""
    model = ops.initial(architecture, 0)
    updates = [
        ops.initial(ops.narrowed(architecture, rate), seed) for seed, rate in enumerate(rates, 1)
    ]
    held = [resident.shard(rows) for rows in shards]
    merged = ops.sliced_mean(model, updates, weights, layers=layers, shards=held)
    owned = [sorted(set(resident.labels(each).tolist())) for each in held]
    classifier = ops.layers_of(model)[0]
    return value(merged, resident), by_value(
        value(model, resident), [value(each, resident) for each in updates], weights,
        layers or [None] * len(rates), owned or [None] * len(rates), classifier,
    )  # fmt: skip


def close(one: State, other: State) -> bool:
    return all(torch.allclose(one[name], other[name], rtol=1e-6, atol=0) for name in other)


TINY = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 4, "hidden": 6})


@pytest.mark.parametrize("rates", [(0.5, 0.25, 0.5), (1.0, 0.5, 0.25), (1.0, 1.0, 0.25)])
def test_each_value_is_the_mean_over_those_that_have_it(
    resident: Resident, rates: Sequence[float]
) -> None:
    merged, expected = mean_of(resident, TINY, rates, (1.0, 1.0, 3.0))
    assert close(merged, expected)


def test_what_nobody_has_stays(resident: Resident) -> None:
    merged, _ = mean_of(resident, TINY, (0.5, 0.25), (1.0, 2.0))
    old = value(ops.initial(TINY, 0), resident)
    assert torch.equal(merged["conv1.weight"][2:], old["conv1.weight"][2:])
    assert not torch.equal(merged["conv1.weight"][:2], old["conv1.weight"][:2])


def test_layers_that_have_not_arrived_do_not_count(resident: Resident) -> None:
    layers = (("fc2", "fc1"), None, ("fc2",))
    merged, expected = mean_of(resident, TINY, (0.5, 0.25, 1.0), (1.0, 2.0, 3.0), layers)
    assert close(merged, expected)


def test_rows_of_classes_that_somebody_lacks_are_left_to_others(
    resident: Resident, digits: Any
) -> None:
    """One holds 0 to 4, one 3 to 7: rows 8 and 9 stay, rows 3 and 4 are means."""
    rows = [
        np.flatnonzero(np.isin(digits.y, classes))[:60]
        for classes in ((0, 1, 2, 3, 4), range(3, 8))
    ]
    merged, expected = mean_of(resident, TINY, (1.0, 0.5), (1.0, 1.0), shards=rows)
    assert close(merged, expected)
    old = value(ops.initial(TINY, 0), resident)
    assert torch.equal(merged["fc2.bias"][8:], old["fc2.bias"][8:])
    first, second = (
        value(ops.initial(ops.narrowed(TINY, rate), seed), resident)["fc2.bias"]
        for seed, rate in ((1, 1.0), (2, 0.5))
    )
    assert torch.equal(merged["fc2.bias"][:3], first[:3])
    assert torch.equal(merged["fc2.bias"][5:8], second[5:8])


def test_counters_take_the_largest_value(resident: Resident) -> None:
    sizes = ops.with_exits(NORMED, ())
    model, shallow = ops.initial(sizes[0], 0), ops.initial(sizes[-1], 1)
    merged = ops.sliced_mean(model, [shallow, shallow], [1.0, 1.0])
    states = [value(model, resident), *(value(shallow, resident) for _ in range(2))]
    name = next(name for name in states[1] if name.endswith("num_batches_tracked"))
    states[2][name] += 7
    result = ops.compute(merged, states, resident)
    assert result[name] == 7
    deep = [name for name in states[0] if name not in states[1]]
    assert deep
    assert all(torch.equal(result[name], states[0][name]) for name in deep)


def test_running_statistics_are_those_of_whole_layers(resident: Resident) -> None:
    wide = Architecture.of("plain_cnn", (1, 8, 8), 10, {"width": 0.5})
    sizes = [wide, ops.narrowed(wide, 0.5), wide]
    model = ops.initial(wide, 0)
    updates = [ops.initial(size, seed) for seed, size in enumerate(sizes, 1)]
    states = [value(each, resident) for each in updates]
    for number, state in enumerate(states):
        state["bn3.running_mean"] += 1.0 + number
        state["bn3.weight"] += number
        state["bn3.num_batches_tracked"] += 10 + number % 2
    old = value(model, resident)
    merged = ops.compute(ops.sliced_mean(model, updates, [1.0, 1.0, 3.0]), [old, *states], resident)
    assert torch.equal(merged["bn3.running_mean"], torch.full((16,), 2.5)), "of the first and last"
    assert torch.equal(merged["bn3.weight"][:8], torch.full((8,), 1.0 + 7 / 5))
    assert torch.equal(merged["bn3.weight"][8:], torch.full((8,), 1.0 + 6 / 4))
    assert merged["bn3.num_batches_tracked"] == 11
    alone = ops.sliced_mean(model, updates[1:2], [1.0])
    kept = ops.compute(alone, [old, states[1]], resident)
    assert torch.equal(kept["bn3.running_mean"], old["bn3.running_mean"])
    assert not torch.equal(kept["bn3.weight"], old["bn3.weight"])


def test_of_whole_models_it_is_their_mean() -> None:
    model, updates = ops.initial(CNN, 0), [ops.initial(CNN, seed) for seed in (1, 2)]
    merged = ops.sliced_mean(model, updates, [1.0, 3.0], layers=[None, None])
    assert merged.key == ops.mean(updates, [1.0, 3.0]).key


def test_costs_of_whole_models_are_a_little_more_than_a_mean(resident: Resident) -> None:
    model, updates = ops.initial(CNN, 0), [ops.initial(CNN, seed) for seed in (1, 2)]
    shards = [resident.shard(np.arange(5)), resident.shard(np.arange(9))]
    cost = ops.sliced_mean(model, updates, [1.0, 1.0], shards=shards).cost
    plain = mean_cost(model.nbytes, 2, measure(CNN).tensors)
    assert plain.traffic < cost.traffic < 2 * plain.traffic
    assert plain.flops < cost.flops < 2 * plain.flops
    assert plain.memory < cost.memory < 2 * plain.memory
    assert cost.operators == 5 * measure(CNN).tensors
    half = ops.initial(ops.narrowed(CNN, 0.5), 1)
    less = ops.sliced_mean(model, [half, half], [1.0, 1.0]).cost
    assert less.traffic == 9.0 * 2 * half.nbytes + 6.0 * model.nbytes


@pytest.mark.parametrize(
    ("weights", "layers", "shards"),
    [((), (), ()), ((0.0,), (), ()), ((1.0, 1.0), (), ()), ((1.0,), (None, None), ())],
)
def test_a_mean_that_makes_no_sense_is_refused(
    weights: Sequence[float], layers: Sequence[Any], shards: Sequence[Any]
) -> None:
    model = ops.initial(CNN, 0)
    updates = [ops.initial(ops.narrowed(CNN, 0.5), 1)] if weights else []
    with pytest.raises(ValueError, match="updates"):
        ops.sliced_mean(model, updates, weights, layers=layers, shards=shards)


def test_means_and_slices_are_the_same_in_other_processes(
    resident: Resident, make_lab: LabMaker
) -> None:
    shards = [resident.shard(np.arange(30)), resident.shard(np.arange(30, 50))]

    def merged() -> Ref[Any]:
        model = ops.initial(CNN, 0)
        parts = [ops.slice_of(model, ops.narrowed(CNN, rate)) for rate in (0.5, 0.25)]
        towards = ops.Sliced(0.5, masked=True)
        updates = [
            ops.train(part, shard, epochs=1, batch=10, lr=0.05, towards=towards, seed=3)
            for part, shard in zip(parts, shards, strict=True)
        ]
        return ops.sliced_mean(model, updates, [1.0, 2.0], shards=shards)

    inline, pool = make_lab(), make_lab(executor=Pool(workers=2))
    one, two = (lab.settle([merged()])[0] for lab in (inline, pool))
    assert model_hash(one) == model_hash(two)
    assert pool.executed["pursue"] == 2
