"""Split learning: cutting, joining, activations as they are sent, training on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.core.rng import rng
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.descent import Descent
from hetsim.learn.executors.pool import Pool
from hetsim.learn.meter import exchange_cost, forward_cost, measure, train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.activations import batches, quantised
from hetsim.learn.ops.messages import activation_bytes, answers, gradient_bytes, sizes
from hetsim.learn.ops.train import steps_of
from hetsim.learn.resident import Resident
from hetsim.learn.store import Store

LabMaker = Callable[..., Any]
DIGIT = (1, 8, 8)
CNN = Architecture.of("small_cnn", DIGIT, 10, {"width": 4, "hidden": 16})
RESNET = Architecture.of("resnet12", DIGIT, 10)
WITH_RUNNING = Architecture.of("resnet8", DIGIT, 10)
MLP = Architecture.of("mlp", DIGIT, 10, {"hidden": [32, 16]})
MODELS = [CNN, RESNET, WITH_RUNNING, MLP]
NAMES = [model.name for model in MODELS]
RULE: dict[str, Any] = {"lr": 0.05, "momentum": 0.9}


def value_of(ref: Ref[Any], resident: Resident) -> Any:
    """Its value, its inputs computed first."""
    return ops.compute(ref, [value_of(each, resident) for each in ref.inputs], resident)


def same(one: State, two: State) -> bool:
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="session")
def shard(resident: Resident) -> Ref[Any]:
    return resident.shard(np.arange(37))


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_joining_is_the_inverse_of_cutting(model: Architecture, resident: Resident) -> None:
    start = ops.initial(model, 3)
    state = value_of(start, resident)
    for at in range(1, model.blocks):
        front, back = ops.split(start, at)
        assert (ops.model_arch(front), ops.model_arch(back)) == model.cut(at)
        assert front.nbytes + back.nbytes == start.nbytes == ops.join(front, back).nbytes
        whole = ops.join(front, back)
        assert same(value_of(whole, resident), state)
        assert whole.arg("arch") == model.text
        assert same(value_of(front, resident), value_of(ops.initial(model.cut(at)[0], 3), resident))
        assert same(value_of(back, resident), value_of(ops.initial(model.cut(at)[1], 3), resident))


def test_parts_are_cut_again_and_joined_in_order(resident: Resident) -> None:
    start = ops.initial(CNN, 3)
    front, rest = ops.split(start, 1)
    middle, back = ops.split(rest, 2)
    whole = ops.join(ops.join(front, middle), back)
    assert same(value_of(whole, resident), value_of(start, resident))
    with pytest.raises(ValueError, match="does not follow"):
        ops.join(middle, front)
    with pytest.raises(SpecError, match="cannot be cut"):
        ops.split(back, 1)


def test_parts_are_models_and_can_be_averaged(resident: Resident) -> None:
    backs = [ops.split(ops.initial(CNN, seed), 2)[1] for seed in (1, 2)]
    mean = value_of(ops.mean(backs), resident)
    whole = value_of(ops.mean([ops.initial(CNN, seed) for seed in (1, 2)]), resident)
    assert all(torch.equal(mean[name], whole[name]) for name in mean)
    assert set(mean) == {name for name in whole if name.startswith("fc")}


def by_hand(
    front: State, back: State, parts: tuple[Architecture, Architecture], ref: Ref[State],
    resident: Resident, rows: Any,
) -> State:  # fmt: skip
    """Each batch: activations go up, their gradient comes down; two models, two optimizers."""
    ahead, behind = (net(part.text) for part in parts)
    ahead.load(front)
    behind.load(back)
    one, two = ahead.module.train(), behind.module.train()
    rules = [(each, Descent.of(ref).velocity(each.weights)) for each in (ahead, behind)]
    for index in steps_of(ref, rows):
        x, y = resident.gather(rows.split, index)
        z = one(x)
        arrived = z.detach().requires_grad_()
        loss = F.cross_entropy(two(arrived), y)
        *later, returned = torch.autograd.grad(loss, [*behind.parameters, arrived])
        earlier = torch.autograd.grad(z, ahead.parameters, returned)
        for (each, velocity), gradient in zip(rules, (earlier, tuple(later)), strict=True):
            Descent.of(ref).step(each.weights, gradient, velocity, [])
    return {**ahead.state(), **behind.state()}


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_an_exchange_of_gradients_is_plain_training_of_the_whole(
    model: Architecture, resident: Resident, shard: Ref[Any]
) -> None:
    """Bit for bit; a perceptron is trained in a stack, which sums in another order."""
    start = ops.initial(model, 3)
    ref = ops.train(start, shard, epochs=2, batch=8, seed=5, **RULE)
    expected, rows = value_of(ref, resident), resident.rows(shard)
    for at in range(1, model.blocks):
        front, back = (value_of(part, resident) for part in ops.split(start, at))
        reached = by_hand(front, back, model.cut(at), ref, resident, rows)
        if model is MLP:
            for name in expected:
                assert torch.allclose(reached[name], expected[name], rtol=1e-4, atol=1e-5), name
        else:
            assert same(reached, expected), f"cut after {at}"


def test_an_exchange_is_named_as_training_and_priced_as_two(
    resident: Resident, shard: Ref[Any]
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "steps": 7, "batch": 8, "seed": 5, **RULE}
    start = ops.initial(RESNET, 3)
    given = ops.exchange(start, 1, shard, **settings)
    whole = ops.train(start, shard, **settings)
    state = value_of(ops.join(given.front, given.back), resident)
    assert same(state, value_of(whole, resident))
    assert given.ahead.flops + given.server.flops + given.behind.flops == whole.cost.flops
    front, back = RESNET.cut(1)
    work: dict[str, Any] = {"steps": 7, "batch": 8, "samples": 53, "momentum": True}
    assert (given.ahead, given.behind) == exchange_cost(front, **work)
    assert given.server.traffic == train_cost(back, gradient=True, **work).traffic
    assert (given.ahead.samples, given.server.samples, given.behind.samples) == (53, 0, 0)
    values = 64 * 4 * 4
    for size, of in (
        (given.sent, lambda n: activation_bytes(values * n, n, 32)),
        (given.returned, lambda n: gradient_bytes(values * n)),
    ):
        assert size == 6 * of(8) + of(5)
    assert given.steps == 7
    assert ops.model_arch(given.back) == back
    with pytest.raises(ValueError, match="is a part"):
        ops.train(given.front, shard, **settings)


def test_pre_training_for_other_classes_is_a_start_for_these(resident: Resident) -> None:
    """Device half alone, and all but the classifier."""
    other = ops.initial(Architecture.of("small_cnn", DIGIT, 7, dict(CNN.options)), 3)
    start = ops.initial(CNN, 4)
    for at in (1, CNN.blocks - 1):
        front, _ = CNN.cut(at)
        taken = ops.transfer(start, other, blocks=at)
        assert taken.key == ops.join(ops.take(other, front), ops.split(start, at)[1]).key
        state = value_of(taken, resident)
        source, target = value_of(other, resident), value_of(start, resident)
        assert list(state) == list(target)
        assert all(
            torch.equal(tensor, (source if name in net(front.text).names else target)[name])
            for name, tensor in state.items()
        )
    assert ops.take(start, CNN.cut(2)[1]).key == ops.split(start, 2)[1].key
    wider = Architecture.of("small_cnn", DIGIT, 10, {"width": 8, "hidden": 16})
    for wrong in (CNN.cut(1)[1], wider.cut(1)[0], RESNET.cut(1)[0]):
        with pytest.raises(SpecError, match="pre-trained on samples of 1 x 8 x 8 it is"):
            ops.take(other, wrong)
    with pytest.raises(SpecError, match="not there"):
        ops.take(ops.split(start, 2)[1], CNN.cut(2)[0])


def with_frozen_front(
    start: State, model: Architecture, at: int, ref: Ref[State], resident: Resident, rows: Any
) -> State:
    """The back trained in place behind a front that is in evaluation mode."""
    front, back = (net(part.text) for part in model.cut(at))
    for part in (front, back):
        part.load({name: start[name] for name in part.names})
    velocity = Descent.of(ref).velocity(back.weights)
    for index in steps_of(ref, rows):
        x, y = resident.gather(rows.split, index)
        with torch.no_grad():
            z = front.module.eval()(x)
        loss = F.cross_entropy(back.module.train()(z), y)
        gradient = torch.autograd.grad(loss, back.parameters)
        Descent.of(ref).step(back.weights, gradient, velocity, [])
    return back.state()


PHOTO = (3, 32, 32)
PICTURES = ["small_cnn", "resnet8", "resnet12", "lenet_pi"]
LARGE = ["resnet9", "mobilenetv2"]


@pytest.mark.parametrize(
    "name", [*PICTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def test_layouts_of_pictures_change_no_bit_of_either_training(name: str) -> None:
    """Convolutions work on channels that lie last, and what is sent does not lie so."""
    stream = rng(0, "learn/samples")
    x, y = stream.normal(size=(20, *PHOTO)).astype(np.float32), np.arange(20) % 10
    resident = Resident(Dataset(name="noise", classes=10, mean=(0.0,) * 3, std=(1.0,) * 3,
                                x=x, y=y, test_x=x, test_y=y))  # fmt: skip
    shard, model = resident.whole("train"), Architecture.of(name, PHOTO, 10)
    start = ops.initial(model, 3)
    state, rows = value_of(start, resident), resident.rows(shard)
    ref = ops.train(start, shard, epochs=1, batch=8, seed=5, **RULE)
    expected = value_of(ref, resident)
    for at in {1, 2, model.blocks - 2, model.blocks - 1}:
        front, back = ops.split(start, at)
        one, two = (value_of(part, resident) for part in (front, back))
        assert same(by_hand(one, two, model.cut(at), ref, resident, rows), expected), at
        sent = ops.activations(front, shard, batch=8, seed=5, bits=32)
        fitted = value_of(ops.fit(back, sent, **RULE), resident)
        assert same(fitted, with_frozen_front(state, model, at, ref, resident, rows)), at


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_fitting_on_exact_activations_is_training_behind_a_frozen_front(
    model: Architecture, resident: Resident, shard: Ref[Any]
) -> None:
    start = ops.initial(model, 3)
    state, rows = value_of(start, resident), resident.rows(shard)
    ref = ops.train(start, shard, epochs=1, batch=8, seed=5, **RULE)
    for at in range(1, model.blocks):
        front, back = ops.split(start, at)
        sent = ops.activations(front, shard, batch=8, seed=5, bits=32)
        fitted = value_of(ops.fit(back, sent, **RULE), resident)
        assert same(fitted, with_frozen_front(state, model, at, ref, resident, rows)), at


def test_activations_are_those_of_the_training_in_its_order(
    resident: Resident, shard: Ref[Any]
) -> None:
    """Each batch is normalised by its own statistics, though the front is in evaluation mode."""
    start = ops.initial(RESNET, 3)
    front, _ = ops.split(start, 1)
    exact = ops.activations(front, shard, batch=8, seed=5, bits=32)
    value, rows = value_of(exact, resident), resident.rows(shard)
    update = ops.train(start, shard, epochs=1, batch=8, seed=5, lr=0.1)
    module = Architecture.parse(front.arg("arch")).build()
    module.load_state_dict(value_of(front, resident))
    place = 0
    for index in steps_of(update, rows):
        x, y = resident.gather(rows.split, index)
        given = slice(place, place + len(y))
        with torch.no_grad():
            assert torch.allclose(value["values"][given], module.train()(x), atol=1e-5)
        assert torch.equal(value["labels"][given], y)
        place += len(y)
    assert place == len(value["values"]) == 37
    assert value["values"].is_contiguous()
    assert value["scales"].tolist() == [1.0] * 5
    whole = value_of(ops.activations(front, shard, batch=37, seed=5, bits=32), resident)
    assert not torch.allclose(whole["values"], value["values"], atol=1e-3)


def test_a_smaller_last_batch_counts_or_not(resident: Resident, shard: Ref[Any]) -> None:
    front, _ = ops.split(ops.initial(CNN, 3), 1)
    settings: dict[str, Any] = {"batch": 8, "seed": 5}
    given = ops.activations(front, shard, **settings)
    for ref, samples, steps in (
        (given, 37, 5),
        (ops.activations(front, shard, partial=False, **settings), 32, 4),
        (ops.activations(front, shard, steps=2, **settings), 16, 2),
        (ops.activations(front, shard, steps=9, **settings), 37, 5),
    ):
        value = value_of(ref, resident)
        assert (ref.arg("samples"), ref.arg("steps")) == (samples, steps)
        assert (len(value["values"]), len(value["scales"])) == (samples, steps)
        assert torch.equal(value["values"], value_of(given, resident)["values"][:samples])
        assert ref.cost.samples == samples
        assert ref.cost.steps == steps
    for wrong in ({"batch": 40, "partial": False}, {"bits": 4}, {"steps": 0}):
        with pytest.raises(ValueError, match="bits"):
            ops.activations(front, shard, **{**settings, **wrong})
    _, back = ops.split(ops.initial(CNN, 3), 1)
    with pytest.raises(ValueError, match="not the first part"):
        ops.activations(back, shard, **settings)


def test_the_quantiser_by_hand() -> None:
    x = torch.tensor([0.0, 0.4, 0.5, 1.5, 2.5, 126.6, 127.0, -3.0, -500.0])
    values, scale = quantised(x)
    assert (values.dtype, float(scale)) == (torch.int8, 1.0)
    assert values.tolist() == [0, 0, 0, 2, 2, 127, 127, -3, -128]
    half, scale = quantised(x / 2)
    assert float(scale) == 0.5
    assert half.tolist() == values.tolist()
    zeros, scale = quantised(torch.zeros(4))
    assert (zeros.tolist(), float(scale)) == ([0] * 4, 1.0)
    assert quantised(torch.tensor([-1.0, -200.0]))[0].tolist() == [-1, -128]


@pytest.mark.parametrize("model", [CNN, RESNET], ids=NAMES[:2])
def test_what_is_read_is_within_half_a_step_of_what_was_sent(
    model: Architecture, resident: Resident, shard: Ref[Any]
) -> None:
    front, back = ops.split(ops.initial(model, 3), 1)
    exact, coarse = (
        value_of(ops.activations(front, shard, batch=8, seed=5, bits=bits), resident)
        for bits in (32, 8)
    )
    assert coarse["values"].dtype == torch.int8
    assert torch.equal(coarse["labels"], exact["labels"])
    pairs = zip(batches(exact, 8), batches(coarse, 8), strict=True)
    for ((x, _), (read, _)), scale in zip(pairs, coarse["scales"], strict=True):
        assert float(scale) == pytest.approx(float(x.max()) / 127)
        assert float((x - read).abs().max()) <= 0.501 * float(scale)
    sent = ops.activations(front, shard, batch=8, seed=5)
    fitted = value_of(ops.fit(back, sent, **RULE), resident)
    assert all(tensor.isfinite().all() for tensor in fitted.values())


def test_sizes_and_costs(resident: Resident, shard: Ref[Any]) -> None:
    front, back = ops.split(ops.initial(RESNET, 3), 1)
    ahead, behind = (ops.model_arch(part) for part in (front, back))
    values = 64 * 4 * 4
    exact = ops.activations(front, shard, batch=8, seed=5, bits=32)
    coarse = ops.activations(front, shard, batch=8, seed=5)
    for ref, bits in ((exact, 32), (coarse, 8)):
        whole, last = (activation_bytes(values * n, n, bits) for n in (8, 5))
        assert ref.nbytes == 4 * whole + last == sum(sizes(ahead, 37, 8, bits))
        returned = answers(ahead, 37, 5)
        assert returned == 4 * gradient_bytes(values * 8) + gradient_bytes(values * 5)
    assert exact.cost == forward_cost(ahead, 37, 8)
    assert coarse.cost.flops == exact.cost.flops
    assert coarse.cost.memory == exact.cost.memory + 8 * values * 5
    assert coarse.cost.operators > exact.cost.operators
    assert coarse.cost.traffic > exact.cost.traffic + 37 * values * (4 + 1)
    assert (coarse.cost.steps, coarse.cost.samples) == (5, 37)
    work = {"batch": 8, "momentum": True}
    one = ops.fit(back, exact, epochs=2, **RULE)
    expected = train_cost(behind, steps=10, samples=74, **work)
    assert (one.cost.flops, one.cost.memory) == (expected.flops, expected.memory)
    assert (one.cost.steps, one.cost.samples) == (10, 0)
    assert one.nbytes == back.nbytes == measure(behind).state_bytes
    two = ops.fit(back, coarse, epochs=2, steps=7, **RULE)
    assert two.cost.flops == train_cost(behind, steps=7, samples=53, **work).flops
    assert two.cost.traffic > train_cost(behind, steps=7, samples=53, **work).traffic
    key = ops.fit(back, coarse, **RULE).key
    assert key == ops.fit(back, coarse, steps=5, **RULE).key
    assert key != ops.fit(back, exact, **RULE).key


def test_a_fit_that_makes_no_sense_is_refused(shard: Ref[Any]) -> None:
    start = ops.initial(CNN, 3)
    front, back = ops.split(start, 2)
    sent = ops.activations(front, shard, batch=8, seed=5)
    with pytest.raises(ValueError, match="does not follow"):
        ops.fit(ops.split(start, 1)[1], sent, **RULE)
    with pytest.raises(ValueError, match="gives no logits"):
        ops.fit(ops.split(back, 1)[0], sent, **RULE)
    with pytest.raises(ValueError, match="steps 0"):
        ops.fit(back, sent, steps=0, **RULE)


def test_a_replay_goes_over_the_same_batches(resident: Resident, shard: Ref[Any]) -> None:
    front, back = ops.split(ops.initial(CNN, 3), 2)
    sent = ops.activations(front, shard, batch=8, seed=5)
    twice = ops.fit(ops.fit(back, sent, lr=0.05), sent, lr=0.05)
    at_once = ops.fit(back, sent, lr=0.05, epochs=2)
    cut = ops.fit(ops.fit(back, sent, lr=0.05), sent, lr=0.05, steps=2)
    assert same(value_of(twice, resident), value_of(at_once, resident))
    assert same(
        value_of(cut, resident), value_of(ops.fit(back, sent, lr=0.05, epochs=2, steps=7), resident)
    )


def rounds(shards: list[Ref[Any]]) -> list[Ref[Any]]:
    """Two rounds of training behind a frozen front, the second on what was sent in the first."""
    front, back = ops.split(ops.initial(RESNET, 3), 1)
    sent = [ops.activations(front, each, batch=8, seed=5, partial=True) for each in shards]
    for _ in range(2):
        back = ops.mean([ops.fit(back, each, **RULE) for each in sent])
    whole = ops.join(front, back)
    return [whole, *sent]


def test_every_executor_gives_the_same_bits(
    make_lab: LabMaker, shards: list[Ref[Any]], tmp_path: Path
) -> None:
    inline = make_lab(store=Store(tmp_path))
    whole, *sent = inline.settle(rounds(shards))
    pool = make_lab(executor=Pool(workers=2))
    other, *others = pool.settle(rounds(shards))
    assert model_hash(whole) == model_hash(other)
    for one, two in zip(sent, others, strict=True):
        assert model_hash(one) == model_hash(two)
    assert inline.executed["activations"] == len(shards)
    assert inline.executed["fit"] == 2 * len(shards)
    again = make_lab(store=Store(tmp_path))
    stored, *kept = again.settle(rounds(shards))
    assert again.executed.total() == 0
    assert same(stored, whole)
    assert all(same(one, two) for one, two in zip(kept, sent, strict=True))


def test_the_layout_of_what_was_stored_changes_no_bit(
    make_lab: LabMaker, shards: list[Ref[Any]], tmp_path: Path
) -> None:
    """Activations read from disk are what they were in memory, also to a training."""

    def named() -> tuple[Ref[State], Ref[Any]]:
        front, back = ops.split(ops.initial(RESNET, 3), 2)
        return back, ops.activations(front, shards[1], batch=8, seed=5, bits=32)

    back, sent = named()
    [fitted] = make_lab().settle([ops.fit(back, sent, **RULE)])
    make_lab(store=Store(tmp_path)).settle([named()[1]])
    lab = make_lab(store=Store(tmp_path))
    back, sent = named()
    lab.settle([sent])
    [again] = lab.settle([ops.fit(back, sent, **RULE)])
    assert lab.from_store["activations"] == 1
    assert same(fitted, again)


def test_activations_are_plain_tensors(resident: Resident, shard: Ref[Any]) -> None:
    front, _ = ops.split(ops.initial(CNN, 3), 1)
    value = value_of(ops.activations(front, shard, batch=8, seed=5), resident)
    assert all(isinstance(each, Tensor) and each.is_contiguous() for each in value.values())
    assert [str(each.dtype) for each in value.values()] == [
        "torch.int8", "torch.int64", "torch.float32",
    ]  # fmt: skip
