"""What a thing is, in words and numbers: the pages behind `hetsim check` and `hetsim explain`."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.core.errors import UnknownName, si
from hetsim.core.registry import (
    AVAILABILITIES,
    BANDWIDTHS,
    GOVERNORS,
    METHODS,
    NETWORKS,
    PACES,
    PARTITIONS,
    SELECTIONS,
    Registry,
)
from hetsim.sim.device import Profile
from hetsim.spec import units
from hetsim.spec.options import describe

if TYPE_CHECKING:
    from hetsim.core.cost import Cost
    from hetsim.federation.client import Client
    from hetsim.spec.build import Member, Scenario
    from hetsim.spec.schema import Spec

KINDS = ("device", "method", "network", "policy", "topology", "run")
_POLICIES = (SELECTIONS, PACES, GOVERNORS, AVAILABILITIES, BANDWIDTHS, PARTITIONS)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: a title, paragraphs, tables."""

    title: str
    text: list[str] = field(default_factory=list[str])
    tables: list[Table] = field(default_factory=list[Table])

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def explain(kind: str | None = None, name: str | None = None) -> Sheet:
    """The page of a device, method, network, policy, topology or run; without name, the list.

    Raises:
        SpecError: no such kind or name.
    """
    if kind is None:
        return Sheet("What can be explained", [], [Table("", ("kind",), [(k,) for k in KINDS])])
    if kind not in KINDS:
        raise UnknownName("kind of thing", kind, KINDS, where="explain")
    if name is None:
        return _list(kind)
    match kind:
        case "device":
            from hetsim.study.device_page import device_page

            return device_page(name)
        case "topology":
            return explain_topology(name)
        case "run":
            from hetsim.study.run_page import run_page

            return run_page(Path(name))
        case "policy":
            for registry in _POLICIES:
                if name in registry.names():
                    return _plugin(registry, name)
            known = sorted({each for registry in _POLICIES for each in registry.names()})
            raise UnknownName("policy", name, known, where="explain")
        case "network":
            from hetsim.study.network_page import network_page

            return network_page(name)
        case _:
            return _plugin(METHODS, name)


def explain_topology(topology: str | Path | Spec, data: Path | None = None) -> Sheet:
    """What a topology contains and what would be simulated; runs nothing.

    Args:
        topology: file, name of a packaged topology, or a loaded spec.
        data: folder of data sets.

    Raises:
        SpecError: it is wrong.
    """
    from hetsim.spec.build import resolve
    from hetsim.spec.schema import Spec, load_topology

    if not isinstance(topology, Spec):
        topology = load_topology(topology)
    return _scenario(resolve(topology, data))


# --- lists ----------------------------------------------------------------------------------------


def _list(kind: str) -> Sheet:
    from hetsim.spec.profile import list_profiles
    from hetsim.spec.schema import list_topologies

    match kind:
        case "device":
            rows = [_device_line(name) for name in list_profiles()]
            columns = ("name", "device", "class", "idle", "busy", "memory for jobs", "watts are")
            return Sheet("Devices", [], [Table("", columns, rows)])
        case "topology":
            names = [(name,) for name in list_topologies()]
            return Sheet("Topologies that come with hetsim", [], [Table("", ("name",), names)])
        case "run":
            found = sorted(Path("runs").glob("*/summary.json"))
            names = [(str(path.parent),) for path in found]
            return Sheet("Finished runs in ./runs", [], [Table("", ("folder",), names)])
        case "policy":
            tables = [_names(registry, registry.kind) for registry in _POLICIES]
            return Sheet("Policies", [], tables)
        case _:
            registry = METHODS if kind == "method" else NETWORKS
            return Sheet(f"Every {registry.kind}", [], [_names(registry, "")])


def _names(registry: Registry, title: str) -> Table:
    rows = [(name, _first_line(registry.load(name))) for name in registry.names()]
    return Table(title, ("name", "what it does"), rows)


def _device_line(name: str) -> tuple[str, ...]:
    from hetsim.spec.profile import find_profile, load_profile
    from hetsim.study.device_page import full_power

    profile = load_profile(find_profile(name, None))
    return (
        name, profile.title, profile.device_class, f"{si(profile.idle)}W",
        f"{si(full_power(profile))}W", f"{si(profile.memory)}B", profile.power_scope,
    )  # fmt: skip


# --- pages ----------------------------------------------------------------------------------------


def _plugin(registry: Registry, name: str) -> Sheet:
    plugin = registry.load(name, where="explain")
    return _described(f"{registry.kind} {name}", plugin, inspect.getmodule(plugin))


def _described(title: str, plugin: Any, told_by: Any) -> Sheet:
    """A plug-in's options under what the docstring of `told_by` says."""
    about = inspect.getdoc(told_by) or "" if told_by else ""
    options = [
        (option.name, option.type, "required" if option.default is None else str(option.default),
         option.doc)
        for option in describe(plugin)
    ]  # fmt: skip
    columns = ("option", "takes", "default", "meaning")
    paragraphs = [" ".join(part.split()) for part in about.split("\n\n")]
    told = [part for part in paragraphs if not part.startswith("Attributes:")]
    return Sheet(title, told, [Table("Options", columns, options)])


