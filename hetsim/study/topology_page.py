"""What a topology contains and what it would take to simulate it; nothing is simulated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from hetsim.core.errors import si
from hetsim.report.numbers import SPACE, duration, quantity, size
from hetsim.spec import units
from hetsim.spec.schema import Spec, load_topology
from hetsim.spec.world import MANY, Member, Scenario, resolve
from hetsim.study.estimate import Estimate, Figure, Kind
from hetsim.study.explain import Sheet, Table

_TITLES = {
    "updates_asked": "updates asked", "updates_computed": "of them used",
    "evaluations": "evaluations", "work": "operations", "learning_time": "learning",
    "simulation_time": "all else", "host_time": "together", "events": "events",
    "memory": "host memory", "store": "store", "files": "other files",
    "bytes_round": "sent a round",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """A look at a checked topology.

    Attributes:
        scenario: the topology, everything looked up.
    """

    scenario: Scenario

    @cached_property
    def estimate(self) -> Estimate:
        """What simulating it would take."""
        return Estimate(self.scenario)

    def as_json(self) -> dict[str, Any]:
        """The sheet, and the numbers behind it as plain values in SI units."""
        estimate, model = self.estimate, self.scenario.model
        return self.sheet().as_json() | {
            "spec_hash": self.scenario.digest,
            "devices": estimate.devices,
            "devices_able": estimate.able,
            "model_parameters": model.parameters,
            "model_b": model.state_bytes,
            "estimate": estimate.as_json(),
            "excluded": [
                {"group": kind.member.group.label, "devices": kind.devices,
                 "needs_b": kind.cost.memory, "has_b": kind.member.profile.memory}
                for kind in estimate.kinds if kind.cost and not kind.able
            ],
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """What a person reads; it fits into 80 columns."""
        scenario, groups = self.scenario, _groups(self.estimate.kinds)
        tables = [_fleet(scenario, groups), _links(scenario), _work(groups), _nodes(scenario)]
        tables += [_gateways(scenario), _excluded(groups), _taking(self.estimate)]
        text = [*_about(scenario, self.estimate), *_played(self.estimate)]
        return Sheet(scenario.spec.name, text, [table for table in tables if table.rows])


def look(topology: str | Path | Spec, data: Path | None = None) -> Look:
    """Look at a topology: file, name of one that comes with hetsim, or a loaded spec.

    Raises:
        SpecError: it is wrong.
    """
    spec = topology if isinstance(topology, Spec) else load_topology(topology)
    return Look(resolve(spec, data))


def _groups(kinds: Sequence[Kind]) -> list[list[Kind]]:
    """By group of the fleet."""
    return [list(there) for _, there in groupby(kinds, key=lambda kind: kind.member.place)]


# --- in words -------------------------------------------------------------------------------------


def _about(scenario: Scenario, estimate: Estimate) -> Iterator[str]:
    spec, data = scenario.spec, scenario.dataset
    holders = [kind.samples for kind in estimate.kinds if kind.samples] or [0]
    yield (
        f"{estimate.devices:,} devices {_task(scenario)} on {data.name}: {len(data.y):,} training "
        f"and {len(data.test_y):,} test samples of shape {data.shape} in {data.classes} classes, "
        f"{_range(holders)} a device."
    )
    if spec.task.source is not None:
        yield _source(scenario)
    yield (
        f"Method {spec.method.name}, pace {spec.pace.name}, selection {spec.selection.name}, "
        f"governor {spec.governor.name}, network sharing {spec.network.sharing}, "
        f"at most {spec.stop.rounds:,} rounds."
    )
    if scenario.recording is not None:
        yield (
            f"Nothing is learned: accuracy is that of the recorded run {scenario.recording.name} "
            f"(seed {scenario.recording.seed}, {scenario.recording.last + 1} rounds)."
        )
    yield f"Spec hash {scenario.digest[:16]}, seed {spec.seed}."


def _played(estimate: Estimate) -> Iterator[str]:
    """Who can take part, and how the fleet is played."""
    if not estimate.able and any(kind.cost for kind in estimate.kinds):
        yield "No device can hold what a round asks of it: a run would stop at once."
    yield (
        "Seconds below are of one core, from speeds that were measured on another computer (AMD "
        "EPYC with AVX-512, torch 2.13, nothing else to do). Counts are of all rounds."
    )
    if not estimate.one_by_one:
        yield "The fleet is played in columns, not device by device."
    elif estimate.devices >= MANY:
        yield f"The fleet is played device by device, not in columns: {estimate.one_by_one}."


def _task(scenario: Scenario) -> str:
    """What they do, and with which model."""
    zoo: Sequence[str] = getattr(scenario.method(), "zoo", ())
    if zoo:
        return f"stitch a network from blocks of {', '.join(zoo)}"
    model = scenario.model
    return (
        f"train {scenario.architecture.name} ({model.parameters:,} parameters, "
        f"{si(model.state_bytes)}B to send, {si(model.flops)}FLOP a trained sample)"
    )


def _source(scenario: Scenario) -> str:
    """What parts are pre-trained on."""
    chosen, source = scenario.spec.task.source, scenario.dataset.source
    if source is None or chosen is None:
        files = ", ".join(weights.path.name for weights in scenario.weights.values())
        return (
            f"Parts are those of {files}, published weights that know CIFAR-10 and "
            "have never seen this task."
        )
    return (
        f"Parts are pre-trained on {len(source.y):,} {source.name} in {source.classes} classes "
        f"that the task never sees, in {chosen.epochs} epochs with seed {chosen.seed}; no device "
        "pays for it."
        + (" Models that there are published weights for have those." if chosen.published else "")
    )


# --- tables ---------------------------------------------------------------------------------------


def _fleet(scenario: Scenario, groups: list[list[Kind]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for there in groups:
        member = there[0].member
        group, devices = member.group, sum(kind.devices for kind in there)
        crashes = ", crashes" if group.crashes else ""
        rows.append(
            (
                f"{devices:,}", _device(scenario, member), group.link.to,
                _uplink(scenario, member), _charge(member),
                f"{group.availability.name}{crashes}",
            )
        )  # fmt: skip
    return Table("Fleet", ("count", "device", "at", "uplink", "battery", "there"), rows)


def _links(scenario: Scenario) -> Table:
    rows: list[tuple[str, ...]] = [
        (" - ".join(link.between), units.format(link.bandwidth, "rate"),
         units.format(link.latency, "time"), link.duplex)
        for link in scenario.spec.network.links
    ]  # fmt: skip
    return Table("Links", ("between", "bandwidth", "latency", "duplex"), rows)


def _nodes(scenario: Scenario) -> Table:
    """Network nodes with the devices that share them."""
    there = Counter[str]()
    for group in scenario.spec.fleet:
        there[group.link.to] += group.count
    rows: list[tuple[str, ...]] = [
        (name if node.count is None else f"{name} x {node.count:,}", node.technology.name,
         f"{there[name]:,}")
        for name, node in scenario.spec.network.nodes.items()
    ]  # fmt: skip
    return Table("Network nodes", ("node", "technology", "devices on it"), rows)


def _gateways(scenario: Scenario) -> Table:
    """Every gateway with the groups it serves, and what is left to the server."""
    spec, profiles = scenario.spec, scenario.profiles[len(scenario.spec.fleet) :]
    hubs = [*((gateway.name, gateway.at) for gateway in spec.gateways), ("server", spec.server.at)]
    served: list[list[str]] = [[] for _ in hubs]
    for group, place in zip(spec.fleet, scenario.serving, strict=True):
        served[-1 if place is None else place].append(f"{group.count} {group.label}")
    rows: list[tuple[str, ...]] = [
        (name, profile.name, at, ", ".join(whom) or "nobody")
        for (name, at), profile, whom in zip(hubs, profiles, served, strict=True)
    ]
    if not served[-1]:
        rows.pop()
    return Table("Gateways", ("name", "device", "at", "serves"), rows if spec.gateways else [])


def _work(groups: list[list[Kind]]) -> Table:
    """What a round asks of a group's devices, and what they have."""
    rows = [
        (there[0].member.group.label, _range([kind.samples for kind in there]), *_asked(there))
        for there in groups
    ]
    columns = ("group", "samples", "memory needed", "there is", "takes", "above idle")
    return Table("A round's work on a device, at full speed", columns, rows)


