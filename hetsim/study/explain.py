"""What a thing is, in words and numbers: the pages behind `hetsim check` and `hetsim explain`."""

from __future__ import annotations

import inspect
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
from hetsim.spec.options import describe

if TYPE_CHECKING:
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
    from hetsim.study.topology_page import look

    return look(topology, data).sheet()


# --- lists ----------------------------------------------------------------------------------------


def _list(kind: str) -> Sheet:
    from hetsim.spec.profile import list_profiles
    from hetsim.spec.schema import find_topology, list_topologies

    match kind:
        case "device":
            rows = [_device_line(name) for name in list_profiles()]
            columns = ("name", "device", "class", "idle", "busy", "memory for jobs", "watts are")
            return Sheet("Devices", [], [Table("", columns, rows)])
        case "topology":
            told = [(name, _headline(find_topology(name))) for name in list_topologies()]
            columns = ("name", "what it is")
            return Sheet("Topologies that come with hetsim", [], [Table("", columns, told)])
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


def _headline(topology: Path) -> str:
    """The comment with which a topology begins."""
    with topology.open(encoding="utf-8") as file:
        first = file.readline()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


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


def _first_line(plugin: Any) -> str:
    return _first_line_of(inspect.getmodule(plugin))


def _first_line_of(thing: Any) -> str:
    return ((inspect.getdoc(thing) if thing else None) or "").split("\n", 1)[0]
