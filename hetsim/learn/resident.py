"""The data set in memory, once, and shards of it as rows.

A shard's Ref is leaf: its value is which rows it has, and every process that computes holds the
samples. Samples are stored as they came (bytes for images) and normalised when they are gathered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.learn.data.base import Dataset, Labels


@dataclass(frozen=True, slots=True)
class Rows:
    """Value of a shard: rows of one split of the data set, int64."""

    split: str
    index: np.ndarray


class Resident:
    """A data set ready to be computed on.

    Attributes:
        dataset: what it holds.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._rows: dict[str, Rows] = {}
        self._tensors: dict[str, tuple[Tensor, Tensor]] = {}
        axes = (1,) * (len(dataset.shape) - 1)
        self._mean = torch.tensor(dataset.mean, dtype=torch.float32).reshape(-1, *axes)
        self._std = torch.tensor(dataset.std, dtype=torch.float32).reshape(-1, *axes)

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
        self._rows[f"{split}/{digest}"] = Rows(split, index)
        return Ref.of("shard", data=self.dataset.hash, rows=digest, split=split, samples=len(index))

    def whole(self, split: str) -> Ref[Rows]:
        """The shard of all rows of a split."""
        return self.shard(np.arange(len(self.dataset.split(split)[1])), split)

    def rows(self, ref: Ref[Rows]) -> Rows:
        """Value of a shard that this object made.

        Raises:
            KeyError: a shard of other data.
        """
        if ref.arg("data") != self.dataset.hash:
            raise KeyError(f"{ref} is not a shard of {self.dataset.name}")
        return self._rows[f"{ref.arg('split')}/{ref.arg('rows')}"]

    def samples(self, ref: Ref[Rows]) -> int:
        """Number of samples of a shard."""
        return ref.arg("samples")

    def labels(self, ref: Ref[Rows]) -> Labels:
        """Labels of a shard, in row order."""
        rows = self.rows(ref)
        return self.dataset.split(rows.split)[1][rows.index]

    def gather(self, split: str, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised samples [n, *shape] float32 and labels [n] int64 of the given rows."""
        x, y = self._split(split)
        picked = x.index_select(0, index).to(torch.float32)
        return picked.sub_(self._mean).div_(self._std), y.index_select(0, index)

    def _split(self, name: str) -> tuple[Tensor, Tensor]:
        if name not in self._tensors:
            x, y = self.dataset.split(name)
            self._tensors[name] = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        return self._tensors[name]
