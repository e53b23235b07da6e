"""Memory that a topology gives the devices of a group, in place of what their profile leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec.schema import json_schema, load_topology
from hetsim.spec.world import Scenario
from hetsim.study.explain import explain_topology
from hetsim.testing import check_books, play, tiny

MCU = "fleet[1].profile=stm32l4r5"
LARGE = "task.model={name: mlp, hidden: [2000, 10]}"


def capacities(scenario: Scenario) -> dict[str, float]:
    return {member.name: member.profile.memory for member in scenario.members()}


def test_is_the_profiles_where_it_is_left_out() -> None:
    before, given = tiny(), tiny('fleet[0].memory="24 MiB"')
    assert capacities(given) == {
        **capacities(before), "pi-0": 24 * 2.0**20, "pi-1": 24 * 2.0**20,
    }  # fmt: skip
    assert given.digest != before.digest
    assert "memory" not in before.spec.resolved()["fleet"][0]
    assert given.profiles == before.profiles, "the profile itself stays what it is"


def test_a_resolved_topology_gives_the_same_memory(topology: Path) -> None:
    first = load_topology(topology, overrides=['fleet[0].memory="1536 kB"'])
    (topology.parent / "copy.yaml").write_text(str(first.resolved()))
    again = load_topology(topology.parent / "copy.yaml")
    assert [group.memory for group in again.fleet] == [1_536_000.0, None]
    assert again.resolved() == first.resolved()


@pytest.mark.parametrize(
    ("value", "what"),
    [("24", "no unit"), ('"24 MHz"', "size"), ('"0 B"', "zero"), ('"-1 MB"', "negative")],
)
def test_nonsense_is_refused_with_its_place(value: str, what: str) -> None:
    with pytest.raises(SpecError) as refusal:
        tiny(f"fleet[0].memory={value}")
    assert refusal.value.key == "fleet[0].memory"
    assert refusal.value.where == f"--set fleet[0].memory={value}"
    assert what in str(refusal.value)
    assert refusal.value.remedy


def test_a_misspelt_key_is_understood() -> None:
    with pytest.raises(SpecError, match="memory"):
        tiny('fleet[0].memry="24 MiB"')


def test_less_than_a_job_needs_leaves_devices_out_with_the_numbers() -> None:
    played = play(tiny('fleet[0].memory="2 kB"', "task.model={name: mlp, hidden: [16]}"))
    notes = {note.actor: note.text for note in played.trace.notes if note.cause == "memory"}
    assert set(notes) == {"pi-0", "pi-1"}
    assert "2 kB are available" in notes["pi-0"]
    assert played.summary["dropouts"]["memory"] == 2


def test_more_than_the_device_has_lifts_its_limit() -> None:
    real = play(tiny(MCU, LARGE))
    assert real.summary["dropouts"]["memory"] == 1
    blind = tiny(MCU, LARGE, 'fleet[1].memory="1 GiB"', "selection.cohort=4")
    played = play(blind)
    check_books(played.trace, blind)
    assert played.summary["dropouts"]["memory"] == 0
    [row] = [row for row in played.trace.devices if row["device"] == "phone-0"]
    [profile] = [each for each in blind.profiles if each.name == "stm32l4r5"]
    assert profile.memory < row["peak_memory_b"] < 2.0**30
    assert row["rounds_done"] == 2


def test_check_shows_what_was_given() -> None:
    tables = explain_topology(tiny('fleet[0].memory="2 kB"').spec).tables
    fleet = tables[0]
    device = fleet.columns.index("device")
    assert [row[device] for row in fleet.rows] == [
        "raspberry_pi_4b (pi), 2 kB for jobs", "pixel_6 (phone)", "jetson_tx2 (jetson)",
    ]  # fmt: skip
    assert [row[1:] for row in tables[-2].rows] == [("2", "need 11.3 kB of memory, have 2 kB")]


def test_editors_know_it() -> None:
    described = json_schema()["$defs"]["Group"]["properties"]["memory"]
    assert described["anyOf"] == [{"type": "string", "examples": ["4 GiB"]}]
    assert "what the profile leaves" in described["description"]
