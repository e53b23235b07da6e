from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec import load
from hetsim.spec.override import apply
from hetsim.spec.schema import find_topology, json_schema, list_topologies, load_topology


def test_sections_arrive_in_si_with_their_defaults(topology: Path) -> None:
    spec = load_topology(topology)
    boards, phone = spec.fleet
    assert (spec.name, spec.seed, spec.cost_only) == ("small", 3, False)
    assert (boards.label, boards.count, boards.link.to) == ("board", 2, "wifi")
    assert boards.link.up == boards.link.down == 5e6
    assert boards.link.latency is None
    assert boards.battery
    assert (boards.battery.charge, boards.battery.capacity) == (1.0, None)
    assert boards.availability.name == "always"
    assert boards.governor is None
    assert boards.data
    assert boards.data.samples is None
    assert (phone.label, phone.count, phone.battery, phone.data) == ("phone", 1, None, None)
    assert (phone.link.up, phone.link.down, phone.link.latency) == (625e3, 6.25e6, 0.04)
    assert phone.governor
    assert phone.governor.options == {"cpu": "800 MHz"}
    assert spec.network.nodes["wifi"].technology.name == "wifi"
    assert (spec.server.profile, spec.server.at) == ("board", "wifi")
    assert spec.task.model.options == {"hidden": [32]}
    assert spec.task.partition.name == "iid"
    assert (spec.pace.name, spec.selection.name, spec.governor.name) == (
        "sync", "random", "performance",
    )  # fmt: skip
    assert (spec.stop.rounds, spec.stop.accuracy, spec.stop.time) == (5, None, None)
    assert (spec.report.evaluate_every, spec.report.targets) == (1, ())


def test_a_spec_is_frozen(topology: Path) -> None:
    spec = load_topology(topology)
    with pytest.raises(Exception, match="frozen"):
        spec.seed = 4


def test_a_spec_knows_where_it_came_from(topology: Path) -> None:
    spec = load_topology(topology, overrides=["stop.rounds=6"], seed=9)
    assert spec.origin == topology
    assert spec.where("fleet", 1, "link", "up") == f"{topology}:7"
    assert spec.where("method", "epochs") == f"{topology}:14"
    assert spec.where("stop", "rounds") == "--set stop.rounds=6"
    assert spec.where("seed") == "--seed 9"
    assert spec.where("pace") == f"{topology}:1"
    assert spec.seed == 9


def test_the_name_is_the_files_where_none_is_given(topology: Path) -> None:
    path = topology.with_name("my fleet.yaml")
    path.write_text(topology.read_text().replace("name: small\n", ""))
    assert load_topology(path).name == "my-fleet"


def test_resolved_is_explicit_and_plain(topology: Path) -> None:
    plain = load_topology(topology).resolved()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["fleet"][0]["link"] == {"to": "wifi", "up": "40 Mbit/s", "down": "40 Mbit/s"}
    assert plain["fleet"][1]["battery"] == plain["fleet"][1]["data"] == "none"
    assert plain["fleet"][1]["governor"]["cpu"] == "800 MHz"
    assert plain["network"]["nodes"]["wifi"]["technology"] == "wifi"
    assert plain["network"]["nodes"]["wifi"]["latency"].endswith("s")
    assert plain["server"] == {"profile": "board", "at": "wifi"}
    assert plain["method"]["name"] == "fedprox"
    assert plain["method"]["mu"] == 0.2
    assert "lr" in plain["method"]
    assert plain["pace"]["deadline"] == "none"


