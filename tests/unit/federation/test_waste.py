"""What was spent for nothing."""

from __future__ import annotations

import pytest

from hetsim.federation.waste import wasted
from tests.unit.federation.hand import Hand


@pytest.fixture
def hand() -> Hand:
    """a is used, b too late twice, c in vain; the server's model is none of theirs."""
    hand = Hand("a", "b", "c")
    before = hand.act("server", 0.0, 1.0, kind="mean", energy=100.0)
    for device, t0, cause in (("a", 1.0, ""), ("b", 1.0, "deadline"), ("b", 8.0, "deadline"),
                              ("c", 2.0, "stale")):  # fmt: skip
        last = hand.act(device, t0, t0 + 1.0, before, kind="download", size=100.0, energy=2.0)
        last = hand.act(device, t0 + 1.0, t0 + 3.0, last, energy=5.0)
        last = hand.act(device, t0 + 3.0, t0 + 4.0, last, kind="upload", size=30.0, energy=3.0)
        hand.part(device, last=last, t0=t0, used=-1 if cause else 0, waste=cause, energy=16.0)
        before = last
    return hand


def test_causes_add_up(hand: Hand) -> None:
    told = wasted(hand.trace, hand.spans())
    assert told["by_cause"] == {
        "deadline": {"participations": 2, "seconds": 8.0, "energy_j": 32.0, "active_j": 20.0,
                     "bytes": 260.0},
        "stale": {"participations": 1, "seconds": 4.0, "energy_j": 16.0, "active_j": 10.0,
                  "bytes": 130.0},
    }  # fmt: skip
    for measure in ("participations", "seconds", "energy_j", "active_j", "bytes"):
        parts = [cause[measure] for cause in told["by_cause"].values()]
        assert told[measure] == sum(parts)
    assert told["of"] == {"participations": 4, "seconds": 16.0, "energy_j": 64.0,
                          "active_j": 40.0, "bytes": 520.0}  # fmt: skip


def test_who_did_nothing_spent_nothing_of_others(hand: Hand) -> None:
    """A client that was lost before it began has the server's segment as its last."""
    hand.part("c", last=0, t0=12.0, t1=12.0, outcome="churn", used=-1, waste="churn")
    lost = wasted(hand.trace, hand.spans())["by_cause"]["churn"]
    assert lost == {"participations": 1, "seconds": 0.0, "energy_j": 0.0, "active_j": 0.0,
                    "bytes": 0.0}  # fmt: skip


def test_nobody_asked() -> None:
    hand = Hand("a")
    told = wasted(hand.trace, hand.spans())
    assert told["participations"] == told["of"]["participations"] == 0
    assert told["by_cause"] == {}
