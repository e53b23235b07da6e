"""Made-up samples, as many as are asked for and of any shape: scale without files.

A sample of class c is the prototype of its class plus noise, value by value:

    v = p_c + s e;    p_c, e uniform, of mean 0 and deviation 1;    s = `noise`

and a model sees v / sqrt(1 + s^2). Values are stored in fiftieths of their deviation about 128,
which no value leaves by more than 2.5 deviations, and are made of whole numbers, so that every
machine makes the same. Labels are drawn with equal chances. Chance depends on the set's own `seed`,
not on the run's: runs that differ in their seed share the data.

Samples are made one after the other, each split from streams of its own. That is their one order:
`train`, `test` and `source` say how many, and a smaller split is the beginning of a larger one.
The latest set is kept, for a sweep over other things.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, sqrt
from pathlib import Path
from typing import Literal

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.learn.data.base import Dataset, Labels, Samples

_STREAM = "learn/synthetic"
_MEAN, _STD = 128, 50
_BLOCK = 4096
"""Samples made at a time; bounds the memory beside them. A multiple of 4: chance comes in words
of four bytes."""


@lru_cache(maxsize=1)
def synthetic(
    folder: Path | None,
    *,
    train: int = 10_000,
    test: int = 1_000,
    source: int = 1_000,
    classes: int = 10,
    shape: tuple[int, ...] = (1, 28, 28),
    noise: float = 8.0,
    dtype: Literal["uint8", "float32"] = "uint8",
    seed: int = 0,
) -> Dataset:
    """Prototypes and noise.

    Args:
        folder: not needed.
        train: samples for the clients.
        test: samples that no client holds.
        source: samples for pre-training.
        classes: number of labels.
        shape: of a sample, channels first.
        noise: deviation of the noise, that of a prototype being 1.
        dtype: bytes, or the same samples as standardised floats in four times the memory.
        seed: another one makes another set.

    Raises:
        SpecError: a size below one, or noise that is no deviation.
    """
    del folder
    for name, size in {"train": train, "test": test, "source": source, "classes": classes}.items():
        _require(size >= 1, name, f"{size}", "Ask for at least one.")
    given = " x ".join(map(str, shape)) or "empty"
    _require(min(shape, default=0) >= 1, "shape", given, "Give all axes, such as [1, 28, 28].")
    _require(0.0 <= noise < inf, "noise", f"{noise:g}", "Give 0 or more.")
    signal = _STD / sqrt(1.0 + noise * noise)
    prototypes = rng(seed, _STREAM, "prototypes").integers(256, size=(classes, *shape))
    bases = np.uint8(_MEAN) + _scaled(signal)[prototypes]
    noises = _scaled(signal * noise).tobytes()

    def split(name: str, count: int) -> tuple[Samples, Labels]:
        y = rng(seed, _STREAM, name, "labels").integers(classes, size=count)
        x = np.empty((count, *shape), dtype)
        chance = rng(seed, _STREAM, name, "noise")
        for first in range(0, count, _BLOCK):
            labels = y[first : first + _BLOCK]
            values = bases[labels]
            drawn = chance.bytes(values.size).translate(noises)
            values += np.frombuffer(drawn, np.uint8).reshape(values.shape)
            x[first : first + _BLOCK] = values
        if dtype == "float32":
            x -= np.float32(_MEAN)
            x /= np.float32(_STD)
        return x, y

    x, y = split("train", train)
    test_x, test_y = split("test", test)
    source_x, source_y = split("source", source)
    mean, std = (_MEAN, _STD) if dtype == "uint8" else (0, 1)
    return Dataset(
        name="synthetic", classes=classes, mean=(float(mean),) * shape[0],
        std=(float(std),) * shape[0], x=x, y=y, test_x=test_x, test_y=test_y,
        source_x=source_x, source_y=source_y,
    )  # fmt: skip


def _scaled(deviation: float) -> np.ndarray:
    """[256] uint8, modulo 256: whole numbers of that deviation, evenly spread about 0."""
    even = (np.arange(256) - 127.5) * (deviation / sqrt((256**2 - 1) / 12))
    return np.rint(even).astype(np.int8).view(np.uint8)


def _require(holds: bool, option: str, value: str, remedy: str) -> None:
    if not holds:
        raise SpecError(f"{option} is {value}", key=f"data.{option}", remedy=remedy)