def test_resolved_is_a_topology_that_resolves_to_itself(topology: Path) -> None:
    spec = load_topology(topology)
    again = topology.with_name("spec.yaml")
    again.write_text(load.dump(spec.resolved()))
    assert load_topology(again).resolved() == spec.resolved()
    assert load_topology(again).digest({}) == spec.digest({})


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("seed=4", True),
        ("stop.rounds=6", False),
        ("fleet[0].link.rate=40000 kbit/s", True),
        ("fleet[0].link.rate=5 MB/s", True),
        ("fleet[0].link.rate=41 Mbit/s", False),
        ("pace.deadline=none", True),
        ("pace.deadline=1 h", False),
        ("fleet[0].name=board", True),
        ("method.lr=0.05", True),
        ("cost_only=true", False),
    ],
)
def test_the_digest_is_of_what_is_simulated(topology: Path, change: str, same: bool) -> None:
    digest = load_topology(topology).digest({"data": "ab"})
    changed = load_topology(topology, overrides=[change]).digest({"data": "ab"})
    assert (changed == digest) is same


def test_the_digest_covers_the_given_hashes(topology: Path) -> None:
    spec = load_topology(topology)
    assert spec.digest({"data": "ab"}) != spec.digest({"data": "ac"})
    assert len(spec.digest({})) == 64


def test_the_digest_does_not_depend_on_the_order_of_keys(topology: Path) -> None:
    digest = load_topology(topology).digest({"a": "1", "b": "2"})
    text = topology.read_text().replace(
        "{name: fedprox, mu: 0.2, epochs: 2}", "{epochs: 2, mu: 0.2, name: fedprox}"
    )
    topology.write_text(text)
    assert load_topology(topology).digest({"b": "2", "a": "1"}) == digest


