"""Times and joules of every network and compute scenario against SimGrid's.

A scenario's flows and tasks become activities on the sharing itself, so what is tested is the
fluid model: weights, caps, consumption of reverse paths, capacity changes, cancellation, kills.
The format is told in the oracle's README.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
import simpy

from hetsim.core.trace import Trace
from hetsim.sim.clock import Call
from hetsim.sim.node import Node
from hetsim.sim.sharing import Activity, Resource, Sharing

TOLERANCE = 1e-6
FAMILIES = {
    "two_flows_*": 4, "star10_*": 10, "dumbbell3*": 4, "random50_s*": 10, "random50_caps_*": 4,
    "random20_invlat_*": 4, "random20_lv08_*": 4, "bandwidth_steps": 1, "cancel": 1, "fl_sync_*": 5,
    "compute_*": 5, "idle_only": 1, "oversubscribed": 1, "pstates_one_task": 1,
}  # fmt: skip
"""Scenarios and how many there are of each."""

Json = dict[str, Any]


class Line:
    """One direction of a link, or both of a shared one: a resource, and a node that pays for it."""

    def __init__(self, env: simpy.Environment, name: str, link: Json) -> None:
        self.resource = Resource(name, link["bandwidth_Bps"])
        self.node = Node(env, Trace(), name, "link", base={"idle": {"idle": link["idle_W"]}})
        self._swing = link["busy_W"] - link["idle_W"]

    @property
    def price(self) -> float:
        """Joules a byte takes above idle at the present bandwidth."""
        return self._swing / self.resource.capacity


class Machine:
    """A node of c cores: n tasks run at min(s, c s / n) each.

    Its base state is its operating point and whether it is busy; a flop's price is the slope of the
    power from one busy core's share upwards.
    """

    def __init__(self, env: simpy.Environment, about: Json) -> None:
        self.cores, self.pstates, self.pstate = about["cores"], about["pstates"], about["pstate"]
        base = {
            f"{i}/{state}": {"idle": point[f"{watts}_W"]}
            for i, point in enumerate(self.pstates)
            for state, watts in (("idle", "idle"), ("busy", "epsilon"))
        }
        base |= {"idle": base[f"{self.pstate}/idle"], "off": {"off": about["off_W"]}}
        self.node = Node(env, Trace(), about["id"], "device", base=base)
        self.flops = Resource(about["id"], self.cores * self.speed)
        self.tasks: dict[str, Activity] = {}
        self.off = False

    @property
    def speed(self) -> float:
        """Of one core."""
        return self.pstates[self.pstate]["flops_per_s"]

    @property
    def price(self) -> float:
        """Joules a flop takes above a busy node's least power."""
        point = self.pstates[self.pstate]
        return (point["all_cores_W"] - point["epsilon_W"]) / (self.cores * self.speed)

    def show(self) -> None:
        """Draw the base power of what it does now."""
        state = "busy" if self.tasks else "idle"
        self.node.switch("off" if self.off else f"{self.pstate}/{state}")


