"""More are asked than are needed; the rest is surplus, and paid for."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.trace import Participation
from hetsim.federation.client import Client
from hetsim.federation.pace.over_selection import OverSelection
from hetsim.federation.run import Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing import play, tiny

SECONDS = (4.0, 1.0, 3.0, 2.0)


def world(*overrides: str, cohort: int = 2) -> Run:
    return tiny(
        "cost_only=true", "pace.name=over_selection", f"selection.cohort={cohort}", *overrides
    ).world(CostOnlyLab())  # fmt: skip


def books(run: Run) -> dict[str, Participation]:
    """One round in which each client takes its seconds; what became of each."""

    async def client(device: Client) -> None:
        await device.sleep(SECONDS[device.index])

    async def server() -> None:
        replies = await run.cohort(client)
        assert all(reply.participation.outcome == "done" for reply in replies)
        await run.report(run.initial_model())

    run.finish(run.kernel.run(server(), run.server.id))
    return {book.device: book for book in run.kernel.trace.participations}


def test_the_first_to_deliver_count_and_the_rest_is_surplus() -> None:
    run = world("pace.factor=2")
    told = books(run)
    assert {name: book.outcome for name, book in told.items()} == {
        "pi-0": "surplus", "pi-1": "done", "phone-0": "surplus", "jetson-0": "done",
    }  # fmt: skip
    assert {book.t1 for book in told.values() if book.outcome == "surplus"} == {2.0}
    assert [told[name].waste for name in ("pi-0", "phone-0")] == ["surplus", "surplus"]
    assert [told[name].used for name in ("pi-1", "jetson-0")] == [0, 0]
    assert [client.dropped["surplus"] for client in run.clients] == [1, 0, 1, 0]
    assert all(told[client.id].energy == client.participated > 0.0 for client in run.clients)
    assert run.rows[0]["t1_s"] == 2.0
    assert run.rows[0]["dropped"] == 2


@pytest.mark.parametrize(("cohort", "factor", "asked"), [(3, 1.3, 4), (2, 1.5, 3), (3, 1.0, 3)])
def test_asks_the_cohort_times_the_factor_rounded_up(
    cohort: int, factor: float, asked: int
) -> None:
    assert len(books(world(f"pace.factor={factor}", cohort=cohort))) == asked


def test_with_too_few_there_it_waits_for_all() -> None:
    told = books(world("pace.factor=3", cohort=4))
    assert {book.outcome for book in told.values()} == {"done"}
    assert max(book.t1 for book in told.values()) == 4.0


def test_who_is_late_is_not_surplus() -> None:
    told = books(world("pace.factor=1.3", "pace.deadline=1500 ms", cohort=3))
    assert [told[name].outcome for name in ("pi-0", "pi-1", "phone-0", "jetson-0")] == [
        "deadline", "done", "deadline", "deadline",
    ]  # fmt: skip


def test_surplus_is_a_cause_of_its_own_in_the_tables() -> None:
    played = play(tiny("pace={name: over_selection, factor: 2}", "selection.cohort=2"))
    assert played.summary["dropouts"]["surplus"] == 4
    assert played.summary["dropouts"]["deadline"] == 0
    assert sum(row["dropped_surplus"] for row in played.trace.devices) == 4
    assert played.executed["train"] == 4, "surplus work is paid for and never computed"


@pytest.mark.parametrize(
    ("wrong", "says"), [({"factor": 0.9}, "factor is 0.9"), ({"deadline": 0.0}, "deadline is 0")]
)
def test_refuses(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        OverSelection(**wrong)


def test_rounding_asks_nobody_more() -> None:
    """1.1 times 100 is a little more than 110 in binary."""
    run = tiny(
        "fleet[0].count=150", "selection.cohort=100", "cost_only=true",
        "pace={name: over_selection, factor: 1.1}", "stop.rounds=1",
    )  # fmt: skip
    assert play(run).trace.rounds[0]["participants"] == 110
