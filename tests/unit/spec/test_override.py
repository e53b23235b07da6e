from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.errors import SpecError, UnknownName
from hetsim.spec.load import Document, parse
from hetsim.spec.override import apply
from hetsim.spec.schema import load_topology

TEXT = """\
fleet:
  - {profile: a, count: 1, availability: {name: random, up: "1 h", down: "1 h"}}
  - {profile: b, governor: performance}
network: {nodes: {cell: {technology: wifi, transmit: "1 W", latency: "1 ms"}, hub: ethernet}}
server: big
method: {name: fedprox, mu: 0.1, lr: 0.2}
pace: sync
stop: {rounds: 3}
"""


@pytest.fixture
def document() -> Document:
    return parse(TEXT, "x.yaml")


@pytest.mark.parametrize(
    ("assignment", "place", "value"),
    [
        ("stop.rounds=4", ["stop", "rounds"], 4),
        ("stop.accuracy=0.9", ["stop", "accuracy"], 0.9),
        ("stop.time=2 h", ["stop", "time"], "2 h"),
        ("stop.time = 2 h ", ["stop", "time"], "2 h"),
        ("fleet[0].count=3", ["fleet", 0, "count"], 3),
        ("fleet.1.count=1e3", ["fleet", 1, "count"], 1000.0),
        ("report.targets=[0.5, 0.9]", ["report", "targets"], [0.5, 0.9]),
        ("report.evaluate_every=2", ["report", "evaluate_every"], 2),
        ("fleet[0].link={to: cell, rate: 1 Mbit/s}", ["fleet", 0, "link", "rate"], "1 Mbit/s"),
        ("cost_only=true", ["cost_only"], True),
        ("name=a=b", ["name"], "a=b"),
        ("seed='7'", ["seed"], "7"),
        ("pace.deadline=2 min", ["pace"], {"name": "sync", "deadline": "2 min"}),
        ("server.at=hub", ["server"], {"profile": "big", "at": "hub"}),
        ("fleet[1].governor.window=1 s", ["fleet", 1, "governor"],
         {"name": "performance", "window": "1 s"}),
        ("network.nodes.hub.latency=1 s", ["network", "nodes", "hub"],
         {"technology": "ethernet", "latency": "1 s"}),
        ("method={name: fedavg}", ["method"], {"name": "fedavg"}),
    ],
)  # fmt: skip
def test_a_value_is_replaced_or_added(
    document: Document, assignment: str, place: list[Any], value: object
) -> None:
    changed, notes = apply(document, [assignment])
    found: Any = changed.data
    for step in place:
        found = found[step]
    assert found == value
    assert notes == []
    assert changed.where(*place[:1]).startswith(("x.yaml:", "--set"))
    assert parse(TEXT, "x.yaml").data == document.data, "the original must not change"


NAMED = """\
fleet:
  - {profile: boards/pi.yaml, name: roof, count: 1}
  - {profile: boards/pi.yaml, name: cellar, count: 2}
  - {profile: phone.yaml, count: 3}
network: {nodes: {ap: wifi, lan: ethernet}, links: [{between: [ap, lan], latency: "1 ms"}]}
gateways: [{profile: x, at: ap}, {profile: y, at: lan, name: gate}]
"""


@pytest.mark.parametrize(
    ("assignment", "place"),
    [
        ("fleet[cellar].count=9", ("fleet", 1, "count")),
        ("fleet.phone.count=9", ("fleet", 2, "count")),
        ("gateways[gateway-0].at=9", ("gateways", 0, "at")),
        ("gateways.gate.at=9", ("gateways", 1, "at")),
        ("network.links[lan--ap].latency=9", ("network", "links", 0, "latency")),
    ],
)
def test_items_have_names(assignment: str, place: tuple[Any, ...]) -> None:
    found: Any = apply(parse(NAMED, "x.yaml"), [assignment])[0].data
    for step in place:
        found = found[step]
    assert found == 9


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cellr", 'is a list without an item "cellr". Did you mean "cellar"?'),
        ("pi", 'has 2 items that are called "pi"'),
    ],
)
def test_a_name_that_no_single_item_has_is_refused(name: str, says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)) as caught:
        apply(parse(NAMED, "x.yaml"), [f"fleet[{name}].count=9"])
    assert "roof, cellar, phone" in caught.value.remedy


