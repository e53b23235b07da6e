"""A data set as every loader returns it: canonical order, content hash, plain arrays.

The order of samples must not depend on where they came from. Each split is sorted by the SHA-256 of
a sample's bytes (user, label, values), then shuffled with a fixed seed, so that a folder and a
download of the same samples are the same data set, and a prefix is a fair sample. A set that is
made up is the same everywhere and keeps the order in which it is made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.registry import DATA
from hetsim.core.rng import rng
from hetsim.learn import plugin
from hetsim.learn.plugin import Options

Samples: TypeAlias = np.ndarray
"""[n, *shape], channels first; uint8, int16 or float32 as stored."""
Labels: TypeAlias = np.ndarray
"""[n] int64 from 0."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Samples from which parts of models are pre-trained; no client and no test ever sees them.

    Attributes:
        name: data set that they come from.
        classes: number of labels.
        mean, std: by channel, in units of the stored values.
        x, y: samples and labels.
    """

    name: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    x: Samples
    y: Labels

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample, channels first."""
        return tuple(self.x.shape[1:])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything a computation can see."""
        return _hash(self.classes, self.mean, self.std, self.x, self.y)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Samples with labels; what a model sees of a stored value v is (v - mean) / std by channel.

    Attributes:
        name: the loader's.
        classes: number of labels.
        mean, std: by channel, in units of the stored values.
        x, y: training samples and labels.
        test_x, test_y: samples that no client holds.
        source_x, source_y: samples that the set itself keeps for pre-training.
        users: natural owner of each training sample, if the set knows one.
        source: what parts are pre-trained on, once it has been set aside (`hetsim.learn.source`);
            not part of the hash, which is that of the task.
    """

    name: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    x: Samples
    y: Labels
    test_x: Samples
    test_y: Labels
    source_x: Samples | None = None
    source_y: Labels | None = None
    users: np.ndarray | None = None
    source: Source | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample, channels first."""
        return tuple(self.x.shape[1:])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything a computation can see."""
        return _hash(
            self.classes, self.mean, self.std,
            self.x, self.y, self.test_x, self.test_y, self.source_x, self.source_y, self.users,
        )  # fmt: skip

    @property
    def identity(self) -> str:
        """Names all samples that it holds, those of the source too."""
        return f"{self.hash}+{self.source.hash}" if self.source else self.hash

    def split(self, name: str) -> tuple[Samples, Labels]:
        """Samples and labels of "train", "test" or "source".

        Raises:
            SpecError: the set has no such split.
        """
        if name == "train":
            return self.x, self.y
        if name == "test":
            return self.test_x, self.test_y
        if name == "source" and self.source is not None:
            return self.source.x, self.source.y
        if name == "source" and self.source_x is not None and self.source_y is not None:
            return self.source_x, self.source_y
        raise SpecError(
            f'data set "{self.name}" has no split "{name}"',
            remedy="Every set has train and test; digits and synthetic also have source.",
        )


def _hash(
    classes: int, mean: tuple[float, ...], std: tuple[float, ...], *arrays: np.ndarray | None
) -> str:
    digest = hashlib.sha256(repr((classes, mean, std)).encode())
    for array in arrays:
        if array is not None:
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{little.dtype.str}{little.shape}".encode())
            digest.update(little.data)
    return digest.hexdigest()


def canonical(x: Samples, y: Labels, users: np.ndarray | None = None) -> np.ndarray:
    """Rows of one split in canonical order, int64.

    Samples that agree in every byte are interchangeable, so ties need no rule.
    """
    owners = np.zeros(len(y), np.int64) if users is None else users
    heads = np.stack([owners.astype("<i8"), y.astype("<i8")], axis=1)
    values = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<"))
    digests = [
        hashlib.sha256(head.tobytes() + value.data).digest()
        for head, value in zip(heads, values.reshape(len(y), -1), strict=True)
    ]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)
    return rng(0, "learn/canonical order").permutation(order)


def limited(order: np.ndarray, limit: int | None, key: str) -> np.ndarray:
    """The first `limit` rows of an order, or all.

    Raises:
        SpecError: the limit is not positive.
    """
    if limit is None:
        return order
    if limit < 1:
        raise SpecError(
            f"{limit} samples", key=f"data.{key}", remedy="Ask for at least one, or leave it out."
        )
    return order[:limit]


def load(name: str, options: Options, folder: Path | None = None) -> Dataset:
    """The data set called `name`; `folder` is where the user keeps data sets.

    Raises:
        UnknownName: no such data set.
        SpecError: an unknown option, or files that are missing or damaged.
    """
    return plugin.make(DATA, name, options, folder)
