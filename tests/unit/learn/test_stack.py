"""A member of a stack: the same alone and in any company, and what autograd makes of it."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.train import steps_of
from hetsim.learn.resident import Resident, Rows
from hetsim.learn.stack import LARGEST, stackable

SHAPE, CLASSES = (1, 8, 8), 10
ARCHITECTURES = [
    Architecture.of("logistic", SHAPE, CLASSES),
    *(
        Architecture.of("mlp", SHAPE, CLASSES, {"hidden": hidden})
        for hidden in ([16], [33, 17], [1, 48, 5])
    ),
]


def some_tasks(chance: random.Random, resident: Resident) -> list[ops.Task]:
    """Trainings of one kin: any rule, shards of uneven size, starts and numbers of steps.

    Every other time control variates of the whole model, or of a part of it, correct them.
    """
    architecture = chance.choice(ARCHITECTURES)
    rule = {
        "batch": chance.choice([1, chance.randint(2, 50), 16]),
        "lr": chance.choice([0.02, 0.1]),
        "momentum": chance.choice([0.0, 0.9]),
        "weight_decay": chance.choice([0.0, 1e-3]),
        "proximal": chance.choice([0.0, 0.1]),
    }
    parts = [architecture, *(architecture.cut(1) if architecture.blocks > 1 else ())]
    steered = chance.choice([None, chance.choice(parts)])
    if steered:
        rule |= {
            "strength": chance.choice([0.5, 1.0]),
            "where": chance.choice(["gradient", "step"]),
        }
    tasks: list[ops.Task] = []
    for seed in range(chance.randint(2, 12)):
        start = ops.initial(architecture, chance.randint(0, 2))
        rows = np.array(chance.sample(range(290), chance.choice([1, chance.randint(2, 120), 50])))
        shard = resident.shard(rows, chance.choice(["train", "train", "test"]))
        control = None
        if steered:
            control = ops.initial(steered, seed), ops.initial(steered, 3)
        ref = ops.train(
            start, shard, epochs=2, steps=chance.randint(1, 8), seed=seed,
            control=control, **rule,
        )  # fmt: skip
        variates = [ops.compute(variate, (), resident) for variate in control or ()]
        tasks.append((ref, [ops.compute(start, (), resident), resident.rows(shard), *variates]))
    return tasks


def cut(tasks: list[ops.Task], chance: random.Random) -> list[list[ops.Task]]:
    """The tasks in any order and in groups of any size."""
    mixed = chance.sample(tasks, len(tasks))
    places = sorted(chance.sample(range(1, len(tasks)), chance.randint(0, len(tasks) - 1)))
    return [mixed[first:last] for first, last in pairwise([0, *places, len(tasks)])]


def steer(control: list[State], where: str, ref: Ref[State], module: nn.Module) -> None:
    """Correct the gradient, or the step just taken, if that is to be corrected."""
    if not control or where != ref.arg("where"):
        return
    c, c_i = control
    for name, weight in module.named_parameters():
        if name in c:
            correction = ref.arg("strength") * (c[name] - c_i[name])
            if where == "gradient":
                assert weight.grad is not None
                weight.grad += correction
            else:
                weight.data -= ref.arg("lr") * correction


def by_autograd(
    ref: Ref[State], start: State, rows: Rows, control: list[State], resident: Resident
) -> list[Tensor]:
    """The same training as anyone would write it, in double precision."""
    module = Architecture.parse(ref.arg("arch")).build()
    module.load_state_dict(start)
    module.double()
    anchors = [parameter.detach().clone() for parameter in module.parameters()]
    sgd = torch.optim.SGD(
        module.parameters(),
        lr=ref.arg("lr"),
        momentum=ref.arg("momentum"),
        weight_decay=ref.arg("weight_decay"),
    )
    for batch in steps_of(ref, rows):
        x, y = resident.gather(rows.split, batch)
        pull = sum(
            (parameter - anchor).square().sum()
            for parameter, anchor in zip(module.parameters(), anchors, strict=True)
        )
        loss = F.cross_entropy(module(x.double()), y) + ref.arg("proximal") / 2 * pull
        sgd.zero_grad()
        loss.backward()
        steer(control, "gradient", ref, module)
        sgd.step()
        steer(control, "step", ref, module)
    return [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("seed", range(40))
def test_a_member_is_the_same_in_any_company(seed: int, resident: Resident) -> None:
    chance = random.Random(seed)
    tasks = some_tasks(chance, resident)
    assert len({ops.kin(ref) for ref, _ in tasks}) == 1
    alone = {ref.key: ops.compute(ref, inputs, resident) for ref, inputs in tasks}
    right = {key: model_hash(state) for key, state in alone.items()}
    for groups in ([tasks], cut(tasks, chance), cut(tasks, chance)):
        got = {
            ref.key: model_hash(state)
            for group in groups
            for (ref, _), state in zip(group, ops.compute_all(group, resident), strict=True)
        }
        assert got == right
    for ref, (start, rows, *control) in tasks:
        assert model_hash(start) != right[ref.key], "the training changes something"
        state = alone[ref.key]
        assert {name: tensor.shape for name, tensor in state.items()} == {
            name: tensor.shape for name, tensor in start.items()
        }
        for mine, exact in zip(
            state.values(), by_autograd(ref, start, rows, control, resident), strict=True
        ):
            torch.testing.assert_close(mine.double(), exact, rtol=1e-6, atol=1e-6)


def test_a_stack_leaves_its_starts_alone(resident: Resident) -> None:
    tasks = some_tasks(random.Random(0), resident)
    before = [model_hash(inputs[0]) for _, inputs in tasks]
    states = ops.compute_all(tasks, resident)
    assert [model_hash(inputs[0]) for _, inputs in tasks] == before
    places = {tensor.untyped_storage().data_ptr() for state in states for tensor in state.values()}
    assert len(places) == sum(map(len, states)), "one can be let go without the others"


def test_kin_train_one_architecture_by_one_rule(resident: Resident) -> None:
    start, shard = ops.initial(ARCHITECTURES[0], 0), resident.whole("train")
    rule = {"epochs": 1, "batch": 8, "lr": 0.1}
    kin = ops.kin(ops.train(start, shard, seed=0, **rule))
    assert kin is not None
    other_start, other_shard = ops.initial(ARCHITECTURES[0], 1), resident.shard(np.arange(5))
    assert ops.kin(ops.train(other_start, other_shard, seed=1, **rule)) == kin
    changes = [{"batch": 9}, {"lr": 0.2}, {"momentum": 0.5}, {"weight_decay": 0.1}]
    for change in [*changes, {"proximal": 0.1}]:
        assert ops.kin(ops.train(start, shard, seed=0, **{**rule, **change})) != kin
    assert ops.kin(ops.train(ops.initial(ARCHITECTURES[1], 0), shard, seed=0, **rule)) != kin
    none = ops.zeros(start)
    steered = ops.train(start, shard, seed=0, control=(none, none), **rule)
    same = ops.train(start, other_shard, seed=1, control=(other_start, none), **rule)
    assert ops.kin(steered) == ops.kin(same) != kin
    for change in ({"strength": 0.5}, {"where": "step"}):
        other = ops.train(start, shard, seed=0, control=(none, none), **{**rule, **change})
        assert ops.kin(other) != ops.kin(steered)
    assert ops.kin(start) is None
    assert ops.kin(ops.evaluate(start, shard)) is None


def test_small_perceptrons_alone_are_stacked() -> None:
    for architecture in ARCHITECTURES:
        assert stackable(architecture.text)
    widest = (LARGEST - CLASSES) // (64 + 1 + CLASSES)  # weights and biases that a unit brings
    for width in (widest, widest + 1):
        mlp = Architecture.of("mlp", SHAPE, CLASSES, {"hidden": [width]})
        assert stackable(mlp.text) == (width == widest)
    for name in ("lenet5", "small_cnn", "resnet8"):
        assert not stackable(Architecture.of(name, (1, 28, 28), CLASSES).text)
