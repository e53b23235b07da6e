"""From a checked topology to a world ready to run.

`resolve` looks names up, loads profiles and data and prices the model: after it, nothing the user
wrote can be wrong. `Scenario.play` then builds kernel, network, nodes and clients, plays the method
and adds up. The same scenario can be played again and again.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from itertools import islice
from math import inf
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.registry import (
    AVAILABILITIES,
    BANDWIDTHS,
    DATA,
    EXECUTORS,
    GOVERNORS,
    METHODS,
    MODELS,
    NETWORKS,
    PACES,
    PARTITIONS,
    SELECTIONS,
    Registry,
)
from hetsim.core.rng import rng
from hetsim.core.trace import Progress, Trace
from hetsim.federation.client import Client, Hub
from hetsim.federation.columns import Crowd
from hetsim.federation.fairness import Holdings
from hetsim.federation.ledger import settle_up
from hetsim.federation.pretraining import Pretraining
from hetsim.federation.roster import Selection
from hetsim.federation.run import Demand, Method, Pace, Run, Stop
from hetsim.learn import ops, source
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.journal import Journal
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.meter import Sheet, measure
from hetsim.learn.numerics import model_hash, single_thread
from hetsim.learn.published import TRAINED_ON, Published, published
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store
from hetsim.sim.availability.base import Availability, Circumstances
from hetsim.sim.availability.charging import Charging
from hetsim.sim.battery import BatteryPack
from hetsim.sim.columns import NotTraceable
from hetsim.sim.device import Profile, Radio
from hetsim.sim.fleet import Fleet
from hetsim.sim.governors.base import Governor, Particular, Planning
from hetsim.sim.governors.performance import Performance
from hetsim.sim.incident import Incidents
from hetsim.sim.kernel import Kernel
from hetsim.sim.network.base import Technology
from hetsim.sim.node import Node
from hetsim.sim.presence import OFF_CHARGER, Presence
from hetsim.sim.reboots import Reboots
from hetsim.sim.supply import Supply, together
from hetsim.spec import gateways, sections
from hetsim.spec.columns import population, roll
from hetsim.spec.load import Place, dump, key_of
from hetsim.spec.options import arguments, make, resolved
from hetsim.spec.profile import find_profile, load_profile, profile_hash
from hetsim.spec.recording import Recording, differing
from hetsim.spec.recording import read as read_recording
from hetsim.spec.references import by_name, trace_files
from hetsim.spec.supplies import supplies
from hetsim.spec.trace_file import load_trace, read_steps, trace_hash
from hetsim.spec.wiring import Wiring

if TYPE_CHECKING:
    from hetsim.spec.schema import Event, Group, Plugin, Spec

_SERVER = "server"
MANY = 2_000
"""Devices from which on a run that learns nothing is played in columns."""
_MOST = 100_000
"""Devices that are played one by one at most: as many take some minutes and gigabytes."""
_DEMANDS: dict[Demand, str] = {
    "stale": "take in updates that started from older models",
    "steps": "take in updates of fewer steps",
    "layers": "take in updates of which only some layers have arrived",
    "gateways": "take in models that gateways have averaged",
}
_PACKAGED = tuple(
    root / "device_profiles"
    for root in (Path(__file__).resolve().parents[1] / "_data", Path(__file__).resolve().parents[2])
)
"""Where profiles that come with hetsim are: in a wheel, in a checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of the fleet, before it has a node: the one of a number in its group."""

    number: int
    place: int
    group: Group
    profile: Profile
    governor: Governor | Planning
    availability: Availability

    @property
    def name(self) -> str:
        """Of its node: "pi-3" for the fourth of the group "pi"."""
        return f"{self.group.label}-{self.number}"

    @property
    def pack(self) -> BatteryPack | None:
        """Its battery: none on mains, the profile's with what the topology says of it."""
        chosen, pack = self.group.battery, self.profile.battery
        if chosen is None:
            return None
        if chosen.capacity is not None:
            pack = replace(pack or BatteryPack(capacity=0.0), capacity=chosen.capacity)
        return replace(pack, model=chosen.model) if pack and chosen.model else pack