def test_topologies_are_found_by_name_and_by_path(
    topology: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETSIM_PATH", str(topology.parent))
    monkeypatch.chdir(topology.parent)
    assert find_topology("small.yaml") == Path("small.yaml")
    monkeypatch.chdir("/")
    assert find_topology("small") == topology
    assert find_topology("topologies/iot_mix.yaml").name == "iot_mix.yaml"
    assert find_topology("iot_mix") == find_topology("topologies/iot_mix.yaml")
    assert "iot_mix" in list_topologies()
    with pytest.raises(SpecError, match='Did you mean "iot_mix"'):
        find_topology("iot_mxi.yaml")


def test_a_topology_needs_no_suffix(topology: Path) -> None:
    for name in ("noext", "t.txt"):
        path = topology.with_name(name)
        path.write_text(topology.read_text())
        assert find_topology(path) == path
        assert load_topology(path).digest({}) == load_topology(topology).digest({})


def test_a_folder_is_no_topology(topology: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"is a folder\.\n +Give a file in it, such as .*board"):
        find_topology(topology.parent)
    (topology.parent / "empty").mkdir()
    with pytest.raises(SpecError, match=r"is a folder\.\n +Give a YAML file\."):
        find_topology(topology.parent / "empty")
    monkeypatch.chdir(topology.parent)
    (topology.parent / "iot_mix").mkdir()
    assert find_topology("iot_mix").name == "iot_mix.yaml"


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(SpecError, match="no such topology"):
        find_topology("x" * 5000)


def test_a_device_without_samples_is_written_as_data_none(topology: Path) -> None:
    with pytest.raises(SpecError, match="0 is not between") as caught:
        load_topology(topology, overrides=["fleet[0].data.samples=0"])
    assert "`data: none`" in caught.value.remedy


def test_the_json_schema_is_for_editors(topology: Path) -> None:
    schema = json_schema()
    assert set(schema["required"]) == {"fleet", "network", "server", "task", "method", "stop"}
    assert all(value["description"] for value in schema["properties"].values())
    assert schema["additionalProperties"] is False
    names, *sections = schema["properties"]["method"]["anyOf"]
    assert [section["properties"]["name"]["const"] for section in sections] == names["enum"]
    fedavg = sections[names["enum"].index("fedavg")]
    assert fedavg["required"] == ["name"]
    assert fedavg["properties"]["lr"]["type"] == "number"
    assert fedavg["properties"]["lr"]["description"]
    rate, apart = schema["$defs"]["Group"]["properties"]["link"]["anyOf"]
    assert rate["required"] == ["rate"]
    assert "payload" in rate["properties"]["rate"]["description"]
    assert apart == {"$ref": "#/$defs/Link"}
    assert "null" not in json.dumps(schema)
    assert "physical" not in json.dumps(schema)


def test_every_file_that_comes_with_hetsim_fits_the_json_schema(repo: Path, topology: Path) -> None:
    schema = json_schema()
    for path in [topology, *sorted((repo / "topologies").glob("*.yaml"))]:
        assert fits(load.read(path).data, schema, schema), path.name
        assert fits(load_topology(path).resolved(), schema, schema), path.name


@pytest.mark.parametrize(
    ("change", "fitting"),
    [
        ("method.mu=0.3", True),
        ("method.mew=0.3", False),
        ("method.mu=lots", False),
        ("pace=synch", False),
        ("method=fedavg", True),
        ('pace={deadline: "2 min"}', True),
        ("pace={deadline: none}", True),
        ("pace={deadline: 120}", False),
        ('pace={dedline: "2 min"}', False),
        ("task.model.hidden=[64, 32]", True),
        ("task.model.hidden=64", False),
        ("task.model.hidden=[wide]", False),
        ("fleet[1].governor.cpu=1", False),
        ("fleet[0].availability=always", True),
        ('fleet[0].availability={name: random, up: "2 h", down: "10 min"}', True),
        ('fleet[0].availability={name: random, up: "2 h"}', False),
        ('fleet[0].availability={name: windows, on: [["0 h", "2 h"]], period: "24 h"}', True),
        ('fleet[0].availability={name: windows, on: [["0 h"]], period: "24 h"}', False),
        ('network={name: wifi, latency: "1 ms"}', True),
        ('network={name: wifi, latncy: "1 ms"}', False),
        ('network={nodes: {a: {technology: wifi, latency: "1 ms"}}}', True),
        ('network={nodes: {a: {technology: wifi, latncy: "1 ms"}}}', False),
        ("network={nodes: {a: wifi}}", True),
    ],
)
def test_the_json_schema_knows_the_options(
    topology: Path, schema: dict[str, Any], change: str, fitting: bool
) -> None:
    document, _ = apply(load.read(topology), [change])
    assert fits(document.data, schema, schema) is fitting


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The JSON Schema of the topology file."""
    return json_schema()


_KINDS: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": int | float,
    "boolean": bool,
}  # fmt: skip
_WORDS = {"$schema", "$defs", "title", "description", "default", "examples", "pattern", "maxLength"}
"""Keywords that `fits` leaves alone."""
_CHECKED = {
    "$ref", "anyOf", "const", "enum", "type", "minimum", "maximum", "items", "prefixItems",
    "minItems", "maxItems", "properties", "additionalProperties", "required", "exclusiveMinimum",
    "exclusiveMaximum",
}  # fmt: skip


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value fits the part of JSON Schema that ours uses."""
    assert set(schema) <= _WORDS | _CHECKED, "a keyword that this validator does not know"
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kind = schema["type"]
    if not isinstance(value, _KINDS[kind]) or isinstance(value, bool) is not (kind == "boolean"):
        return False
    if kind in ("integer", "number"):
        inside = schema.get("exclusiveMinimum", -inf) < value < schema.get("exclusiveMaximum", inf)
        if not inside:
            return False
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind == "array":
        first = schema.get("prefixItems", [])
        items = [*first, *[schema.get("items", {})] * (len(value) - len(first))]
        few, many = schema.get("minItems", 0), schema.get("maxItems", len(value))
        return few <= len(value) <= many and all(
            fits(item, form, root) for item, form in zip(value, items, strict=True)
        )
    if kind == "object":
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", False)
        return set(schema.get("required", ())) <= set(value) and all(
            fits(item, known[key], root) if key in known else rest and fits(item, rest, root)
            for key, item in value.items()
        )
    return True
