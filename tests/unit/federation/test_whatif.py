"""Lower bounds of what would help, by hand."""

from __future__ import annotations

import pytest

from hetsim.federation.links import Links
from hetsim.federation.whatif import Outlook, what_if
from tests.unit.federation.hand import Hand

APART = Links(group={"a": 0, "b": 1, "c": 2})
"""Nobody gets into anybody's way."""


def bounds(hand: Hand, device: str, change: str, links: Links = APART) -> list[float]:
    return Outlook(hand.trace, hand.spans(), links).rounds(device, change)


def cell(**seconds: float) -> Links:
    """One bottleneck on everybody's way up, and what the update of each takes of it."""
    return Links(load={(who, "server", "uplink"): {"cell": s} for who, s in seconds.items()})


def closed(hand: Hand, last: int, end: float) -> Hand:
    """A server second after segment `last`, and the end of the round."""
    hand.close(0.0, end, hand.act("server", end - 1.0, end, last, kind="mean"))
    return hand


@pytest.fixture
def two() -> Hand:
    """a delivers at 12 s after 5 s of sending up, b at 8 s; a second at the server."""
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 2.0, 6.0, 8.0)
    return closed(hand, hand.turn("a", 0.0, 1.0, 7.0, 12.0), 13.0)


@pytest.mark.parametrize(
    ("device", "change", "length"),
    [
        ("a", "ideal uplink", 9.0),  # b's 8 s
        ("a", "ideal downlink", 12.0),
        ("a", "ideal CPU", 9.0),  # 1 + 5 s are less than b's 8 s
        ("b", "ideal uplink", 13.0),
        ("server", "ideal CPU", 12.0),
    ],
)
def test_a_round_waits_for_the_slowest_of_the_others(
    two: Hand, device: str, change: str, length: float
) -> None:
    assert bounds(two, device, change) == [pytest.approx(length)]


def test_an_ideal_link_keeps_its_latency(two: Hand) -> None:
    spans = two.trace.spans
    spans[:] = [
        span._replace(latency=1.5) if (span.actor, span.kind) == ("a", "upload") else span
        for span in spans
    ]
    assert bounds(two, "a", "ideal uplink") == [pytest.approx(9.5)]


def test_rows_name_the_best_wishes_first(two: Hand) -> None:
    rows = what_if(two.trace, two.spans(), APART)
    assert [(row["device"], row["change"]) for row in rows] == [
        ("a", "ideal CPU"), ("a", "ideal uplink"), ("a", "ideal downlink"),
        ("server", "ideal CPU"),
    ]  # fmt: skip
    assert [row["saves_at_most_s"] for row in rows] == pytest.approx([4.0, 4.0, 1.0, 1.0])
    assert rows[0]["simulated_s_at_least"] == pytest.approx(9.0)
    assert rows[0]["rounds"] == 1
    assert not rows[0]["same_order"]


def test_who_shares_a_link_may_be_faster_but_not_faster_than_alone() -> None:
    """b's upload overlaps a's: without a's it takes 2 s at least, and ends after a's began."""
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 1.0, 6.0, 11.0, alone=2.0)
    closed(hand, hand.turn("a", 0.0, 1.0, 7.0, 12.0), 13.0)
    assert bounds(hand, "a", "ideal uplink", Links()) == [pytest.approx(9.0)]
    assert bounds(hand, "a", "ideal uplink", APART) == [pytest.approx(12.0)]


def test_nothing_changes_before_the_first_segment_that_goes() -> None:
    """b's upload of 2 s alone was still going on when a's began at 10 s."""
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 1.0, 6.0, 11.0, alone=2.0)
    closed(hand, hand.turn("a", 0.0, 1.0, 10.0, 15.0), 16.0)
    assert bounds(hand, "a", "ideal uplink", Links()) == [pytest.approx(11.0)]


def test_a_bottleneck_still_carries_what_the_others_move() -> None:
    """a, b and c send 3 s worth each from 6 s on, side by side until 15 s."""
    hand = Hand("a", "b", "c")
    for device in ("b", "c"):
        hand.turn(device, 0.0, 1.0, 6.0, 15.0, alone=3.0)
    closed(hand, hand.turn("a", 0.0, 1.0, 6.0, 15.0, alone=3.0), 16.0)
    links = cell(a=3.0, b=3.0, c=3.0)
    assert bounds(hand, "a", "ideal uplink", links) == [pytest.approx(13.0)]
    assert bounds(hand, "a", "ideal uplink", Links()) == [pytest.approx(10.0)]


def test_a_deadline_that_cuts_somebody_else_stays() -> None:
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 1.0, 4.0, 10.0, outcome="deadline", used=-1)
    closed(hand, hand.turn("a", 0.0, 1.0, 4.0, 10.0, outcome="deadline", used=-1), 11.0)
    assert bounds(hand, "a", "ideal uplink") == [11.0]


def test_a_deadline_that_cut_one_alone_may_not_be_reached() -> None:
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 1.0, 4.0, 5.0)
    closed(hand, hand.turn("a", 0.0, 1.0, 4.0, 10.0, outcome="deadline", used=-1), 11.0)
    assert bounds(hand, "a", "ideal uplink") == [pytest.approx(6.0)]


