"""Files that a topology refers to: profiles and traces, found where they lie, named as they are.

A run folder holds copies beside its `spec.yaml`, so a resolved topology names no folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.core.errors import SpecError
from hetsim.spec.load import Place, key_of
from hetsim.spec.sections import Battery, Plugin, Section
from hetsim.spec.trace_file import find_trace

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec


def trace_files(spec: Spec, beside: Path) -> dict[Place, Path]:
    """The files of all traces, by the section of the topology that names them.

    Raises:
        SpecError: one of them is not there.
    """
    files: dict[Place, Path] = {}
    for place, key, name in _named(spec):
        at = (*place, key)
        files[place] = find_trace(name, beside, where=spec.where(*at), key=key_of(at))
    return files


def _named(spec: Spec) -> Iterator[tuple[Place, str, str]]:
    """(section, key of the file in it, name)."""
    plugins = [*spec.traces()]
    for index, group in enumerate(spec.fleet):
        plugins.append((("fleet", index, "availability"), group.availability))
        solar = group.battery and group.battery.solar
        if solar and solar.trace is not None:
            yield ("fleet", index, "battery", "solar"), "trace", solar.trace
    for place, plugin in plugins:
        name = plugin.options.get("file")
        if isinstance(name, str) and name:
            yield place, "file", name


def by_name(spec: Spec, paths: tuple[Path, ...], traces: Mapping[Place, Path]) -> Spec:
    """The spec with files named as they are, wherever they lay; a run folder has copies.

    Args:
        spec: a checked topology.
        paths: profiles of each group, of each gateway, and the server's.
        traces: files, by the section that names them.

    Raises:
        SpecError: two files have the same name.
    """
    homes: dict[str, Path] = {}
    for kind, path in (*(("profiles", path) for path in paths),
                       *(("traces", path) for path in traces.values())):  # fmt: skip
        name = path.stem if kind == "profiles" else path.name
        other = homes.setdefault(f"{kind} {name}", path)
        if other.resolve() != path.resolve():
            raise SpecError(
                f'two {kind} are called "{name}": {other} and {path}',
                where=str(spec.origin),
                remedy="Rename one of the files.",
            )

    def named(section: Section, *place: str | int) -> dict[str, Plugin]:
        """Those plug-ins of a section that play files, with the names of these."""
        return {
            key: (plugin := getattr(section, key)).model_copy(
                update={"options": {**plugin.options, "file": traces[*place, key].name}}
            )
            for key in ("trace", "trace_up", "trace_down", "availability")
            if (*place, key) in traces
        }

    def lit(battery: Battery | None, *place: str | int) -> Battery | None:
        """A battery whose panel plays a file, with the name of it."""
        if battery is None or battery.solar is None or place not in traces:
            return battery
        solar = battery.solar.model_copy(update={"trace": traces[place].name})
        return battery.model_copy(update={"solar": solar})

    fleet = tuple(
        group.model_copy(
            update={
                "profile": path.stem,
                "link": group.link.model_copy(update=named(group.link, "fleet", index, "link")),
                "battery": lit(group.battery, "fleet", index, "battery", "solar"),
                **named(group, "fleet", index),
            }
        )
        for index, (group, path) in enumerate(zip(spec.fleet, paths, strict=False))
    )
    links = tuple(
        line.model_copy(update=named(line, "network", "links", index))
        for index, line in enumerate(spec.network.links)
    )
    gateways = tuple(
        gateway.model_copy(update={"profile": path.stem})
        for gateway, path in zip(spec.gateways, paths[len(fleet) :], strict=False)
    )
    server = spec.server.model_copy(update={"profile": paths[-1].stem})
    network = spec.network.model_copy(update={"links": links})
    return spec.model_copy(
        update={"fleet": fleet, "gateways": gateways, "server": server, "network": network}
    )