def _asked(there: list[Kind]) -> tuple[str, str, str, str]:
    """Memory, seconds and joules of a round on the devices of a group that can do it."""
    profile, costs = there[0].member.profile, [kind.cost for kind in there if kind.cost]
    has = f"{si(profile.memory)}B"
    if not costs:
        return "nothing to do", has, "", ""
    needed = _range([cost.memory for cost in costs], "B")
    fitting = [cost for kind in there if (cost := kind.cost) and kind.able]
    if not fitting:
        return needed, has, "too large", ""
    work = [profile.effort(cost, profile.highest) for cost in fitting]
    seconds = _range([each.duration for each in work], "s")
    return needed, has, seconds, _range([sum(each.joules) for each in work], "J")


def _excluded(groups: list[list[Kind]]) -> Table:
    """Who cannot take part, by the numbers."""
    rows: list[tuple[str, ...]] = []
    for there in groups:
        profile, label = there[0].member.profile, there[0].member.group.label
        idle = sum(kind.devices for kind in there if kind.cost is None)
        short = [kind for kind in there if kind.cost and not kind.able]
        if idle:
            rows.append((label, f"{idle:,}", "hold too little data, or none, for the method"))
        if short:
            many = sum(kind.devices for kind in short)
            needs = _range([kind.cost.memory for kind in short if kind.cost], "B")
            rows.append((label, f"{many:,}", f"need {needs} of memory, have {si(profile.memory)}B"))
    return Table("Who cannot take part", ("group", "devices", "why"), rows)


