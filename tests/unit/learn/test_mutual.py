"""Both parts of a model trained by each other's logits."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, log
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.pool import Pool
from hetsim.learn.meter import forward_cost, measure, train_cost
from hetsim.learn.numerics import State, model_hash
from hetsim.learn.ops.messages import activation_bytes, further_bytes, gradient_bytes
from hetsim.learn.ops.mutual import divergence
from hetsim.learn.resident import Resident

LabMaker = Callable[..., Any]
CNN = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 4, "hidden": 16})
RESNET = Architecture.of("resnet12", (1, 8, 8), 10)
RULE: dict[str, Any] = {"batch": 8, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
NAMES = ("front", "head", "back", "logits")


def taught(
    model: Architecture, shard: Ref[Any], teacher: Ref[Any] | None = None, **more: Any
) -> ops.Mutual:
    front, back = ops.split(ops.initial(model, 3), 2)
    return ops.mutual(front, ops.head(front, 4), back, shard, teacher, **RULE, **more)


def value_of(ref: Ref[Any], resident: Resident) -> Any:
    return ops.compute(ref, [value_of(each, resident) for each in ref.inputs], resident)


def far(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Sums of p log(p / q), written out."""
    p = torch.softmax(teacher / temperature, 1) + 1e-7
    q = torch.softmax(logits / temperature, 1)
    return temperature**2 * (p * (p / q).log()).sum() / len(p)


def by_optimizers(
    given: ops.Mutual, resident: Resident, epochs: int, alpha: float, temperature: float
) -> list[State]:
    """The same with modules and optimizers of torch: the client first, then the server."""
    [several] = given.back.inputs
    front, head, back = (Architecture.parse(several.arg(name)).build() for name in NAMES[:3])
    for module, model in zip((front, head, back), several.inputs, strict=False):
        module.load_state_dict(value_of(model, resident))
        module.train()
    rows = resident.rows(several.inputs[3])
    teacher = value_of(several.inputs[4], resident)["values"] if several.inputs[4:] else None
    parts = torch.arange(len(rows.index)).split(RULE["batch"])
    x, y = resident.gather(rows.split, torch.from_numpy(rows.index))
    settings = {"lr": RULE["lr"], "momentum": 0.9, "weight_decay": 1e-3}
    rule = torch.optim.SGD([*front.parameters(), *head.parameters()], **settings)
    for part in parts * epochs:
        rule.zero_grad()
        logits = head(front(x[part]))
        loss = F.cross_entropy(logits, y[part])
        if teacher is not None:
            loss = loss + alpha * far(logits, teacher[part], temperature)
        loss.backward()
        rule.step()
    for module in (front, head):
        module.eval()
    rule, returned = torch.optim.SGD(back.parameters(), **settings), list[Tensor]()
    for part in parts:
        rule.zero_grad()
        z = front(x[part]).detach()
        logits = back(z)
        (
            far(logits, head(z).detach(), temperature) + alpha * F.cross_entropy(logits, y[part])
        ).backward()
        rule.step()
        returned.append(logits.detach())
    states = [module.state_dict() for module in (front, head, back)]
    return [*states, {"values": torch.cat(returned)}]


@pytest.mark.parametrize(
    ("model", "samples", "epochs"), [(CNN, 37, 2), (RESNET, 16, 1)], ids=["small_cnn", "resnet12"]
)
@pytest.mark.parametrize(("alpha", "temperature"), [(1.0, 3.0), (0.3, 1.5)])
@pytest.mark.parametrize("again", [False, True], ids=["untaught", "taught"])
def test_both_are_trained_as_anyone_would(
    model: Architecture, samples: int, epochs: int, alpha: float, temperature: float, again: bool,
    resident: Resident,
) -> None:  # fmt: skip
    """Statistics of eight values magnify rounding, so the residual network takes few steps."""
    shard = resident.shard(np.arange(samples)[::-1])
    terms: dict[str, Any] = {"epochs": epochs, "alpha": alpha, "temperature": temperature}
    given = taught(model, shard, **terms)
    if again:
        given = taught(model, shard, given.logits, **terms)
    expected = by_optimizers(given, resident, **terms)
    for name, state in zip(NAMES, expected, strict=True):
        reached = value_of(getattr(given, name), resident)
        assert list(reached) == list(state)
        for tensor in state:
            assert torch.allclose(reached[tensor], state[tensor], rtol=1e-3, atol=1e-4), name


