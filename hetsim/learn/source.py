"""Samples set aside for pre-training: the source split of a data set.

Parts of models are pre-trained on the *source*, and the *task* never sees it: no client holds a
source sample and no test asks for one. Where two samples are equal in every byte, whatever their
labels, the one of the source is left out, so the two share none. A source is one of:

    the set's own      digits and synthetic keep samples for it; the task stays as it is
    a share            the last of the training samples in their canonical order; where samples have
                       owners (hapt, spoken_digits), all those of a share of the owners, because
                       samples of one owner may overlap
    some classes       their training samples; the task keeps the other classes, with labels from 0
                       in their old order, in training and in test
    another data set   its training samples; the task stays as it is

What the loader was told to leave out (`train`, `test`) is in neither. Order and labels follow from
those of the data set alone, so that a folder and a download give the same source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.core.rng import rng
from hetsim.learn.data.base import Dataset, Labels, Samples, Source

_STREAM = "learn/source"


def own(dataset: Dataset, samples: int | None = None) -> Dataset:
    """The data set with the source that it keeps itself, at most `samples` of it.

    Raises:
        SpecError: it keeps none.
    """
    if dataset.source_x is None or dataset.source_y is None:
        raise SpecError(
            f'data set "{dataset.name}" keeps no samples for pre-training',
            remedy="Say what is to be set aside in task: `source: {classes: [0, 1]}` (the task "
            "keeps the others), `source: {share: 20 %}`, or another data set: "
            "`source: {data: NAME}`.",
        )
    return _with(dataset, _labelled(dataset, dataset.source_x, dataset.source_y), samples)


def share(dataset: Dataset, size: Fraction, samples: int | None = None) -> Dataset:
    """The data set without a share of its training samples, which become the source.

    Raises:
        SpecError: nothing would be in it, or nothing left.
    """
    if dataset.users is None:
        units, of = np.arange(len(dataset.y)), np.arange(len(dataset.y))
    else:
        units, of = rng(0, _STREAM).permutation(np.unique(dataset.users)), dataset.users
    last = len(units) - round(size * len(units))
    taken = np.isin(of, units[last:])
    if taken.all() or not taken.any():
        what = "training samples" if dataset.users is None else "owners of samples"
        raise SpecError(
            f'{size:.3g} of the {len(units)} {what} of "{dataset.name}" is nothing or all',
            remedy="Choose a share such as 20 %.",
        )
    source = _labelled(dataset, dataset.x[taken], dataset.y[taken])
    return _with(_only(dataset, ~taken), source, samples)


def classes(dataset: Dataset, chosen: Sequence[int], samples: int | None = None) -> Dataset:
    """The data set without some classes, whose training samples become the source.

    Raises:
        SpecError: classes that it has not, or too few on one side.
    """
    names = np.unique(np.array(chosen, np.int64))
    remedy = f"Name some of its classes, 0 to {dataset.classes - 1}, each once."
    if len(names) != len(chosen) or names[0] < 0 or names[-1] >= dataset.classes:
        given = ", ".join(map(str, chosen))
        raise SpecError(f'[{given}] are no classes of "{dataset.name}"', remedy=remedy)
    left = np.setdiff1d(np.arange(dataset.classes), names)
    if min(len(names), len(left)) < 2:
        raise SpecError(
            f"{len(names)} classes for the source leave {len(left)} for the task",
            remedy="Leave at least two on either side.",
        )
    taken, tested = np.isin(dataset.y, names), np.isin(dataset.test_y, left)
    if not (taken.any() and tested.any() and not taken.all()):
        raise SpecError(
            f'{len(dataset.y)} training and {len(dataset.test_y)} test samples of "{dataset.name}" '
            "are too few: source, task or test would be empty",
            remedy="Take more of the data set, or other classes.",
        )
    source = _labelled(dataset, dataset.x[taken], np.searchsorted(names, dataset.y[taken]))
    kept = _only(dataset, ~taken)
    task = replace(
        kept,
        classes=len(left),
        y=np.searchsorted(left, kept.y),
        test_x=dataset.test_x[tested],
        test_y=np.searchsorted(left, dataset.test_y[tested]),
    )
    return _with(task, replace(source, classes=len(names)), samples)


def other(dataset: Dataset, origin: Dataset, samples: int | None = None) -> Dataset:
    """The data set with another one's training samples as its source.

    Raises:
        SpecError: they are all among its own.
    """
    return _with(dataset, _labelled(origin, origin.x, origin.y), samples)


def _with(task: Dataset, source: Source, samples: int | None) -> Dataset:
    """The task with a source of which it holds no sample."""
    seen = set(_digests(task.x)) | set(_digests(task.test_x))
    apart = np.array([digest not in seen for digest in _digests(source.x)], dtype=bool)
    rows = np.flatnonzero(apart)[:samples]
    if not len(rows):
        raise SpecError(
            f'every source sample of "{source.name}" is one of the task\'s own',
            remedy="Set some classes or a share of the task's data aside, or name other data.",
        )
    return replace(task, source=replace(source, x=source.x[rows], y=source.y[rows]))


def _labelled(origin: Dataset, x: Samples, y: Labels) -> Source:
    return Source(
        name=origin.name, classes=origin.classes, mean=origin.mean, std=origin.std, x=x, y=y
    )


def _only(dataset: Dataset, kept: np.ndarray) -> Dataset:
    """Some of the training samples, and no samples kept for pre-training."""
    return replace(
        dataset,
        x=dataset.x[kept],
        y=dataset.y[kept],
        users=None if dataset.users is None else dataset.users[kept],
        source_x=None,
        source_y=None,
    )


def _digests(x: Samples) -> list[bytes]:
    """SHA-256 of the bytes of each sample."""
    values = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<"))
    return [hashlib.sha256(value.tobytes()).digest() for value in values]
