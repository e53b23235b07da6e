"""What a server expects of clients: at their highest clocks, side by side, whoever governs them."""

from __future__ import annotations

import pytest

from hetsim.core.cost import Cost
from hetsim.federation.foresight import expected, in_time, when_through
from hetsim.federation.run import Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.sim.forecast import forecast
from hetsim.testing import tiny

WORK = Cost(flops=1e9, steps=1)


def world(governor: str) -> Run:
    return tiny("cost_only=true", f"governor={governor}").world(CostOnlyLab())


def test_at_the_highest_clocks_whatever_the_governor_chooses() -> None:
    found: list[list[float]] = []
    for governor in ("performance", "powersave"):
        run = world(governor)
        acts = {client: [client.work(WORK)] for client in run.clients}
        known = [ends[-1] for ends in forecast(run.kernel, list(acts.values()))]
        found += [list(expected(run, acts).values()), known]
    fast, as_governed, still_fast, slow = found
    assert fast == as_governed == still_fast
    assert all(a < b for a, b in zip(fast, slow, strict=True))


def test_all_begin_at_once_and_share_links() -> None:
    run = world("performance")
    boards = [client for client in run.clients if client.id.startswith("pi")]
    [alone] = expected(run, {boards[0]: [boards[0].downlink(1e6)]}).values()
    both = expected(run, {board: [board.downlink(1e6)] for board in boards})
    latency = 0.003
    assert alone == pytest.approx(8 / 40 + latency)
    assert list(both.values()) == pytest.approx([16 / 40 + latency] * 2)


def test_nothing_takes_no_time() -> None:
    run = world("performance")
    assert expected(run, {run.clients[0]: []}) == {run.clients[0]: 0.0}


def test_the_last_of_the_fastest() -> None:
    seconds = dict(zip(world("performance").clients, (4.0, 1.0, 3.0, 2.0), strict=True))
    shares = (0.01, 0.25, 0.26, 0.5, 0.8, 1.0)
    assert [when_through(seconds, share) for share in shares] == [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]


def test_the_first_choice_that_is_in_time() -> None:
    """The Jetson is faster than the phone, and the phone than the boards."""
    choices = (4.0, 2.0, 1.0)

    def found(limit: float | None, *overrides: str) -> dict[str, float]:
        run = tiny("cost_only=true", *overrides).world(CostOnlyLab())
        every = dict.fromkeys(run.clients, choices)
        chosen = in_time(run, every, lambda client, much: [client.work(WORK * much)], limit)
        return {client.id: much for client, much in chosen.items()}

    run = world("performance")
    alone = expected(run, {client: [client.work(WORK)] for client in run.clients})
    seconds = {client.id: time for client, time in alone.items()}
    assert set(found(1e9).values()) == {4.0}
    assert set(found(1e-9).values()) == {1.0}
    board = seconds["pi-0"]
    assert found(2.5 * board)["pi-0"] == 2.0
    assert found(None, f"pace.deadline={2.5 * board} s") == found(2.5 * board)
    median = sorted(seconds.values())[1]
    assert found(None) == found(4.001 * median)
    assert len(set(found(None).values())) > 1
    assert in_time(run, {}, lambda client, much: []) == {}
