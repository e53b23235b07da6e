"""Training towards something else than the cross entropy of the model's logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure, train_cost
from hetsim.learn.net import net
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.objective import Objective, objective
from hetsim.learn.resident import Resident

CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 4, "hidden": 16})
MLP = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": [16, 16]})
NORMED = Architecture.of("resnet8", (1, 8, 8), 10)
EXITS = ops.with_exits(CNN, ())[0]
THIN = ops.low_rank(CNN, 4)
RULE: dict[str, Any] = {"batch": 8, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


def value(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value(each, resident) for each in ref.inputs], resident)


def trained(
    architecture: Architecture, shard: Ref[Any], towards: Objective | None, **more: Any
) -> Ref[State]:
    model = ops.initial(architecture, 3)
    return ops.train(model, shard, **{"epochs": 2, "seed": 7, **RULE, **more}, towards=towards)


@pytest.fixture(scope="module")
def some(resident: Resident, digits: Any) -> Ref[Any]:
    """27 samples of the digits 0 to 4."""
    return resident.shard(np.flatnonzero(digits.y < 5)[:27])


def batches(resident: Resident, shard: Ref[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """In the order of two epochs with seed 7."""
    rows = torch.from_numpy(resident.rows(shard).index)
    generator = torch.Generator().manual_seed(7)
    for _ in range(2):
        for part in rows[torch.randperm(len(rows), generator=generator)].split(RULE["batch"]):
            yield resident.gather("train", part)


def by_optimizer(
    architecture: Architecture,
    resident: Resident,
    shard: Ref[Any],
    loss: Callable[[Any, Tensor, Tensor], Tensor],
) -> State:
    """The same with a module and an optimizer of torch."""
    module: Any = architecture.build().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    module.load_state_dict(value(ops.initial(architecture, 3), resident))
    rule = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for x, y in batches(resident, shard):
        rule.zero_grad()
        loss(module, x, y).backward()
        rule.step()
    return module.state_dict()


# --- of a slice -----------------------------------------------------------------------------------


def scaled(net: Any, x: Tensor, scale: float) -> Tensor:
    x = F.max_pool2d(F.relu(net.conv1(x) / scale), 2)
    x = F.max_pool2d(F.relu(net.conv2(x) / scale), 2)
    return net.fc2(F.relu(net.fc1(x.flatten(1)) / scale))


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_a_slice_is_trained_as_the_loop_says_bit_for_bit(
    resident: Resident, some: Ref[Any], scale: float, masked: bool
) -> None:
    def loss(net: Any, x: Tensor, y: Tensor) -> Tensor:
        logits = scaled(net, x, scale) if scale < 1.0 else net(x)
        if masked:
            logits = torch.cat([logits[:, :5], torch.zeros_like(logits[:, 5:])], 1)
        return F.cross_entropy(logits, y)

    state = value(trained(CNN, some, ops.Sliced(scale, masked)), resident)
    assert model_hash(state) == model_hash(by_optimizer(CNN, resident, some, loss))


def test_neutral_settings_train_as_without(resident: Resident, some: Ref[Any]) -> None:
    plain, neutral = trained(CNN, some, None), trained(CNN, some, ops.Sliced())
    assert model_hash(value(plain, resident)) == model_hash(value(neutral, resident))
    assert neutral.cost == plain.cost
    assert (plain.op, neutral.op) == ("train", "pursue")


def test_a_mask_leaves_the_rows_of_missing_classes_alone(
    resident: Resident, some: Ref[Any]
) -> None:
    before = value(ops.initial(CNN, 3), resident)
    masked, open_ = (
        value(trained(CNN, some, ops.Sliced(1.0, m), weight_decay=0.0), resident)
        for m in (True, False)
    )
    for name in ("fc2.weight", "fc2.bias"):
        assert torch.equal(masked[name][5:], before[name][5:])
        assert not torch.equal(open_[name][5:], before[name][5:])
        assert not torch.equal(masked[name][:5], before[name][:5])


def test_small_perceptrons_are_scaled_and_masked_too(resident: Resident, some: Ref[Any]) -> None:
    several = (ops.Sliced(), ops.Sliced(0.5), ops.Sliced(1.0, masked=True))
    states = [value(trained(MLP, some, each), resident) for each in several]
    assert len({model_hash(state) for state in states}) == 3


def test_evaluation_is_not_scaled(resident: Resident, some: Ref[Any]) -> None:
    model = trained(CNN, some, ops.Sliced(0.5))
    state = value(model, resident)
    module = CNN.build().eval()
    module.load_state_dict(state)
    x, _ = resident.gather("train", torch.arange(20))
    [logits] = [value(ops.forward(model, resident.shard(np.arange(20))), resident)]
    assert torch.allclose(logits, module(x), atol=1e-5)
    modules = net(CNN.text).module.modules()
    assert not any(each._forward_hooks for each in modules), "no hook stays behind"


def test_a_slice_pays_for_scaler_and_mask(some: Ref[Any]) -> None:
    """Each hidden layer's output is read and written once more in both passes, logits too."""
    steps, samples = 2 * ceil(27 / 8), 2 * 27
    plain = trained(CNN, some, None).cost
    hidden = 4 * 64 + 8 * 16 + 16
    scaled = trained(CNN, some, ops.Sliced(0.5)).cost
    assert scaled.operators - plain.operators == steps * 2 * 3
    assert scaled.traffic - plain.traffic == samples * 4 * 4 * hidden
    masked = trained(CNN, some, ops.Sliced(1.0, masked=True)).cost
    assert masked.operators - plain.operators == steps * 2
    assert masked.traffic - plain.traffic == samples * 4 * 4 * 10 + steps * 2 * 10
    assert scaled.flops == masked.flops == plain.flops
    assert scaled.memory == plain.memory
    assert plain.memory <= masked.memory <= plain.memory + 8 * 10


