"""Split learning through the whole stack, against loops that everybody would write.

A topology goes in, a model hash comes out; beside it stands plain torch, batch by batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.rng import entropy, rng
from hetsim.learn import ops
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import chance, model_hash, single_thread
from hetsim.learn.store import MemoryStore
from hetsim.spec.world import Scenario
from hetsim.testing import play, tiny

LR, MOMENTUM, BATCH, CUT = 0.05, 0.9, 20, 1
MODEL = "task.model={name: small_cnn, width: 4, hidden: 8}"
CLIENTS = ("pi-0", "pi-1")
Batch = tuple[Tensor, Tensor]


def scenario(*overrides: str) -> Scenario:
    """Two boards, asked in every round."""
    return tiny(
        "method.name=ecofed", f"method.lr={LR}", f"method.momentum={MOMENTUM}",
        f"method.batch={BATCH}", f"method.cut={CUT}", MODEL, "fleet[1].data=none",
        "fleet[2].data=none", "selection.cohort=2", *overrides,
    )  # fmt: skip


def start(of: Scenario, pretrained: bool) -> nn.Module:
    """The first server model: a random one, its first block pre-trained or not."""
    single_thread()
    with chance(entropy(of.spec.seed, "learn/initial") % 2**63):
        net = of.architecture.build()
    if pretrained:
        assert of.pretraining is not None
        origin = of.pretraining.model(of.architecture)
        [known] = Lab(Inline(), MemoryStore(), of.resident).settle(
            [ops.split(origin, CUT)[0]]
        )  # fmt: skip
        net.load_state_dict(known, strict=False)
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def cut(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The same layers, before and after the cut."""
    conv1, conv2, fc1, fc2 = (net.get_submodule(each) for each in ("conv1", "conv2", "fc1", "fc2"))
    front = nn.Sequential(conv1, nn.ReLU(), nn.MaxPool2d(2))
    back = nn.Sequential(
        conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), fc1, nn.ReLU(), fc2,
    )  # fmt: skip
    return front, back


def sent(of: Scenario, front: nn.Module, client: int, number: int, bits: int) -> list[Batch]:
    """What a client sends in a round, as the server reads it."""
    data, rows = of.dataset, torch.from_numpy(of.shards[client])
    seed = entropy(of.spec.seed, "learn/batches", CLIENTS[client], number)
    order = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    messages: list[Batch] = []
    for part in order.split(BATCH):
        x = torch.from_numpy(data.x[part.numpy()]).float()
        x = ((x - data.mean[0]) / data.std[0]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            z = front(x)
        if bits == 8:
            scale = z.max() / 127
            z = torch.round(z / scale).clamp(-128, 127) * scale
        messages.append((z, torch.from_numpy(data.y[part.numpy()])))
    return messages


def trained(of: Scenario, back: dict[str, Tensor], messages: Sequence[Batch]) -> dict[str, Tensor]:
    """A back part after one pass over messages, with an optimizer of its own."""
    net = start(of, pretrained=False)
    net.load_state_dict(back)
    _, tail = cut(net)
    optimizer = torch.optim.SGD(tail.parameters(), lr=LR, momentum=MOMENTUM)
    for z, y in messages:
        optimizer.zero_grad()
        F.cross_entropy(tail(z), y).backward()
        optimizer.step()
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def loop(of: Scenario, *, rounds: int, period: int, bits: int, pretrained: bool) -> str:
    """EcoFed as its authors describe it; the hash of the last model."""
    net = start(of, pretrained)
    front, _ = cut(net)
    model = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    kept: dict[int, list[Batch]] = {}
    for number in range(rounds):
        if number % period == 0:
            kept = {client: sent(of, front, client, number, bits) for client in (0, 1)}
            used = [0, 1]
        else:
            used = rng(of.spec.seed, "sim/replay", number).choice(2, 2, replace=False).tolist()
        states = [trained(of, model, kept[client]) for client in used]
        model = {
            name: (states[0][name].double() * 0.5 + 0.5 * states[1][name].double()).float()
            for name in model
        }
    return model_hash(model)


@pytest.mark.parametrize(
    ("options", "period", "bits", "pretrained"),
    [
        ((), 2, 8, True),
        (("method.period=1",), 1, 8, True),
        (("method.period=3", "method.bits=32"), 3, 32, True),
        (("method.pretraining=none",), 2, 8, False),
    ],
)
def test_ecofed_is_the_loop_bit_for_bit(
    options: Sequence[str], period: int, bits: int, pretrained: bool
) -> None:
    given = scenario("stop.rounds=4", *options)
    expected = loop(given, rounds=4, period=period, bits=bits, pretrained=pretrained)
    assert play(given).summary["model_hash"] == expected


@pytest.mark.parametrize("at", [1, 2, 3])
def test_dpfl_learns_what_fedavg_learns(at: int) -> None:
    """Also over one store: nothing is trained twice."""
    same = ("method.lr=0.05", "method.momentum=0.9", "method.weighting=samples", MODEL)
    plain = play(tiny(*same))
    split = play(tiny(*same, "method.name=dpfl", f"method.cut={at}", "method.batch=20"))
    assert split.summary["model_hash"] == plain.summary["model_hash"]
    assert split.summary["trace_hash"] != plain.summary["trace_hash"]
    versions = [[row["model_version"] for row in each.trace.rounds] for each in (plain, split)]
    assert versions[0] == versions[1], "the same recipe, not only the same value"


def test_holistic_pretraining_starts_the_back_too() -> None:
    hashes = {
        mode: play(scenario("stop.rounds=1", f"method.pretraining={mode}")).summary["model_hash"]
        for mode in ("device", "holistic", "none")
    }
    assert len(set(hashes.values())) == 3