class Replay:
    """A scenario played on one environment.

    Attributes:
        times: [release, finish, state] by activity.
    """

    def __init__(self, scenario: Json) -> None:
        self.scenario, self.model = scenario, scenario["network_model"]
        self.env = simpy.Environment()
        self.sharing = Sharing(self.env)
        self.machines = {about["id"]: Machine(self.env, about) for about in scenario["nodes"]}
        self.links = {link["id"]: link for link in scenario["links"]}
        self.lines: dict[str, Line] = {}
        self.hops: dict[tuple[str, str], tuple[str, Json]] = {}
        for link in scenario["links"]:
            full = link["duplex"] == "full"
            forth, back = (f"{link['id']}:fwd", f"{link['id']}:rev") if full else (link["id"],) * 2
            for name in dict.fromkeys((forth, back)):
                self.lines[name] = Line(self.env, name, link)
            self.hops[link["a"], link["b"]] = forth, link
            self.hops[link["b"], link["a"]] = back, link
        self.about = {activity["id"]: activity for activity in scenario["activities"]}
        self.times: dict[str, list[Any]] = {}
        self.running: dict[str, Activity] = {}
        self.waiting = {name: set(activity["after"]) for name, activity in self.about.items()}

    def play(self) -> None:
        """Until the horizon."""
        for event in self.scenario["events"]:
            Call(self.env, lambda event=event: self._event(event), event["t_s"])
        for name in self.about:
            if not self.waiting[name]:
                self._release(name)
        self.env.run(self.scenario["horizon_s"])
        for node in self.nodes:
            node.settle(self.env.now)

    @property
    def nodes(self) -> list[Node]:
        """Everything that draws power."""
        things = [*self.machines.values(), *self.lines.values()]
        return [thing.node for thing in things]

    # --- activities -----------------------------------------------------------------------------

    def _release(self, name: str) -> None:
        wait = max(self.about[name]["start_s"] - self.env.now, 0.0)
        Call(self.env, lambda: self._begin(name), wait)

    def _begin(self, name: str) -> None:
        about = self.about[name]
        self.times[name] = [self.env.now, None, "running"]
        if about["type"] == "compute":
            machine = self.machines[about["node"]]
            if machine.off:
                self._end(name, "failed")
                return
            task = Activity(
                about["flops"], {machine.flops: 1.0}, lambda: self._end(name, "done"),
                cap=machine.speed, payers={machine.node: {"compute": machine.price}},
            )  # fmt: skip
            machine.tasks[name] = task
            self._start(name, task)
            machine.show()
        else:
            latency, flow = self._flow(name)
            Call(self.env, lambda: self._flows(name, flow), latency)

    def _flows(self, name: str, flow: Activity) -> None:
        if self.times[name][2] == "running":  # not cancelled meanwhile
            self._start(name, flow)

    def _flow(self, name: str) -> tuple[float, Activity]:
        """A flow and the time before it moves, by the rules of the network model."""
        about = self.about[name]
        path = list(zip(about["path"], about["path"][1:], strict=False))
        links = [self.hops[hop][1] for hop in path]
        latency = sum(link["latency_s"] for link in links)
        wait, weight, cap, gain, reverse = latency, 1.0, about["rate_cap_Bps"] or inf, 1.0, 0.0
        if self.model == "maxmin_inverse_latency":
            weight = 1.0 / latency
        elif self.model == "lv08":
            wait, gain, reverse = 13.01 * latency, 0.97, 0.05
            weight = 1.0 / (latency + sum(20537.0 / link["bandwidth_Bps"] for link in links))
            narrowest = min(link["bandwidth_Bps"] for link in links)
            cap = min(cap, narrowest, 4194304.0 / (2.0 * latency))
        uses: dict[Resource, float] = {}
        payers: dict[Any, dict[str, float]] = {}
        for a, b in path:
            for hop, share in (((a, b), 1.0), ((b, a), reverse)):
                if share:
                    line = self.lines[self.hops[hop][0]]
                    uses[line.resource] = uses.get(line.resource, 0.0) + share
                    paid = payers.setdefault(line.node, {"link": 0.0})
                    paid["link"] += share * line.price
        amount = about["bytes"] / gain  # progress in units of the share, of which `gain` arrives
        return wait, Activity(
            amount, uses, lambda: self._end(name, "done"), weight=weight, cap=cap, payers=payers
        )

    def _start(self, name: str, activity: Activity) -> None:
        self.running[name] = activity
        for payer in activity.payers:
            assert isinstance(payer, Node)
            payer.activities[activity] = None
        self.sharing.start(activity)

    def _end(self, name: str, state: str) -> None:
        self.times[name][1:] = self.env.now, state
        activity = self.running.pop(name, None)
        if activity:
            for payer in activity.payers:
                assert isinstance(payer, Node)
                del payer.activities[activity]
        about = self.about[name]
        if about["type"] == "compute":
            machine = self.machines[about["node"]]
            machine.tasks.pop(name, None)
            machine.show()
        for other, missing in self.waiting.items():
            if name in missing:
                if state == "done":
                    missing.remove(name)
                    if not missing:
                        self._release(other)
                else:
                    self.times[other] = [None, None, "skipped"]

    def _stop(self, name: str, state: str) -> None:
        if name in self.running:
            self.sharing.stop(self.running[name])
        self._end(name, state)

    # --- events ---------------------------------------------------------------------------------

    def _event(self, event: Json) -> None:
        match event["type"]:
            case "link_bandwidth":
                self._bandwidth(self.links[event["link"]], event["bandwidth_Bps"])
            case "pstate":
                machine = self.machines[event["node"]]
                machine.pstate = event["pstate"]
                self.sharing.resize(machine.flops, machine.cores * machine.speed)
                for task in machine.tasks.values():
                    payers: dict[Any, Any] = {machine.node: {"compute": machine.price}}
                    self.sharing.reprice(task, task.uses, payers, 1.0, machine.speed)
                machine.show()
            case "cancel":
                if self.times.get(event["activity"], [0, 0, ""])[2] == "running":
                    self._stop(event["activity"], "cancelled")
            case "node_off":
                machine = self.machines[event["node"]]
                machine.off = True
                for name in list(machine.tasks):
                    self._stop(name, "failed")
                machine.show()
            case "node_on":
                machine = self.machines[event["node"]]
                machine.off = False
                machine.show()
            case other:
                raise AssertionError(f"no event {other}")

    def _bandwidth(self, link: Json, rate: float) -> None:
        assert self.model == "maxmin"
        for name in dict.fromkeys(
            self.hops[hop][0] for hop in ((link["a"], link["b"]), (link["b"], link["a"]))
        ):
            line = self.lines[name]
            self.sharing.resize(line.resource, rate)
            for flow in list(line.resource.users):
                payers: dict[Any, Any] = {**flow.payers, line.node: {"link": line.price}}
                self.sharing.reprice(flow, flow.uses, payers, flow.weight, flow.cap)


