"""The critical path, segment by segment."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.federation.critical import KINDS, blame, path, round_columns
from tests.unit.federation.hand import Hand


def told(hand: Hand) -> list[tuple[float, float, str, str]]:
    """From when to when, who, what."""
    _ = hand.spans()
    return [(row["t0_s"], row["t1_s"], row["actor"], row["kind"]) for row in hand.trace.critical]


def test_a_round_is_the_chain_of_its_slowest_client_and_the_server() -> None:
    hand = Hand("a", "b")
    hand.turn("b", 0.0, 1.0, 2.0, 3.0)
    last = hand.turn("a", 0.0, 2.0, 5.0, 9.0, alone=3.0)
    hand.close(0.0, 10.0, hand.act("server", 9.0, 10.0, last, kind="mean"))
    assert told(hand) == [
        (0.0, 2.0, "a", "downlink"), (2.0, 5.0, "a", "compute"), (5.0, 8.0, "a", "uplink"),
        (8.0, 9.0, "a", "queueing"), (9.0, 10.0, "server", "server"),
    ]  # fmt: skip
    assert [row["serial"] for row in hand.trace.critical] == [3, 4, 5, 5, 6]
    assert {row["peer"] for row in hand.trace.critical} == {"server", ""}


def test_what_slows_a_computation_is_told_apart() -> None:
    hand = Hand("a")
    hand.close(0.0, 10.0, hand.act("a", 0.0, 10.0, alone=6.0))
    assert told(hand) == [(0.0, 6.0, "a", "compute"), (6.0, 10.0, "a", "slowed")]


def test_rounding_is_no_queueing() -> None:
    hand = Hand("a")
    hand.close(0.0, 1e6, hand.act("a", 0.0, 1e6, kind="upload", alone=1e6 * (1 - 1e-12)))
    assert told(hand) == [(0.0, 1e6, "a", "uplink")]


def test_gaps_are_waiting_of_who_went_on() -> None:
    hand = Hand("a")
    last = hand.act("a", 2.0, 4.0, kind="download")
    last = hand.act("a", 5.0, 7.0, last)
    hand.close(1.0, 9.0, last)
    assert told(hand) == [
        (1.0, 2.0, "a", "waiting"), (2.0, 4.0, "a", "downlink"), (4.0, 5.0, "a", "waiting"),
        (5.0, 7.0, "a", "compute"), (7.0, 9.0, "server", "waiting"),
    ]  # fmt: skip


def test_a_round_of_nothing_is_the_servers_waiting() -> None:
    hand = Hand("a")
    hand.close(0.0, 3.0, -1)
    assert told(hand) == [(0.0, 3.0, "server", "waiting")]
    hand.close(3.0, 3.0, -1)
    assert len(told(hand)) == 1, "a round of no length has no path"


def test_pauses_have_their_own_kinds() -> None:
    hand = Hand("a", "gate")
    last = hand.act("server", 0.0, 10.0, kind="away", alone=0.0)
    last = hand.act("server", 10.0, 20.0, last, kind="charge", alone=0.0)
    last = hand.act("a", 20.0, 21.0, last, kind="wait", alone=0.0)
    last = hand.act("a", 21.0, 22.0, last)
    last = hand.act("a", 22.0, 24.0, last, kind="upload", peer="gate")
    last = hand.act("gate", 24.0, 25.0, last, kind="mean")
    last = hand.act("gate", 25.0, 27.0, last, kind="upload")
    hand.close(0.0, 27.0, last)
    assert [(who, kind) for _, _, who, kind in told(hand)] == [
        ("server", "waiting"), ("server", "charge"), ("a", "waiting"), ("a", "compute"),
        ("a", "uplink"), ("gate", "gateway"), ("gate", "uplink"),
    ]  # fmt: skip


def test_a_step_of_an_asynchronous_run_begins_in_the_middle_of_a_segment() -> None:
    hand = Hand("a", "b")
    first = hand.act("b", 0.0, 3.0)
    hand.close(0.0, 3.0, first)
    last = hand.act("a", 0.0, 2.0, kind="download")
    last = hand.act("a", 2.0, 5.0, last)
    hand.close(3.0, 7.0, hand.act("a", 5.0, 7.0, last, kind="upload", alone=0.5))
    assert told(hand)[1:] == [
        (3.0, 5.0, "a", "compute"), (5.0, 5.5, "a", "uplink"), (5.5, 7.0, "a", "queueing"),
    ]  # fmt: skip
    split = path(hand.spans(), last + 1, 5.75, 7.0)
    assert [(part.t0, part.t1, part.kind) for part in split] == [(5.75, 7.0, "queueing")]


def test_a_deadline_is_blamed_on_what_it_cut() -> None:
    hand = Hand("a", "b")
    hand.turn("a", 0.0, 1.0, 2.0, 3.0)
    last = hand.turn("b", 0.0, 1.0, 4.0, 6.0, outcome="deadline", used=-1)
    hand.close(0.0, 7.0, hand.act("server", 6.0, 7.0, last, kind="mean"))
    assert [(who, kind) for _, _, who, kind in told(hand)] == [
        ("b", "downlink"), ("b", "compute"), ("b", "uplink"), ("server", "server"),
    ]  # fmt: skip


def test_columns_of_a_round_add_up_and_name_the_largest_part() -> None:
    hand = Hand("a")
    last = hand.turn("a", 0.5, 2.0, 5.0, 9.0, alone=1.5)
    hand.close(0.0, 10.0, hand.act("server", 9.0, 10.0, last, kind="mean"))
    hand.close(10.0, 10.0, -1)
    _ = hand.spans()
    round_columns(hand.trace)
    row, empty = hand.trace.rounds
    assert (row["critical_device"], row["critical_kind"]) == ("a", "compute")
    parts = {kind: row[f"critical_{kind}_s"] for kind in KINDS}
    assert parts == {
        "compute": 3.0, "uplink": 1.5, "downlink": 1.5, "queueing": 2.5, "slowed": 0.0,
        "server": 1.0, "gateway": 0.0, "waiting": 0.5, "charge": 0.0,
    }  # fmt: skip
    assert (empty["critical_device"], empty["critical_kind"]) == ("", "")
    assert empty["critical_waiting_s"] == 0.0


def test_blame_over_the_run() -> None:
    hand = Hand("a", "b")
    hand.close(0.0, 4.0, hand.turn("a", 0.0, 1.0, 3.0, 4.0))
    last = hand.turn("b", 4.0, 5.0, 9.0, 10.0, after=2, round=1)
    hand.close(4.0, 10.0, last)
    _ = hand.spans()
    total = blame(hand.trace)
    assert total["seconds"] == 10.0
    assert total["kinds"]["compute"] == {"seconds": 6.0, "share": 0.6}
    assert total["kinds"]["uplink"]["seconds"] == total["kinds"]["downlink"]["seconds"] == 2.0
    assert sum(part["seconds"] for part in total["kinds"].values()) == 10.0
    assert total["top"][:2] == [
        {"device": "b", "kind": "compute", "seconds": 4.0, "share": 0.4},
        {"device": "a", "kind": "compute", "seconds": 2.0, "share": 0.2},
    ]


def test_a_run_without_rounds_is_nobodys_fault() -> None:
    hand = Hand("a")
    _ = hand.spans()
    total = blame(hand.trace)
    assert (total["seconds"], total["top"]) == (0.0, [])
    assert total["kinds"]["compute"] == {"seconds": 0.0, "share": 0.0}


lengths = st.floats(1e-6, 1e5)
shares = st.floats(0.0, 1.0)


@given(
    st.lists(st.tuples(lengths, shares, st.booleans(), st.booleans()), max_size=12), shares, lengths
)
def test_a_path_is_whole_wherever_the_round_begins(
    chain: list[tuple[float, float, bool, bool]], start: float, rest: float
) -> None:
    """Whatever the gaps, the excesses and the start, the segments follow each other."""
    hand, now, last = Hand("a"), 0.0, -1
    for length, share, gap, moved in chain:
        now += length if gap else 0.0
        kind = "upload" if moved else "train"
        last = hand.act("a", now, now + length, last, kind=kind, alone=share * length)
        now += length
    t0, t1 = start * now, now + rest
    found = path(hand.spans(), last, t0, t1)
    assert (found[0].t0, found[-1].t1) == (t0, t1)
    assert all(one.t1 == other.t0 for one, other in pairwise(found))
    assert all(part.t1 > part.t0 for part in found)
    assert sum(part.t1 - part.t0 for part in found) == pytest.approx(t1 - t0, rel=1e-12, abs=1e-9)