# --- of several exits -----------------------------------------------------------------------------


def apart(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Sums of p log(p / q), written out."""
    p = torch.softmax(teacher / temperature, 1) + 1e-7
    q = torch.softmax(logits / temperature, 1)
    return temperature**2 * (p * (p / q).log()).sum() / len(p)


def three(net: Any, x: Tensor) -> list[Tensor]:
    """What the exits after the first, second and last block give."""
    first = F.max_pool2d(F.relu(net.conv1(x)), 2)
    second = F.max_pool2d(F.relu(net.conv2(first)), 2)
    last = net.fc2(F.relu(net.fc1(second.flatten(1))))
    return [net.exits["1"](first.mean((2, 3))), net.exits["2"](second.mean((2, 3))), last]


def close(one: State, other: State) -> bool:
    return all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-6) for name in other)


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (1.0, 1.0), (0.4, 3.0)])
def test_exits_teach_one_another_as_the_loop_says(
    resident: Resident, some: Ref[Any], weight: float, temperature: float
) -> None:
    def loss(net: Any, x: Tensor, y: Tensor, *, still: bool = True) -> Tensor:
        logits = three(net, x)
        total = torch.zeros(())
        for i, mine in enumerate(logits):
            total = total + F.cross_entropy(mine, y)
            for j, theirs in enumerate(logits):
                teacher = theirs.detach() if still else theirs
                if i != j:
                    total = total + weight / 2 * apart(mine, teacher, temperature)
        return total

    state = value(trained(EXITS, some, ops.Distilled(weight, temperature)), resident)
    assert close(state, by_optimizer(EXITS, resident, some, loss))
    if weight:

        def moving(net: Any, x: Tensor, y: Tensor) -> Tensor:
            return loss(net, x, y, still=False)

        assert not close(state, by_optimizer(EXITS, resident, some, moving))


def test_one_exit_at_the_end_is_plain_training(resident: Resident, some: Ref[Any]) -> None:
    [own] = ops.with_exits(CNN, (4,))
    alone = trained(own, some, ops.Distilled())
    plain = trained(CNN, some, None)
    assert model_hash(value(alone, resident)) == model_hash(value(plain, resident))
    assert alone.nbytes == plain.nbytes
    assert alone.cost == plain.cost


def test_exits_pay_for_classifiers_and_for_teaching(some: Ref[Any]) -> None:
    plain = trained(CNN, some, None)
    alone, taught = (trained(EXITS, some, ops.Distilled(weight)) for weight in (0.0, 1.0))
    added = measure(EXITS).parameters - measure(CNN).parameters
    assert added == (4 + 1) * 10 + (8 + 1) * 10
    assert alone.nbytes - plain.nbytes == 4 * added
    assert alone.cost.flops - plain.cost.flops == 2 * 27 * 3 * 2 * (4 + 8) * 10
    assert taught.cost.flops == alone.cost.flops, "products of matrices, nothing else, are counted"
    for more, less in ((alone, plain), (taught, alone)):
        assert more.cost.operators > less.cost.operators
        assert more.cost.traffic > less.cost.traffic
        assert more.cost.memory > less.cost.memory


# --- of factors -----------------------------------------------------------------------------------


def product(net: Any, layer: str) -> Tensor:
    """The layer that two factors stand for."""
    u, v = (net.get_parameter(f"{layer}.{name}.weight") for name in "uv")
    return u @ v if u.dim() == 2 else torch.einsum("orya,ribx->oiyx", u, v)


@pytest.mark.parametrize("instead", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_factors_decay_by_their_product_as_the_loop_says(
    resident: Resident, some: Ref[Any], instead: bool, masked: bool
) -> None:
    """Beside the descent's own decay, or in its place; all else decays by that."""
    decay = 0.1
    net: Any = THIN.build()
    net.load_state_dict(value(ops.initial(THIN, 3), resident))
    factors = [each for name, each in net.named_parameters() if ".u.w" in name or ".v.w" in name]
    assert len(factors) == 4
    others = [each for each in net.parameters() if not any(each is one for one in factors)]
    rule = torch.optim.SGD(
        [{"params": others}, {"params": factors, "weight_decay": 0.0 if instead else decay}],
        lr=0.05, momentum=0.9, weight_decay=decay,
    )  # fmt: skip
    for x, y in batches(resident, some):
        logits = net(x)
        if masked:
            logits = torch.cat([logits[:, :5], torch.zeros_like(logits[:, 5:])], 1)
        squares = sum(product(net, layer).square().sum() for layer in ("conv2", "fc1"))
        rule.zero_grad()
        (F.cross_entropy(logits, y) + decay / 2 * squares).backward()
        rule.step()
    towards = ops.LowRank(decay, instead, masked)
    state = value(trained(THIN, some, towards, weight_decay=decay), resident)
    assert close(state, net.state_dict())
    for other in (ops.LowRank(decay, not instead, masked), ops.Sliced(masked=masked)):
        apart = value(trained(THIN, some, other, weight_decay=decay), resident)
        assert not close(apart, net.state_dict())


def test_without_decay_factors_are_trained_as_ever(resident: Resident, some: Ref[Any]) -> None:
    for masked in (True, False):
        one, other = (
            value(trained(THIN, some, towards), resident)
            for towards in (ops.LowRank(0.0, True, masked), ops.Sliced(masked=masked))
        )
        assert close(one, other)
    whole, plain = (trained(CNN, some, towards) for towards in (ops.LowRank(0.5), None))
    assert model_hash(value(whole, resident)) == model_hash(value(plain, resident))
    assert whole.cost == plain.cost, "there is nothing to decay"


def test_decay_of_factors_pays_for_its_products(some: Ref[Any]) -> None:
    """U' U and V V', and each with a factor: 4 r^2 (m + n), in every step, whatever the batch."""
    steps = 2 * ceil(27 / 8)
    plain, decayed = (trained(THIN, some, towards).cost for towards in (None, ops.LowRank(0.1)))
    of_conv2, of_fc1 = 4 * 2**2 * (8 * 5 + 4 * 5), 4 * 4**2 * (16 + 32)
    assert decayed.flops - plain.flops == steps * (of_conv2 + of_fc1)
    assert decayed.operators - plain.operators >= steps * 2 * 4, "four products a layer at least"
    assert (decayed.operators - plain.operators) % steps == 0
    assert decayed.traffic > plain.traffic
    assert decayed.memory > plain.memory
    longer = trained(THIN, some, ops.LowRank(0.1), batch=16).cost
    whole = trained(THIN, some, None, batch=16).cost
    assert longer.flops - whole.flops == 2 * ceil(27 / 16) * (of_conv2 + of_fc1)


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "towards", [ops.Sliced(0.5, masked=True), ops.Distilled(0.7, 2.0), ops.LowRank(0.3)]
)
def test_is_part_of_the_recipe(some: Ref[Any], towards: Any) -> None:
    architecture = EXITS if isinstance(towards, ops.Distilled) else CNN
    whole = trained(architecture, some, towards)
    assert objective(whole.arg("towards")) == towards
    others = {trained(architecture, some, each).key
              for each in (type(towards)(), type(towards)(0.5), towards)}  # fmt: skip
    assert len(others) == 3
    cut = ops.truncate(whole, 3)
    assert cut.key == trained(architecture, some, towards, epochs=None, steps=3).key
    assert cut.cost.steps == 3


def test_the_meter_tells_objectives_apart() -> None:
    work: dict[str, Any] = {"steps": 3, "batch": 8, "samples": 20, "momentum": True}
    costs = [
        train_cost(NORMED, objective=each, **work)
        for each in (None, ops.Sliced(0.5), ops.Sliced(0.25), ops.Sliced(0.5, masked=True))
    ]
    assert costs[1] == costs[2]
    assert len(set(costs)) == 3
