"""LGL and FedGKT in time: what goes which way, who works, and what a client has been taught."""

from __future__ import annotations

from collections import Counter

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.learn.lab import CostOnlyLab
from hetsim.methods.fedgkt import FedGKT
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

FRONT, HEAD = (64 * 16 + 16) * 4, (16 * 10 + 10) * 4
ACTIVATIONS = 5 * (10 * 16 * 4 + 10 * 8 + 754)
"""Bytes that a client of 50 samples sends, in five messages."""
UP, DOWN = 5 * (10 * 10 * 4 + 270), 5 * (10 * 10 * 4 + 484)
"""Its logits and those of the server."""


def given(method: str, *overrides: str) -> Scenario:
    """Four devices, all of them asked."""
    return tiny(
        "cost_only=true", f"method={{name: {method}, cut: 1}}", "selection.cohort=4",
        "task.model={name: mlp, hidden: [16]}", *overrides,
    )  # fmt: skip


def played(method: str, *overrides: str) -> Played:
    """Their run, whose books are in order."""
    scenario = given(method, *overrides)
    run = play(scenario)
    check_books(run.trace, scenario)
    return run


@pytest.mark.parametrize(("method", "up", "down"), [("lgl", 0, 0), ("fedgkt", UP, DOWN)])
def test_what_goes_which_way(method: str, up: int, down: int) -> None:
    for row in played(method).trace.rounds:
        assert row["bytes_down"] == 4 * (FRONT + HEAD + down)
        assert row["bytes_up"] == 4 * (FRONT + HEAD + ACTIVATIONS + up)


@pytest.mark.parametrize(("method", "passes"), [("lgl", 1), ("fedgkt", 2)])
def test_who_works(method: str, passes: int) -> None:
    """In each round the server trains four backs and averages fronts, heads and backs."""
    done = Counter((span.actor, span.kind) for span in played(method).trace.spans)
    assert done["server", "train"] == 2 * 4
    assert done["server", "aggregate"] == 2 * 3
    assert done["pi-0", "train"] + done["pi-0", "forward"] == 2 * passes


@pytest.mark.parametrize("method", ["lgl", "fedgkt"])
def test_overlap_is_sooner_and_sends_the_same(method: str) -> None:
    apart, together = played(method), played(method, "method.overlap=true")
    assert together.summary["simulated_s"] < apart.summary["simulated_s"]
    for way in ("bytes_up", "bytes_down"):
        assert together.summary[way] == apart.summary[way]


@pytest.mark.parametrize("method", ["lgl", "fedgkt"])
def test_a_server_without_room_for_a_back_part_says_so(method: str) -> None:
    with pytest.raises(HetsimError, match="training on the server for it needs"):
        played(method, "server.profile=stm32l4r5", "task.model={name: mlp, hidden: [16, 6000]}")


def taught(deadline: str, rounds: int) -> dict[str, str]:
    """Who has logits of the server at the end of a run, and which."""
    scenario = given("fedgkt", f"stop.rounds={rounds}", f"pace.deadline={deadline}")
    run = scenario.world(CostOnlyLab(), causality=True)
    run.finish(run.kernel.run(FedGKT(cut=1).server(run), run.server.id))
    return {client.id: ref.key for client in run.clients for ref in client.state.values()}


def test_who_has_been_taught() -> None:
    """The phone is far away: at 200 ms it has the front, and no logits."""
    everybody = {"pi-0", "pi-1", "phone-0", "jetson-0"}
    once, twice = taught("1 h", 1), taught("1 h", 2)
    assert set(once) == set(twice) == everybody
    assert not set(once.values()) & set(twice.values()), "new ones each time"
    assert set(taught("200 ms", 1)) == everybody - {"phone-0"}


def test_learning_from_logits_takes_longer() -> None:
    """Where nobody has been taught yet, a round is shorter."""
    first, second = (
        row["t1_s"] - row["t0_s"] for row in played("fedgkt", "fleet[1].data=none").trace.rounds
    )
    assert first < second < 1.5 * first
    one, two = (
        row["t1_s"] - row["t0_s"] for row in played("lgl", "fleet[1].data=none").trace.rounds
    )
    assert two == pytest.approx(one, rel=1e-9)


def test_refuses_options_that_mean_nothing() -> None:
    with pytest.raises(SpecError, match="temperature is 0"):
        FedGKT(temperature=0.0)
    with pytest.raises(SpecError, match="alpha is -1"):
        FedGKT(alpha=-1.0)
    with pytest.raises(SpecError, match="batch is 0"):
        FedGKT(batch=0)
    with pytest.raises(SpecError, match="cannot be cut"):
        played("lgl", "method.cut=9")
