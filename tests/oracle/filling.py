"""A second answer to every scenario of the oracle's format: progressive filling, step by step.

Nothing here is shared with the package, and nothing is clever: at every instant at which anything
happens all rates are computed anew, from the definitions in the oracle's README, and everything
moves on to the next such instant.
"""

from __future__ import annotations

from math import inf
from typing import Any

Json = dict[str, Any]
CLOSE = 1e-13
"""Instants this close together, as a share of the time since 0, are one."""


class Filling:
    """A scenario, solved on construction.

    Attributes:
        start, finish: of each activity; None if there is none.
        state: of each activity.
        joules: of each node and each direction of a link.
    """

    def __init__(self, scenario: Json) -> None:
        self.model = scenario["network_model"]
        self.about = {each["id"]: each for each in scenario["activities"]}
        self.nodes = {each["id"]: dict(each, on=True) for each in scenario["nodes"]}
        self.links = {each["id"]: dict(each) for each in scenario["links"]}
        self.between: dict[tuple[str, str], tuple[str, Json]] = {}
        for link in self.links.values():
            full = link["duplex"] == "full"
            for way, (a, b) in {
                "fwd": (link["a"], link["b"]),
                "rev": (link["b"], link["a"]),
            }.items():
                self.between[a, b] = f"{link['id']}:{way}" if full else link["id"], link
        self.line = {name: link for name, link in self.between.values()}
        self.start: dict[str, float | None] = dict.fromkeys(self.about)
        self.finish: dict[str, float | None] = dict.fromkeys(self.about)
        self.state = dict.fromkeys(self.about, "waiting")
        self.until: dict[str, float] = {}
        self.left: dict[str, float] = {}
        self.joules = dict.fromkeys([*self.nodes, *self.line], 0.0)
        self.events = sorted(scenario["events"], key=lambda event: event["t_s"])
        self.now = 0.0
        self._run(scenario["horizon_s"])

    def _run(self, horizon: float) -> None:
        while True:
            self._happen()
            if self.now >= horizon:
                return
            progress, loads = self._rates()
            times = [horizon, *(event["t_s"] for event in self.events[:1]), *self.until.values()]
            times += [self.about[name]["start_s"] for name in self._released_by_time()]
            ends = {
                name: self.now + self.left[name] / rate
                for name, rate in progress.items()
                if rate > 0.0
            }
            then = min([*times, *ends.values()])
            self._draw(progress, loads, then - self.now)
            for name, rate in progress.items():
                self.left[name] -= rate * (then - self.now)
                if ends.get(name, inf) <= then * (1.0 + CLOSE):
                    self.left[name] = 0.0
            self.now = then

    # --- what happens at an instant ---------------------------------------------------------------

    def _happen(self) -> None:
        again = True
        while again:
            again = False
            for name in [name for name, left in self.left.items() if left <= 0.0]:
                self._over(name, "done")
                again = True
            while self.events and self.events[0]["t_s"] <= self.now:
                self._event(self.events.pop(0))
                again = True
            for name, about in self.about.items():
                if self.state[name] == "waiting" and self._may_start(name):
                    self._release(name, about)
                    again = True
            for name in [name for name, until in self.until.items() if until <= self.now]:
                del self.until[name]
                self._move(name, self.about[name]["bytes"])
                again = True

    def _may_start(self, name: str) -> bool:
        return self.about[name]["start_s"] <= self.now and self._unhindered(name)

    def _unhindered(self, name: str) -> bool:
        return all(self.state[other] == "done" for other in self.about[name]["after"])

    def _released_by_time(self) -> list[str]:
        return [name for name in self.about if self.state[name] == "waiting" and
                self._unhindered(name)]  # fmt: skip

    def _release(self, name: str, about: Json) -> None:
        self.start[name], self.state[name] = self.now, "running"
        if about["type"] == "flow":
            wait = self._latency(about) * (13.01 if self.model == "lv08" else 1.0)
            self.until[name] = self.now + wait
        elif self.nodes[about["node"]]["on"]:
            self._move(name, about["flops"])
        else:
            self._over(name, "failed")

    def _move(self, name: str, amount: float) -> None:
        about = self.about[name]
        free = about["type"] == "flow" and len(about["path"]) == 1 and not about["rate_cap_Bps"]
        self.left[name] = 0.0 if free else amount

    def _over(self, name: str, state: str) -> None:
        if state != "skipped":
            self.finish[name] = self.now
        self.state[name] = state
        self.left.pop(name, None)
        self.until.pop(name, None)
        if state != "done":
            for other, about in self.about.items():
                if name in about["after"] and self.state[other] == "waiting":
                    self._over(other, "skipped")

    def _event(self, event: Json) -> None:
        match event["type"]:
            case "link_bandwidth":
                self.links[event["link"]]["bandwidth_Bps"] = event["bandwidth_Bps"]
            case "pstate":
                self.nodes[event["node"]]["pstate"] = event["pstate"]
            case "cancel":
                if self.state[event["activity"]] in ("waiting", "running"):
                    self._over(event["activity"], "cancelled")
            case "node_on":
                self.nodes[event["node"]]["on"] = True
            case "node_off":
                self.nodes[event["node"]]["on"] = False
                for name in list(self.left):
                    if self.about[name].get("node") == event["node"]:
                        self._over(name, "failed")

    # --- rates ------------------------------------------------------------------------------------

    def _rates(self) -> tuple[dict[str, float], dict[str, float]]:
        """Progress a second of what is under way, and load of each direction of a link."""
        rates: dict[str, float] = {}
        flows: dict[str, Json] = {}
        for name in self.left:
            about = self.about[name]
            if about["type"] == "flow":
                flows[name] = about
            else:
                node = self.nodes[about["node"]]
                speed, tasks = node["pstates"][node["pstate"]]["flops_per_s"], self._tasks(node)
                rates[name] = min(speed, node["cores"] * speed / len(tasks))
        takes = {name: self._takes(about) for name, about in flows.items()}
        shares = self._fill(flows, takes)
        loads = dict.fromkeys(self.line, 0.0)
        for name, share in shares.items():
            rates[name] = share * (0.97 if self.model == "lv08" else 1.0)
            for line, coefficient in takes[name].items():
                loads[line] += coefficient * share
        return rates, loads

    def _fill(self, flows: dict[str, Json], takes: dict[str, dict[str, float]]) -> dict[str, float]:
        shares: dict[str, float] = {}
        weights = {name: self._weight(about) for name, about in flows.items()}
        bounds = {name: self._bound(about) for name, about in flows.items()}
        while len(shares) < len(flows):
            level, fixed = inf, []
            for line, link in self.line.items():
                free = link["bandwidth_Bps"] - sum(
                    takes[name].get(line, 0.0) * share for name, share in shares.items()
                )
                users = [name for name in flows if name not in shares and line in takes[name]]
                if users:
                    total = sum(takes[name][line] * weights[name] for name in users)
                    if max(free, 0.0) / total < level:
                        level, fixed = max(free, 0.0) / total, users
            for name in flows:
                if name not in shares and bounds[name] / weights[name] < level:
                    level, fixed = bounds[name] / weights[name], [name]
            for name in fixed:
                shares[name] = weights[name] * level
        return shares

    def _hops(self, flow: Json) -> list[tuple[str, str]]:
        return list(zip(flow["path"], flow["path"][1:], strict=False))

    def _latency(self, flow: Json) -> float:
        return sum(self.between[hop][1]["latency_s"] for hop in self._hops(flow))

    def _takes(self, flow: Json) -> dict[str, float]:
        takes: dict[str, float] = {}
        for a, b in self._hops(flow):
            ahead, back = self.between[a, b][0], self.between[b, a][0]
            takes[ahead] = takes.get(ahead, 0.0) + 1.0
            if self.model == "lv08":
                takes[back] = takes.get(back, 0.0) + 0.05
        return takes

    def _weight(self, flow: Json) -> float:
        latency = self._latency(flow)
        if self.model == "maxmin" or not self._hops(flow):
            return 1.0
        if self.model == "lv08":
            for hop in self._hops(flow):
                bandwidth = self.between[hop][1]["bandwidth_Bps"]
                latency += 20537.0 / bandwidth if bandwidth else 0.0
        return 1.0 / latency if latency else 1.0

    def _bound(self, flow: Json) -> float:
        bound = flow["rate_cap_Bps"] or inf
        if self.model == "lv08":
            bound /= 0.97
            if latency := self._latency(flow):
                bound = min(bound, 4194304.0 / (2.0 * latency))
            bound = min(
                [bound, *(self.between[hop][1]["bandwidth_Bps"] for hop in self._hops(flow))]
            )
        return bound

    # --- joules -----------------------------------------------------------------------------------

    def _tasks(self, node: Json) -> list[str]:
        return [name for name in self.left if self.about[name].get("node") == node["id"]]

    def _draw(self, progress: dict[str, float], loads: dict[str, float], dt: float) -> None:
        for name, node in self.nodes.items():
            point = node["pstates"][node["pstate"]]
            work = sum(progress[task] for task in self._tasks(node))
            power = node["off_W"]
            if node["on"] and work > 0.0:
                used = work / (node["cores"] * point["flops_per_s"])
                power = point["epsilon_W"] + used * (point["all_cores_W"] - point["epsilon_W"])
            elif node["on"]:
                power = point["idle_W"]
            self.joules[name] += power * dt
        for name, link in self.line.items():
            used = loads[name] / link["bandwidth_Bps"] if loads[name] else 0.0
            self.joules[name] += (link["idle_W"] + used * (link["busy_W"] - link["idle_W"])) * dt
