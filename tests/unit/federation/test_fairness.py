"""Who takes part and whom it serves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.federation.fairness import (
    Holdings,
    device_columns,
    expected,
    fairness,
    jain,
    label_rare,
    rarities,
)
from tests.unit.federation.hand import Hand

HOLDINGS = Holdings(
    classes={"a": "phone", "b": "phone", "c": "mcu", "d": "mcu"},
    labels={"a": [10, 10, 0], "b": [20, 20, 0], "c": [10, 0, 10], "d": [0, 0, 0]},
    accuracy=[0.9, 0.7, 0.1],
)


@pytest.fixture
def told() -> dict[str, Any]:
    """a is used twice, b once of twice, c was asked in vain, d never."""
    hand = Hand("a", "b", "c", "d")
    for device, used in (("a", 0), ("a", 1), ("b", 1), ("b", -1), ("c", -1)):
        last = hand.act(device, 0.0, 1.0)
        hand.part(device, last=last, used=used)
    device_columns(hand.trace, HOLDINGS)
    return {"rows": hand.trace.devices, **fairness(hand.trace)}


def test_rows_of_the_devices(told: dict[str, Any]) -> None:
    server, a, _, c, d = told["rows"]
    assert (server["device_class"], server["samples"], server["rarity"]) == ("", 0, None)
    assert (a["device_class"], a["asked"], a["updates_used"], a["samples"]) == ("phone", 2, 2, 20)
    assert a["expected_accuracy"] == pytest.approx(0.8)
    assert c["expected_accuracy"] == pytest.approx(0.5)
    assert (a["rarity"], c["rarity"]) == (pytest.approx(1 / 6), pytest.approx(1 / 3))
    assert (d["rarity"], d["expected_accuracy"], d["asked"]) == (None, None, 0)


def test_by_class(told: dict[str, Any]) -> None:
    mcu, phone = told["by_class"]
    assert mcu == {
        "group": "mcu", "devices": 2, "samples": 20, "asked": 1, "updates_used": 0,
        "share_of_devices": 0.5, "share_of_samples": 0.25, "share_of_updates": 0.0,
        "expected_accuracy": pytest.approx(0.5),
    }  # fmt: skip
    assert (phone["share_of_samples"], phone["share_of_updates"]) == (0.75, 1.0)
    assert phone["expected_accuracy"] == pytest.approx(0.8)


def test_by_labels(told: dict[str, Any]) -> None:
    rare, usual = told["by_labels"]
    assert (rare["group"], rare["devices"], rare["updates_used"]) == ("rare", 1, 0)
    assert (usual["group"], usual["devices"], usual["updates_used"]) == ("usual", 2, 3)
    assert rare["share_of_devices"] == 0.25, "of the whole fleet, the one without data too"


def test_the_whole_fleet(told: dict[str, Any]) -> None:
    assert told["jain_updates"] == pytest.approx(9 / (4 * 5))
    assert told["never_used"] == 2
    assert told["expected_accuracy"] == pytest.approx((0.8 + 0.8 + 0.5) / 3)
    assert told["worst_tenth_accuracy"] == pytest.approx(0.5)


def test_a_run_that_learned_nothing() -> None:
    hand = Hand("a", "b")
    device_columns(hand.trace, Holdings(labels={"a": [5, 5], "b": [1, 1]}))
    told = fairness(hand.trace)
    assert told["jain_updates"] is told["expected_accuracy"] is told["worst_tenth_accuracy"] is None
    assert told["by_labels"] == [], "everybody holds everything"
    assert [row["group"] for row in told["by_class"]] == [""]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_jains_index_is_between_one_nth_and_one(amounts: list[int]) -> None:
    index = jain([float(amount) for amount in amounts])
    if not any(amounts):
        assert index is None
    else:
        assert index is not None
        assert 1 / len(amounts) - 1e-12 <= index <= 1 + 1e-12
        scaled = jain([3.0 * amount for amount in amounts])
        assert scaled == pytest.approx(index)


@pytest.mark.parametrize(
    ("scores", "rare"),
    [
        ([0.0, 0.0, 0.0, 0.0], ""),
        ([0.3, 0.3, 0.3, 0.3], ""),
        ([0.0, 0.0, 0.0, 0.2], "3"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "67"),
        ([0.1, 0.5, 0.5, 0.5], "123"),  # they tie
        ([0.0] * 9 + [0.4], "9"),  # fewer than a quarter stand out
        ([], ""),
    ],
)
def test_the_label_rare(scores: list[float], rare: str) -> None:
    named = {str(place): score for place, score in enumerate(scores)}
    assert label_rare(named) == set(rare)


def test_rarity_is_weighted_by_samples() -> None:
    labels = {"a": [30, 0], "b": [15, 15], "c": [0, 10], "none": [0, 0]}
    assert rarities(labels) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    labels["c"] = [10, 0]
    assert rarities(labels) == pytest.approx({"a": 0.0, "b": 1 / 3, "c": 0.0})
    assert rarities({}) == rarities({"a": [0]}) == {}


def test_a_label_that_the_test_set_lacks_is_left_out() -> None:
    assert expected([2, 8], [0.5, None]) == 0.5
    assert expected([0, 8], [0.5, None]) is None
    assert expected([2, 8], []) is None
