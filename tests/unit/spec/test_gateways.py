"""Gateways in a topology: what is refused, whom each serves, what is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec import load
from hetsim.spec.gateways import serving
from hetsim.spec.schema import json_schema, load_topology
from hetsim.spec.world import resolve
from hetsim.study.explain import explain_topology
from tests.unit.spec.test_schema import fits

TOPOLOGY = """\
name: two_floors
fleet:
  - {profile: board, count: 4, name: low, link: {to: ap-low, rate: "40 Mbit/s"}}
  - {profile: board, count: 3, name: high, link: {to: ap-high, rate: "40 Mbit/s"}}
  - {profile: board, count: 2, name: stairs, link: {to: landing, rate: "40 Mbit/s"}}
network:
  nodes: {ap-low: wifi, ap-high: wifi, landing: ethernet, cloud: ethernet}
  links:
    - {between: [ap-low, landing], bandwidth: "1 Gbit/s", latency: "1 ms"}
    - {between: [ap-high, landing], bandwidth: "1 Gbit/s", latency: "1 ms"}
    - {between: [landing, cloud], bandwidth: "20 Mbit/s", latency: "20 ms"}
server: {profile: board, at: cloud}
gateways:
  - {profile: board, at: ap-low}
  - {profile: board, at: ap-high, name: attic}
