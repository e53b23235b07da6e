"""Whatever is set aside, source and task share no sample, none is lost or made, and it repeats."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.learn import source
from hetsim.learn.data.base import Dataset, canonical

_CLASSES = 4


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Few different samples, so that many occur twice, also with another label."""
    seed, train, test, kept = (draw(st.integers(*span)) for span in
                               ((0, 2**32 - 1), (1, 60), (1, 20), (0, 20)))  # fmt: skip
    levels = draw(st.sampled_from([2, 4, 256]))
    chance = np.random.Generator(np.random.PCG64(seed))

    def made(count: int) -> tuple[np.ndarray, np.ndarray]:
        x = chance.integers(0, levels, (count, 1, 1, 3)).astype(np.uint8)
        return x, chance.integers(0, _CLASSES, count)

    (x, y), (test_x, test_y), (source_x, source_y) = map(made, (train, test, kept))
    return Dataset(
        name="drawn", classes=_CLASSES, mean=(1.0,), std=(2.0,), x=x, y=y, test_x=test_x,
        test_y=test_y, source_x=source_x if kept else None, source_y=source_y if kept else None,
        users=chance.integers(0, 5, train) if draw(st.booleans()) else None,
    )  # fmt: skip


@st.composite
def ways(draw: st.DrawFn) -> tuple[str, tuple[object, ...]]:
    limit = draw(st.none() | st.integers(1, 30))
    return draw(
        st.sampled_from([("own", (limit,))])
        | st.floats(0.05, 0.95).map(lambda size: ("share", (size, limit)))
        | st.sets(st.integers(0, _CLASSES - 1), min_size=2, max_size=2).map(
            lambda chosen: ("classes", (sorted(chosen), limit))
        )
        | datasets().map(lambda origin: ("other", (origin, limit)))
    )


def set_aside(dataset: Dataset, way: tuple[str, tuple[object, ...]]) -> Dataset | None:
    name, arguments = way
    with suppress(SpecError):  # too little for both sides
        return getattr(source, name)(dataset, *arguments)
    return None


def count(x: np.ndarray) -> Counter[bytes]:
    return Counter(sample.tobytes() for sample in x)


@given(dataset=datasets(), way=ways())
def test_no_sample_is_shared_lost_or_made(
    dataset: Dataset, way: tuple[str, tuple[object, ...]]
) -> None:
    task = set_aside(dataset, way)
    if task is None:
        return
    assert task.source is not None
    mine, theirs = count(task.x) + count(task.test_x), count(task.source.x)
    assert theirs
    assert not mine.keys() & theirs.keys()
    assert count(task.x) <= count(dataset.x)
    assert count(task.test_x) <= count(dataset.test_x)
    limit = way[1][-1]
    assert limit is None or theirs.total() <= limit  # pyright: ignore
    for x, y, classes in (
        (task.x, task.y, task.classes), (task.test_x, task.test_y, task.classes),
        (task.source.x, task.source.y, task.source.classes),
    ):  # fmt: skip
        assert len(x) == len(y)
        assert all(0 <= label < classes for label in y.tolist())
    assert task.users is None or len(task.users) == len(task.y)
    if way[0] in ("own", "other"):
        assert task.hash == dataset.hash
    if way[0] == "share" and limit is None:
        assert count(task.x) + theirs <= count(dataset.x)


@given(dataset=datasets(), way=ways(), seed=st.integers(0, 100))
def test_files_in_another_order_give_the_same_source(
    dataset: Dataset, way: tuple[str, tuple[object, ...]], seed: int
) -> None:
    """A folder and a download differ in the order of samples, which the canonical order removes."""
    mixed = np.random.Generator(np.random.PCG64(seed)).permutation(len(dataset.y))
    again = set_aside(_canonical(dataset, mixed), way)
    first = set_aside(_canonical(dataset, np.arange(len(dataset.y))), way)
    assert (first is None) == (again is None)
    if first and again:
        assert first.identity == again.identity


def _canonical(dataset: Dataset, order: np.ndarray) -> Dataset:
    """The set as a loader gives it that found its samples in this order."""
    users = None if dataset.users is None else dataset.users[order]
    x, y = dataset.x[order], dataset.y[order]
    rows = canonical(x, y, users)
    return replace(dataset, x=x[rows], y=y[rows], users=None if users is None else users[rows])