def test_the_first_of_many_are_waited_for_and_no_more() -> None:
    """Two of three are enough: b at 5 s and a at 10 s; c was at work when it was called off."""
    hand = Hand("a", "b", "c")
    hand.turn("b", 0.0, 1.0, 4.0, 5.0)
    hand.turn("c", 0.0, 1.0, 2.0, 10.0, outcome="surplus", used=-1)
    closed(hand, hand.turn("a", 0.0, 1.0, 6.0, 10.0), 11.0)
    assert bounds(hand, "a", "ideal uplink") == [pytest.approx(7.0)]
    assert bounds(hand, "b", "ideal uplink") == [pytest.approx(11.0)]


def test_a_bottleneck_carries_the_least_of_what_the_first_may_move() -> None:
    """Two of three are enough; any two of them move 3 s and 2 s over the cell, from 1 s on."""
    hand = Hand("a", "b", "c")
    hand.turn("b", 0.0, 1.0, 1.0, 9.0, alone=3.0)
    hand.turn("c", 0.0, 1.0, 1.0, 10.0, alone=2.0, outcome="surplus", used=-1)
    closed(hand, hand.turn("a", 0.0, 1.0, 6.0, 10.0, alone=4.0), 11.0)
    links = cell(a=4.0, b=3.0, c=2.0)
    assert bounds(hand, "a", "ideal CPU", links) == [pytest.approx(7.0)]
    assert bounds(hand, "a", "ideal CPU", Links()) == [pytest.approx(5.0)]


def test_a_client_that_was_lost_at_once_holds_nothing_up() -> None:
    hand = Hand("a", "b")
    hand.turn("a", 0.0, 1.0, 4.0, 9.0)
    hand.part("b", last=0, t0=0.0, t1=0.0, outcome="churn", used=-1)
    closed(hand, 2, 10.0)
    hand.trace.participations[-1].last = -1
    assert bounds(hand, "a", "ideal uplink") == [pytest.approx(5.0)]


def test_gateways_are_waited_for_side_by_side() -> None:
    """Gateway 1 hears a at 6 s and is through at 9 s; gateway 2 hears b at 5 s, through at 8 s."""
    hand = Hand("gate1", "gate2", "a", "b")
    last = hand.turn("b", 0.0, 1.0, 4.0, 5.0, hub="gate2")
    last = hand.act("gate2", 5.0, 6.0, last, kind="mean")
    hand.act("gate2", 6.0, 8.0, last, kind="upload")
    last = hand.turn("a", 0.0, 1.0, 2.0, 6.0, hub="gate1")
    last = hand.act("gate1", 6.0, 7.0, last, kind="mean")
    closed(hand, hand.act("gate1", 7.0, 9.0, last, kind="upload"), 10.0)
    apart = Links(group={"a": 0, "b": 1, "gate1": 2, "gate2": 3})
    assert bounds(hand, "a", "ideal uplink", apart) == [pytest.approx(9.0)]
    assert bounds(hand, "gate1", "ideal uplink", apart) == [pytest.approx(9.0)]
    assert bounds(hand, "gate1", "ideal CPU", apart) == [pytest.approx(9.0)]
    assert bounds(hand, "b", "ideal uplink", apart) == [pytest.approx(10.0)]


def test_steps_without_rounds_keep_their_critical_path() -> None:
    """Step 1 takes an update of step 0: its path without a's upload and without queueing."""
    hand = Hand("a", "b")
    hand.close(0.0, 3.0, hand.turn("b", 0.0, 1.0, 2.0, 3.0))
    last = hand.turn("a", 0.0, 1.0, 5.0, 9.0, alone=2.5, used=1)
    hand.close(3.0, 9.0, last)
    outlook = Outlook(hand.trace, hand.spans(), APART)
    assert not outlook.all_side_by_side
    assert outlook.rounds("a", "ideal uplink") == pytest.approx([3.0, 2.0])
    assert outlook.rounds("b", "ideal CPU") == pytest.approx([2.0, 6.0])
    shared = Outlook(hand.trace, hand.spans(), Links())
    assert shared.rounds("b", "ideal CPU") == pytest.approx([2.0, 4.5])
    [row, *_] = what_if(hand.trace, hand.spans(), APART)
    assert row["same_order"]


def test_who_makes_others_queue_is_spoken_for() -> None:
    """a's upload ends first, but for most of its 9 s b's was queueing behind it."""
    hand = Hand("a", "b")
    hand.turn("a", 0.0, 1.0, 2.0, 11.0, alone=8.0)
    closed(hand, hand.turn("b", 0.0, 1.0, 2.0, 12.0, alone=2.0), 13.0)
    rows = what_if(hand.trace, hand.spans(), Links())
    assert {(row["device"], row["change"]) for row in rows} >= {("a", "ideal uplink")}
    [row] = [row for row in rows if (row["device"], row["change"]) == ("a", "ideal uplink")]
    assert row["saves_at_most_s"] == pytest.approx(8.0)


def test_a_run_of_nothing_has_no_wishes() -> None:
    hand = Hand("a")
    hand.close(0.0, 5.0, -1)
    assert what_if(hand.trace, hand.spans(), Links()) == []