def _scenario(scenario: Scenario) -> Sheet:
    spec, data = scenario.spec, scenario.dataset
    groups: dict[int, list[tuple[Member, Client, Cost | None]]] = {}
    for entry in scenario.workload():
        groups.setdefault(entry[0].place, []).append(entry)
    sizes = [len(rows) for rows in scenario.shards]
    holders = [size for size in sizes if size] or [0]
    rows: list[tuple[str, ...]] = []
    for there in groups.values():
        member, profile = there[0][0], there[0][0].profile
        link, samples = member.group.link, [client.samples for _, client, _ in there]
        rows.append(
            (
                str(len(there)), _device(scenario, member), profile.device_class,
                f"{link.to}: {_uplink(scenario, member)}", _charge(member),
                _range(samples), *_round_of(profile, there),
            )
        )  # fmt: skip
    columns = ("count", "device", "class", "link", "battery", "samples",
               "a round's work, full speed", "above idle")  # fmt: skip
    text = [
        f"{len(sizes)} devices {_task(scenario)} on {data.name}: "
        f"{len(data.y):,} training and {len(data.test_y):,} test samples of shape {data.shape} in "
        f"{data.classes} classes, {_range(holders)} a device.",
        f"Method {spec.method.name}, pace {spec.pace.name}, selection {spec.selection.name}, "
        f"governor {spec.governor.name}, network sharing {spec.network.sharing}, "
        f"at most {spec.stop.rounds} rounds.",
        f"Spec hash {scenario.digest[:16]}, seed {spec.seed}.",
    ]
    if spec.task.source is not None:
        text.insert(1, _source(scenario))
    network = [
        (" - ".join(link.between), units.format(link.bandwidth, "rate"),
         units.format(link.latency, "time"), link.duplex)
        for link in spec.network.links
    ]  # fmt: skip
    tables = [Table("Fleet", columns, rows)]
    if network:
        tables.append(Table("Links", ("between", "bandwidth", "latency", "duplex"), network))
    if spec.gateways:
        tables.append(_gateways(scenario))
    return Sheet(spec.name, text, tables)


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


def _gateways(scenario: Scenario) -> Table:
    """Every gateway with the groups it serves, and what is left to the server."""
    spec, profiles = scenario.spec, scenario.profiles[len(scenario.spec.fleet) :]
    hubs = [*((gateway.name, gateway.at) for gateway in spec.gateways), ("server", spec.server.at)]
    served: list[list[str]] = [[] for _ in hubs]
    for group, place in zip(spec.fleet, scenario.serving, strict=True):
        served[-1 if place is None else place].append(f"{group.count} {group.label}")
    rows = [
        (name, profile.name, at, ", ".join(whom) or "nobody")
        for (name, at), profile, whom in zip(hubs, profiles, served, strict=True)
    ]
    if not served[-1]:
        rows.pop()
    return Table("Gateways", ("name", "device", "at", "serves"), rows)


def _round_of(profile: Profile, there: list[tuple[Member, Client, Cost | None]]) -> tuple[str, str]:
    """Seconds and joules of a round on the devices of a group that can do it, or why none can."""
    costs = [cost for _, _, cost in there if cost is not None]
    if not costs:
        return "nothing to do", ""
    fitting = [cost for cost in costs if cost.memory <= profile.memory]
    if not fitting:
        needed = max(cost.memory for cost in costs)
        return f"does not fit: {si(needed)}B of {si(profile.memory)}B", ""
    work = [profile.effort(cost, profile.highest) for cost in fitting]
    seconds = [each.duration for each in work]
    joules = [sum(each.joules) for each in work]
    left = f", {len(costs) - len(fitting)} do not fit" if len(fitting) < len(costs) else ""
    return f"{_range(seconds)} s{left}", f"{_range(joules)} J"


def _device(scenario: Scenario, member: Member) -> str:
    """A device's profile, and its own memory and governor where the topology gives it some."""
    memory, governor = member.group.memory, member.group.governor
    words = [member.profile.name]
    if memory is not None:
        words.append(f"{si(memory)}B for jobs")
    if governor is not None and governor != scenario.spec.governor:
        words.append(f"governor {governor.name}")
    return ", ".join(words)


def _uplink(scenario: Scenario, member: Member) -> str:
    """Rate of a device's way up, its own or its technology's."""
    link = member.group.link
    own = scenario.wiring.technologies[link.to].rates
    rate = f"{si(own[0])}B/s" if own else ""
    following = ", a trace" if link.trace or link.trace_up else ""
    return (units.format(link.up, "rate") if link.up else rate) + following


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}-{high}"


def _charge(member: Member) -> str:
    if member.pack is None or member.group.battery is None:
        return "mains"
    capacity = units.format(member.pack.capacity, "energy")
    return f"{member.group.battery.charge * 100:.3g} % of {capacity}"


def _first_line(plugin: Any) -> str:
    return _first_line_of(inspect.getmodule(plugin))


def _first_line_of(thing: Any) -> str:
    return ((inspect.getdoc(thing) if thing else None) or "").split("\n", 1)[0]
