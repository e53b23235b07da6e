"""The topology file as a whole: `Spec`, how it is loaded, its JSON Schema.

Loading checks keys, types, quantities, names and the graph, so that a `Spec` is consistent in
itself. Whether a plug-in takes its options is known once it is imported (`hetsim.spec.world`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os.path import isdir  # False, not OSError, for a name that no folder can have
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, PrivateAttr, ValidationError

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.spec import check, find, gateways, options
from hetsim.spec.fields import PlugIn, Short, Whole
from hetsim.spec.load import Document, Place, as_list, as_mapping, key_of, read
from hetsim.spec.override import apply, name_key, plug_in_kind
from hetsim.spec.sections import (
    LARGEST_SEED,
    Event,
    Gateway,
    Group,
    Name,
    Network,
    Plugin,
    Report,
    Section,
    Server,
    Stop,
    Surrogate,
    Task,
    network_form,
    network_written_out,
    safe_name,
    server_written_out,
    surrogate_written_out,
)


class Spec(Section):
    """A topology: what is simulated, all of it.

    Attributes:
        name: of the run; left out, the file's.
        seed: of every random stream.
        cost_only: train nothing, simulate times and joules alone.
        surrogate: a recorded run that tells a cost-only run how good the model would be.
        fleet: groups of devices.
        network: graph, or the name of a technology: one cell for all.
        server: the server.
        gateways: computers on the way to it.
        task: data, model, partition.
        method: the federated method.
        pace: when the server waits.
        selection: who takes part in a round.
        governor: operating points of the fleet's devices.
        stop: when the run ends.
        events: what happens to the world from outside.
        report: what is written down.
    """

    name: Name = "topology"
    seed: Annotated[int, Whole(0, LARGEST_SEED)] = 0
    cost_only: bool = False
    surrogate: (
        Annotated[Surrogate, Short(surrogate_written_out, lambda: {"type": "string"})] | None
    ) = None
    fleet: Annotated[tuple[Group, ...], Field(strict=False, min_length=1)]
    network: Annotated[Network, Short(network_written_out, network_form)]
    server: Annotated[Server, Short(server_written_out, lambda: {"type": "string"})]
    gateways: Annotated[tuple[Gateway, ...], Field(strict=False)] = ()
    task: Task
    method: Annotated[Plugin, PlugIn("method")]
    pace: Annotated[Plugin, PlugIn("pace", "sync")] = Plugin(name="sync")
    selection: Annotated[Plugin, PlugIn("selection", "random")] = Plugin(name="random")
    governor: Annotated[Plugin, PlugIn("governor", "performance")] = Plugin(name="performance")
    stop: Stop
    events: Annotated[tuple[Event, ...], Field(strict=False)] = ()
    report: Report = Report()
    _document: Document = PrivateAttr(default_factory=lambda: Document("topology", {}, {}))
    _origin: Path = PrivateAttr(default=Path("topology.yaml"))
    _notes: tuple[str, ...] = PrivateAttr(default=())

    @property
    def origin(self) -> Path:
        """The file it was read from."""
        return self._origin

    @property
    def devices(self) -> int:
        """How many there are."""
        return sum(group.count for group in self.fleet)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it was read: options that `--set` dropped."""
        return self._notes

    def remember(self, document: Document, origin: Path, notes: Sequence[str]) -> None:
        """Keep where it came from, so that later checks can name file and line."""
        self._document, self._origin, self._notes = document, origin, tuple(notes)

    def where(self, *place: str | int) -> str:
        """File and line of a value, or the option that set it: "topologies/x.yaml:14"."""
        return self._document.where(*place)

    @contextmanager
    def at(self, *place: str | int) -> Generator[None]:
        """Give errors of the user's input their place in the file."""
        try:
            yield
        except SpecError as error:
            if error.where:
                raise
            raise SpecError(
                error.what, where=self.where(*place), key=key_of(place), remedy=error.remedy
            ) from error

    def plugins(self) -> Iterator[tuple[Place, Plugin]]:
        """Every plug-in that is named, with its place in the file."""
        yield from ((("task", "data"), self.task.data), (("task", "model"), self.task.model))
        yield (("task", "partition"), self.task.partition)
        if self.task.source is not None and self.task.source.data is not None:
            yield (("task", "source", "data"), self.task.source.data)
        yield from ((("method",), self.method), (("pace",), self.pace))
        yield from ((("selection",), self.selection), (("governor",), self.governor))
        for index, group in enumerate(self.fleet):
            yield (("fleet", index, "availability"), group.availability)
            if group.governor is not None:
                yield (("fleet", index, "governor"), group.governor)
        for name, node in self.network.nodes.items():
            yield (("network", "nodes", name), node.technology)
        yield from self.traces()

    def traces(self) -> Iterator[tuple[Place, Plugin]]:
        """Every bandwidth trace that is named, with its place in the file."""
        for index, group in enumerate(self.fleet):
            for key in ("trace", "trace_up", "trace_down"):
                trace: Plugin | None = getattr(group.link, key)
                if trace is not None:
                    yield (("fleet", index, "link", key), trace)
        for index, line in enumerate(self.network.links):
            if line.trace is not None:
                yield (("network", "links", index, "trace"), line.trace)

    def resolved(self) -> dict[str, Any]:
        """Everything explicit in plain JSON values and one canonical spelling; a valid topology.

        A section `gateways` without any is left out.

        Imports every plug-in that is named.

        Raises:
            SpecError: a plug-in does not take its options.
        """
        plain = cast(dict[str, Any], _plain(self.model_dump()))
        plain["fleet"] = [
            {"name": group.label, **section}
            for group, section in zip(self.fleet, plain["fleet"], strict=True)
        ]
        if not self.gateways:
            del plain["gateways"]
        for place, plugin in self.plugins():
            key = name_key(place)
            full = {key: plugin.name, **self._options(place, plugin)}
            holder: Any = plain
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = full
        for name, node in self.network.nodes.items():
            if node.count is not None:
                plain["network"]["nodes"][name]["count"] = node.count
        return plain

    def digest(self, extra: Mapping[str, str]) -> str:
        """SHA-256 of the resolved spec without its seed, and of the hashes of what it names."""
        content = {**self.resolved(), "hashes": dict(extra)}
        del content["seed"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _options(self, place: Place, plugin: Plugin) -> dict[str, Any]:
        kind = plug_in_kind(place)
        assert kind is not None
        loaded = options.REGISTRIES[kind].load(plugin.name, where=self.where(*place))
        return options.resolved(
            loaded,
            plugin.options,
            where=lambda option: self.where(*place, option),
            key=key_of(place),
        )


def find_topology(text: str | Path) -> Path:
    """The file of a topology: a path, or a name looked up as `hetsim.spec.find` says.

    Raises:
        SpecError: there is no such file.
    """
    path = find.look_up(find.TOPOLOGIES, str(text))
    if path is None and isdir(text):
        inside = sorted(Path(text).glob("*.y*ml"))
        remedy = f"Give a file in it, such as {inside[0]}." if inside else "Give a YAML file."
        raise SpecError("is a folder.", where=str(text), remedy=remedy)
    if path is None:
        known = list_topologies()
        raise SpecError(
            f"no such topology.{did_you_mean(Path(text).stem, known)}",
            where=str(text),
            remedy=f"Give a file, or one of: {', '.join(known) or 'none'}.",
        )
    return path


def list_topologies() -> list[str]:
    """Names of all topologies in $HETSIM_PATH and in hetsim."""
    return find.names(find.TOPOLOGIES)


def load_topology(
    path: str | Path, *, overrides: Sequence[str] = (), seed: int | None = None
) -> Spec:
    """Read and check a topology.

    Args:
        path: file, or name of a topology that comes with hetsim.
        overrides: texts such as "method.lr=0.1", applied in order.
        seed: replaces the file's.

    Raises:
        SpecError: with file and line (or the option), the key, the fault and the remedy.
        TypeError: the overrides are no sequence of texts.
    """
    if isinstance(overrides, str | Mapping):
        raise TypeError('overrides are a list of texts, such as ["method.lr=0.1"]')
    file = find_topology(path)
    document, notes = apply(read(file), overrides)
    if seed is not None:
        document = Document(
            document.name,
            {**document.data, "seed": seed},
            {**document.marks, ("seed",): f"--seed {seed}"},
        )
    check.keys(Spec, document)
    try:
        spec = Spec.model_validate({"name": safe_name(file.stem), **document.data})
    except ValidationError as error:
        raise check.refusal(error, document) from None
    spec = check.completed(spec, document)
    spec.remember(document, file, notes)
    check.consistent(spec)
    gateways.check(spec)
    return spec


def json_schema() -> dict[str, Any]:
    """JSON Schema of the topology file, for editors; imports every plug-in for its options."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Spec.model_json_schema(),
    }
    models = {model.__name__: model for model in (Spec, *check.sections_in(Spec))}
    definitions: dict[str, Any] = {"Spec": schema, **schema["$defs"]}
    for name, described in definitions.items():
        docs = options.attribute_docs(models[name])
        described["description"] = (models[name].__doc__ or "").partition("\n")[0]
        for key, value in described.get("properties", {}).items():
            value["description"] = docs.get(key, "")
    return _without_null(schema)


def _without_null(schema: Any) -> Any:
    """The schema without null, which a file never holds: a key is left out instead."""
    items, entries = as_list(schema), as_mapping(schema)
    if items is not None:
        return [_without_null(item) for item in items if item != {"type": "null"}]
    if entries is None:
        return schema
    return {key: _without_null(value) for key, value in entries.items() if value is not None}


def _plain(value: Any) -> Any:
    """Plain JSON values; what is None is left out."""
    entries = as_mapping(value)
    if entries is not None:
        return {key: _plain(inner) for key, inner in entries.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast(Sequence[Any], value)]
    return value
