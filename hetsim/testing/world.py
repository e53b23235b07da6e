"""A federation small enough for a test: four devices on three technologies, 200 digits.

Two boards share a Wi-Fi cell, a phone with a battery hangs on LTE, far away, and a Jetson on the
switch where the server is. A run of two rounds takes a fraction of a second, training included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hetsim.core.quantities import WATT_HOUR, Joules, Seconds
from hetsim.core.registry import METHODS
from hetsim.core.trace import Trace
from hetsim.learn.executors.base import Executor
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.store import MemoryStore
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve

TOPOLOGY = """\
fleet:
  - {profile: raspberry_pi_4b, count: 2, name: pi, link: {to: ap, rate: "40 Mbit/s"}}
  - profile: pixel_6
    name: phone
    link: {to: lte-cell, up: "12 Mbit/s", down: "40 Mbit/s", latency: "150 ms"}
    battery: {charge: "50 %"}
  - {profile: jetson_tx2, name: jetson, link: {to: switch, rate: "900 Mbit/s"}}
network:
  nodes:
    ap: {technology: wifi, power: "6 W"}
    lte-cell: {technology: lte}
    switch: {technology: ethernet}
  links:
    - {between: [ap, switch], bandwidth: "300 Mbit/s", latency: "1 ms"}
    - between: [lte-cell, switch]
      bandwidth: "1 Gbit/s"
      latency: "12 ms"
      power: {idle: "2 W", busy: "3 W"}
server: {profile: core_ultra_265k, at: switch}
task: {data: {name: digits, train: 200, test: 100}, model: logistic, partition: iid}
method: {name: fedavg, epochs: 1, batch: 20, lr: 0.1}
selection: {name: random, cohort: 3}
stop: {rounds: 2}
"""
_DEEPER = "task.model={name: mlp, hidden: [16, 16]}"
_HASTY = "task.source={samples: 64, epochs: 1}"
_APART = ("cut", "rates", "exits", "factors", "budgets")
"""Options of methods that take the model apart."""
_CLOSE = 1e-9


def tiny(*overrides: str, seed: int | None = None, data: Path | None = None) -> Scenario:
    """The small world, with changes as `--set` takes them.

    >>> scenario = tiny("method.name=fedprox", "stop.rounds=1")
    >>> scenario.spec.method.name, [member.name for member in scenario.members()]
    ('fedprox', ['pi-0', 'pi-1', 'phone-0', 'jetson-0'])

    A method that takes the model apart, or starts from pre-trained parts, has a perceptron instead
    of logistic regression, which is a single layer. One that takes blocks of a whole zoo has it
    pre-trained in a hurry.

    Args:
        overrides: texts such as "method.lr=0.05".
        seed: replaces 0.
        data: folder of data sets, for tasks other than the digits.
    """
    with TemporaryDirectory(prefix="hetsim-tiny-") as folder:
        path = Path(folder) / "tiny.yaml"
        path.write_text(TOPOLOGY, encoding="utf-8")
        spec = load_topology(path, overrides=overrides, seed=seed)
        method = METHODS.load(spec.method.name)
        apart = any(hasattr(method, option) for option in _APART)
        parts = getattr(method, "pretrained", False) or apart
        if parts and spec.task.model.name == "logistic":
            overrides = (*overrides, _DEEPER)
        if hasattr(method, "zoo") and spec.task.source is None:
            overrides = (*overrides, _HASTY)
        spec = load_topology(path, overrides=overrides, seed=seed)
        return resolve(spec, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A finished simulation.

    Attributes:
        trace: all that happened.
        executed: values computed, by operation; empty without training.
    """

    trace: Trace
    executed: Counter[str] = field(default_factory=Counter[str])

    @property
    def summary(self) -> dict[str, Any]:
        """As in `summary.json`."""
        return self.trace.summary

    @property
    def hashes(self) -> tuple[str, str | None]:
        """Trace and model hash: equal if and only if the runs were the same."""
        return self.summary["trace_hash"], self.summary["model_hash"]


def play(scenario: Scenario, executor: Executor | None = None) -> Played:
    """Simulate with the causality check on; nothing is written.

    Args:
        scenario: from `tiny`, or `hetsim.spec.world.resolve`.
        executor: an instance; inline by default. A cost-only scenario needs none.
    """
    if scenario.spec.cost_only:
        return Played(trace=scenario.play(scenario.lab(), causality=True))
    lab = Lab(executor or Inline(), MemoryStore(), scenario.resident)
    try:
        return Played(trace=scenario.play(lab, causality=True), executed=lab.executed)
    finally:
        lab.close()


def check_books(trace: Trace, scenario: Scenario) -> None:
    """Assert that no joule and no byte is missing or counted twice.

    Kinds, roles, nodes and rounds add up to the same total; what each node is billed is the
    integral of the power it drew; a battery fell by what its device is billed.
    """
    summary, nodes = trace.summary, {row["device"]: row for row in trace.devices}
    total = summary["energy_j"]["total"]
    _same(total, sum(v for kind, v in summary["energy_j"].items() if kind != "total"), "kinds")
    _same(total, sum(summary["energy_by_role_j"].values()), "roles")
    _same(total, sum(row["energy_j"] for row in nodes.values()), "nodes")
    drawn = _integrals(trace, summary["simulated_s"])
    members = {member.name: member for member in scenario.members()}
    for name, row in nodes.items():
        member = members.get(name)
        pack = member.pack if member else None
        _same(row["energy_j"], drawn.get(name, 0.0) + row["loss_j"], f"power of {name}")
        assert -_CLOSE <= row["active_j"] <= row["energy_j"] * (1 + _CLOSE), name
        assert -_CLOSE <= row["participant_j"] <= row["energy_j"] * (1 + _CLOSE), name
        if member and pack and member.group.battery:
            start = pack.charged(member.group.battery.charge).charge
            fallen = start - row["battery_end_wh"] * WATT_HOUR
            used = row["energy_j"] - row["supplied_j"] - row["charged_j"]
            assert abs(fallen - used) <= _CLOSE * pack.capacity, f"battery of {name}"
    _check_bytes(trace, nodes)


def _check_bytes(trace: Trace, nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """What moved is in the rows of both its ends, once each."""
    for way, kind in (("bytes_up", "upload"), ("bytes_down", "download")):
        spans = [span for span in trace.spans if span.kind == kind]
        for role in ("device", "gateway", "server"):
            names = {name for name, row in nodes.items() if row["role"] == role}
            ends = sum(
                span.size * ((span.actor in names) + (span.peer in names)) for span in spans
            )  # fmt: skip
            _same(ends, sum(nodes[name][way] for name in names), f"{way} of every {role}")
        moved = sum(span.size for span in spans)
        _same(moved, sum(row[way] for row in trace.rounds), f"{way} of all rounds")


def _integrals(trace: Trace, end: Seconds) -> dict[str, Joules]:
    """Joules of each node, from the steps of its power alone."""
    joules: dict[str, Joules] = {}
    last: dict[str, tuple[Seconds, float]] = {}
    for step in trace.counters:
        if step.track == "power_w":
            since, power = last.get(step.actor, (0.0, 0.0))
            joules[step.actor] = joules.get(step.actor, 0.0) + power * (step.t - since)
            last[step.actor] = step.t, step.value
    for actor, (since, power) in last.items():
        joules[actor] += power * (end - since)
    return joules


def _same(one: float, other: float, what: str) -> None:
    assert isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE), f"{what}: {one!r} and {other!r}"
