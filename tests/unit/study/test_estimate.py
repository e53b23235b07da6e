"""What a run would take, told beforehand: counts are exact where they can be, the rest is not."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from hetsim import screen
from hetsim.core.errors import HetsimError
from hetsim.learn.lab import Lab
from hetsim.spec.schema import list_topologies, load_topology
from hetsim.spec.world import scenario as scenario_module
from hetsim.study.estimate import Estimate
from hetsim.study.simulate import Settings, simulate
from hetsim.study.topology_page import look
from hetsim.testing import play, tiny
from hetsim.testing.world import TOPOLOGY

CALM = "fleet[1].battery=none"
LEAVING = "fleet[0].availability={name: random, up: 1 h, down: 1 h}"
MANY = (
    "fleet[0].count=1999", "cost_only=true",
    "task.data={name: synthetic, train: 4200, test: 20}",
)  # fmt: skip
LIKE = (
    "governor=performance", "fleet[1].battery={charge: 50 %, model: linear}",
    "network.links[0].bandwidth=1000 Gbit/s",
    "network.links[1]={between: [lte-cell, switch], bandwidth: 1 Gbit/s, latency: 12 ms}",
)  # fmt: skip
"""A fleet that columns can hold."""
HUBS = "gateways=[{profile: raspberry_pi_5, at: ap}]"


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("selection.cohort=9",),
        ("selection.name=round_robin", "stop.rounds=5", "report.evaluate_every=2"),
        ("pace.over_selection=1.3",),
        ("pace={name: over_selection, factor: 1.3}", "selection.cohort=2"),
        ("pace={name: hierarchical, edge_rounds: 2}", HUBS),
        ("pace={name: fedbuff, buffer: 2}",),
        ("pace=fedasync", "stop.rounds=5"),
        ("method.name=heterofl", "task.model={name: mlp, hidden: [16, 16]}"),
        ("method.name=scaffold",),
        ("fleet[2].profile=stm32l4r5", "task.model={name: mlp, hidden: [2000]}"),
        ("fleet[2].data=none", "selection.cohort=4"),
        ("cost_only=true",),
    ],
)
def test_updates_and_evaluations_are_counted_exactly_where_nothing_can_go_wrong(
    changes: tuple[str, ...],
) -> None:
    scenario = tiny(CALM, *changes)
    estimate, played = Estimate(scenario), play(scenario)
    trained = sum(played.executed[op] for op in ("train", "pursue", "steer"))
    asked = estimate.asked
    if asked.basis == "exact":
        assert len(played.trace.participations) == asked.value
    else:
        assert asked.value <= len(played.trace.participations) <= (asked.most or 0)
    used = sum(book.used >= 0 for book in played.trace.participations)
    if scenario.spec.cost_only:
        assert estimate.computed.value == 0
    else:
        assert estimate.computed.basis == "exact"
        assert used == trained == estimate.computed.value
    assert played.executed["evaluate"] == estimate.evaluations.value
    assert estimate.evaluations.basis == "exact"


@pytest.mark.parametrize(
    "change",
    [
        "fleet[1].battery={charge: 50 %}", "pace={name: sync, deadline: 10 s}", "pace=tifl",
        "stop.accuracy=0.9", "stop.time=1 h", LEAVING,
        "fleet[0].crashes={every: 1 h, reboot: 1 min}", "selection.name=oort",
        "method.name=ecofed",
    ],
)  # fmt: skip
def test_what_may_go_otherwise_is_no_count(change: str) -> None:
    estimate = Estimate(tiny(CALM, change))
    assert estimate.computed.basis in ("at most", "about")
    assert estimate.computed.least == 0


def test_work_bytes_and_store_are_those_of_the_run(tmp_path: Path) -> None:
    scenario = tiny(CALM, "selection.cohort=4", "stop.rounds=4")
    estimate = Estimate(scenario)
    lab = scenario.lab(store=tmp_path / "store")
    assert isinstance(lab, Lab)
    trace = scenario.play(lab)
    assert estimate.work.value == pytest.approx(lab.computed, rel=0.01)
    sent = trace.summary["bytes_up"] + trace.summary["bytes_down"]
    assert sent == 4 * estimate.bytes_round.value
    lab.close()
    kept = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*.safetensors"))
    assert estimate.store.value == pytest.approx(kept, rel=0.2)


def test_nothing_that_is_not_learned_costs_anything() -> None:
    told = Estimate(tiny("cost_only=true")).figures
    for name in ("updates_computed", "evaluations", "work", "learning_time", "store"):
        assert told[name].value == told[name].most == 0
    assert told["host_time"].value == told["simulation_time"].value > 0.0


def test_a_large_fleet_is_told_from_a_device_of_each_kind() -> None:
    scenario = tiny(*MANY)
    found = Estimate(scenario)
    assert sum(kind.devices for kind in found.kinds) == found.devices == 2001
    assert len(found.kinds) < 10
    every = {(member.place, client.samples): cost for member, client, cost in scenario.workload()}
    assert {(kind.member.place, kind.samples): kind.cost for kind in found.kinds} == every


@pytest.mark.parametrize("change", ["", "governor=schedutil", "selection.name=round_robin",
                                    "method.name=scaffold", "pace.name=fedbuff"])  # fmt: skip
def test_whether_columns_can_hold_a_fleet_is_known_before(change: str) -> None:
    scenario = tiny(*MANY, *LIKE, *([change] if change else []))
    estimate = Estimate(scenario)
    why = estimate.one_by_one
    assert bool(why) == bool(change)
    told = f"device by device: {why}" if change else "in columns: 2,001 devices"
    assert scenario.play(scenario.lab()).played == told
    assert (estimate.events.value == 3 * scenario.spec.stop.rounds) == (not change)


def test_columns_take_less(monkeypatch: pytest.MonkeyPatch) -> None:
    together, apart = (Estimate(tiny(*MANY, *LIKE, *more)) for more in ([], ["pace=fedbuff"]))
    for name in ("host_time", "memory", "files"):
        assert together.figures[name].value < apart.figures[name].value, name
    assert "in columns" in " ".join(look(together._scenario.spec).sheet().text)
    told = " ".join(look(apart._scenario.spec).sheet().text)
    assert "device by device, not in columns: the pace asks clients one by one." in told
    monkeypatch.setattr(scenario_module, "ONE_BY_ONE", 2000)
    with pytest.raises(HetsimError, match=r"one by one\n.*at most 2,000"):
        look(apart._scenario.spec).sheet()


def test_a_fleet_that_cannot_take_part_is_told_all_the_same() -> None:
    small = [f"fleet[{group}].memory=1 kB" for group in range(3)]
    sheet = look(tiny(*MANY, *LIKE, *small).spec).sheet()
    assert "No device can hold what a round asks of it" in " ".join(sheet.text)


def test_rounds_of_a_method_that_has_enough_by_itself() -> None:
    estimate = Estimate(tiny(CALM, "method.name=fedstitch", "stop.rounds=20"))
    assert estimate.asked.source.startswith("4 rounds of 3")
    assert estimate.evaluations.value == 4
    assert Estimate(tiny("method.name=fedstitch", "stop.rounds=2")).evaluations.value == 2


def test_pre_training_is_part_of_the_work() -> None:
    scenario = tiny(CALM, "method.name=finetune", "selection.cohort=4")
    lab = scenario.lab()
    assert isinstance(lab, Lab)
    scenario.play(lab)
    told = Estimate(scenario).work
    assert "of pre-training" in told.source
    assert told.value == pytest.approx(lab.computed, rel=0.02)
    lab.close()


def test_settings_of_the_host_do_not_matter() -> None:
    scenario = tiny()
    before = Estimate(scenario).as_json()
    simulate(scenario, Settings(report=False), None)
    assert Estimate(scenario).as_json() == before
    assert json.loads(json.dumps(before)) == before


@pytest.mark.parametrize("name", ["iot_mix", "gateways_campus", "stitch_low_end"])
def test_the_sheet_fits_a_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    monkeypatch.setattr(screen, "_console", lambda: Console(file=written, width=80))
    found = look(name)
    screen.show(found.sheet())
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("raspberry_pi_zero_2_w" in line for line in lines), "names are not cut"
    assert len(lines) < 110


def test_the_numbers_behind_the_sheet(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TOPOLOGY)
    asked = ["fleet[2].profile=stm32l4r5", "task.model={name: mlp, hidden: [2000]}"]
    told = look(load_topology(tmp_path / "tiny.yaml", overrides=asked)).as_json()
    assert (told["devices"], told["devices_able"]) == (4, 3)
    [left] = told["excluded"]
    assert (left["group"], left["devices"]) == ("jetson", 1)
    assert left["needs_b"] > left["has_b"]
    assert told["model_b"] == 4 * told["model_parameters"] == 600_040
    assert told["estimate"]["updates_asked"]["value"] == 6


@pytest.mark.parametrize("name", list_topologies())
def test_every_topology_that_comes_with_hetsim_can_be_looked_at(name: str) -> None:
    estimate = Estimate(look(name).scenario)
    for figure in estimate.figures.values():
        assert figure.least <= figure.value
        assert figure.most is None or figure.value <= figure.most
        assert figure.source