@dataclass(frozen=True)
class Scenario:
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
        with self._at("method", "zoo"):
            return models(self.architecture.shape, self.architecture.classes)

    @cached_property
    def weights(self) -> dict[str, Published]:
        """Published weights that a run starts from, by model: of the zoo, or of the task's."""
        source = self.pretraining
        if source is None:
            return {}
        with self._at("task", "source", "published"):
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
        with self._at("task", "partition"):
            split = iter(partition.split(self.dataset.y, self.dataset.users, holders, stream))
        shards: list[np.ndarray] = []
        for group in fleet:
            if group.data is None:
                shards += [np.empty(0, np.int64)] * group.count
            else:
                shards += [rows[: group.data.samples] for rows in islice(split, group.count)]
        return shards

    def check(self) -> None:
        """Refuse what can only be known to be wrong once everything is looked up.

        Raises:
            SpecError: an option of a plug-in, or a combination.
        """
        spec = self.spec
        with self._at("task", "model"):
            _ = self.model
        if spec.cost_only and spec.stop.accuracy is not None and self.recording is None:
            raise SpecError(
                "a cost-only run has no accuracy to stop at",
                where=spec.where("stop", "accuracy"),
                key="stop.accuracy",
                remedy="Leave out --cost-only, stop after rounds or time, or name a recorded run "
                "that tells the accuracy: --surrogate RUN_DIR.",
            )
        self._check_surrogate()
        self._check_governors()
        self._check_charging()
        for place, group in enumerate(spec.fleet):
            self._check_battery(place, group)
        self._check_coordination()
        self._check_source()
        self.wiring.check()
        _ = self.shards

    def _check_surrogate(self) -> None:
        """A recorded run must stand in for this one: nothing is learned, and the same would be."""
        chosen, recording = self.spec.surrogate, self.recording
        if chosen is None or recording is None:
            return
        if not self.spec.cost_only:
            with self._at("surrogate"):
                raise SpecError(
                    "this run learns, so nothing stands in for learning.",
                    remedy="Add --cost-only (cost_only: true), or remove the surrogate.",
                )
        now = self.spec.resolved()
        same = recording.data == self.dataset.hash
        content = [] if same else [("task.data", "its samples are others")]
        found = {
            "method": [*differing(recording.method, now["method"], "method")],
            "task": [*differing(recording.task, now["task"], "task"), *content],
        }
        for kind, differences in found.items():
            if differences and kind not in chosen.despite:
                key, how = differences[0]
                despite = ", ".join(sorted({*chosen.despite, kind}))
                with self._at("surrogate"):
                    raise SpecError(
                        f"the recorded run {recording.name} has another {kind}: {key}, {how}.",
                        remedy=f"Record a run with this {kind}, or take its accuracy all the same: "
                        f"--set 'surrogate.despite=[{despite}]'.",
                    )

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

    def _check_coordination(self) -> None:
        """The method must be able to do what the pace asks, and the run what the selection asks."""
        spec, method = self.spec, self.method()
        selection, pace = self.selection(), self.pace()
        met: frozenset[Demand] = getattr(type(method), "accepts", frozenset())
        unmet = pace.demands - met
        if unmet:
            asked = " and ".join(_DEMANDS[demand] for demand in sorted(unmet))
            raise SpecError(
                f"{spec.method.name} cannot {asked}, as {spec.pace.name} asks.",
                where=spec.where("pace", "name"),
                key="pace.name",
                remedy="Choose another pace, such as sync, or another method, such as fedavg.",
            )
        if "gateways" in pace.demands and not spec.gateways:
            raise SpecError(
                f"{spec.pace.name} averages at gateways, and there are none.",
                where=spec.where("pace", "name"),
                key="pace.name",
                remedy="Add `gateways: [{profile: raspberry_pi_5, at: NODE}]`, where NODE is a "
                "network node on the way to the server, or choose another pace, such as sync.",
            )
        looks = {
            "selection": (spec.selection.name, selection),
            "pace": (spec.pace.name, pace),
            "method": (spec.method.name, method),
        }
        for key, (name, plugin) in looks.items():
            if spec.cost_only and getattr(plugin, "observes", False):
                known = " or options that say what it would find out" * (key == "method")
                raise SpecError(
                    f"{name} goes by learned values, and a cost-only run learns nothing.",
                    where=spec.where(key, "name"),
                    key=f"{key}.name",
                    remedy=f"Leave out --cost-only, or choose another {key}{known}.",
                )

    def _check_source(self) -> None:
        """What is pre-trained must be of use to the task, and must not know its test."""
        chosen = self.spec.task.source
        if chosen is not None and chosen.published and self.dataset.name == TRAINED_ON:
            raise SpecError(
                "the published weights were trained on CIFAR-10, which is the task.",
                where=self.spec.where("task", "source", "published"),
                key="task.source.published",
                remedy="Choose another data set, or let parts be pre-trained on classes that the "
                "task leaves out: `source: {classes: [5, 6, 7, 8, 9]}`.",
            )
        _ = self.zoo, self.weights
        method, origin = self.method(), self.pretraining
        if origin is None or not pretrained(method):
            return
        if not self.zoo:
            with self._at("task", "model"):
                ops.transferred(self.architecture, origin.architecture(self.architecture))
        check = getattr(method, "check_source", None)
        if check is not None:
            with self._at("task", "source"):
                check(origin)

    def _check_battery(self, place: int, group: Group) -> None:
        """A group's battery must be there to be charged, and have the numbers of its model."""
        chosen = group.battery
        pack = self.kinds[place].pack
        if chosen is None:
            return
        wanted = {"model": chosen.model, "charger": chosen.charger, "solar": chosen.solar}
        for key, value in wanted.items():
            if pack is None and value is not None:
                with self._at("fleet", place, "battery", key):
                    raise SpecError(
                        f"the profile {group.profile} has no battery.",
                        remedy='Add `capacity: "10 Wh"`, or remove it.',
                    )
        if pack and pack.model not in pack.models:
            with self._at("fleet", place, "battery", "model"):
                raise SpecError(
                    f"the profile {group.profile} has no numbers for {pack.model}.",
                    remedy=f"One of: {', '.join(pack.models)}.",
                )
        _ = self.sources(place)

    def sources(self, place: int) -> list[Supply]:
        """What charges the batteries of a group."""
        group = self.spec.fleet[place]
        if group.battery is None:
            return []
        return supplies(group.battery, self.traces, self.spec.seed, group.label)

    def _steps(self, place: int) -> tuple[tuple[Seconds, float], ...]:
        """Content of the file by which a group comes and goes, if there is one."""
        name = self.spec.fleet[place].availability.options.get("file")
        return tuple(zip(*read_steps(self.traces[name], "fraction"), strict=True)) if name else ()

    def _check_charging(self) -> None:
        """A device that is there only while it is charged must be charged at some time."""
        for member in self.kinds:
            pattern, sources = member.availability, self.sources(member.place)
            most = sum(source.most for source in sources)
            if isinstance(pattern, Charging) and most <= pattern.least:
                place = ("fleet", member.place, "availability")
                offer = f"offers more than {most:g} W" if sources else "charges its battery"
                raise SpecError(
                    f"it is never there: nothing {offer}.",
                    where=self.spec.where(*place),
                    key=key_of(place),
                    remedy="Give its battery a `charger:` or a panel of more than `least`.",
                )

    def _check_governors(self) -> None:
        """A group's own governor must suit it; the topology's, at least one group that uses it."""
        refused: list[ValueError] = []
        suited = False
        for member in self.kinds:
            own = member.group.governor is not None
            try:
                if isinstance(member.governor, Particular):
                    member.governor.check(member.profile.domains)
                suited = suited or not own
            except ValueError as fault:
                if own:
                    with self._at("fleet", member.place, "governor"):
                        raise SpecError(str(fault), remedy="Change its frequency.") from fault
                refused.append(fault)
        if refused and not suited:
            with self._at("governor"):
                raise SpecError(
                    str(refused[0]), remedy="Give each group a governor of its own."
                ) from refused[0]

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

    @contextmanager
    def _at(self, *place: str | int) -> Generator[None]:
        """Give errors of the user's input their place in the file."""
        with _at(self.spec, *place):
            yield

    def _plugin(self, registry: Registry, chosen: Plugin, *place: str | int) -> Any:
        """Make the plug-in that a section names."""
        where, key = partial(self.spec.where, *place), key_of(place)
        plugin = registry.load(chosen.name, where=where(), key=key)
        return make(plugin, chosen.options, where=where, key=key)

    # --- what it takes ----------------------------------------------------------------------------

    @cached_property
    def model(self) -> Sheet:
        """Counts of the model."""
        return measure(self.architecture)

    def evaluation(self) -> Cost:
        """What it takes the host to evaluate the model on all test samples."""
        whole = ops.initial(self.architecture, 0)
        return ops.evaluate(whole, self.resident.whole("test")).cost

    def workload(
        self, among: Sequence[int] | None = None
    ) -> list[tuple[Member, Client, Cost | None]]:
        """What a round asks of each device, by the method's own account; None for nothing.

        Args:
            among: numbers of the devices that are looked at, from 0 over the whole fleet, as if
                there were no others; None for all.
        """
        run, method = self.world(CostOnlyLab(), among=among), self.method()
        model = run.initial_model()
        with self._at("method"):
            return [
                (
                    self._member(client.index), client,
                    method.work(client, model) if client.shard else None,
                )
                for client in run.clients
            ]  # fmt: skip

    # --- playing --------------------------------------------------------------------------------

    def lab(
        self,
        *,
        executor: str = "inline",
        workers: int | None = None,
        store: Path | None = None,
        limit: Bytes | None = None,
    ) -> Lab | CostOnlyLab:
        """A learning plane for this scenario; close it after use.

        Args:
            executor: name of the executor.
            workers: of a pool or of Ray; None for one a core.
            store: folder of kept results; None keeps nothing.
            limit: bytes that it may take; None for the store's own limit.

        Raises:
            SpecError: no such executor.
        """
        single_thread()
        if self.spec.cost_only:
            return CostOnlyLab(self._recorded if self.recording else None)
        plugin = EXECUTORS.load(executor, where="--executor")
        options = {} if workers is None else {"workers": workers}
        chosen = make(plugin, options, where=lambda _: f"--executor {executor}")
        if store is None:
            return Lab(chosen, MemoryStore(), self.resident)
        room = {} if limit is None else {"limit": limit}
        return Lab(chosen, Store(store, tag=chosen.tag, **room), self.resident)

    def _recorded(self, step: int) -> ops.Score:
        """How good the recorded run says the server's model is after a server step."""
        assert self.recording is not None
        accuracy, loss = self.recording.at(step, self.dataset.classes)
        return ops.Score(accuracy=accuracy, loss=loss, samples=len(self.dataset.test_y))

    def play(
        self,
        lab: Lab | CostOnlyLab,
        *,
        journal: Path | None = None,
        causality: bool = False,
        progress: Callable[[Progress], None] = lambda progress: None,
        columns: bool | None = None,
    ) -> Trace:
        """Simulate once.

        A large fleet that learns nothing is played in columns, if all of it can be
        (`hetsim.federation.columns`); any other device by device. `Trace.played` says which.

        Args:
            lab: computes what is learned.
            journal: file in which observed values are kept for a replay.
            causality: refuse scripts that use a value no one paid to bring to its node.
            progress: called after each round, and whenever something has been learned.
            columns: whether to play in columns; None for as said above.

        Raises:
            NotTraceable: columns were asked for and cannot be had.
            HetsimError: the fleet is too large to be played device by device, as it must be.
        """
        devices = sum(group.count for group in self.spec.fleet)
        told = f"{devices:,} devices, fewer than {MANY:,}"
        if columns or (columns is None and self.spec.cost_only and devices >= MANY):
            try:
                trace = self._played(self.crowd(lab, progress=progress), lab)
                trace.played = f"in columns: {devices:,} devices"
                return trace
            except NotTraceable as reason:
                if columns:
                    raise
                told = reason.what
        elif devices >= MANY:
            told = "asked for" if self.spec.cost_only else "the run learns"
        if devices > _MOST:
            raise HetsimError(
                f"{devices:,} devices cannot be played one by one, and not together either: "
                f"{told}\n    Let all of them be alike in that, or simulate at most {_MOST:,}."
            )
        run = self.world(lab, journal=journal, causality=causality, progress=progress)
        trace = self._played(run, lab)
        trace.played = f"device by device: {told}"
        return trace

    def _played(self, run: Run, lab: Lab | CostOnlyLab) -> Trace:
        """A run played to its end."""
        try:
            end = run.kernel.run(self.method().server(run), _SERVER)
        except SpecError as fault:
            if fault.where:
                raise
            where = self.spec.where("method")
            raise SpecError(fault.what, where=where, key="method", remedy=fault.remedy) from fault
        return self._finish(run, lab, end)

    def world(
        self,
        lab: Lab | CostOnlyLab,
        *,
        journal: Path | None = None,
        causality: bool = False,
        progress: Callable[[Progress], None] = lambda progress: None,
        among: Sequence[int] | None = None,
    ) -> Run:
        """Kernel, network, nodes and clients at t = 0.

        Args:
            lab: computes what is learned.
            journal: as of `play`.
            causality: as of `play`.
            progress: as of `play`.
            among: numbers of the devices that there are, to whom nothing happens; None for all.
        """
        observe = lab.settle
        if journal:
            observe = Journal(journal, lab, version("hetsim"), tag=lab.tag).settle
        kernel = Kernel(Trace(), observer=observe, causality=causality)
        run = Run(kernel, lab, self._server(kernel), **self._terms(progress))
        run.gateways = self._gateways(kernel)
        numbers = range(len(self.shards)) if among is None else among
        members = self.members() if among is None else [self._member(i) for i in among]
        nodes = [self._device(kernel, member) for member in members]
        self.wiring.lay(kernel)
        self.wiring.attach(kernel, members)
        for index, member, node in zip(numbers, members, nodes, strict=True):
            rows = self.shards[index]
            shard = self.resident.shard(rows) if len(rows) else None
            client = Client(node, index, shard, len(rows), run)
            place = self.serving[member.place]
            client.gateway = None if place is None else run.gateways[place]
            run.clients.append(client)
        if among is None:
            self._fate(kernel)
        self._note_recording(kernel)
        return run

    def crowd(
        self,
        lab: Lab | CostOnlyLab,
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Crowd:
        """The same with the fleet in columns.

        Raises:
            NotTraceable: columns know nothing of a part of it.
        """
        kernel = Kernel(Trace(), observer=lab.settle)
        server, gateways = self._server(kernel), self._gateways(kernel)
        self.wiring.lay(kernel)
        listed = roll(self)
        fleet = Fleet(population(self, kernel, listed.samples), _SERVER)
        run = Crowd(kernel, lab, server, fleet=fleet, roll=listed, **self._terms(progress))
        run.gateways = gateways
        self._note_recording(kernel)
        return run

    def _note_recording(self, kernel: Kernel) -> None:
        """Say whose accuracy it is."""
        if self.recording is not None:
            kernel.note(
                _SERVER, "surrogate",
                f"accuracy and loss are those of the recorded run {self.recording.name}, "
                f"seed {self.recording.seed}; this one learned nothing",
            )  # fmt: skip

    def _terms(self, progress: Callable[[Progress], None]) -> dict[str, Any]:
        """What a run is told beside its world."""
        spec, stop = self.spec, self.spec.stop
        return {
            "seed": spec.seed,
            "selection": self.selection(),
            "pace": self.pace(),
            "stop": Stop(
                rounds=stop.rounds,
                accuracy=inf if stop.accuracy is None else stop.accuracy,
                time=inf if stop.time is None else stop.time,
            ),
            "architecture": self.architecture,
            "test": self.resident.whole("test"),
            "union": self.resident.shard(np.concatenate(self.shards)),
            "evaluate_every": spec.report.evaluate_every,
            "score_views": spec.report.views,
            "on_drop": getattr(self.method(), "on_drop", "rollback"),
            "pretraining": self.pretraining,
            "progress": progress,
        }

    def _server(self, kernel: Kernel) -> Hub:
        at = self.spec.server.at
        return Hub(self._hub(kernel, _SERVER, _SERVER, self.profiles[-1], at))

    def _gateways(self, kernel: Kernel) -> list[Hub]:
        profiles = self.profiles[len(self.spec.fleet) : -1]
        return [
            Hub(self._hub(kernel, gateway.name, "gateway", profile, gateway.at))
            for gateway, profile in zip(self.spec.gateways, profiles, strict=True)
        ]

    def _hub(self, kernel: Kernel, name: str, role: str, profile: Profile, at: str) -> Node:
        """A computer at a network node, on mains and at full speed: the server or a gateway."""
        node = Node(
            kernel.env, kernel.trace, name, role,
            base=_base(profile, Radio(transmit=0.0, receive=0.0)), profile=profile,
            governor=Performance(),
        )  # fmt: skip
        kernel.add(node)
        kernel.network.place(name, at)
        return node

    def _device(self, kernel: Kernel, member: Member) -> Node:
        group, profile = member.group, member.profile
        base = _base(profile, self.wiring.radio(member))
        heat = battery = None
        if member.pack and group.battery:
            battery = member.pack.charged(group.battery.charge)
        if profile.heat:
            heat = profile.heat.at_rest(group.ambient, sum(base["idle"].values()))
            if group.temperature is not None:
                heat = profile.heat.at(group.temperature, group.ambient)
        node = Node(
            kernel.env, kernel.trace, member.name, "device", base=base, profile=profile,
            governor=member.governor, battery=battery, heat=heat, seed=self.spec.seed,
        )  # fmt: skip
        kernel.add(node)
        if battery and (sources := self.sources(member.place)):
            node.feed(together(sources))
        return node

    def _fate(self, kernel: Kernel) -> None:
        """Coming and going, crashes, and what happens from outside."""
        presences: dict[str, Presence] = {}
        for member in self._members:
            name, crashes = member.name, member.group.crashes
            presence = presences[name] = Presence(kernel, kernel.nodes[name])
            stream = rng(self.spec.seed, "sim/churn", name)
            away = member.availability.away
            about = Circumstances(
                rng=stream, offered=together(self.sources(member.place)),
                steps=self._steps(member.place),
            )  # fmt: skip
            charging = isinstance(member.availability, Charging)
            reason = OFF_CHARGER if charging else "left"
            presence.follow(reason, member.availability.changes(about), away)
            if crashes:
                stream = rng(self.spec.seed, "sim/crashes", name)
                rebooting = Reboots(every=crashes.every, reboot=crashes.reboot)
                presence.follow("crashed", rebooting.changes(stream), rebooting.away)
        for gateway in self.spec.gateways:
            presences[gateway.name] = Presence(kernel, kernel.nodes[gateway.name])
        incidents = Incidents(kernel, presences)
        for event in self.spec.events:
            self._event(incidents, event)

    def _event(self, incidents: Incidents, event: Event) -> None:
        network, on, when, lasts = incidents.kernel.network, event.on, event.at, event.lasts
        names = [
            member.name for member in self._members if on in (member.name, member.group.label)
        ] or [on]  # fmt: skip
        match event.what:
            case "crash":
                for name in names:
                    incidents.crash(name, when, lasts)
            case "cancel":
                for name in names:
                    incidents.cancel(name, when)
            case "pause":
                for name in names:
                    incidents.pause(name, when, lasts)
            case "outage" if names != [on] or on in incidents.presences:
                for name in names:
                    incidents.outage(name, network.ways(name), when, lasts)
            case "outage":
                incidents.outage(on, network.legs(on), when, lasts)
            case "bandwidth":
                assert event.to is not None
                incidents.bandwidth(on, network.legs(on), event.to, when, lasts)

    def _holdings(self, right: ops.Labels | None) -> Holdings:
        """What the clients are and hold, and how good the final model is on each label."""
        data, names = self.dataset, [member.name for member in self._members]
        counts = [np.bincount(data.y[rows], minlength=data.classes) for rows in self.shards]
        return Holdings(
            classes={member.name: member.profile.device_class for member in self._members},
            labels={name: count.tolist() for name, count in zip(names, counts, strict=True)},
            accuracy=[
                hits / count if count else None
                for hits, count in zip(right["right"], right["count"], strict=True)
            ]
            if right
            else (),
        )

    def _held(self) -> Holdings:
        """The same of a fleet in columns, which learns nothing."""
        sizes = [len(rows) for rows in self.shards]
        owner = np.repeat(np.arange(len(sizes)), sizes)
        labels = self.dataset.y[np.concatenate(self.shards)]
        classes = self.dataset.classes
        held = np.bincount(owner * classes + labels, minlength=len(sizes) * classes)
        return Holdings(held=held.reshape(-1, classes).astype(np.int32))

    def _finish(self, run: Run, lab: Lab | CostOnlyLab, end: Seconds) -> Trace:
        run.finish(end)
        lab.drain()
        scores: dict[int, Any] = {}
        digest = right = None
        trace = run.kernel.trace
        surrogate = None
        if self.recording is not None:
            scores = dict(zip(run.scores, lab.settle([*run.scores.values()]), strict=True))
            surrogate = self.recording.told(len(run.rows), self.unlike)
        elif not self.spec.cost_only:
            values = lab.settle([*run.scores.values(), *run.views.values()])
            scores = dict(zip(run.scores, values, strict=False))
            trace.views = [
                {"round": number, "view": name, **value}
                for (number, name), value in zip(run.views, values[len(scores) :], strict=True)
            ]
            assert run.model is not None
            test = self.resident.whole("test")
            [state, right] = lab.settle([run.model, ops.labels(run.model, test)])
            digest = model_hash(state)
        heads = {
            "name": self.spec.name,
            "method": self.spec.method.name,
            "seed": self.spec.seed,
            "spec_hash": self.digest,
            "model_hash": digest,
            "surrogate": surrogate,
        }
        holdings = self._held() if isinstance(run, Crowd) else self._holdings(right)
        settle_up(run, end, scores, self.spec.report.targets, heads, holdings)
        trace.spec = self.spec.resolved()
        trace.provenance = self.provenance()
        return trace


def resolve(
    spec: Spec, data: Path | None = None, known: dict[object, Dataset] | None = None
) -> Scenario:
    """Look everything up that a topology names.

    Args:
        spec: a checked topology.
        data: folder of data sets.
        known: the data set that the last topology asked for, kept for whoever asks for the same.

    Raises:
        SpecError: a name, an option or a combination is wrong.
    """
    if data is not None and not data.is_dir():
        raise SpecError(
            "is no folder", where=f"--data {data}", remedy="Give the folder of the data sets."
        )
    beside = spec.origin.parent
    names = [each.profile for each in (*spec.fleet, *spec.gateways, spec.server)]
    places: list[Place] = [("fleet", index, "profile") for index in range(len(spec.fleet))]
    places += [("gateways", index, "profile") for index in range(len(spec.gateways))]
    places.append(("server", "profile"))
    paths = tuple(
        find_profile(name, beside, where=spec.where(*place), key=key_of(place))
        for name, place in zip(names, places, strict=True)
    )
    loaded = {path: load_profile(path) for path in dict.fromkeys(paths)}
    traces = trace_files(spec, beside)
    spec = by_name(spec, paths, traces)
    spec, recording = _with_recording(spec, beside)
    spec = _with_source(spec)
    task = spec.task
    asked = repr((task.data, task.source, data))
    dataset = (known or {}).get(asked) or _dataset(spec, data)
    if known is not None:
        known.clear()
        known[asked] = dataset
    where = partial(spec.where, "task", "model")
    family = MODELS.load(task.model.name, where=where(), key="task.model")
    written = resolved(family, task.model.options, where=where, key="task.model")
    options = arguments(family, written, where=where, key="task.model")
    architecture = Architecture.of(task.model.name, dataset.shape, dataset.classes, options)
    profiles = tuple(loaded[path] for path in paths)
    named = {path.name: path for path in traces.values()}
    scenario = Scenario(spec, profiles, paths, dataset, architecture, named, data, recording)
    scenario.check()
    return scenario


def _dataset(spec: Spec, data: Path | None) -> Dataset:
    """What the task learns from, without what it sets aside for pre-training."""
    task, where = spec.task, partial(spec.where, "task", "data")
    loader = DATA.load(task.data.name, where=where(), key="task.data")
    dataset: Dataset = make(loader, task.data.options, data, where=where, key="task.data")
    return _set_aside(spec, dataset, data)


def _with_recording(spec: Spec, beside: Path) -> tuple[Spec, Recording | None]:
    """The spec with its surrogate named by content, and what that is."""
    if spec.surrogate is None:
        return spec, None
    with _at(spec, "surrogate"):
        recording = read_recording(spec.surrogate.run, beside)
    named = spec.surrogate.model_copy(update={"run": recording.file})
    return spec.model_copy(update={"surrogate": named}), recording


def pretrained(method: Method) -> bool:
    """Whether a method starts from pre-trained parts."""
    return bool(getattr(method, "pretrained", False))


def _with_source(spec: Spec) -> Spec:
    """The spec with a source, if its method needs one and the topology names none."""
    where = partial(spec.where, "method")
    plugin = METHODS.load(spec.method.name, where=where(), key="method")
    method = make(plugin, spec.method.options, where=where, key="method")
    if spec.task.source is not None or not pretrained(method):
        return spec
    task = spec.task.model_copy(update={"source": sections.Source()})
    return spec.model_copy(update={"task": task})


def _set_aside(spec: Spec, dataset: Dataset, folder: Path | None) -> Dataset:
    """The data set with its source apart, if there is one."""
    chosen = spec.task.source
    if chosen is None or chosen.read_only:
        return dataset
    place = ("task", "source")
    with _at(spec, *place):
        if chosen.classes is not None:
            return source.classes(dataset, chosen.classes, chosen.samples)
        if chosen.share is not None:
            return source.share(dataset, chosen.share, chosen.samples)
        if chosen.data is not None:
            where, key = partial(spec.where, *place, "data"), key_of((*place, "data"))
            loader = DATA.load(chosen.data.name, where=where(), key=key)
            origin: Dataset = make(loader, chosen.data.options, folder, where=where, key=key)
            return source.other(dataset, origin, chosen.samples)
        return source.own(dataset, chosen.samples)


@contextmanager
def _at(spec: Spec, *place: str | int) -> Generator[None]:
    """Give errors of the user's input their place in the file."""
    try:
        yield
    except SpecError as error:
        if error.where:
            raise
        raise SpecError(
            error.what, where=spec.where(*place), key=key_of(place), remedy=error.remedy
        ) from error


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Of what results depend on."""
    return tuple((name, version(name)) for name in ("networkx", "numpy", "scipy", "simpy", "torch"))


def _base(profile: Profile, radio: Radio) -> dict[str, dict[str, float]]:
    return {
        "idle": {"idle": profile.idle, "radio_idle": radio.idle},
        "sleep": {"sleep": profile.sleep},
        "off": {"off": profile.off},
    }
