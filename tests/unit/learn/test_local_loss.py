"""Both parts of a model trained by losses of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.pool import Pool
from hetsim.learn.meter import measure, train_cost
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.messages import activation_bytes
from hetsim.learn.ops.train import steps_of
from hetsim.learn.resident import Resident

LabMaker = Callable[..., Any]
CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 4, "hidden": 16})
RESNET = Architecture.of("resnet12", (1, 8, 8), 10)
RULE: dict[str, Any] = {"batch": 8, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "seed": 5}


def apart(model: Architecture, shard: Ref[Any], at: int = 1, **more: Any) -> ops.Apart:
    front, back = ops.split(ops.initial(model, 3), at)
    return ops.local_loss(front, ops.head(front, 4), back, shard, **RULE, **more)


def value_of(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value_of(each, resident) for each in ref.inputs], resident)


def by_optimizers(several: Ref[State], resident: Resident) -> list[State]:
    """The same with modules and optimizers of torch."""
    *models, shard = several.inputs
    modules = [Architecture.parse(several.arg(name)).build() for name in ("front", "head", "back")]
    for module, model in zip(modules, models, strict=True):
        module.load_state_dict(value_of(model, resident))
        module.train()
    settings = {"lr": RULE["lr"], "momentum": 0.9, "weight_decay": 1e-3}
    rules = [torch.optim.SGD(module.parameters(), **settings) for module in modules]
    front, head, back = modules
    rows = resident.rows(shard)
    for index in steps_of(several, rows):
        x, y = resident.gather(rows.split, index)
        z = front(x)
        for rule in rules:
            rule.zero_grad()
        F.cross_entropy(head(z), y).backward()
        F.cross_entropy(back(z.detach()), y).backward()
        for rule in rules:
            rule.step()
    return [module.state_dict() for module in modules]


@pytest.mark.parametrize(
    ("model", "steps"), [(CNN, 10), (RESNET, 2)], ids=["small_cnn", "resnet12"]
)
def test_both_are_trained_as_anyone_would(
    model: Architecture, steps: int, resident: Resident
) -> None:
    """Statistics of eight values magnify rounding, so the residual network takes two steps."""
    given = apart(model, resident.shard(np.arange(37)), at=2, epochs=2, steps=steps)
    [several] = given.back.inputs
    expected = by_optimizers(several, resident)
    for ref, state in zip(given[:3], expected, strict=True):
        reached = value_of(ref, resident)
        assert list(reached) == list(state)
        for name in state:
            assert torch.allclose(reached[name], state[name], rtol=1e-3, atol=2e-5), name


def test_the_client_learns_nothing_from_the_server(resident: Resident) -> None:
    shard = resident.shard(np.arange(37))
    front, back = ops.split(ops.initial(CNN, 3), 2)
    _, other = ops.split(ops.initial(CNN, 9), 2)
    one, two = (
        ops.local_loss(front, ops.head(front, 4), each, shard, **RULE) for each in (back, other)
    )
    for name in ("front", "head", "back"):
        same = model_hash(value_of(getattr(one, name), resident)) == model_hash(
            value_of(getattr(two, name), resident)
        )
        assert same == (name != "back")


def test_parts_are_models_again(resident: Resident) -> None:
    shards = [resident.shard(np.arange(first, first + 20)) for first in (0, 20)]
    updates = [apart(CNN, shard) for shard in shards]
    front, head, back = (
        ops.mean([update[place] for update in updates])  # pyright: ignore[reportArgumentType]
        for place in range(3)
    )
    assert ops.model_arch(ops.join(front, back)) == CNN
    again = ops.local_loss(front, head, back, shards[0], **RULE)
    assert again.front.nbytes == updates[0].front.nbytes
    assert ops.model_arch(head).text == '["logistic",{},[4,4,4],10]'


def test_costs_and_sizes(resident: Resident) -> None:
    given = apart(RESNET, resident.shard(np.arange(37)), epochs=2, steps=7)
    front, head, back = (ops.model_arch(ref) for ref in given[:3])
    work: dict[str, Any] = {"steps": 7, "batch": 8, "samples": 53, "momentum": True, "decay": True}
    ahead, aside = train_cost(front, **work), train_cost(head, gradient=True, **work)
    assert given.device.flops == ahead.flops + aside.flops
    assert given.device.memory == ahead.memory + aside.memory - 8 * measure(front).output_bytes
    assert (given.device.steps, given.device.samples) == (7, 53)
    assert given.server.flops == train_cost(back, **work).flops
    assert given.server.samples == 0
    values = 64 * 4 * 4
    whole, last = (activation_bytes(values * n, n, 32) for n in (8, 5))
    assert (given.sent, given.steps) == (6 * whole + last, 7)
    assert [ref.nbytes for ref in given[:3]] == [
        measure(a).state_bytes for a in (front, head, back)
    ]
    assert given.front.cost.flops == given.back.cost.flops == 0
    [several] = given.front.inputs
    assert several.cost.flops == given.device.flops + given.server.flops


def test_models_that_do_not_fit_are_refused(resident: Resident) -> None:
    shard = resident.shard(np.arange(37))
    front, back = ops.split(ops.initial(CNN, 3), 1)
    other, rest = ops.split(ops.initial(CNN, 3), 2)
    middle, _ = ops.split(back, 1)
    for models in ((front, ops.head(other, 4), back), (front, ops.head(front, 4), middle)):
        with pytest.raises(ValueError, match="do not fit"):
            ops.local_loss(*models, shard, **RULE)
    with pytest.raises(ValueError, match="does not follow"):
        ops.local_loss(front, ops.head(front, 4), rest, shard, **RULE)
    with pytest.raises(ValueError, match="steps 0"):
        apart(CNN, shard, steps=0)


def test_every_executor_gives_the_same_bits(make_lab: LabMaker, shards: list[Ref[Any]]) -> None:
    def named() -> list[Ref[State]]:
        return [ref for shard in shards for ref in apart(RESNET, shard)[:3]]

    inline, pool = make_lab(), make_lab(executor=Pool(workers=2))
    hashes = [[model_hash(state) for state in lab.settle(named())] for lab in (inline, pool)]
    assert hashes[0] == hashes[1]
    assert inline.executed["local_loss"] == len(shards)
