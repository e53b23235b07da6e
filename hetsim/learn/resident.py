"""The data set in memory, once, and shards of it as rows.

A shard's Ref is leaf: its value is which rows it has, and every process that computes holds the
samples. Samples are stored as they came (bytes for images) and normalised when they are gathered.
Those of the source that parts are pre-trained on have a hash, a mean and a deviation of their own,
so that what is learned from them is named by them alone, whatever the task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn.data.base import Dataset, Labels, Source
from hetsim.learn.numerics import State


@dataclass(frozen=True, slots=True)
class Rows:
    """Value of a shard: rows of one split of the data set, int64."""

    split: str
    index: np.ndarray


class Resident:
    """A data set ready to be computed on.

    Attributes:
        dataset: what it holds.
        weights: how published weights are read, by the hash of their file.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.weights: dict[str, Callable[[], State]] = {}
        self._rows: dict[tuple[str, str], Rows] = {}
        self._tensors: dict[str, tuple[Tensor, Tensor, Tensor, Tensor]] = {}

    def shard(self, rows: np.ndarray, split: str = "train") -> Ref[Rows]:
        """The shard of the given rows of a split ("train", "test", "source").

        Raises:
            SpecError: the data set has no such split.
        """
        size = len(self.dataset.split(split)[1])
        index = np.ascontiguousarray(rows, dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= size):
            raise SpecError(f"{self.dataset.name}: rows outside its {size} {split} samples")
        digest = hashlib.blake2b(index.astype("<i8").tobytes(), digest_size=16).hexdigest()
        self._rows[split, digest] = Rows(split, index)
        data = self._home(split).hash
        return Ref.of("shard", data=data, rows=digest, split=split, samples=len(index))

    def whole(self, split: str) -> Ref[Rows]:
        """The shard of all rows of a split."""
        return self.shard(np.arange(len(self.dataset.split(split)[1])), split)

    def rows(self, ref: Ref[Rows]) -> Rows:
        """Value of a shard that this object made.

        Raises:
            KeyError: a shard of other data.
        """
        split: str = ref.arg("split")
        if ref.arg("data") != self._home(split).hash:
            raise KeyError(f"{ref} is not a shard of {self.dataset.name}")
        return self._rows[split, ref.arg("rows")]

    def samples(self, ref: Ref[Rows]) -> int:
        """Number of samples of a shard."""
        return ref.arg("samples")

    def labels(self, ref: Ref[Rows]) -> Labels:
        """Labels of a shard, in row order."""
        rows = self.rows(ref)
        return self.dataset.split(rows.split)[1][rows.index]

    def present(self, rows: Rows) -> Tensor:
        """Of each class, whether these rows hold it [classes] bool."""
        return torch.from_numpy(self.counts(rows) > 0)

    def counts(self, rows: Rows) -> np.ndarray:
        """Of each class, how many of these rows are of it [classes] int64."""
        labels = self.dataset.split(rows.split)[1][rows.index]
        return np.bincount(labels.astype(np.int64), minlength=self._home(rows.split).classes)

    def gather(self, split: str, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised samples [n, *shape] float32 and labels [n] int64 of the given rows."""
        x, y, mean, std = self._split(split)
        picked = x.index_select(0, index).to(torch.float32)
        return picked.sub_(mean).div_(std), y.index_select(0, index)

    def _home(self, split: str) -> Dataset | Source:
        """What a split belongs to."""
        source = self.dataset.source
        return source if split == "source" and source is not None else self.dataset

    def _split(self, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Samples and labels as stored, and mean and deviation by channel."""
        if name not in self._tensors:
            x, y = self.dataset.split(name)
            home = self._home(name)
            self._tensors[name] = (
                torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)),
                _by_channel(home.mean, x), _by_channel(home.std, x),
            )  # fmt: skip
        return self._tensors[name]


def _by_channel(values: tuple[float, ...], x: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, *(1,) * (x.ndim - 2))
