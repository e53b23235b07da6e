"""Scores and linear maps of stitching against direct evaluations by their definitions."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.cka import Sums, gram, hsic
from hetsim.learn.data.base import load
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.net import Net
from hetsim.learn.numerics import single_thread
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore

SHAPE, CLASSES = (1, 8, 8), 10
NAMES = ("resnet8", "plain_cnn", "wide_cnn")
SEED = 5


@pytest.fixture(scope="module")
def bench() -> Resident:
    single_thread()
    return Resident(load("digits", ()))


@pytest.fixture(scope="module")
def lab(bench: Resident) -> Lab:
    return Lab(Inline(), MemoryStore(), bench)


@pytest.fixture(scope="module")
def positions(bench: Resident) -> list[tuple[Candidate, ...]]:
    """Candidates of each position, of models that have seen a few digits."""
    shard = bench.shard(np.arange(900, 1000))
    trained = [
        ops.train(
            ops.initial(Architecture.of(name, SHAPE, CLASSES), 1),
            shard, epochs=1, batch=25, lr=0.05, seed=0,
        )
        for name in NAMES
    ]  # fmt: skip
    return list(zip(*[ops.candidates(each, SHAPE, CLASSES) for each in trained], strict=True))


def value(lab: Lab, ref: Ref[Any]) -> Any:
    [found] = lab.settle([ref])
    return found


def built(lab: Lab, ref: Ref[Any]) -> torch.nn.Module:
    """The module of a model with its values, in evaluation mode."""
    ready = Net(ops.model_arch(ref))
    ready.load(value(lab, ref))
    return ready.module.eval()


# --- CKA ------------------------------------------------------------------------------------------


def direct(x: Tensor, y: Tensor) -> float:
    """HSIC by explicit loops over samples, as Song et al. (JMLR 2012), equation 4, write it."""
    n = len(x)
    k = [[float(a @ b) for b in x.double()] for a in x.double()]
    l = [[float(a @ b) for b in y.double()] for a in y.double()]  # noqa: E741
    for i in range(n):
        k[i][i] = l[i][i] = 0.0
    trace = sum(k[i][j] * l[j][i] for i in range(n) for j in range(n))
    both = sum(map(sum, k)) * sum(map(sum, l)) / ((n - 1) * (n - 2))
    cross = sum(k[i][j] * l[j][q] for i in range(n) for j in range(n) for q in range(n))
    return (trace + both - 2 * cross / (n - 2)) / (n * (n - 3))


@pytest.mark.parametrize(("samples", "widths"), [(4, (2, 2)), (7, (3, 40)), (16, (64, 5))])
def test_hsic_and_cka_are_those_of_a_direct_evaluation(
    samples: int, widths: tuple[int, int]
) -> None:
    draw = torch.Generator().manual_seed(samples)
    x, y = (torch.randn(samples, width, generator=draw) + 0.5 for width in widths)
    assert hsic(gram(x), gram(y)) == pytest.approx(direct(x, y), rel=1e-6, abs=1e-9)
    if samples == 4:  # its own HSIC may be below zero
        return
    sums = Sums()
    sums.add([x, y])
    expected = direct(x, y) / sqrt(direct(x, x) * direct(y, y))
    assert float(sums.cka()[0, 1]) == pytest.approx(expected, abs=1e-6)


# --- linear maps ----------------------------------------------------------------------------------


def by_hand(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Ridge regression as least squares on rows that the penalty adds, without sums."""
    x, y = x.double(), y.double()
    strength = sqrt(penalty * float(x.square().sum()) / x.shape[1])
    rows = torch.cat([x, strength * torch.eye(x.shape[1], dtype=torch.float64)])
    ones = torch.cat([torch.ones(len(x)), torch.zeros(x.shape[1])]).double()
    known = torch.cat([rows, ones[:, None]], 1).numpy()
    wanted = torch.cat([y, torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64)]).numpy()
    found = torch.from_numpy(np.linalg.lstsq(known, wanted, rcond=None)[0])
    return found[:-1].T, found[-1]


def rows(x: Tensor) -> Tensor:
    return torch.cat([each.flatten(1).T for each in x])


@pytest.mark.parametrize("split", [(60,), (1, 59), (20, 20, 20), (3, 17, 9, 30, 1)])
def test_a_stitch_of_many_clients_is_the_one_of_all_their_samples(
    lab: Lab, bench: Resident, positions: Sequence[tuple[Candidate, ...]], split: Sequence[int]
) -> None:
    first, second = positions[0][1], positions[1][0]
    prefix = ops.stitched([first], [])
    index = np.arange(60)
    clients = [bench.shard(part) for part in np.split(index, np.cumsum(split)[:-1])]
    federated = value(
        lab,
        ops.ridge(
            ops.summed([ops.grams(prefix, second, each, batch=16, seed=SEED) for each in clients])
        ),
    )
    x, _ = bench.gather("train", torch.from_numpy(index))
    assert second.ahead is not None
    ahead = ops.split(second.model, second.ahead.span[1])[0]
    with torch.no_grad():
        given, wanted = built(lab, prefix)(x), built(lab, ahead)(x)
    given = F.interpolate(given, size=wanted.shape[2:])
    weight, bias = by_hand(rows(given), rows(wanted), 1e-3)
    assert torch.allclose(federated["weight"].double(), weight, atol=1e-6)
    assert torch.allclose(federated["bias"].double(), bias, atol=1e-6)


