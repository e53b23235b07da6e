"""What a finished run adds up to."""

from __future__ import annotations

import pytest

from hetsim.core.trace import ROLES
from hetsim.testing import Played, check_books, play, tiny


@pytest.fixture(scope="module")
def played() -> Played:
    return play(tiny("stop.rounds=6", "selection.cohort=4", "report.targets=[0.3, 0.6, 1.0]"))


def test_targets_are_dated_by_the_first_round_that_reached_them(played: Played) -> None:
    summary, rounds = played.summary, played.trace.rounds
    for target in (0.3, 0.6):
        first = next(row for row in rounds if row["accuracy"] >= target)
        spent = sum(row["energy_j"] for row in rounds[: first["round"] + 1])
        assert summary["time_to"][str(target)] == first["t1_s"]
        assert summary["energy_to"][str(target)] == pytest.approx(spent)
    assert summary["time_to"]["1.0"] is None
    assert summary["energy_to"]["1.0"] is None


def test_best_accuracy_is_not_the_last(played: Played) -> None:
    scores = [row["accuracy"] for row in played.trace.rounds]
    assert played.summary["accuracy"] == scores[-1]
    assert played.summary["best_accuracy"] == max(scores)


def test_rows_come_by_role_in_fleet_order(played: Played) -> None:
    roles = [row["role"] for row in played.trace.devices]
    assert roles == sorted(roles, key=ROLES.index)
    assert [row["device"] for row in played.trace.devices] == [
        "pi-0", "pi-1", "phone-0", "jetson-0", "server", "ap", "lte-cell--switch",
    ]  # fmt: skip


def test_equipment_draws_its_power_all_the_time(played: Played) -> None:
    [point] = [row for row in played.trace.devices if row["device"] == "ap"]
    assert point["energy_j"] == pytest.approx(6.0 * played.summary["simulated_s"])
    assert point["active_j"] == 0.0


def test_a_busy_line_draws_more_by_what_it_carries(played: Played) -> None:
    """2 W idle, 3 W at 1 Gbit/s: 8 nJ a byte."""
    rows = {row["device"]: row for row in played.trace.devices}
    carried = rows["phone-0"]["bytes_up"] + rows["phone-0"]["bytes_down"]
    assert carried > 0
    assert rows["lte-cell--switch"]["active_j"] == pytest.approx(8e-9 * carried)


def test_the_kinds_of_a_row_add_up_to_its_energy() -> None:
    trace = play(tiny("cost_only=true", "stop.rounds=2", "selection.cohort=4")).trace
    kinds = (
        "compute_j", "memory_j", "radio_j", "link_j", "idle_j", "radio_idle_j", "loss_j",
    )  # fmt: skip
    for row in trace.devices:
        assert sum(row[kind] for kind in kinds) == pytest.approx(row["energy_j"], rel=1e-9)
    phone = next(row for row in trace.devices if row["device"] == "phone-0")
    assert phone["loss_j"] == pytest.approx(0.05 * phone["energy_j"], rel=1e-9)
    for kind in kinds:
        drawn = sum(row[kind] for row in trace.devices)
        assert drawn > 0.0, kind
        states = {"idle_j": ("idle", "sleep", "off"), "radio_j": ("radio", "radio_tail")}.get(
            kind, (kind.removesuffix("_j"),)
        )
        told = sum(trace.summary["energy_j"].get(state, 0.0) for state in states)
        assert drawn == pytest.approx(told, rel=1e-9), kind


def test_a_server_that_never_aggregates_is_idle() -> None:
    summary = play(tiny("cost_only=true", "pace.deadline=1 ms")).summary
    [server] = [
        row for row in play(tiny("cost_only=true", "pace.deadline=1 ms")).trace.devices
        if row["role"] == "server"
    ]  # fmt: skip
    assert summary["device_rounds"] == 0
    assert server["active_j"] == 0.0
    assert server["participant_j"] == server["energy_j"] == server["idle_j"] > 0.0


def test_a_run_says_what_held_it_up_what_it_wasted_and_whom_it_serves(played: Played) -> None:
    trace, summary = played.trace, played.summary
    for row in trace.rounds:
        parts = [seconds for name, seconds in row.items() if name.startswith("critical_")
                 and name.endswith("_s")]  # fmt: skip
        assert sum(parts) == pytest.approx(row["t1_s"] - row["t0_s"], abs=1e-9)
        assert "last" not in row
    assert summary["blame"]["seconds"] == pytest.approx(summary["simulated_s"], abs=1e-9)
    assert summary["wasted"]["participations"] == 0
    of = summary["wasted"]["of"]
    assert of["participations"] == len(trace.participations) == 24
    assert of["bytes"] == pytest.approx(summary["bytes_up"] + summary["bytes_down"])
    spent = sum(row["participant_j"] for row in trace.devices if row["role"] == "device")
    assert of["energy_j"] == pytest.approx(spent, rel=1e-9)
    fair = summary["fairness"]
    assert fair["jain_updates"] == pytest.approx(1.0)
    assert 0.0 < fair["worst_tenth_accuracy"] <= fair["expected_accuracy"] <= 1.0
    rows = {row["device"]: row for row in trace.devices}
    assert (rows["phone-0"]["device_class"], rows["server"]["device_class"]) == ("phone", "")
    assert sum(row["samples"] for row in trace.devices) == 200


def test_expected_accuracies_average_to_the_accuracy_where_labels_are_those_of_the_test_set() -> (
    None
):
    """One device that holds every label as often as the test set has it."""
    played = play(tiny("stop.rounds=3", "fleet[0].count=1", "fleet[1].data=none",
                       "fleet[2].data=none", "task.data={name: digits}"))  # fmt: skip
    [row] = [row for row in played.trace.devices if row["samples"]]
    assert row["expected_accuracy"] == pytest.approx(played.summary["accuracy"], abs=0.02)


def test_a_cost_only_run_expects_no_accuracy() -> None:
    trace = play(tiny("cost_only=true")).trace
    assert trace.summary["fairness"]["expected_accuracy"] is None
    assert {row["expected_accuracy"] for row in trace.devices} == {None}


def test_what_is_cut_is_wasted() -> None:
    played = play(tiny("cost_only=true", "pace={name: deadline, deadline: 200 ms}", "seed=3",
                       "selection.cohort=4", "stop.rounds=4"))  # fmt: skip
    wasted, cut = played.summary["wasted"], played.summary["dropouts"]["deadline"]
    assert cut > 0
    assert wasted["by_cause"].keys() == {"deadline"}
    assert wasted["participations"] == cut
    assert 0.0 < wasted["seconds"] < wasted["of"]["seconds"]
    assert 0.0 < wasted["active_j"] < wasted["energy_j"] < wasted["of"]["energy_j"]


def test_gateways_count_what_they_pass_on() -> None:
    """Each round a model from the server and one to each of four clients; back, the same."""
    scenario = tiny(
        "cost_only=true", "stop.rounds=2", "selection.cohort=4", "pace=hierarchical",
        "gateways=[{profile: raspberry_pi_5, name: hall, at: ap}]",
    )  # fmt: skip
    trace = play(scenario).trace
    check_books(trace, scenario)
    rows = {row["device"]: row for row in trace.devices}
    model = rows["pi-0"]["bytes_down"] / 2
    assert rows["hall"]["role"] == "gateway"
    assert rows["hall"]["bytes_down"] == rows["hall"]["bytes_up"] == pytest.approx(2 * 5 * model)
    assert rows["server"]["bytes_down"] == rows["server"]["bytes_up"] == pytest.approx(2 * model)
