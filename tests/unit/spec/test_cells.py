"""Network nodes that stand for many: names, lines, who hangs where, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.core.errors import SpecError
from hetsim.spec import load
from hetsim.spec.gateways import serving
from hetsim.spec.schema import json_schema, load_topology
from hetsim.spec.world import resolve
from tests.unit.spec.test_schema import fits

MANY = """\
name: streets
fleet:
  - {profile: board, count: 5, name: house, link: {to: cell, rate: "40 Mbit/s"}}
  - {profile: board, count: 4, name: car, link: {to: cell, rate: "10 Mbit/s"}}
  - {profile: board, name: kiosk, link: {to: cell-1, rate: "20 Mbit/s"}}
network:
  nodes:
    cell: {technology: wifi, count: 3, power: "6 W"}
    mast: {technology: ethernet, count: 2}
    core: ethernet
  links:
    - {between: [cell, mast], bandwidth: "50 Mbit/s", latency: "1 ms"}
    - {between: [mast, core], bandwidth: "20 Mbit/s", latency: "4 ms",
       power: {idle: "1 W", busy: "2 W"}}
server: {profile: board, at: core}
task: {data: digits, model: logistic}
method: {name: fedavg, epochs: 1}
selection: {name: random, cohort: 8}
stop: {rounds: 3}
cost_only: true
"""
_POWER = 'power: {idle: "1 W", busy: "2 W"}'
ONE_BY_ONE = "\n".join(
    [
        "name: streets",
        "fleet:",
        *(f'  - {{profile: board, name: house-{n}, link: {{to: cell-{n % 3}, rate: "40 Mbit/s"}}}}'
          for n in range(5)),
        *(f'  - {{profile: board, name: car-{n}, link: {{to: cell-{n % 3}, rate: "10 Mbit/s"}}}}'
          for n in range(4)),
        '  - {profile: board, name: kiosk, link: {to: cell-1, rate: "20 Mbit/s"}}',
        "network:",
        "  nodes:",
        *(f'    cell-{n}: {{technology: wifi, power: "6 W"}}' for n in range(3)),
        "    mast-0: ethernet",
        "    mast-1: ethernet",
        "    core: ethernet",
        "  links:",
        *(f'    - {{between: [cell-{n}, mast-{n % 2}], bandwidth: "50 Mbit/s", latency: "1 ms"}}'
          for n in range(3)),
        *(f'    - {{between: [mast-{n}, core], bandwidth: "20 Mbit/s", latency: "4 ms", {_POWER}}}'
          for n in range(2)),
        MANY[MANY.index("server:") :],
    ]
)  # fmt: skip


@pytest.fixture
def streets(topology: Path) -> Path:
    """Ten devices over three cells, the profile beside the file."""
    path = topology.with_name("streets.yaml")
    path.write_text(MANY)
    return path


def one_by_one(path: Path) -> Path:
    """The same topology with every node, line and device of its own."""
    other = path.with_name("one_by_one.yaml")
    other.write_text(ONE_BY_ONE)
    return other


def test_a_node_that_stands_for_many_is_as_many_nodes(streets: Path) -> None:
    network = load_topology(streets).network
    assert list(network.cells) == ["cell-0", "cell-1", "cell-2", "mast-0", "mast-1", "core"]
    assert network.cells["mast-1"] == "mast"
    assert [ends for _, *ends in network.lines] == [
        ["cell-0", "mast-0"], ["cell-1", "mast-1"], ["cell-2", "mast-0"], ["mast-0", "core"],
        ["mast-1", "core"],
    ]  # fmt: skip


def test_devices_are_spread_in_turn(streets: Path) -> None:
    scenario = resolve(load_topology(streets))
    where = {member.name: scenario.wiring.cell(member) for member in scenario.members()}
    assert where == {
        "house-0": "cell-0", "house-1": "cell-1", "house-2": "cell-2", "house-3": "cell-0",
        "house-4": "cell-1", "car-0": "cell-0", "car-1": "cell-1", "car-2": "cell-2",
        "car-3": "cell-0", "kiosk-0": "cell-1",
    }  # fmt: skip


def test_it_runs_as_if_it_were_written_out(streets: Path) -> None:
    runs = [resolve(load_topology(path)) for path in (streets, one_by_one(streets))]
    short, long = (scenario.play(scenario.lab()) for scenario in runs)
    assert len(short.spans) == len(long.spans) > 60
    times = [[(s.t0, s.t1, s.kind, s.size, s.energy) for s in trace.spans]
             for trace in (short, long)]  # fmt: skip
    assert times[0] == times[1]
    assert short.summary["energy_by_role_j"] == long.summary["energy_by_role_j"]
    links = [row["device"] for row in short.devices if row["role"] == "link"]
    assert links == ["cell-0", "cell-1", "cell-2", "mast-0--core", "mast-1--core"]


def test_it_is_written_down_short_and_read_back_the_same(streets: Path) -> None:
    spec = load_topology(streets)
    text = load.dump(spec.resolved())
    assert "count: 3" in text
    assert "cell-2" not in text
    again = streets.with_name("again.yaml")
    again.write_text(text)
    assert load_topology(again).resolved() == spec.resolved()
    schema, data = json_schema(), load.read(streets).data
    assert fits(data, schema, schema)
    data["network"]["nodes"]["cell"]["count"] = "many"
    assert not fits(data, schema, schema)


def test_a_count_is_set_and_survives_another_technology(streets: Path) -> None:
    fewer = ["network.nodes.cell.count=2", "network.nodes.cell.technology=nr"]
    spec = load_topology(streets, overrides=fewer)
    assert spec.network.spread("cell") == ("cell-0", "cell-1")
    given = load_topology(streets, overrides=["network.nodes.cell.technology=nr"])
    assert given.network.nodes["cell"].count == 3


def test_a_group_goes_with_one_gateway(streets: Path) -> None:
    gateways = "gateways=[{profile: board, at: mast-0}, {profile: board, at: mast-1}]"
    with pytest.raises(SpecError, match="nearest to different gateways") as refused:
        serving(load_topology(streets, overrides=[gateways]))
    assert refused.value.where.endswith("streets.yaml:3")
    assert "serves: [house]" in refused.value.remedy
    named = "gateways=[{profile: board, at: mast-0}]"
    assert serving(load_topology(streets, overrides=[named])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("at: core", "at: mast"), '"mast" stands for 2 network nodes', 15),
        (("at: core", "at: mast-2"), 'no network node "mast-2"', 15),
        (("to: cell-1", "to: cell-3"), 'no network node "cell-3"', 5),
        (("count: 3", "count: 0"), "0 is not between 1", 8),
        (("name: kiosk", "name: cell, count: 2"), '"cell-0" is the id of a device', 8),
        (("core: ethernet", "core: ethernet\n    cell-2: wifi"), '"cell-2" is the id of two', 11),
        (("count: 3", "count: 200000"), "more than 100000 nodes", 8),
        (("[mast, core]", "[cell, mast]"), "are joined already", 13),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(
    streets: Path, change: tuple[str, str], message: str, line: int
) -> None:
    streets.write_text(MANY.replace(*change))
    with pytest.raises(SpecError, match=message) as refused:
        load_topology(streets)
    assert refused.value.where.endswith(f"streets.yaml:{line}")
    assert refused.value.remedy
