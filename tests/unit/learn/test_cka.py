"""Debiased CKA: what it equals, what it does not see, and what it does not fall for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import sqrt

import pytest
import torch
from torch import Tensor

from hetsim.learn.cka import Sums, gram, hsic

SAMPLES = 9


@pytest.fixture
def x() -> Tensor:
    return torch.randn(SAMPLES, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def y(x: Tensor) -> Tensor:
    noise = torch.randn(SAMPLES, 3, generator=torch.Generator().manual_seed(2))
    return x[:, :3] + 0.5 * noise


def batches(samples: int, size: int) -> Iterator[list[int]]:
    for chosen in combinations(range(samples), size):
        yield list(chosen)


def cka(*representations: Tensor) -> Tensor:
    sums = Sums()
    sums.add(representations)
    return sums.cka()


def noise(samples: int, width: int, seed: int) -> Tensor:
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))


def test_hsic_of_a_set_is_the_mean_over_all_batches_of_any_size(x: Tensor, y: Tensor) -> None:
    """Unbiased, exactly: drawing a batch at random gives the set's own value on average."""
    whole = hsic(gram(x), gram(y))
    for size in (4, 5, 7):
        found = [hsic(gram(x[batch]), gram(y[batch])) for batch in batches(SAMPLES, size)]
        assert sum(found) / len(found) == pytest.approx(whole, abs=1e-9)


def test_the_sums_over_all_batches_give_the_cka_of_the_set(x: Tensor, y: Tensor) -> None:
    """Numerators and denominators are averaged before they are divided."""
    sums = Sums()
    ratios: list[float] = []
    for batch in batches(SAMPLES, 5):
        sums.add([x[batch], y[batch]])
        ratios.append(float(cka(x[batch], y[batch])[0, 1]))
    whole = float(cka(x, y)[0, 1])
    assert float(sums.cka()[0, 1]) == pytest.approx(whole, abs=1e-9)
    assert sum(ratios) / len(ratios) != pytest.approx(whole, abs=1e-3)


def test_batches_at_random_are_right_on_average() -> None:
    """Of 96 samples in batches of 8: within four standard errors."""
    x = noise(96, 6, 1)
    y = x[:, :2] * 2 + noise(96, 2, 2)
    whole = hsic(gram(x), gram(y))
    draw = torch.Generator().manual_seed(3)
    found = torch.tensor(
        [
            hsic(gram(x[rows]), gram(y[rows]))
            for rows in (torch.randperm(96, generator=draw)[:8] for _ in range(2000))
        ]
    )
    error = float(found.std()) / sqrt(len(found))
    assert float(found.mean()) == pytest.approx(whole, abs=4 * error)
    assert error < abs(whole) / 10


def test_it_does_not_see_means_rotations_and_scale(x: Tensor, y: Tensor) -> None:
    turn, _ = torch.linalg.qr(noise(5, 5, 4).double())
    moved = 7.0 * x.double() @ turn + 100.0
    assert float(cka(moved, y)[0, 1]) == pytest.approx(float(cka(x, y)[0, 1]), abs=1e-9)
    assert float(cka(moved, x)[0, 1]) == pytest.approx(1.0, abs=1e-9)


def test_every_two_of_several_are_compared_and_the_order_does_not_matter(
    x: Tensor, y: Tensor
) -> None:
    z = x * y.mean(1, keepdim=True)
    found = cka(x, y, z)
    assert torch.equal(found, found.T)
    assert torch.allclose(found.diagonal(), torch.ones(3, dtype=torch.float64), atol=1e-12)
    assert float(found[1, 2]) == pytest.approx(float(cka(y, z)[0, 1]), abs=1e-12)
    assert found.dtype == torch.float64


def test_wide_random_features_look_like_labels_only_without_the_correction() -> None:
    """Biased CKA rises with the number of features; the debiased one stays about zero."""
    labels = torch.eye(10)[torch.arange(64) % 10]
    biased: list[float] = []
    for width in (8, 64, 512, 4096):
        found = [noise(64, width, seed) for seed in range(12)]
        biased.append(sum(_biased(each, labels) for each in found) / 12)
        sums = Sums()
        for each in found:
            sums.add([each, labels])
        assert abs(float(sums.cka()[0, 1])) < 0.03
    assert biased == sorted(biased)
    assert biased[0] < 0.2
    assert biased[-1] > 0.3


def _biased(x: Tensor, y: Tensor) -> float:
    """Linear CKA of centred features, as it is without the correction."""
    x, y = x - x.mean(0), y - y.mean(0)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    return float((k * l).sum() / k.norm() / l.norm())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_what_tells_no_samples_apart_is_like_nothing(x: Tensor, value: float) -> None:
    same = torch.full((SAMPLES, 3), value)
    found = cka(x, same)
    assert found.isfinite().all()
    assert float(found[0, 1]) == float(found[1, 1]) == 0.0
    assert float(found[0, 0]) == pytest.approx(1.0)


def test_batches_of_one_label_among_others_count_as_they_are(x: Tensor) -> None:
    """They add nothing to the numerator, and the features' own HSIC all the same."""
    labels = torch.eye(2)[torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0])]
    sums = Sums()
    sums.add([x, labels])
    before = sums.cka()
    sums.add([x, torch.eye(2)[torch.zeros(SAMPLES, dtype=torch.long)]])
    after = sums.cka()
    assert float(after[0, 1]) == pytest.approx(float(before[0, 1]) / sqrt(2), abs=1e-12)


def test_fewer_than_four_samples_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="at least 4 samples, not 3"):
        hsic(gram(x[:3]), gram(x[:3]))
    with pytest.raises(ValueError, match="at least 4 samples"):
        Sums().add([x[:3], x[:3]])
