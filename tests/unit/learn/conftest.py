"""A small learning plane: the digits, a logistic model, an inline lab."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset, load
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import single_thread
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store

LabMaker = Callable[..., Lab]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    single_thread()


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits", ())


@pytest.fixture(scope="session")
def resident(digits: Dataset) -> Resident:
    return Resident(digits)


@pytest.fixture(scope="session")
def logistic(digits: Dataset) -> Architecture:
    return Architecture.of("logistic", digits.shape, digits.classes)


@pytest.fixture(scope="session")
def shards(resident: Resident) -> list[Ref]:
    """Four clients of unequal size."""
    rows = np.arange(170)
    return [resident.shard(part) for part in np.split(rows, [20, 57, 120])]


@pytest.fixture
def make_lab(resident: Resident) -> Iterator[LabMaker]:
    """Labs over the digits, inline unless told otherwise; closed at the end."""
    labs: list[Lab] = []

    def make(store: Store | MemoryStore | None = None, executor: object = None) -> Lab:
        chosen = executor or Inline()
        labs.append(Lab(chosen, store or MemoryStore(limit=0), resident))  # pyright: ignore
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture(scope="session")
def data_folder(request: pytest.FixtureRequest) -> Path:
    """Where data sets are kept: `$HETSIM_DATA`, else `data/` of the shared folder."""
    if "HETSIM_DATA" in os.environ:
        return Path(os.environ["HETSIM_DATA"])
    return request.getfixturevalue("shared") / "data"
