"""The pages behind `check` and `explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.core.errors import UnknownName
from hetsim.core.registry import METHODS, NETWORKS
from hetsim.spec.profile import find_profile, list_profiles, load_profile
from hetsim.spec.schema import list_topologies, load_topology
from hetsim.study.explain import KINDS, Sheet, Table, explain, explain_topology
from hetsim.testing.world import TOPOLOGY


def cells(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_is_a_sheet_of_plain_text(kind: str) -> None:
    sheet = explain(kind)
    assert sheet.title
    for table in sheet.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(isinstance(cell, str) for row in table.rows for cell in row)
    assert json.loads(json.dumps(sheet.as_json()))["title"] == sheet.title


@pytest.mark.parametrize(
    ("kind", "names"),
    [("method", METHODS.names()), ("network", NETWORKS.names()), ("device", list_profiles()),
     ("topology", list_topologies())],
)  # fmt: skip
def test_lists_are_complete_and_say_something(kind: str, names: list[str]) -> None:
    [table] = explain(kind).tables
    assert [row[0] for row in table.rows] == names
    assert all(row[-1] for row in table.rows)


def test_options_of_a_plugin_have_type_default_and_meaning() -> None:
    [table] = explain("method", "fedprox").tables
    rows = {row["option"]: row for row in cells(table)}
    assert rows["mu"]["default"] == "0.01"
    assert rows["epochs"]["takes"] == "a whole number"
    assert all(row["meaning"] for row in rows.values())


def test_a_device_shows_points_and_sources() -> None:
    sheet = explain("device", "raspberry_pi_4b")
    *domains, assumed, sources = sheet.tables
    [cpu] = [cells(table) for table in domains]
    assert len(cpu) == 12, "of thirteen points"
    assert (cpu[0]["point"], cpu[-1]["point"]) == ("600 MHz", "1800 MHz")
    profile = load_profile(find_profile("raspberry_pi_4b", None))
    speed = profile.domains[0].flops_per_cycle * 1.8e9
    assert cpu[-1]["arithmetic"] == f"{speed / 1e9:.3g} GFLOP/s"
    assert cpu[-1]["above idle"] == "5.6 W"
    assert float(cpu[-1]["J/GFLOP"]) == pytest.approx(5.6 / speed * 1e9, rel=1e-2)
    assert len(sources.rows) > 5
    assert all(row[-1] for row in (*sources.rows, *assumed.rows))
    assert (
        assumed.title
        == f"Assumed: {len(assumed.rows)} of {len(assumed.rows) + len(sources.rows)} numbers"
    )
    assert any("Fitted on V47" in line for line in sheet.text)


def test_a_server_gpu_shows_its_power_limits_and_its_host() -> None:
    sheet = explain("device", "v100")
    rows = cells(sheet.tables[0])
    assert [row["point"] for row in rows] == [f"{watts} W limit" for watts in range(100, 251, 25)]
    assert any("17.8 us of its host" in line and "overlaps" in line for line in sheet.text)


@pytest.mark.parametrize("name", list_profiles())
def test_every_device_has_a_page(name: str) -> None:
    sheet = explain("device", name)
    profile = load_profile(find_profile(name, None))
    for domain, table in zip(profile.domains, sheet.tables, strict=False):
        assert table.title.startswith(domain.name)
        assert 1 <= len(table.rows) <= 12
        assert ("J/GFLOP" in table.columns) is (domain.flops_per_cycle > 0.0)
    json.dumps(sheet.as_json())


@pytest.mark.parametrize("kind", ["method", "network", "device", "policy", "topology"])
def test_an_unknown_name_is_no_crash(kind: str) -> None:
    with pytest.raises(Exception, match="thing-that-is-not") as refusal:
        explain(kind, "thing-that-is-not")
    assert getattr(refusal.value, "remedy", "")


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownName, match='Did you mean "network"'):
        explain("networks")


@pytest.fixture
def sheet(tmp_path: Path) -> Sheet:
    (tmp_path / "tiny.yaml").write_text(
        TOPOLOGY.replace("model: logistic", "model: {name: mlp, hidden: [2000]}").replace(
            "profile: jetson_tx2", "profile: stm32l4r5"
        )
    )
    return explain_topology(tmp_path / "tiny.yaml")


def test_a_topology_says_what_would_be_simulated(sheet: Sheet) -> None:
    told = {table.title: cells(table) for table in sheet.tables}
    fleet, links, work = (
        told[title] for title in ("Fleet", "Links", "A round's work on a device, at full speed")
    )
    assert sheet.title == "tiny"
    assert [row["count"] for row in fleet] == ["2", "1", "1"]
    assert [row["samples"] for row in work] == ["50"] * 3
    assert [row["battery"].split(" of ")[0] for row in fleet] == ["mains", "50 %", "mains"]
    assert [row["between"] for row in links] == ["ap - switch", "lte-cell - switch"]
    assert "4 devices train mlp (150,010 parameters" in sheet.text[0]


def test_a_group_with_a_governor_of_its_own_is_shown_with_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(TOPOLOGY)
    own = ["fleet[0].governor=performance", "fleet[1].governor=powersave"]
    before, after = (
        [row["device"] for row in cells(explain_topology(
            load_topology(tmp_path / "own.yaml", overrides=["governor=powersave", *more])
        ).tables[0])]
        for more in ([], own)
    )  # fmt: skip
    assert after == [f"{before[0]}, governor performance", *before[1:]]


def test_what_does_not_fit_is_said_before_the_run(sheet: Sheet) -> None:
    told = {table.title: cells(table) for table in sheet.tables}
    takes = [row["takes"] for row in told["A round's work on a device, at full speed"]]
    assert [text == "too large" for text in takes] == [False, False, True]
    [left] = told["Who cannot take part"]
    assert (left["group"], left["devices"]) == ("jetson", "1")
    assert "need 1.37 MB of memory, have 590 kB" in left["why"]


@pytest.mark.parametrize("name", NETWORKS.names())
def test_a_technology_shows_what_a_station_gets_and_whence_its_numbers_are(name: str) -> None:
    gets, options = explain("network", name).tables
    assert gets.rows[0][0] == "default"
    assert all(row[1] for row in gets.rows)
    rows = {row["option"]: row for row in cells(options)}
    assert rows["latency"]["source"]
    assert rows["latency"][""] in ("measured", "derived", "assumed")
    assert all(row["source"] for row in rows.values() if row[""])


def test_the_choices_of_a_technology_stand_side_by_side() -> None:
    gets, _ = explain("network", "nr").tables
    rows = {row[""]: row for row in cells(gets)}
    assert rows["default"]["up"] == "57.1 Mbit/s"
    assert rows["band: mmwave"]["down"] == "1922 Mbit/s"
    assert rows["band: mmwave"]["connected"] == "3 W"
    assert len(explain("network", "lorawan").tables[0].rows) == 1 + 5 + 3
