"""A server that serves only some of the cohort at once: groups, one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.client import Client
from hetsim.federation.pace.sync import Sync
from hetsim.federation.run import Reply
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing import play, tiny

SECONDS = 2.0


def begun(pace: str, seconds: float = SECONDS) -> tuple[list[float], list[Reply[Any]]]:
    """One round of four clients that take some seconds: when each is asked, and the replies."""
    run = tiny("cost_only=true", f"pace={pace}", "selection.cohort=4").world(CostOnlyLab())
    replies: list[Reply[Any]] = []

    async def client(device: Client) -> None:
        await device.sleep(seconds)

    async def server() -> None:
        replies.extend(await run.cohort(client))
        await run.report(run.initial_model())

    run.finish(run.kernel.run(server(), run.server.id))
    return sorted(book.t0 for book in run.kernel.trace.participations), replies


@pytest.mark.parametrize(
    ("at_once", "starts"),
    [(1, [0.0, 2.0, 4.0, 6.0]), (3, [0.0, 0.0, 0.0, 2.0]), (4, [0.0] * 4), (9, [0.0] * 4)],
)
def test_each_group_begins_when_the_one_before_it_has_delivered(
    at_once: int, starts: list[float]
) -> None:
    asked, replies = begun(f"{{name: sync, at_once: {at_once}}}")
    assert asked == starts
    assert len(replies) == 4
    assert all(reply.participation.used == 0 for reply in replies)


def test_every_group_has_the_deadline_for_itself() -> None:
    asked, replies = begun("{name: sync, at_once: 2, deadline: 2 s}")
    assert asked == [0.0, 0.0, 2.0, 2.0]
    assert len(replies) == 4
    asked, replies = begun("{name: sync, at_once: 2, deadline: 1 s}")
    assert asked == [0.0, 0.0, 1.0, 1.0]
    assert not replies


def test_what_is_learned_does_not_depend_on_the_groups() -> None:
    whole = play(tiny())
    groups = play(tiny("pace={name: sync, at_once: 1}"))
    assert groups.summary["model_hash"] == whole.summary["model_hash"]
    assert groups.summary["simulated_s"] > whole.summary["simulated_s"]


def test_what_if_says_that_it_is_an_estimate() -> None:
    for pace, estimate in (("{name: sync, at_once: 1}", True), ("sync", False)):
        told = play(tiny(f"pace={pace}", "cost_only=true")).summary["what_if"]
        assert [row["same_order"] for row in told] == [estimate] * len(told) != []


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(SpecError, match="at_once is 0"):
        Sync(at_once=0)
    with pytest.raises(SpecError, match="contradict"):
        Sync(at_once=2, over_selection=1.5)
