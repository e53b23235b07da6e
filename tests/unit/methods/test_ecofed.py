"""EcoFed in time: who works when, what the server keeps, and what becomes of those who drop out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.trace import Span, Trace
from hetsim.learn.lab import CostOnlyLab
from hetsim.methods.ecofed import EcoFed
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

LABEL = 8
MESSAGE = 10 * 16 + 10 * LABEL + 818
"""Bytes of a label, and of a message of ten samples."""


def given(*overrides: str) -> Scenario:
    """Four devices of 50 samples, all of them asked, in five messages each."""
    return tiny(
        "cost_only=true", "method={name: ecofed, cut: 1}", "stop.rounds=4",
        "selection.cohort=4", "task.model={name: mlp, hidden: [16]}", *overrides,
    )  # fmt: skip


def ecofed(*overrides: str) -> Played:
    """Their run, whose books are in order."""
    scenario = given(*overrides)
    played = play(scenario)
    check_books(played.trace, scenario)
    return played


def during(trace: Trace, number: int) -> list[Span]:
    """Segments that began in a round."""
    row = trace.rounds[number]
    return [span for span in trace.spans if row["t0_s"] <= span.t0 < row["t1_s"]]


def test_devices_rest_in_rounds_of_replay() -> None:
    trace = ecofed().trace
    for number, row in enumerate(trace.rounds):
        actors = {span.actor for span in during(trace, number)}
        replay = number % 2 == 1
        assert (actors == {"server"}) is replay
        assert row["participants"] == (0 if replay else 4)
        assert (row["bytes_up"] == 0) is replay
    trained = Counter(span.kind for span in trace.spans if span.actor == "server")
    assert trained["train"] == 16, "four back parts in each of four rounds"


def test_each_device_gets_the_front_once_and_sends_quantised_activations() -> None:
    played = ecofed()
    front = (64 * 16 + 16) * 4
    down = [span for span in played.trace.spans if span.kind == "download"]
    assert sorted(span.actor for span in down) == sorted({span.actor for span in down})
    assert {span.size for span in down} == {front}
    assert played.summary["bytes_down"] == 4 * front
    assert played.summary["bytes_up"] == 2 * 4 * 5 * MESSAGE
    whole = ecofed("method.bits=32", "method.period=1")
    assert whole.summary["bytes_up"] == 4 * 4 * 5 * (10 * 16 * 4 + 10 * LABEL + 754)


def test_a_device_that_has_sent_sleeps_until_it_is_asked_again() -> None:
    """The Jetson has sent long before the phone, and a Jetson asleep draws a tenth."""

    def idle(sleep: str) -> float:
        rows = ecofed(f"method.sleep={sleep}").trace.devices
        return next(row["idle_j"] for row in rows if row["device"] == "jetson-0")

    assert idle("true") < 0.3 * idle("false")


def held(rounds: int, **options: Any) -> dict[str, float]:
    """What the server keeps at the end of a run."""
    run = given(f"stop.rounds={rounds}").world(CostOnlyLab())
    found: dict[str, float] = {}

    async def server() -> None:
        await EcoFed(cut=1, **options).server(run)
        found.update(run.server.node.memory.held)

    run.finish(run.kernel.run(server(), run.server.id))
    return found


def test_the_server_keeps_the_last_activations_of_each_client() -> None:
    each = 5 * MESSAGE
    assert list(held(rounds=4).values()) == [each] * 4
    assert list(held(rounds=5, bits=32).values()) == [5 * (10 * 16 * 4 + 10 * LABEL + 754)] * 4
    one = held(rounds=5, buffer=1)
    assert list(one.values()) == [each]
    assert set(one) == {"activations of phone-0"}, "the one that sent last"


def test_fewer_kept_than_a_cohort_are_drawn_again() -> None:
    trace = ecofed("method.buffer=1").trace
    replayed = [span for span in during(trace, 1) if span.kind == "train"]
    assert len(replayed) == 4


def test_a_cohort_is_never_larger_than_the_fleet() -> None:
    trace = ecofed("selection.cohort=40", "fleet[2].data=none").trace
    assert [span.kind for span in during(trace, 1)].count("train") == 3


def test_a_server_without_room_for_a_back_part_says_so() -> None:
    with pytest.raises(HetsimError, match="training on the server for it needs"):
        ecofed("server.profile=stm32l4r5", "task.model={name: mlp, hidden: [16, 6000]}")


def test_a_client_that_is_dropped_leaves_nothing_with_the_server() -> None:
    """The phone is far away and always late; the others are replayed without it."""
    trace = ecofed("pace.deadline=150 ms").trace
    late = [book for book in trace.participations if book.outcome == "deadline"]
    assert {book.device for book in late} == {"phone-0"}
    assert all(span.outcome == "done" for span in during(trace, 1))
    replayed = [span for span in during(trace, 1) if span.kind == "train"]
    assert len(replayed) == 4, "three clients are kept, and one of them is drawn twice"


def test_sends_again_where_nothing_was_kept() -> None:
    """All are late in every round, so none is one of replay."""
    trace = ecofed("pace.deadline=1 ms").trace
    assert [row["participants"] for row in trace.rounds] == [4] * 4
    assert not any(row["bytes_up"] and book.outcome == "done" for row in trace.rounds
                   for book in trace.participations)  # fmt: skip


def test_overlap_is_sooner_and_sends_the_same() -> None:
    apart, together = ecofed(), ecofed("method.overlap=true")
    assert together.summary["simulated_s"] < apart.summary["simulated_s"]
    assert together.summary["bytes_up"] == apart.summary["bytes_up"]


def test_refuses_options_that_mean_nothing() -> None:
    with pytest.raises(SpecError, match="period is 0"):
        EcoFed(period=0)
    with pytest.raises(SpecError, match="buffer is 0"):
        EcoFed(buffer=0)
    with pytest.raises(SpecError, match="bits"):
        given("method.bits=4")
    with pytest.raises(SpecError, match="cannot be cut"):
        play(tiny("method={name: dpfl, cut: 9}", "task.model={name: mlp, hidden: [16]}"))
