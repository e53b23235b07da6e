"""Laws of whole runs, for fleets, paces and misfortunes nobody thought of."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.registry import GOVERNORS, METHODS, NETWORKS
from hetsim.testing import Played, check_books, play, tiny

CHURN = "{name: random, up: 300 ms, down: 200 ms}"
EVERYBODY = "selection.cohort=4"
FLEET_FORWARD = (0, 1, 2)


@st.composite
def changes(draw: st.DrawFn) -> list[str]:
    """Changes to the tiny world: fleet, network, pace, clocks, misfortune."""
    drawn = {
        "method.name": st.sampled_from(METHODS.names()),
        "fleet[0].count": st.integers(1, 4),
        "fleet[2].count": st.integers(1, 3),
        "fleet[0].availability": st.sampled_from(["always", CHURN]),
        "fleet[1].battery.charge": st.sampled_from(["100 %", "1e-3 %", "1e-5 %", "0 %"]),
        "fleet[1].battery.capacity": st.sampled_from(["15 Wh", "1 mWh"]),
        "network.nodes.ap.technology": st.sampled_from(NETWORKS.names()),
        "network.links[0].duplex": st.sampled_from(["full", "shared"]),
        "governor": st.sampled_from(GOVERNORS.names()),
        "pace.deadline": st.sampled_from(["none", "40 ms", "200 ms", "2 s"]),
        "pace.over_selection": st.sampled_from([1.0, 1.5, 3.0]),
        "selection.cohort": st.integers(1, 6),
        "method.epochs": st.integers(1, 3),
        "method.batch": st.integers(1, 64),
        "task.partition": st.sampled_from(["iid", "{name: dirichlet, alpha: 0.1}"]),
        "stop.rounds": st.integers(1, 4),
        "stop.time": st.sampled_from(["150 ms", "1 h"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(drawn)), max_size=10))
    return [f"{key}={draw(drawn[key])}" for key in sorted(chosen)]


@given(changes(), st.integers(0, 2**63 - 1))
@settings(max_examples=40)
def test_books_balance_and_everybody_asked_is_accounted_for(
    overrides: list[str], seed: int
) -> None:
    scenario = tiny("cost_only=true", *overrides, seed=seed)
    played = play(scenario)
    check_books(played.trace, scenario)
    summary, rounds = played.summary, played.trace.rounds
    end = summary["simulated_s"]
    assert all(0.0 <= span.t0 <= span.t1 <= end for span in played.trace.spans)
    assert all(span.energy >= 0.0 and span.size >= 0.0 for span in played.trace.spans)
    assert [row["round"] for row in rounds] == list(range(len(rounds)))
    assert all(a["t1_s"] == b["t0_s"] for a, b in pairwise(rounds))
    assert summary["device_rounds"] + sum(row["dropped"] for row in rounds) == sum(
        row["participants"] for row in rounds
    )
    assert sum(summary["dropouts"].values()) == sum(row["dropped"] for row in rounds)


@given(changes(), st.integers(0, 2**63 - 1))
@settings(max_examples=15)
def test_a_run_is_a_function_of_spec_and_seed(overrides: list[str], seed: int) -> None:
    scenario = tiny("cost_only=true", *overrides, seed=seed)
    first = play(scenario)
    assert play(scenario).trace == first.trace, "a scenario may be played again"
    assert play(tiny("cost_only=true", *overrides, seed=seed)).trace == first.trace


# --- streams have names ---------------------------------------------------------------------------


def trained(played: Played, number: int = 0) -> Mapping[str, str]:
    """What each client trained in a round; the key names model, shard and order of samples."""
    return {
        span.actor: span.key
        for span in played.trace.spans
        if span.kind == "train" and span.round == number
    }


@pytest.mark.parametrize(
    "change",
    [
        f"fleet[0].availability={CHURN}",
        "governor=powersave",
        "fleet[1].battery=none",
        "fleet[0].link.rate=3 Mbit/s",
        "network.nodes.ap.power=0 W",
        "pace.deadline=1 h",
        "server.profile=framework13_amd",
        "report.evaluate_every=2",
    ],
)
def test_what_concerns_time_changes_no_minibatch(change: str) -> None:
    plain, changed = play(tiny("cost_only=true", EVERYBODY)), play(
        tiny("cost_only=true", EVERYBODY, change)
    )  # fmt: skip
    keys = trained(changed)
    assert len(keys) >= 3
    assert keys == {client: key for client, key in trained(plain).items() if client in keys}


def test_order_of_samples_differs_between_clients_rounds_and_seeds() -> None:
    played = play(tiny("cost_only=true", EVERYBODY))
    other = play(tiny("cost_only=true", EVERYBODY, seed=1))
    keys = [*trained(played, 0).values(), *trained(played, 1).values(), *trained(other).values()]
    assert len(set(keys)) == len(keys) == 12


def test_what_concerns_learning_changes_no_misfortune() -> None:
    churn = ("cost_only=true", f"fleet[0].availability={CHURN}", "stop.rounds=4")

    def comings_and_goings(*overrides: str) -> list[tuple[float, str, str]]:
        trace = play(tiny(*churn, *overrides)).trace
        return [(note.t, note.actor, note.text) for note in trace.notes if note.t < 0.5]

    plain = comings_and_goings()
    assert plain
    assert comings_and_goings("task.partition={name: dirichlet, alpha: 0.1}") == plain
    assert comings_and_goings("method.name=fedprox", "method.lr=0.3") == plain


def regrouped(order: tuple[int, ...], *overrides: str) -> dict[str, dict[str, Any]]:
    """Rows of the devices, with the groups of the fleet in another order."""
    groups = tiny().spec.resolved()["fleet"]
    swapped = [f"fleet[{place}]={groups[group]}" for place, group in enumerate(order)]
    trace = play(tiny(*swapped, "cost_only=true", EVERYBODY, *overrides)).trace
    return {row["device"]: row for row in trace.devices}


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2)])
def test_order_of_groups_changes_no_devices_time_and_joules(order: tuple[int, ...]) -> None:
    """Shards of equal size cost the same, whoever holds which; the rest goes by name."""
    plain, swapped = regrouped(FLEET_FORWARD), regrouped(order)
    assert swapped.keys() == plain.keys()
    for name, row in plain.items():
        for column in ("energy_j", "active_j", "busy_s", "bytes_up", "rounds_done"):
            assert swapped[name][column] == pytest.approx(row[column], rel=1e-9), (name, column)