def test_the_divergence_is_what_it_says() -> None:
    """Two classes, T = 2: p = (3/4, 1/4) of logits (2 log 3, 0), q = (1/2, 1/2)."""
    teacher, logits = torch.tensor([[2 * log(3.0), 0.0]]), torch.zeros(1, 2)
    exact = 4 * (0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5))
    assert isclose(float(divergence(logits, teacher, 2.0)), exact, rel_tol=1e-5)
    twice = divergence(logits.repeat(2, 1), teacher.repeat(2, 1), 2.0)
    assert isclose(float(twice), exact, rel_tol=1e-5), "a mean over the batch"
    sure = divergence(logits, torch.tensor([[300.0, 0.0]]), 1.0)
    assert torch.isfinite(sure), "a teacher that is sure is not infinitely far"


def test_who_learns_what_from_whom(resident: Resident) -> None:
    """A teacher changes the client, and through its logits the server; alpha 0 teaches nothing."""
    shard = resident.shard(np.arange(37))

    def hashes(given: ops.Mutual) -> list[str]:
        return [model_hash(value_of(getattr(given, name), resident)) for name in NAMES]

    alone = taught(CNN, shard, alpha=0.0)
    plain, deaf = hashes(alone), hashes(taught(CNN, shard, alone.logits, alpha=0.0))
    assert plain == deaf
    pupil = hashes(taught(CNN, shard, alone.logits))
    untaught = hashes(taught(CNN, shard))
    assert all(one != two for one, two in zip(pupil, untaught, strict=True))
    assert untaught[:2] == plain[:2], "labels weigh the same for a client that nobody teaches"
    assert untaught[2] != plain[2], "and for the server as much as alpha says"


def test_the_order_is_that_of_the_shard(resident: Resident) -> None:
    """So that logits belong to the same samples the next time; a seed changes nothing."""
    rows = np.array([7, 3, 30, 2, 11, 4, 9, 8, 1, 20])
    one, two = (
        taught(CNN, resident.shard(each), seed=seed)
        for each, seed in ((rows, 1), (rows, 2))
    )  # fmt: skip
    logits = [value_of(each.logits, resident)["values"] for each in (one, two)]
    assert torch.equal(*logits)
    assert logits[0].shape == (10, 10)
    back = value_of(ops.split(ops.initial(CNN, 3), 2)[1], resident)
    front = value_of(one.front, resident)
    whole = CNN.build().eval()
    whole.load_state_dict({**front, **back})
    x, _ = resident.gather("train", torch.from_numpy(rows[:8]))
    assert torch.allclose(whole(x), logits[0][:8], atol=1e-6), "before the server's first step"


def test_parts_are_models_again(resident: Resident) -> None:
    shards = [resident.shard(np.arange(first, first + 20)) for first in (0, 20)]
    updates = [taught(CNN, shard) for shard in shards]
    front, head, back = (
        ops.mean([getattr(update, name) for update in updates]) for name in NAMES[:3]
    )
    assert ops.model_arch(ops.join(front, back)) == CNN
    again = ops.mutual(front, head, back, shards[0], updates[0].logits, **RULE)
    assert again.front.nbytes == updates[0].front.nbytes
    assert len(value_of(again.logits, resident)["values"]) == 20


