"""Made-up samples: their law, their one order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.core.errors import SpecError
from hetsim.learn import plugin
from hetsim.learn.data.base import Dataset, load
from hetsim.testing import play, tiny


def make(folder: Path | None = None, **options: Any) -> Dataset:
    return load("synthetic", plugin.options(options), folder)


def test_sizes_and_shape_are_those_asked_for(tmp_path: Path) -> None:
    data = make(tmp_path, train=50, test=20, source=7, shape=[3, 5, 4], classes=4)
    splits = [data.split(name) for name in ("train", "test", "source")]
    assert [x.shape for x, _ in splits] == [(50, 3, 5, 4), (20, 3, 5, 4), (7, 3, 5, 4)]
    assert len(data.mean) == len(data.std) == 3
    assert data.classes == 4
    assert make(shape=[40], train=3).shape == (40,)


def test_a_smaller_set_is_the_beginning_of_a_larger_whatever_the_other_splits() -> None:
    """More than one block, cut where no word of chance ends."""
    small, large = make(train=4099, shape=[3, 3], test=1, source=1), make(train=9001, shape=[3, 3])
    for name, rows in (("train", 4099), ("test", 1), ("source", 1)):
        for few, many in zip(small.split(name), large.split(name), strict=True):
            assert np.array_equal(few, many[:rows])
    assert small.hash != large.hash


def test_one_seed_one_set_on_every_machine() -> None:
    small: dict[str, Any] = {"train": 300, "test": 20, "source": 20, "shape": [1, 4, 4]}
    data = make(**small)
    assert data.hash == "fef8ea6e599e23c9183dbfc8a3c9549e1f76e400ab673061071d2545da73ae7f"
    assert make(**small, seed=1).hash != data.hash
    assert make(**small, noise=7.0).hash != data.hash
    assert data.x.dtype == np.uint8


def test_floats_are_the_bytes_standardised() -> None:
    small: dict[str, Any] = {"train": 300, "test": 20, "source": 20}
    stored, seen = make(**small), make(**small, dtype="float32")
    assert (seen.mean, seen.std) == ((0.0,), (1.0,))
    for name in ("train", "test", "source"):
        x, y = stored.split(name)
        assert seen.split(name)[0].dtype == np.float32
        assert np.array_equal(
            seen.split(name)[0], (x - np.float32(stored.mean[0])) / np.float32(stored.std[0])
        )
        assert np.array_equal(seen.split(name)[1], y)


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0, 8.0, 1e6])
def test_samples_are_prototypes_and_noise_of_the_deviation_asked_for(noise: float) -> None:
    data = make(train=4000, noise=noise)
    x = data.x.astype(np.float64)
    centres = np.stack([x[data.y == label].mean(0) for label in range(10)])
    signal, rest = centres[data.y], x - centres[data.y]
    total = data.std[0]
    assert x.std() == pytest.approx(total, rel=0.01)
    assert rest.std() == pytest.approx(total * noise / np.hypot(1, noise), rel=0.01, abs=0.01)
    if noise <= 1.0:
        assert signal.std() == pytest.approx(total / np.hypot(1, noise), rel=0.02)
    assert x.min() > 0  # nothing ran over the end of a byte
    assert x.max() < 255


def test_labels_have_equal_chances_and_splits_are_apart() -> None:
    data = make(train=5000)
    assert np.bincount(data.y, minlength=10) == pytest.approx(500, rel=0.2)
    seen = {sample.tobytes() for sample in data.x}
    assert not seen & {sample.tobytes() for sample in data.test_x}
    assert data.source_x is not None
    assert not seen & {sample.tobytes() for sample in data.source_x}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"train": 0}, "data.train: 0"),
        ({"test": -1}, "data.test"),
        ({"source": 0}, "data.source"),
        ({"classes": 0}, "data.classes"),
        ({"shape": []}, "data.shape: shape is empty"),
        ({"shape": [1, 0]}, "data.shape: shape is 1 x 0"),
        ({"noise": -1.0}, "data.noise"),
        ({"noise": float("inf")}, "data.noise"),
        ({"noise": float("nan")}, "data.noise"),
    ],
)
def test_what_makes_no_set_is_refused_with_a_remedy(options: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError) as refusal:
        make(**options)
    assert what.split(": ")[0] in str(refusal.value)
    assert what.split(": ")[-1] in str(refusal.value)
    assert refusal.value.remedy


def test_a_topology_trains_on_them() -> None:
    """Well apart, the classes are told apart after two rounds."""
    scenario = tiny(
        "task.data={name: synthetic, train: 400, test: 100, shape: [1, 8, 8], noise: 1}"
    )
    assert scenario.dataset.shape == (1, 8, 8)
    assert play(scenario).summary["accuracy"] > 0.8
    assert "noise: 1" in scenario.text()
