"""Spec -> dump -> spec is the identity, for any topology."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetsim.spec import load
from hetsim.spec.gateways import serving
from hetsim.spec.schema import load_topology


def quantity(units: str, least: float = 0.0) -> st.SearchStrategy[str]:
    numbers = st.one_of(
        st.integers(1, 10**6),
        st.floats(max(least, 1e-3), 1e9),
        st.decimals(1, 1000, places=2, allow_nan=False),
    )
    return st.builds("{} {}".format, numbers, st.sampled_from(units.split()))


RATES = quantity("bit/s kbit/s Mbit/s Gbit/s B/s kB/s MB/s")
TIMES = quantity("us ms s min h d")
POWERS = quantity("uW mW W kW")
SHARES = st.floats(0.001, 1.0) | st.integers(1, 100).map("{} %".format)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("server", "null", "Null", "NULL", "true", "True", "TRUE", "false",
                              "False", "FALSE")
)  # fmt: skip


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


AVAILABILITY = st.one_of(
    st.just("always"),
    st.fixed_dictionaries({"name": st.just("random"), "up": TIMES, "down": TIMES}),
    st.just({"name": "windows", "on": [["0 h", "2 h"], ["5 h", "6 h"]], "period": "24 h"}),
)
GOVERNOR = st.one_of(
    st.sampled_from(["performance", "powersave", {"name": "schedutil"}]),
    optional(cpu=quantity("MHz GHz"), gpu=quantity("MHz GHz")).map(
        lambda clocks: {"name": "fixed", **clocks}
    ),
)
SOURCE = st.one_of(
    st.just({}),
    st.lists(st.integers(0, 9), min_size=1, unique=True).map(lambda chosen: {"classes": chosen}),
    SHARES.map(lambda share: {"share": share}),
    st.just({"published": True}),
    st.just({"data": {"name": "synthetic", "classes": 3}}),
)
TRAINING = optional(
    epochs=st.integers(1, 10**6), lr=st.floats(1e-6, 10.0), momentum=st.floats(0.0, 0.99),
    weight_decay=st.just(0) | st.floats(0.0, 1.0), seed=st.integers(0, 2**63 - 1),
)  # fmt: skip
METHOD = st.one_of(
    st.just("fedavg"),
    optional(lr=st.floats(1e-4, 1.0), epochs=st.integers(1, 5)).map(
        lambda options: {"name": "fedprox", **options}
    ),
)


@st.composite
def topologies(draw: st.DrawFn) -> dict[str, Any]:
    nodes = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    technology = st.sampled_from(["wifi", "lte", "ethernet"])
    cell = technology | st.fixed_dictionaries(
        {"technology": technology}, optional={"power": POWERS}
    )
    line = st.fixed_dictionaries(
        {"bandwidth": RATES, "latency": TIMES},
        optional={
            "duplex": st.sampled_from(["full", "shared"]),
            "power": st.just({"idle": "1 W", "busy": "2.5 W"}),
        },
    )
    rate = st.one_of(
        st.fixed_dictionaries({"rate": RATES}, optional={"latency": TIMES}),
        st.fixed_dictionaries({"up": RATES, "down": RATES}),
    )
    group = optional(
        count=st.integers(1, 10**6) | st.just(1e3),
        memory=quantity("B kB MiB GB"),
        battery=st.just("none") | optional(charge=SHARES, capacity=quantity("J Wh kWh")),
        availability=AVAILABILITY,
        governor=GOVERNOR,
        data=st.just("none") | optional(samples=st.integers(1, 100)),
    )
    fleet = [
        {"profile": "board", "name": f"g{i}", **draw(group),
         "link": {**draw(rate), "to": draw(st.sampled_from(nodes))}}
        for i in range(draw(st.integers(0, 2)))
    ]  # fmt: skip
    fleet.append({"profile": "board", "link": {"rate": "1 Mbit/s", "to": nodes[0]}})
    places = nodes[1:] and draw(st.lists(st.sampled_from(nodes[1:]), max_size=3))
    groups = [group.get("name", "board") for group in fleet]
    served = draw(st.lists(st.sampled_from([*range(-1, len(places))]),
                           min_size=len(fleet), max_size=len(fleet)))  # fmt: skip
    gateways: list[dict[str, Any]] = []
    for index, place in enumerate(places):
        gateway: dict[str, Any] = {"profile": "board", "at": place}
        if draw(st.booleans()):
            gateway["name"] = f"gateway-{index + draw(st.sampled_from([0, 10]))}"
        mine = [name for name, by in zip(groups, served, strict=True) if by == index]
        gateways.append(gateway | ({"serves": mine} if mine else {}))
    return {
        "name": draw(NAMES),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "fleet": fleet,
        "network": {
            "nodes": {name: draw(cell) for name in nodes},
            "links": [{"between": list(ends), **draw(line)} for ends in pairwise(nodes)],
        },
        "server": {"profile": "board", "at": nodes[0]},
        "gateways": gateways,
        "task": {
            "data": "digits",
            "model": draw(st.sampled_from(["logistic", {"name": "mlp"}])),
            **draw(optional(source=st.builds(lambda one, how: one | how, SOURCE, TRAINING))),
        },
        "method": draw(METHOD),
        "pace": draw(optional(deadline=TIMES)),
        "governor": draw(GOVERNOR),
        "stop": {
            "rounds": draw(st.integers(1, 10**7)),
            **draw(optional(accuracy=SHARES, time=TIMES)),
        },
        "report": draw(optional(targets=st.lists(SHARES, max_size=3))),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    path = tmp_path_factory.mktemp("specs")
    (path / "board.yaml").write_bytes(
        (repo / "device_profiles" / "raspberry_pi_4b.yaml").read_bytes()
    )
    return path


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=topologies())
def test_dump_then_load_is_the_identity(folder: Path, data: dict[str, Any]) -> None:
    written, again = folder / "written.yaml", folder / "again.yaml"
    written.write_text(load.dump(data), encoding="utf-8")
    first = load_topology(written)
    again.write_text(load.dump(first.resolved()), encoding="utf-8")
    second = load_topology(again)
    assert second.resolved() == first.resolved()
    assert second.digest({}) == first.digest({})
    for one, other in zip(first.fleet, second.fleet, strict=True):
        assert one.link == other.link
        assert one.battery == other.battery
    assert first.stop == second.stop
    if first.task.source is None:
        assert second.task.source is None
    else:
        assert second.task.source is not None
        assert first.task.source.training == second.task.source.training
    assert first.gateways == second.gateways
    assert serving(first) == serving(second)