def test_costs_and_sizes(resident: Resident) -> None:
    shard = resident.shard(np.arange(37))
    given = taught(RESNET, shard, epochs=2)
    front, head, back = (ops.model_arch(ref) for ref in given[:3])
    rule: dict[str, Any] = {"batch": 8, "momentum": True, "decay": True}
    ahead, aside = (
        train_cost(each, gradient=each is head, steps=10, samples=74, **rule)
        for each in (front, head)
    )
    assert given.device.flops == ahead.flops + aside.flops
    assert given.device.memory == ahead.memory + aside.memory - 8 * measure(front).output_bytes
    assert given.device.operators == ahead.operators + aside.operators
    assert (given.device.steps, given.device.samples) == (10, 74)
    passed = [forward_cost(each, 37, 8) for each in (front, head)]
    assert given.ahead.flops == sum(each.flops for each in passed)
    assert (given.ahead.steps, given.ahead.samples) == (5, 37)
    assert given.ahead.memory < given.device.memory
    server = train_cost(back, steps=5, samples=37, **rule)
    assert (given.server.flops, given.server.samples) == (server.flops, 0)
    values, counts = 64 * 2 * 2, (8, 8, 8, 8, 5)
    sent = sum(activation_bytes(values * n, n, 32) + further_bytes(10 * n) for n in counts)
    assert given.sent == sent
    assert given.returned == sum(gradient_bytes(10 * n) for n in counts)
    assert given.steps == 5
    assert given.logits.nbytes == value_of(given.logits, resident)["values"].nbytes
    assert [ref.nbytes for ref in given[:3]] == [
        measure(a).state_bytes for a in (front, head, back)
    ]
    [several] = given.front.inputs
    assert several.cost.flops == sum(c.flops for c in (given.device, given.ahead, given.server))


def test_what_is_taught_is_paid_for(resident: Resident) -> None:
    """Small operators on logits: as many again in each epoch, none of them a multiplication."""
    shard = resident.shard(np.arange(37))
    plain = taught(CNN, shard)
    once, twice = (taught(CNN, shard, plain.logits, epochs=n) for n in (1, 2))
    more = once.device.operators - plain.device.operators
    back = train_cost(
        ops.model_arch(plain.back), steps=5, samples=37, batch=8, momentum=True, decay=True
    )
    assert more == plain.server.operators - back.operators > 5 * 5
    double = taught(CNN, shard, epochs=2).device
    assert twice.device.operators - double.operators == 2 * more
    assert twice.device.traffic - double.traffic == 2 * (once.device.traffic - plain.device.traffic)
    assert once.device.flops == plain.device.flops
    floats = 37 * 10 * 4
    assert 10 * floats < once.device.traffic - plain.device.traffic < 40 * floats


def test_what_does_not_fit_is_refused(resident: Resident) -> None:
    shard, other = (resident.shard(np.arange(size)) for size in (37, 20))
    front, back = ops.split(ops.initial(CNN, 3), 2)
    head = ops.head(front, 4)
    middle, rest = ops.split(ops.initial(CNN, 3), 1)
    inner, _ = ops.split(rest, 1)
    for models in ((front, ops.head(middle, 4), back), (middle, ops.head(middle, 4), inner)):
        with pytest.raises(ValueError, match="do not fit"):
            ops.mutual(*models, shard, **RULE)
    logits = ops.mutual(front, head, back, other, **RULE).logits
    with pytest.raises(ValueError, match="holds 800 bytes of logits, not 1480"):
        ops.mutual(front, head, back, shard, logits, **RULE)
    with pytest.raises(ValueError, match="temperature 0"):
        taught(CNN, shard, temperature=0.0)
    with pytest.raises(ValueError, match="epochs 0"):
        taught(CNN, shard, epochs=0)


def test_every_executor_gives_the_same_bits(make_lab: LabMaker, shards: list[Ref[Any]]) -> None:
    def named() -> list[Ref[State]]:
        untaught = [taught(RESNET, shard) for shard in shards]
        again = [
            taught(RESNET, shard, before.logits)
            for shard, before in zip(shards, untaught, strict=True)
        ]
        return [ref for given in (*untaught, *again) for ref in given[:4]]

    inline, pool = make_lab(), make_lab(executor=Pool(workers=2))
    hashes = [[model_hash(state) for state in lab.settle(named())] for lab in (inline, pool)]
    assert hashes[0] == hashes[1]
    assert inline.executed["mutual"] == 2 * len(shards)