def compare(replay: Replay, expected: Json) -> dict[str, float]:
    """Worst relative error of times and joules; states must agree."""
    worst = {"times": 0.0, "joules": 0.0}
    assert set(expected["activities"]) <= set(replay.about)
    for name, answer in expected["activities"].items():
        ours = replay.times[name]
        assert ours[2] == answer["state"], name
        if answer["state"] == "skipped":
            continue
        duration = max(answer["finish_s"] - answer["start_s"], 1e-3)
        for mine, theirs in zip(ours, (answer["start_s"], answer["finish_s"]), strict=False):
            worst["times"] = max(worst["times"], abs(mine - theirs) / duration)
    drawn = {node.name: node.total for node in replay.nodes}
    for name, answer in {**expected["nodes"], **expected["links"]}.items():
        error = abs(drawn[name] - answer["energy_J"]) / max(answer["energy_J"], 1e-9)
        worst["joules"] = max(worst["joules"], error)
    return worst


@pytest.mark.parametrize("family", FAMILIES)
def test_scenarios(
    family: str, shared: Path, record_property: Callable[[str, object], None]
) -> None:
    files = sorted((shared / "oracle" / "scenarios").glob(f"{family}.json"))
    assert len(files) >= FAMILIES[family]
    for file in files:
        replay = Replay(json.loads(file.read_text()))
        replay.play()
        expected = json.loads((shared / "oracle" / "expected" / file.name).read_text())
        worst = compare(replay, expected)
        record_property(file.stem, worst)
        assert max(worst.values()) < TOLERANCE, (file.stem, worst)


def test_no_scenario_is_left_out(shared: Path) -> None:
    folder = shared / "oracle" / "scenarios"
    covered = {file for family in FAMILIES for file in folder.glob(f"{family}.json")}
    assert covered == set(folder.glob("*.json"))