@pytest.mark.parametrize("penalty", [1e-3, 0.3, None])
def test_a_classifier_of_many_clients_is_the_one_of_all_their_samples(
    lab: Lab,
    bench: Resident,
    positions: Sequence[tuple[Candidate, ...]],
    penalty: float | None,
) -> None:
    """Without a penalty it is the one of the leave-one-out-like error of the rows themselves."""
    prefix = ops.stitched([positions[0][2]], [])
    index = np.arange(90)
    clients = [bench.shard(part) for part in np.split(index, [7, 40])]
    sums = ops.summed([ops.head_grams(prefix, each, batch=16) for each in clients])
    federated = value(lab, ops.ridge(sums, penalty=penalty))
    x, y = bench.gather("train", torch.from_numpy(index))
    with torch.no_grad():
        features = built(lab, prefix)(x).mean((2, 3))
    wanted = F.one_hot(y, CLASSES)
    if penalty is None:
        penalty = min(
            (10 ** (k / 2) for k in range(-8, 3)), key=lambda p: error(features, wanted, p)
        )
        assert 1e-4 < penalty < 10.0
    weight, bias = by_hand(features, wanted, penalty)
    assert torch.allclose(federated["weight"].double(), weight, atol=1e-6)
    assert torch.allclose(federated["bias"].double(), bias, atol=1e-6)


def error(x: Tensor, y: Tensor, penalty: float) -> float:
    """Generalised cross-validation from the matrix that makes outputs of targets."""
    x, y = x.double(), y.double()
    shift = penalty * float(x.square().sum()) / x.shape[1]
    centred, n = x - x.mean(0), len(x)
    inner = centred.T @ centred + shift * torch.eye(x.shape[1], dtype=torch.float64)
    hat = centred @ torch.linalg.inv(inner) @ centred.T + 1 / n
    return float((y - hat @ y).square().sum() / (n - hat.trace()) ** 2)


# --- the network ----------------------------------------------------------------------------------


def test_a_stitched_network_is_its_parts_one_after_the_other(
    lab: Lab, bench: Resident, positions: Sequence[tuple[Candidate, ...]]
) -> None:
    """Part, resizing, map, ReLU, part ...: by hand from the models themselves."""
    chosen = [positions[0][0], positions[1][2], positions[2][1], positions[3][0]]
    shard = bench.shard(np.arange(40))
    stitches: list[Ref[Any]] = []
    for number in range(1, 4):
        prefix = ops.stitched(chosen[:number], stitches)
        stitches.append(ops.ridge(ops.grams(prefix, chosen[number], shard, seed=SEED)))
    head = ops.ridge(ops.head_grams(ops.stitched(chosen, stitches), shard), penalty=None)
    model = ops.stitched(chosen, stitches, head)
    x, _ = bench.gather("test", torch.arange(12))
    with torch.no_grad():
        logits = built(lab, model)(x)
        z = x
        for number, candidate in enumerate(chosen):
            if number:
                size = candidate.part.takes[1:]
                smaller = (min(z.shape[2], size[0]), min(z.shape[3], size[1]))
                z = F.interpolate(F.adaptive_avg_pool2d(z, smaller), size=size)
                found = value(lab, stitches[number - 1])
                z = torch.einsum("oc,nchw->nohw", found["weight"], z)
                z = F.relu(z + found["bias"][:, None, None])
            z = built(lab, candidate.weights)(z)
        found = value(lab, head)
        expected = z.mean((2, 3)) @ found["weight"].T + found["bias"]
    assert torch.allclose(logits, expected, atol=1e-4)
    assert logits.shape == (12, CLASSES)


@pytest.mark.parametrize(("fit", "at_once"), [(24, None), (24, 3), (0, None), (0, 1)])
def test_scores_are_those_of_a_direct_evaluation(
    lab: Lab,
    bench: Resident,
    positions: Sequence[tuple[Candidate, ...]],
    fit: int,
    at_once: int | None,
) -> None:
    """Batches of 10 of 52 samples: a last one of two is too small to count.

    How many go forward together makes no difference.
    """
    prefix = ops.stitched([positions[0][1]], [])
    shard = bench.shard(np.arange(52))
    found = value(
        lab,
        ops.scores(
            prefix, positions[1], shard, probe=52, batch=10, at_once=at_once, fit=fit, seed=SEED
        ),
    )
    draw = torch.Generator().manual_seed(SEED)
    order = torch.randperm(52, generator=draw)
    x, y = bench.gather("train", order)
    outputs: list[Tensor] = []
    for candidate in positions[1]:
        stitch = ops.padded(prefix, candidate)
        if fit:
            drawn = bench.shard(order[:fit].numpy())
            stitch = ops.ridge(ops.grams(prefix, candidate, drawn, seed=0))
        network = built(lab, ops.stitched([positions[0][1], candidate], [stitch]))
        with torch.no_grad():
            outputs.append(network(x).mean((2, 3)))
    with torch.no_grad():
        before = built(lab, prefix)(x).mean((2, 3))
    labels = F.one_hot(y, CLASSES).float()
    parts = [slice(start, start + 10) for start in range(0, 50, 10)]

    def cka(one: Tensor, two: Tensor) -> float:
        sums = [
            sum(direct(a[part], b[part]) for part in parts)
            for a, b in ((one, two), (one, one), (two, two))
        ]
        return sums[0] / sqrt(sums[1] * sums[2])

    assert found["samples"] == 50
    assert found["label"] == pytest.approx([cka(each, labels) for each in outputs], abs=1e-5)
    assert found["score"] == found["label"]
    assert found["prefix"] == pytest.approx(cka(before, labels), abs=1e-5)
    assert found["alike"][0][2] == pytest.approx(cka(outputs[0], outputs[2]), abs=1e-5)
    assert found["reason"] == ""
    assert len(found["function"]) == (3 if fit else 0)
