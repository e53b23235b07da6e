"""Selections with options, and what they do to a run: they cannot see ahead, and they pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import pytest

from hetsim.core.registry import SELECTIONS
from hetsim.core.trace import Participation, Trace
from hetsim.testing import SelectionSuite, play, tiny


class TestGlance(SelectionSuite):
    plugin = "power_of_choice"
    options: ClassVar[Mapping[str, Any]] = {"loss": "fresh", "factor": 1.5}


class TestScarce(SelectionSuite):
    plugin = "forecast"
    options: ClassVar[Mapping[str, Any]] = {"prefer": "scarce", "prior": "10 s"}


class TestHeadroom(SelectionSuite):
    plugin = "exclusive"
    options: ClassVar[Mapping[str, Any]] = {"headroom": 0.5}


class TestImpatient(SelectionSuite):
    plugin = "oort"
    options: ClassVar[Mapping[str, Any]] = {
        "exploration": 0.5, "exploration_least": 0, "window": 1, "most": 2, "preferred": "10 %",
    }  # fmt: skip


class TestSparing(SelectionSuite):
    plugin = "eafl"
    options: ClassVar[Mapping[str, Any]] = {"f": 0, "exploration": "20 %", "clip": 1}


class TestReserve(SelectionSuite):
    plugin = "battery"
    options: ClassVar[Mapping[str, Any]] = {"least": "50 %"}


# --- what they do to a run ------------------------------------------------------------------------


@cache
def run(name: str, *overrides: str) -> Trace:
    """Twelve devices, of which a cohort of three is asked in each of eight rounds."""
    observes = SELECTIONS.load(name).observes
    return play(
        tiny(
            f"selection.name={name}", "selection.cohort=3", "stop.rounds=8", "fleet[0].count=10",
            f"cost_only={not observes}", *overrides,
        )
    ).trace  # fmt: skip


def choices(trace: Trace, until: float) -> list[tuple[str, float, int]]:
    """Who was asked and when, up to an instant."""
    return [(one.device, one.t0, one.round) for one in trace.participations if one.t0 < until]


@pytest.mark.parametrize("name", SELECTIONS.names())
def test_no_policy_sees_the_future(name: str) -> None:
    stays = run(name)
    leaving = stays.rounds[4]["t1_s"] - 1e-6
    once = f'{{name: windows, on: [["0 s", "{leaving} s"]], period: "1000 h"}}'
    leaves = run(name, f"fleet[0].availability={once}")
    assert choices(leaves, leaving) == choices(stays, leaving), "until ten of twelve left for good"
    late = [one for one in leaves.participations if one.t0 >= leaving]
    assert {one.device for one in late} <= {"phone-0", "jetson-0"}


def test_everybody_has_a_turn() -> None:
    times = Counter(one.device for one in run("round_robin").participations)
    assert sorted(times.values()) == [2] * 12


def asked(trace: Trace, device: str) -> list[Participation]:
    return [one for one in trace.participations if one.device == device]


def test_a_battery_is_spared() -> None:
    low = 'fleet[1].battery={charge: "3 %", model: "linear"}'
    assert not asked(run("battery", low), "phone-0")
    assert asked(run("random", low), "phone-0")
    often, seldom = (
        len(
            asked(
                run("eafl", low, "stop.rounds=60", "selection.penalty=0", f"selection.f={f}"),
                "phone-0",
            )
        )
        for f in (1, 0)
    )
    assert 2 * seldom < often, "with f = 1 it is Oort, with f = 0 the battery decides"


def test_fresh_losses_are_paid_for() -> None:
    reported, fresh = (
        run("power_of_choice", f"selection.loss={loss}") for loss in ("reported", "fresh")
    )
    model = min(span.size for span in reported.spans if span.kind == "upload" and span.size > 1e3)
    down = [trace.summary["bytes_down"] for trace in (reported, fresh)]
    assert down[0] == pytest.approx(8 * 3 * model, rel=0.01)
    assert down[1] == pytest.approx(8 * 6 * model, rel=0.01), "six are polled, three train"
    assert fresh.summary["simulated_s"] > reported.summary["simulated_s"]


@pytest.mark.parametrize("name", ["eafl", "oort", "power_of_choice"])
def test_a_loss_comes_with_each_update(name: str) -> None:
    [size] = {span.size for span in run("random").spans if span.kind == "upload"}
    assert {span.size for span in run(name).spans if span.kind == "upload"} == {size + 8.0}