def _taking(estimate: Estimate) -> Table:
    rows: list[tuple[str, ...]] = [
        (_TITLES[name], _value(figure), _bounds(figure), figure.source)
        for name, figure in estimate.figures.items()
    ]
    columns = ("what", "how much", "between", "told by")
    return Table("What simulating it would take", columns, rows)


def _value(figure: Figure) -> str:
    """A figure with what is known of it."""
    words = {"exact": "", "at most": "at most ", "about": "about ", "estimate": "some "}
    return words[figure.basis] + _written(figure.value, figure.unit)


def _bounds(figure: Figure) -> str:
    if figure.basis != "estimate" or figure.most is None:
        return ""
    return f"{_written(figure.least, figure.unit)} and {_written(figure.most, figure.unit)}"


def _written(value: float, unit: str) -> str:
    match unit:
        case "s":
            words = duration(value)
        case "B":
            words = size(value)
        case "":
            words = f"{value:,.0f}"
        case _:
            words = quantity(value, unit)
    return words.replace(SPACE, " ")


def _device(scenario: Scenario, member: Member) -> str:
    """A device's profile, and its name, memory and governor where the topology gives it some."""
    group, profile = member.group, member.profile
    words = [profile.name if group.label == profile.name else f"{profile.name} ({group.label})"]
    if group.memory is not None:
        words.append(f"{si(group.memory)}B for jobs")
    if group.governor is not None and group.governor != scenario.spec.governor:
        words.append(f"governor {group.governor.name}")
    return ", ".join(words)


def _uplink(scenario: Scenario, member: Member) -> str:
    """Rate of a device's way up, its own or its technology's."""
    link = member.group.link
    own = scenario.wiring.technologies[link.to].rates
    rate = f"{si(own[0])}B/s" if own else ""
    following = ", a trace" if link.trace or link.trace_up else ""
    return (units.format(link.up, "rate") if link.up else rate) + following


def _range(values: Sequence[float], unit: str = "") -> str:
    """Lowest and highest, once where they are the same.

    >>> _range([0.5, 2.0], "s"), _range([900.0, 1200.0], "B"), _range([3, 3])
    ('0.5-2 s', '900 B - 1.2 kB', '3')
    """
    low, high = ((si(value) + unit).rstrip() for value in (min(values), max(values)))
    (first, _, small), (last, _, large) = low.partition(" "), high.partition(" ")
    if low == high:
        return low
    return f"{low} - {high}" if small != large else f"{first}-{last} {large}".rstrip()


def _charge(member: Member) -> str:
    if member.pack is None or member.group.battery is None:
        return "mains"
    capacity = units.format(member.pack.capacity, "energy")
    return f"{member.group.battery.charge * 100:.3g} % of {capacity}"
