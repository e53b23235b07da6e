"""A checked topology with everything looked up that it names: profiles, data, model, plug-ins."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.quantities import Seconds
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
from hetsim.core.rng import rng
from hetsim.federation.pretraining import Pretraining
from hetsim.federation.roster import Selection
from hetsim.federation.run import Method, Pace
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.meter import Sheet, measure
from hetsim.learn.published import Published, published
from hetsim.learn.resident import Resident
from hetsim.sim.device import Profile
from hetsim.sim.network.base import Technology
from hetsim.sim.supply import Supply
from hetsim.spec import gateways
from hetsim.spec.load import dump, key_of
from hetsim.spec.options import make
from hetsim.spec.profile import profile_hash
from hetsim.spec.recording import Recording, differing
from hetsim.spec.supplies import supplies
from hetsim.spec.trace_file import load_trace, read_steps, trace_hash
from hetsim.spec.wiring import Wiring
from hetsim.spec.world.member import Member

if TYPE_CHECKING:
    from hetsim.spec.schema import Plugin, Spec

_PACKAGED = tuple(
    root / "device_profiles"
    for root in (Path(__file__).resolve().parents[2] / "_data", Path(__file__).resolve().parents[3])
)
"""Where profiles that come with hetsim are: in a wheel, in a checkout."""


@dataclass(frozen=True)
class Blueprint:
    """Everything a run needs, checked.

    Attributes:
        spec: the topology.
        profiles: of each group, in fleet order, of each gateway, and of the server.
        paths: their files.
        dataset: the data.
        architecture: the model.
        traces: files of bandwidths, panels and availability, by name.
        data: folder of data sets.
        recording: the run that stands in for learning, if one does.
    """

    spec: Spec
    profiles: tuple[Profile, ...]
    paths: tuple[Path, ...]
    dataset: Dataset
    architecture: Architecture
    traces: Mapping[str, Path]
    data: Path | None = None
    recording: Recording | None = None

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of profiles, traces, the data, the surrogate, the source or its weights."""
        files = {f"profile {path.stem}": profile_hash(path) for path in self.paths}
        files |= {f"trace {name}": trace_hash(path) for name, path in self.traces.items()}
        data = {"data": self.dataset.hash}
        if self.recording is not None:
            data["surrogate"] = self.recording.hash
        if self.dataset.source is not None:
            data["source"] = self.dataset.source.hash
        for name, weights in self.weights.items():
            if self.zoo:
                data[f"weights {name}"] = weights.sha256
            elif self.dataset.source is None:
                data["source"] = weights.sha256
        return {**dict(sorted(files.items())), **data}

    @cached_property
    def digest(self) -> str:
        """The spec hash: what is simulated, without seed and without how."""
        return self.spec.digest(self.hashes)

    @cached_property
    def wiring(self) -> Wiring:
        """The network, ready to be laid out."""
        return Wiring(
            spec=self.spec,
            technologies=self._technologies,
            traces={
                place: self._plugin(BANDWIDTHS, trace, *place)
                for place, trace in self.spec.traces()
            },
            points={
                name: load_trace(self.traces[name])
                for _, trace in self.spec.traces()
                if (name := trace.options.get("file"))
            },
        )

    @property
    def _technologies(self) -> dict[str, Technology]:
        """Of every network node, and of the names that stand for many."""
        network = self.spec.network
        made = {
            name: self._plugin(NETWORKS, node.technology, "network", "nodes", name)
            for name, node in network.nodes.items()
        }
        return made | {cell: made[name] for cell, name in network.cells.items()}

    @cached_property
    def zoo(self) -> tuple[Architecture, ...]:
        """The models that the method takes parts of, if these are others than the task's."""
        models = getattr(self.method(), "models", None)
        if models is None:
            return ()
        with self.spec.at("method", "zoo"):
            return models(self.architecture.shape, self.architecture.classes)

    @cached_property
    def weights(self) -> dict[str, Published]:
        """Published weights that a run starts from, by model: of the zoo, or of the task's."""
        source = self.pretraining
        if source is None:
            return {}
        with self.spec.at("task", "source", "published"):
            found = ((each.name, source.weights(each)) for each in self.zoo or [self.architecture])
            return {name: weights for name, weights in found if weights is not None}

    @cached_property
    def pretraining(self) -> Pretraining | None:
        """How parts come to be pre-trained, if there is a source."""
        chosen = self.spec.task.source
        if chosen is None:
            return None
        weights = partial(published, folder=self.data) if chosen.published else None
        return Pretraining(self.resident, chosen.training, weights)

    @cached_property
    def resident(self) -> Resident:
        """The data set, ready to be computed on."""
        return Resident(self.dataset)

    @cached_property
    def shards(self) -> list[np.ndarray]:
        """Rows of the training data of each device; empty for one that holds none."""
        fleet, task = self.spec.fleet, self.spec.task
        partition = self._plugin(PARTITIONS, task.partition, "task", "partition")
        stream = rng(self.spec.seed, "learn/partition")
        holders = sum(group.count for group in fleet if group.data is not None)
        with self.spec.at("task", "partition"):
            split = iter(partition.split(self.dataset.y, self.dataset.users, holders, stream))
        shards: list[np.ndarray] = []
        for group in fleet:
            if group.data is None:
                shards += [np.empty(0, np.int64)] * group.count
            else:
                shards += [rows[: group.data.samples] for rows in islice(split, group.count)]
        return shards

    @cached_property
    def unlike(self) -> list[str]:
        """Keys in which the run that stands in for learning differs from this one."""
        if self.recording is None:
            return []
        now = self.spec.resolved()
        holders = sum(group.count for group in self.spec.fleet if group.data is not None)
        here = {"pace": now["pace"], "selection": now["selection"], "devices with data": holders}
        pairs = {"method": self.recording.method, "task": self.recording.task}
        keys = [
            *(key for name, there in pairs.items() for key, _ in differing(there, now[name], name)),
            *(key for name, there in self.recording.others.items()
              for key, _ in differing(there, here.get(name), name)),
        ]  # fmt: skip
        return [*keys, *(["task.data"] if self.recording.data != self.dataset.hash else [])]

    def sources(self, place: int) -> list[Supply]:
        """What charges the batteries of a group."""
        group = self.spec.fleet[place]
        if group.battery is None:
            return []
        return supplies(group.battery, self.traces, self.spec.seed, group.label)

    def steps(self, place: int) -> tuple[tuple[Seconds, float], ...]:
        """Content of the file by which a group comes and goes, if there is one."""
        name = self.spec.fleet[place].availability.options.get("file")
        return tuple(zip(*read_steps(self.traces[name], "fraction"), strict=True)) if name else ()

    def text(self) -> str:
        """Content of `spec.yaml`."""
        return dump(self.spec.resolved())

    def provenance(self) -> dict[str, Any]:
        """Content of `provenance.json`: what the run is made of."""
        return {
            "hetsim": version("hetsim"),
            "python": platform.python_version(),
            "packages": dict(_versions()),
            "seed": self.spec.seed,
            "spec_hash": self.digest,
            "hashes": self.hashes,
        }

    def copy_files(self, folder: Path) -> None:
        """Put beside `spec.yaml` what does not come with hetsim: profiles, traces, a recording."""
        for path in dict.fromkeys((*self.paths, *self.traces.values())):
            home = path.resolve().parent
            if home not in _PACKAGED and home != folder.resolve():
                copyfile(path, folder / path.name)
        if self.recording is not None:
            (folder / self.recording.file).write_text(self.recording.text, encoding="utf-8")

    def members(self) -> list[Member]:
        """The fleet, device by device."""
        return list(self._members)

    def _member(self, index: int) -> Member:
        """The device of a number over the whole fleet."""
        for kind in self.kinds:
            if index < kind.group.count:
                return replace(kind, number=index)
            index -= kind.group.count
        raise IndexError

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        return tuple(
            replace(kind, number=number)
            for kind in self.kinds
            for number in range(kind.group.count)
        )

    @cached_property
    def kinds(self) -> tuple[Member, ...]:
        """The first device of each group."""
        return tuple(self._first())

    def _first(self) -> Iterator[Member]:
        default = self._plugin(GOVERNORS, self.spec.governor, "governor")
        for place, group in enumerate(self.spec.fleet):
            governor = default
            if group.governor is not None:
                governor = self._plugin(GOVERNORS, group.governor, "fleet", place, "governor")
            availability = self._plugin(
                AVAILABILITIES, group.availability, "fleet", place, "availability"
            )
            profile = self.profiles[place]
            if group.memory is not None:
                profile = replace(profile, memory=group.memory)
            yield Member(
                number=0,
                place=place,
                group=group,
                profile=profile,
                governor=governor,
                availability=availability,
            )

    @cached_property
    def serving(self) -> tuple[int | None, ...]:
        """For each group the place of the gateway that serves it; None for the server itself."""
        return gateways.serving(self.spec)

    def pace(self) -> Pace:
        """The pace with its settings."""
        return self._plugin(PACES, self.spec.pace, "pace")

    def selection(self) -> Selection:
        """The selection with its settings."""
        return self._plugin(SELECTIONS, self.spec.selection, "selection")

    def method(self) -> Method:
        """The method with its settings."""
        return self._plugin(METHODS, self.spec.method, "method")

    def _plugin(self, registry: Registry, chosen: Plugin, *place: str | int) -> Any:
        """Make the plug-in that a section names."""
        where, key = partial(self.spec.where, *place), key_of(place)
        plugin = registry.load(chosen.name, where=where(), key=key)
        return make(plugin, chosen.options, where=where, key=key)

    @cached_property
    def model(self) -> Sheet:
        """Counts of the model."""
        return measure(self.architecture)

    def evaluation(self) -> Cost:
        """What it takes the host to evaluate the model on all test samples."""
        whole = ops.initial(self.architecture, 0)
        return ops.evaluate(whole, self.resident.whole("test")).cost


def pretrained(method: Method) -> bool:
    """Whether a method starts from pre-trained parts."""
    return bool(getattr(method, "pretrained", False))


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Of what results depend on."""
    return tuple((name, version(name)) for name in ("networkx", "numpy", "scipy", "simpy", "torch"))