task: {data: digits, model: logistic}
method: fedavg
stop: {rounds: 2}
"""


@pytest.fixture
def floors(topology: Path) -> Path:
    """A topology with two gateways, the profile beside it."""
    path = topology.with_name("floors.yaml")
    path.write_text(TOPOLOGY)
    return path


def serve(path: Path, *overrides: str) -> dict[str, str | None]:
    """Name of the gateway of each group."""
    spec = load_topology(path, overrides=overrides)
    return {
        group.label: None if place is None else spec.gateways[place].name
        for group, place in zip(spec.fleet, serving(spec), strict=True)
    }


def test_a_device_is_served_by_the_nearest_gateway_and_the_first_of_two(floors: Path) -> None:
    assert serve(floors) == {"low": "gateway-0", "high": "attic", "stairs": "gateway-0"}
    nearer = "network.links[1].latency=0.5 ms"
    assert serve(floors, nearer) == {"low": "gateway-0", "high": "attic", "stairs": "attic"}


def test_as_near_is_as_near_whatever_the_order_of_the_links(floors: Path) -> None:
    long = "{nodes: {a: ethernet, b: ethernet, c: ethernet, ap-low: wifi, ap-high: wifi, landing: "
    long += "ethernet, cloud: ethernet}, links: ["
    ways = [
        ("landing", "a", "0.1 s"), ("a", "b", "0.2 s"), ("b", "ap-low", "0.3 s"),
        ("landing", "c", "0.3 s"), ("c", "ap-high", "0.3 s"), ("landing", "cloud", "1 s"),
    ]  # fmt: skip
    lines = [
        f'{{between: [{a}, {b}], bandwidth: "1 Gbit/s", latency: "{latency}"}}'
        for a, b, latency in ways
    ]
    network = f"network={long}{', '.join(lines)}]}}"
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.3
    assert serve(floors, network)["stairs"] == "gateway-0"


def test_a_gateway_that_names_its_groups_serves_these_alone(floors: Path) -> None:
    named = "gateways[1].serves=[low]"
    assert serve(floors, named) == {"low": "attic", "high": "gateway-0", "stairs": "gateway-0"}


def test_whom_no_gateway_may_serve_has_the_server(floors: Path) -> None:
    named = ("gateways[0].serves=[low]", "gateways[1].serves=[high]")
    assert serve(floors, *named) == {"low": "gateway-0", "high": "attic", "stairs": None}


@pytest.mark.parametrize(
    ("change", "key", "what", "remedy"),
    [
        ("gateways[0].profile=bored", "gateways[0].profile", 'no device profile "bored"', "board"),
        ("gateways[0].at=ap-lo", "gateways[0].at", 'no network node "ap-lo". Did you mean "ap-low"',
         "Known: ap-low, ap-high, landing, cloud."),
        ("gateways[0].at=cloud", "gateways[0].at", 'the server is at "cloud" too',
         "Name another network node."),
        ("gateways[0].name=attic", "gateways[1].name", '"attic" is the name of another gateway.',
         "Give the gateway another `name:`."),
        ("gateways[1].name=gateway-0", "gateways[1].name", "is the name of another gateway.",
         "another `name:`"),
        ("gateways[1].name=low-3", "gateways[1].name", '"low-3" is the name of a device.',
         "another `name:`"),
        ("gateways[1].name=low", "gateways[1].name", "is the name of a group of devices.",
         "another `name:`"),
        ("gateways[1].name=ap-high", "gateways[1].name", "is the name of a network node.",
         "another `name:`"),
        ("gateways[1].name=landing--ap-high", "gateways[1].name", "is the name of a link.",
         "another `name:`"),
        ("gateways[1].name=server", "gateways[1].name", "is the name of the server.",
         "another `name:`"),
        ("fleet[0].name=gateway", "gateways[0].name", '"gateway-0" is the name of a device.',
         "another `name:`"),
        ("gateways[1].name=-x", "gateways[1].name", "cannot be a name.", "Use letters"),
        ("gateways[1].serves=[hihg]", "gateways[1].serves[0]",
         'no group of devices "hihg". Did you mean "high"?', "Groups: low, high, stairs."),
        ("gateways[1].serves=[low, low]", "gateways[1].serves[1]",
         '"low" is served by "attic" already.', "Let one gateway name it."),
        ("gateways[1].serves=[]", "gateways[1].serves", "the list is empty.", "Fill it."),
        ("gateways[1].serves=low", "gateways[1].serves", "expected a list", "Write"),
        ("gateways[1].serve=[low]", "gateways[1].serve", 'Did you mean "serves"?',
         "Keys here: profile, at, name, serves."),
        ("gateways=[{profile: board}]", "gateways[0].at", "missing.",
         "Add `at:` to gateways[0]."),
        ("gateways=board", "gateways", "expected a list", "Write"),
        ("events=[{at: 1 s, on: gatway-0, what: crash}]", "events[0].on",
         'Did you mean "gateway-0"?', "a gateway, server"),
        ("events=[{at: 1 s, on: attic, what: outage}]", "events[0].on", '"attic" is a gateway.',
         "outage happens to a device or a network node or a link."),
    ],
)  # fmt: skip
def test_refuses(floors: Path, change: str, key: str, what: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_topology(floors, overrides=[change])
    error = caught.value
    assert error.key == key
    assert what in error.what
    assert remedy in error.remedy
    assert error.where


def test_a_sharing_by_latency_needs_one(floors: Path) -> None:
    by_latency = ["network.sharing=maxmin_inverse_latency"]
    none = [f"network.links[{index}].latency=0 s" for index in (0, 2)]
    load_topology(floors, overrides=by_latency + none[:1])
    with pytest.raises(SpecError, match="weighs by 1 / latency") as caught:
        load_topology(floors, overrides=by_latency + none)
    assert caught.value.key == "gateways[0].at"


def test_a_group_has_one_gateway(floors: Path) -> None:
    both = ["gateways[0].serves=[high]", "gateways[1].serves=[stairs, high]"]
    with pytest.raises(SpecError, match='"high" is served by "gateway-0" already') as caught:
        load_topology(floors, overrides=both)
    assert caught.value.key == "gateways[1].serves[1]"


def test_a_fault_has_its_line(floors: Path) -> None:
    floors.write_text(TOPOLOGY.replace("at: ap-high, name", "at: ap-hgih, name"))
    with pytest.raises(SpecError) as caught:
        load_topology(floors)
    assert caught.value.where == f"{floors}:15"


def test_what_is_written_down_reads_back_the_same(floors: Path) -> None:
    spec = load_topology(floors, overrides=["gateways[1].serves=[high]"])
    assert spec.resolved()["gateways"] == [
        {"profile": "board", "at": "ap-low", "name": "gateway-0"},
        {"profile": "board", "at": "ap-high", "name": "attic", "serves": ["high"]},
    ]
    again = floors.with_name("spec.yaml")
    again.write_text(load.dump(spec.resolved()))
    assert load_topology(again).resolved() == spec.resolved()
    assert load_topology(again).digest({}) == spec.digest({})


def test_without_gateways_nothing_is_written_down(topology: Path) -> None:
    assert "gateways" not in load_topology(topology).resolved()
    empty = load_topology(topology, overrides=["gateways=[]"])
    assert empty.digest({}) == load_topology(topology).digest({})


def test_the_json_schema_knows_gateways(floors: Path) -> None:
    schema = json_schema()
    section: dict[str, Any] = schema["$defs"]["Gateway"]
    assert section["required"] == ["profile", "at"]
    assert all(value["description"] for value in section["properties"].values())
    good = load.read(floors).data
    assert fits(good, schema, schema)
    for wrong in ({"at": "ap-low"}, {"profile": "board", "at": 3}, {"serves": []}):
        bad = {**good, "gateways": [{**good["gateways"][0], **wrong}]}
        bad["gateways"][0] = wrong if "at" in wrong else {**good["gateways"][0], **wrong}
        assert not fits(bad, schema, schema), wrong


def test_profiles_of_gateways_belong_to_the_run(floors: Path, tmp_path: Path) -> None:
    hub = floors.with_name("hub.yaml")
    hub.write_text(floors.with_name("board.yaml").read_text().replace("A board", "A hub"))
    scenario = resolve(load_topology(floors, overrides=["gateways[1].profile=./hub.yaml"]))
    assert [profile.title for profile in scenario.profiles] == [
        "A board", "A board", "A board", "A board", "A hub", "A board",
    ]  # fmt: skip
    assert "profile hub" in scenario.hashes
    assert scenario.spec.resolved()["gateways"][1]["profile"] == "hub"
    folder = tmp_path / "run"
    folder.mkdir()
    scenario.copy_files(folder)
    (folder / "spec.yaml").write_text(scenario.text())
    again = resolve(load_topology(folder / "spec.yaml"))
    assert again.digest == scenario.digest


def test_the_sheet_lists_gateways_and_whom_they_serve(floors: Path) -> None:
    [table] = [table for table in explain_topology(floors).tables if table.title == "Gateways"]
    assert table.columns == ("name", "device", "at", "serves")
    assert table.rows == [
        ("gateway-0", "board", "ap-low", "4 low, 2 stairs"),
        ("attic", "board", "ap-high", "3 high"),
    ]
    spec = load_topology(
        floors, overrides=["gateways[0].serves=[high]", "gateways[1].serves=[low]"]
    )
    [table] = [table for table in explain_topology(spec).tables if table.title == "Gateways"]
    assert table.rows[-1] == ("server", "board", "cloud", "2 stairs")
    none = explain_topology(load_topology(floors, overrides=["gateways=[]"]))
    assert "Gateways" not in [table.title for table in none.tables]
