"""What is set aside for pre-training, and that the task never sees it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.learn import source
from hetsim.learn.data.base import Dataset, Source, load
from hetsim.learn.resident import Resident


def samples(x: np.ndarray) -> set[bytes]:
    return {sample.tobytes() for sample in x}


def source_of(dataset: Dataset) -> Source:
    assert dataset.source is not None
    return dataset.source


def apart(task: Dataset) -> bool:
    seen = samples(task.x) | samples(task.test_x)
    return not seen & samples(source_of(task).x)


# --- the set's own --------------------------------------------------------------------------------


def test_the_digits_keep_300_and_the_task_stays_as_it_is(digits: Dataset) -> None:
    task = source.own(digits)
    assert task.hash == digits.hash
    assert np.array_equal(source_of(task).x, digits.source_x)  # pyright: ignore
    assert len(source_of(task).y) == 300
    assert apart(task)
    assert len(source_of(source.own(digits, samples=50)).y) == 50


def test_the_source_is_named_by_its_samples_whatever_the_task(digits: Dataset) -> None:
    few = load("digits", (("train", 100),))
    assert source_of(source.own(few)).hash == source_of(source.own(digits)).hash
    assert source_of(source.own(few, 299)).hash != source_of(source.own(few)).hash
    assert replace(source_of(source.own(few)), classes=11).hash != source_of(source.own(few)).hash
    assert source.own(few).identity != source.own(few, 299).identity != few.identity


def test_a_set_that_keeps_none_says_what_to_write(digits: Dataset) -> None:
    bare = replace(digits, source_x=None, source_y=None)
    with pytest.raises(SpecError, match="keeps no samples") as refusal:
        source.own(bare)
    assert "classes:" in refusal.value.remedy
    assert "share:" in refusal.value.remedy


def test_setting_aside_needs_no_torch() -> None:
    """As a module of learning that stays as light as the loaders; asked of a fresh process."""
    code = (
        "import sys; from hetsim.learn import source; from hetsim.learn.data.base import load;"
        "source.share(load('digits', ()), 0.2); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


# --- a share --------------------------------------------------------------------------------------


def test_a_share_is_the_end_of_the_canonical_order(digits: Dataset) -> None:
    task = source.share(digits, 0.25)
    assert np.array_equal(task.x, digits.x[:900])
    assert np.array_equal(source_of(task).x, digits.x[900:])
    assert np.array_equal(source_of(task).y, digits.y[900:])
    assert np.array_equal(task.test_x, digits.test_x)
    assert task.classes == source_of(task).classes == 10
    assert task.source_x is None
    assert task.hash != digits.hash


@pytest.mark.parametrize("size", [1e-6, 0.9999, 1.0])
def test_a_share_leaves_something_on_both_sides(digits: Dataset, size: float) -> None:
    with pytest.raises(SpecError, match="nothing or all"):
        source.share(digits, size)


def test_where_samples_have_owners_a_share_is_one_of_owners(digits: Dataset) -> None:
    """Windows of one person overlap: a source of windows would have seen half of the next one."""
    users = np.arange(1200) % 7
    owned = replace(digits, users=users)
    task = source.share(owned, 0.3)
    assert task.users is not None
    left, taken = set(task.users.tolist()), 7 - len(set(task.users.tolist()))
    assert taken == 2
    gone = np.isin(users, [user for user in range(7) if user not in left])
    assert np.array_equal(source_of(task).x, digits.x[gone])
    assert np.array_equal(task.x, digits.x[~gone])
    assert source_of(source.share(owned, 0.3)).hash == source_of(task).hash


# --- classes --------------------------------------------------------------------------------------


def test_source_and_task_have_classes_of_their_own(digits: Dataset) -> None:
    task = source.classes(digits, [7, 1, 4])
    origin = source_of(task)
    assert (task.classes, origin.classes) == (7, 3)
    x, y = np.concatenate([digits.x, digits.test_x]), np.concatenate([digits.y, digits.test_y])
    known = {sample.tobytes(): label for sample, label in zip(x, y.tolist(), strict=True)}
    for x, y, numbers in (
        (task.x, task.y, [0, 2, 3, 5, 6, 8, 9]),
        (task.test_x, task.test_y, [0, 2, 3, 5, 6, 8, 9]),
        (origin.x, origin.y, [1, 4, 7]),
    ):
        assert [known[sample.tobytes()] for sample in x] == [numbers[label] for label in y]
        assert sorted(set(y.tolist())) == list(range(len(numbers)))
    assert len(task.y) + len(origin.y) == len(digits.y)
    assert apart(task)


@pytest.mark.parametrize(
    ("chosen", "what"),
    [
        ([3, 10], "are no classes"), ([-1, 3], "are no classes"), ([3, 3], "are no classes"),
        ([3], "leave 9"), ([0, 1, 2, 3, 4, 5, 6, 7, 8], "leave 1"),
    ],
)  # fmt: skip
def test_classes_that_make_no_sense_are_refused(
    digits: Dataset, chosen: list[int], what: str
) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        source.classes(digits, chosen)
    assert refusal.value.remedy


def test_classes_of_too_few_samples_are_refused(digits: Dataset) -> None:
    ones = digits.test_y == 1
    only = replace(digits, test_x=digits.test_x[ones], test_y=digits.test_y[ones])
    with pytest.raises(SpecError, match="would be empty") as refusal:
        source.classes(only, [1, 2])
    assert refusal.value.remedy


# --- another data set, and samples that both have -------------------------------------------------


def test_another_data_set_leaves_the_task_as_it_is(digits: Dataset) -> None:
    made_up = load("synthetic", (("classes", 4), ("shape", (3, 9, 9)), ("train", 50)))
    task = source.other(digits, made_up)
    assert task.hash == digits.hash
    origin = source_of(task)
    assert (origin.name, origin.classes, origin.shape) == ("synthetic", 4, (3, 9, 9))
    assert np.array_equal(origin.x, made_up.x)


def test_a_sample_that_the_task_has_is_left_out_whatever_its_label(digits: Dataset) -> None:
    twin = replace(
        digits,
        x=np.concatenate([digits.x[:5], digits.test_x[:4], digits.x[5:9] ^ 64]),
        y=np.zeros(13, np.int64),
    )
    origin = source_of(source.other(digits, twin))
    assert np.array_equal(origin.x, digits.x[5:9] ^ 64)
    with pytest.raises(SpecError, match="one of the task's own") as refusal:
        source.other(digits, digits)
    assert refusal.value.remedy


# --- computing on it ------------------------------------------------------------------------------


def test_the_source_is_standardised_by_its_own_numbers(digits: Dataset) -> None:
    made_up = load("synthetic", (("dtype", "uint8"), ("shape", (3, 9, 9)), ("train", 50)))
    resident = Resident(source.other(digits, made_up))
    index = torch.arange(50)
    x, y = resident.gather("source", index)
    expected, _ = Resident(made_up).gather("train", index)
    assert torch.equal(x, expected)
    assert y.tolist() == made_up.y.tolist()
    mine, _ = resident.gather("train", index)
    theirs, _ = Resident(digits).gather("train", index)
    assert torch.equal(mine, theirs)


def test_a_shard_of_the_source_is_named_by_the_source(digits: Dataset) -> None:
    few = load("digits", (("train", 100),))
    here, there = (Resident(source.own(each)) for each in (digits, few))
    shard = here.whole("source")
    assert shard.key == there.whole("source").key
    assert here.whole("train").key != there.whole("train").key
    assert here.whole("train").key == Resident(digits).whole("train").key
    assert here.rows(shard).split == "source"
    assert here.labels(shard).tolist() == source_of(here.dataset).y.tolist()
    with pytest.raises(KeyError, match="not a shard"):
        Resident(source.own(digits, 10)).rows(shard)


# --- real pictures --------------------------------------------------------------------------------


@pytest.mark.slow
def test_photographs_of_source_and_task_share_none(data_folder: Path) -> None:
    """CIFAR-10 by classes, and Fashion-MNIST, some of whose pictures occur twice, by a share."""
    photos = load("cifar10", (), data_folder)
    task = source.classes(photos, [5, 6, 7, 8, 9])
    assert (len(source_of(task).y), len(task.y), len(task.test_y)) == (25_000, 25_000, 5_000)
    assert apart(task)
    clothes = source.share(load("fashion_mnist", (), data_folder), 0.5)
    assert apart(clothes)
    assert 29_900 < len(source_of(clothes).y) <= 30_000