def test_an_item_that_is_none_is_left_out() -> None:
    document = parse(NAMED, "x.yaml")
    changed, _ = apply(
        document,
        ["fleet[0]=none", "fleet[1].count=7", "gateways[1]=none", "gateways[gate].profile=z"],
    )
    assert [(group["count"]) for group in changed.data["fleet"]] == [7, 3]
    assert changed.where("fleet", 0, "profile") == document.where("fleet", 1, "profile")
    assert changed.where("fleet", 0, "count") == "--set fleet[1].count=7"
    assert changed.where("fleet", 1) == document.where("fleet", 2)
    assert [gateway["profile"] for gateway in changed.data["gateways"]] == ["x"]
    assert len(document.data["fleet"]) == 3, "the original must not change"


def test_an_error_names_the_option(document: Document) -> None:
    changed, _ = apply(document, ["fleet[0].link={rate: 3}", "stop.rounds=-1"])
    assert changed.where("fleet", 0, "link", "rate") == "--set fleet[0].link={rate: 3}"
    assert changed.where("fleet", 0, "count") == "x.yaml:2"
    assert changed.where("stop", "rounds") == "--set stop.rounds=-1"


@pytest.mark.parametrize("assignment", ["method.name=fedavg", "method=fedavg"])
def test_another_plug_in_drops_what_it_does_not_have(document: Document, assignment: str) -> None:
    changed, notes = apply(document, [assignment])
    assert changed.data["method"] == {"name": "fedavg", "lr": 0.2}
    assert notes == ["method.mu dropped: fedavg has no such option"]


@pytest.mark.parametrize(
    "assignments",
    [["method.name=fedavg", "method.mu=0.5"], ["method.mu=0.5", "method.name=fedavg"]],
)
def test_an_option_that_was_set_is_never_dropped(
    document: Document, assignments: list[str]
) -> None:
    changed, notes = apply(document, assignments)
    assert changed.data["method"] == {"name": "fedavg", "mu": 0.5, "lr": 0.2}
    assert notes == []


def test_technologies_and_availability_are_plug_ins_too(document: Document) -> None:
    changed, notes = apply(
        document, ["network.nodes.cell.technology=ethernet", "fleet[0].availability=always"]
    )
    assert changed.data["network"]["nodes"]["cell"] == {"technology": "ethernet", "latency": "1 ms"}
    assert changed.data["fleet"][0]["availability"] == {"name": "always"}
    assert len(notes) == 3


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("stop.rounds", "not of the form"),
        ("=3", "not of the form"),
        ("stop..rounds=3", "not of the form"),
        ("fleet[x].count=3", 'fleet: is a list without an item "x"'),
        ("fleet[-1].count=3", "not of the form"),
        ("fleet[2].count=3", "fleet: has 2 items"),
        ("fleet[99999999].count=3", "fleet: has 2 items"),
        ("fleet.count=3", "fleet: is a list"),
        ("stop.rounds.x=3", "stop.rounds: is a single value"),
        ("stop.rounds=", "not of the form"),
        ("stop.rounds=null", "has no value"),
        ("stop.rounds=[1", "not valid YAML"),
        ("stop.rounds=!!int 3", "tag"),
        ("stop.rounds=3\n---\n4", "second document"),
    ],
)
def test_what_cannot_be_set_is_refused(document: Document, assignment: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        apply(document, [assignment])
    assert says in str(caught.value)
    assert caught.value.where.startswith(f"--set {assignment}")
    assert caught.value.remedy


def test_an_unknown_plug_in_names_the_option(document: Document) -> None:
    with pytest.raises(
        UnknownName, match=r'--set method=fedaavg: method.name: no method "fedaavg"'
    ):
        apply(document, ["method=fedaavg"])


def test_every_method_can_be_named_for_any_file(topology: Path) -> None:
    spec = load_topology(topology, overrides=["method.name=fedavg"])
    assert spec.notes == ("method.mu dropped: fedavg has no such option",)
    assert spec.method.options == {"epochs": 2}


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("stopp.rounds=3", '--set stopp.rounds=3: stopp: unknown key. Did you mean "stop"?'),
        ("stop.rounds=0", "--set stop.rounds=0: stop.rounds: 0 is not between"),
        ("fleet[0].link.rate=3", "--set fleet[0].link.rate=3: fleet[0].link.rate: 3 has no unit"),
        ("network=lte2", "--set network=lte2: network.nodes.lte2"),
    ],
)
def test_the_loader_refuses_a_wrong_value_by_its_option(
    topology: Path, assignment: str, says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_topology(topology, overrides=[assignment])
    assert says in str(caught.value)
