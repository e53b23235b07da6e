"""The garbage collector is as it was, whatever happens in a run."""

from __future__ import annotations

import gc

import pytest

from hetsim.sim.collector import at_rest


@pytest.fixture
def before() -> tuple[tuple[int, int, int], int]:
    return gc.get_threshold(), gc.get_freeze_count()


def test_it_is_put_back_after_a_failure(before: tuple[tuple[int, int, int], int]):
    seen: list[int] = []

    def fail() -> None:
        with at_rest():
            seen.extend((gc.get_threshold()[0], gc.get_freeze_count()))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen[0] > before[0][0]
    assert seen[1] > 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_what_someone_else_has_frozen_stays_so(before: tuple[tuple[int, int, int], int]):
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with at_rest():
            assert gc.get_threshold() == before[0]
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()


def test_what_a_run_leaves_is_not_young(before: tuple[tuple[int, int, int], int]):
    with at_rest():
        left: list[object] = [[] for _ in range(5000)]
    assert not any(each is left[0] for each in gc.get_objects(generation=0))
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_one_that_is_switched_off_stays_off():
    threshold = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with at_rest():
            assert gc.get_threshold()[0] == 0
        assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*threshold)
