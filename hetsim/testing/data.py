"""What a data set promises."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.registry import DATA
from hetsim.learn import plugin
from hetsim.learn.data.base import Dataset, load
from hetsim.learn.plugin import Options
from hetsim.learn.resident import Resident
from hetsim.testing.suite import Suite

_FEW = 60


class DataSuite(Suite):
    """A data set has one order, splits apart, plain arrays, and a prefix that is a fair sample.

    Attributes:
        folder: where its files are, if it needs any; a fixture may say so instead.
        twins: test samples that also occur, byte for byte, among the training samples as published.
    """

    folder: ClassVar[Path | None] = None
    twins: ClassVar[int] = 0

    @pytest.fixture
    def place(self) -> Path | None:
        """Folder of data sets."""
        return self.folder

    @pytest.fixture
    def whole(self, name: str, place: Path | None) -> Dataset:
        """All of it."""
        return _load(name, plugin.options(self.options), place)

    @pytest.fixture
    def few(self, name: str, place: Path | None) -> Dataset:
        """A prefix of it, loaded on its own."""
        limits = {**self.options, "train": _FEW, "test": _FEW // 2}
        return _load(name, plugin.options(limits), place)

    def test_is_found_by_name(self, name: str, whole: Dataset) -> None:
        assert name in DATA.names()
        assert whole.name == name

    def test_samples_and_labels_fit_together(self, whole: Dataset) -> None:
        for split in _splits(whole):
            x, y = whole.split(split)
            assert len(x) == len(y) > 0
            assert x.dtype in (np.uint8, np.int16, np.float32)
            assert x.shape[1:] == whole.shape
            assert y.dtype == np.int64
            assert np.array_equal(np.unique(y), np.arange(whole.classes)), split
        assert whole.users is None or whole.users.shape == whole.y.shape
        assert len(whole.mean) == len(whole.std) == whole.shape[0]

    def test_no_test_sample_is_trained_on(self, whole: Dataset) -> None:
        seen = {split: Counter(_bytes(whole.split(split)[0])) for split in _splits(whole)}
        for split in sorted(seen.keys() - {"test"}):
            shared = sum(count for key, count in seen["test"].items() if key in seen[split])
            assert shared <= self.twins, f"{shared} test samples are in {split} too"

    def test_no_source_sample_is_trained_on(self, whole: Dataset) -> None:
        if whole.source_x is not None:
            assert not set(_bytes(whole.source_x)) & set(_bytes(whole.x))

    def test_a_limit_takes_a_prefix_of_the_one_order(self, whole: Dataset, few: Dataset) -> None:
        assert len(few.y) == _FEW
        assert len(few.test_y) == _FEW // 2
        for split in ("train", "test"):
            for part, all_of_it in zip(few.split(split), whole.split(split), strict=True):
                assert np.array_equal(part, all_of_it[: len(part)])

    def test_a_prefix_is_a_fair_sample(self, few: Dataset, whole: Dataset) -> None:
        assert len(np.unique(few.y)) >= min(whole.classes, 10) / 2, "the order follows the labels"

    def test_hash_names_the_content(self, whole: Dataset, few: Dataset) -> None:
        x, y = few.split("train")
        same = _with(few, x.copy(), y.copy())
        assert same.hash == few.hash
        assert _with(few, x[::-1], y[::-1]).hash != few.hash
        assert whole.hash != few.hash

    def test_what_a_model_sees_is_standardised(self, whole: Dataset) -> None:
        rows = torch.arange(min(len(whole.y), 2000))
        x, _ = Resident(whole).gather("train", rows)
        channels = x.transpose(0, 1).flatten(1)
        assert channels.mean(1).abs().max() < 0.2
        assert ((channels.std(1) > 0.7) & (channels.std(1) < 1.4)).all()

    def test_a_limit_of_nothing_is_refused_with_a_remedy(
        self, name: str, place: Path | None
    ) -> None:
        with pytest.raises(SpecError) as refusal:
            load(name, plugin.options({**self.options, "train": 0}), place)
        assert refusal.value.remedy


@lru_cache(maxsize=2)
def _load(name: str, options: Options, place: Path | None) -> Dataset:
    return load(name, options, place)


def _splits(dataset: Dataset) -> list[str]:
    return ["train", "test", *(["source"] if dataset.source_x is not None else [])]


def _bytes(x: np.ndarray) -> list[bytes]:
    return [sample.tobytes() for sample in x]


def _with(dataset: Dataset, x: np.ndarray, y: np.ndarray) -> Dataset:
    """The same set with other training samples."""
    return Dataset(
        name=dataset.name, classes=dataset.classes, mean=dataset.mean, std=dataset.std, x=x, y=y,
        test_x=dataset.test_x, test_y=dataset.test_y, source_x=dataset.source_x,
        source_y=dataset.source_y, users=dataset.users,
    )  # fmt: skip
