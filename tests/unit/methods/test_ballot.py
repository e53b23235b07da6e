"""Votes by hand, and what holds of any vote."""

from __future__ import annotations

from math import exp, isclose
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.methods._ballot import Ballot, Weights, best, credit

SAMPLES = {"a": 10, "b": 30}
VOTES = {"a": {0: 0.9, 1: 0.5}, "b": {1: 0.6, 2: 0.3}}

names = st.sampled_from([f"c{number}" for number in range(8)])
scores = st.floats(-1.0, 1.0)
ballots = st.dictionaries(names, st.dictionaries(st.integers(0, 4), scores, max_size=3), min_size=1)


def ballot(weights: Weights = "rl", **settings: Any) -> Ballot:
    return Ballot(weights=weights, **{"epsilon": 0.0, "seed": 0, **settings})


def test_equal_weights_are_a_plain_vote() -> None:
    election = ballot("uniform").elect([0, 1, 2, 3], VOTES, SAMPLES)
    assert election.weights == {"a": 0.5, "b": 0.5}
    assert election.values == pytest.approx({0: 0.45, 1: 0.55, 2: 0.15, 3: 0.0})
    assert election.winner == 1


def test_weights_by_samples() -> None:
    election = ballot("samples").elect([0, 1, 2], VOTES, SAMPLES)
    assert election.weights == {"a": 0.25, "b": 0.75}
    assert election.values == pytest.approx({0: 0.225, 1: 0.575, 2: 0.225})


def test_learned_weights_begin_equal() -> None:
    learned, plain = (ballot(each).elect([0, 1, 2], VOTES, SAMPLES) for each in ("rl", "uniform"))
    assert learned == plain


def test_a_reward_moves_the_values_of_those_who_proposed_the_winner() -> None:
    held = ballot(eta=0.5, tau=0.2)
    first = held.elect([0, 1], {"a": {0: 0.8}, "b": {1: 0.6}}, SAMPLES)
    assert first.winner == 0
    held.reward(first, 0.3)  # nothing to compare it with: R = 0
    assert held.values == {"a": 0.25, "b": 0.25}
    second = held.elect([0, 1], {"a": {0: 0.6, 1: 0.8}, "b": {0: 0.1}}, SAMPLES)
    assert second.winner == 1
    held.reward(second, 0.5)  # R = 0.5 - 0.3; a proposed with a cosine of 0.8, b another one
    assert held.values == pytest.approx({"a": 0.25 + 0.5 * (0.16 - 0.25), "b": 0.125})
    third = held.elect([0], {"a": {0: 0.1}, "b": {0: 0.2}}, SAMPLES)
    more = exp((0.205 - 0.125) / 0.2)
    assert third.weights == pytest.approx({"a": more / (more + 1), "b": 1 / (more + 1)})
    held.reward(third, 0.1)  # R = 0.1 - mean(0.3, 0.5)
    assert held.values["a"] == pytest.approx(0.205 + 0.5 * (-0.3 - 0.205))


def test_a_newcomer_begins_as_one_of_those_who_vote() -> None:
    held = ballot()
    held.elect([0], {"a": {0: 1.0}, "b": {0: 1.0}}, SAMPLES)
    held.elect([0], {"a": {0: 1.0}, "b": {0: 1.0}, "c": {}, "d": {}}, SAMPLES)
    assert held.values == {"a": 0.5, "b": 0.5, "c": 0.25, "d": 0.25}


def test_random_weights_come_as_often_as_epsilon_says_and_less_and_less() -> None:
    votes = {name: {0: 1.0} for name in "abc"}

    def drawn(seed: int, held: int) -> bool:
        each = ballot(epsilon=0.5, decay=0.5, seed=seed)
        for _ in range(held):
            each.elect([0], votes, SAMPLES)
        return len(set(each.elect([0], votes, SAMPLES).weights.values())) > 1

    shares = [sum(drawn(seed, held) for seed in range(2000)) / 2000 for held in (0, 1, 2)]
    assert shares == pytest.approx([0.5, 0.25, 0.125], abs=0.04)


def test_random_weights_are_flat() -> None:
    """Of a flat Dirichlet of three each share is above x with (1 - x)^2."""
    votes = {name: {0: 1.0} for name in "abc"}
    shares = [
        ballot(epsilon=1.0, seed=seed).elect([0], votes, SAMPLES).weights["b"]
        for seed in range(2000)
    ]
    for limit in (0.2, 0.5, 0.8):
        above = sum(share > limit for share in shares) / len(shares)
        assert above == pytest.approx((1 - limit) ** 2, abs=0.03)


@given(ballots, st.sampled_from(["rl", "uniform", "samples"]), st.integers(0, 5))
def test_the_order_in_which_votes_come_changes_nothing(
    votes: dict[str, dict[int, float]], weights: Weights, seed: int
) -> None:
    samples = {name: 1 + len(votes[name]) for name in votes}
    there, back = (
        Ballot(weights=weights, epsilon=0.5, seed=seed).elect(range(5), each, samples)
        for each in (votes, dict(reversed(votes.items())))
    )
    assert there == back
    proposed = set[int]().union(*votes.values()) or set(range(5))
    assert there.winner in proposed
    assert there.values[there.winner] == max(there.values[block] for block in proposed)
    assert isclose(sum(there.weights.values()), 1.0)


@given(ballots, st.lists(scores, max_size=4))
def test_values_stay_finite_and_weights_stay_shares(
    votes: dict[str, dict[int, float]], worths: list[float]
) -> None:
    held = Ballot(epsilon=0.2, seed=1)
    for worth in worths:
        election = held.elect(range(5), votes, dict.fromkeys(votes, 1))
        assert all(0.0 <= weight <= 1.0 for weight in election.weights.values())
        held.reward(election, worth)
        assert all(abs(value) <= 2.0 for value in held.values.values())


def test_what_nobody_proposes_does_not_win_though_all_that_is_proposed_scores_below_zero() -> None:
    votes = {name: best({0: -0.03, 1: -0.02, 2: -0.01, 3: -0.5}, 3) for name in SAMPLES}
    election = ballot("uniform").elect([0, 1, 2, 3], votes, SAMPLES)
    assert election.values[3] == 0.0
    assert election.winner == 2


def test_of_equals_the_first_one_wins() -> None:
    assert ballot().elect([4, 2, 3], {"a": {3: 0.5, 2: 0.5}}, SAMPLES).winner == 2
    assert ballot().elect([4, 2, 3], {"a": {}}, SAMPLES).winner == 2


@given(st.dictionaries(st.integers(0, 9), scores, min_size=1), st.integers(1, 12))
def test_the_best_are_no_worse_than_the_rest(given_scores: dict[int, float], count: int) -> None:
    chosen = best(given_scores, count)
    rest = [score for block, score in given_scores.items() if block not in chosen]
    assert len(chosen) == min(count, len(given_scores))
    assert min(chosen.values()) >= max(rest, default=-2.0)


@given(st.dictionaries(st.integers(0, 4), scores), st.integers(0, 4))
def test_credit_is_a_cosine(vote: dict[int, float], winner: int) -> None:
    assert -1.0 - 1e-9 <= credit(vote, winner) <= 1.0 + 1e-9
