"""Which blocks are scored, and how many fewer with the optimizer than without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.methods._pool import Choice, Findings, Pool

Pairs = Mapping[tuple[int, int], float]
NONE: Pairs = {}


def pool(models: int = 4, positions: int = 4, **settings: Any) -> Pool:
    prices = settings.pop("prices", [1.0] * (models * positions))
    return Pool(models, positions, **{"patience": 99, "prices": prices, **settings})


def found(
    values: Mapping[int, float], proposed: Iterable[int] | None = None, alike: Pairs = NONE
) -> Findings:
    return Findings(
        values=values,
        proposed=frozenset(values if proposed is None else proposed),
        alike=alike,
        winner=max(values, key=lambda block: values[block]),
    )


def rank(candidates: Sequence[int]) -> dict[int, float]:
    """Later models are better."""
    return {block: 0.1 * (1 + block) for block in candidates}


def play(chosen: Pool, positions: int = 4) -> list[int]:
    """How many are scored at each position."""
    counts: list[int] = []
    for position in range(positions):
        candidates = chosen.candidates(position)
        counts.append(len(candidates))
        chosen.learn(found(rank(candidates)))
    return counts


def test_parts_of_its_number_or_any_part_in_the_middle() -> None:
    assert pool(2, 4).candidates(1) == (1, 5)
    assert pool(2, 4, choice="free").candidates(1) == (1, 2, 5, 6)
    assert pool(2, 4, choice="free").candidates(0) == (0, 4)
    assert pool(2, 4, choice="free").candidates(3) == (3, 7)


def test_by_default_a_quarter_less_or_more_is_scored() -> None:
    plain, optimized = pool(prune=False), pool()
    assert play(plain) == [4, 4, 4, 4]
    assert play(optimized) == [4, 3, 2, 2]


def test_any_part_in_the_middle_too() -> None:
    plain, optimized = pool(prune=False, choice="free"), pool(choice="free")
    assert play(plain) == [4, 8, 7, 4]
    assert sum(play(optimized)) <= 0.75 * (4 + 8 + 7 + 4)


def test_the_worst_model_goes() -> None:
    chosen = pool()
    chosen.learn(found({0: 0.4, 4: 0.1, 8: 0.3, 12: 0.2}))
    assert [chosen.candidates(position) for position in (1, 2, 3)] == [
        (1, 9, 13), (2, 10, 14), (3, 11, 15),
    ]  # fmt: skip


def test_means_over_positions_decide() -> None:
    chosen = pool()
    chosen.learn(found({0: 0.4, 4: 0.1, 8: 0.3, 12: 0.2}))
    chosen.learn(found({1: 0.15, 9: 0.2, 13: 0.35}))
    assert chosen.candidates(2) == (2, 14), "0.275 and 0.275; 0.25 for the one that is gone"
    chosen.learn(found({2: 0.1, 14: 0.9}))
    assert chosen.candidates(3) == (3, 15), "two are kept"


def test_who_is_never_proposed_goes() -> None:
    chosen = pool(phi=0.0, patience=2)
    chosen.learn(found({0: 0.4, 4: 0.3, 8: 0.2, 12: 0.1}, proposed=[0, 4, 8]))
    assert chosen.candidates(1) == (1, 5, 9, 13), "not after one position"
    chosen.learn(found({1: 0.4, 5: 0.3, 9: 0.2, 13: 0.1}, proposed=[1, 5, 9]))
    assert chosen.candidates(2) == (2, 6, 10)
    assert chosen.candidates(3) == (3, 7, 11)


@pytest.mark.parametrize(("alike", "gone"), [(0.95, True), (0.94, False)])
def test_of_two_that_are_alike_the_dearer_goes(alike: float, gone: bool) -> None:
    prices = [1.0] * 4 + [3.0] * 4 + [2.0] * 4
    chosen = pool(3, phi=0.0, prices=prices)
    chosen.learn(found({0: 0.4, 4: 0.3, 8: 0.2}, alike={(4, 8): alike, (0, 4): 0.1}))
    assert chosen.candidates(1) == ((1, 9) if gone else (1, 5, 9))


def test_in_the_middle_blocks_go_by_themselves() -> None:
    chosen = pool(2, 4, choice="free", phi=0.0, prices=[0, 1, 2, 0, 0, 3, 4, 0])
    chosen.learn(found({0: 0.5, 4: 0.4}))
    chosen.learn(found({1: 0.5, 2: 0.4, 5: 0.3, 6: 0.2}, alike={(5, 6): 1.0}))
    assert chosen.candidates(2) == (2, 5), "1 is used, and 6 is 5 again"


@given(
    st.integers(1, 6), st.integers(2, 5), st.sampled_from(["locked", "free"]), st.randoms(),
    st.floats(0.0, 1.0), st.integers(1, 3),
)  # fmt: skip
def test_every_position_keeps_two_candidates_and_no_block_comes_back(
    models: int, positions: int, choice: Choice, chance: Any, phi: float, patience: int
) -> None:
    chosen = pool(models, positions, choice=choice, phi=phi, patience=patience)
    before = set(chosen.left)
    for position in range(positions):
        candidates = chosen.candidates(position)
        assert len(candidates) >= min(2, models)
        values = {block: chance.random() for block in candidates}
        pairs = {(a, b): chance.random() for a in candidates for b in candidates if a < b}
        proposed = [block for block in candidates if chance.random() < 0.5]
        chosen.learn(found(values, proposed, pairs))
        assert chosen.left <= before
        before = set(chosen.left)
