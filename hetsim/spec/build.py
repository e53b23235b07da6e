"""From a checked topology to a world ready to run.

`resolve` looks names up, loads profiles and data and prices the model: after it, nothing the user
wrote can be wrong. `Scenario.play` then builds kernel, network, nodes and clients, plays the method
and adds up. The same scenario can be played again and again.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from math import inf
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.core.registry import (
    AVAILABILITIES,
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
from hetsim.federation.client import Client, Server
from hetsim.federation.ledger import settle_up
from hetsim.federation.run import Method, Run, Stop
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.learn.journal import Journal
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.meter import Sheet, measure
from hetsim.learn.numerics import model_hash, single_thread
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore, Store
from hetsim.sim.availability.always import Always
from hetsim.sim.availability.base import Availability
from hetsim.sim.battery import BatteryState
from hetsim.sim.clock import Call
from hetsim.sim.device import BatteryPack, Profile, Radio
from hetsim.sim.governors.base import Governor, Particular
from hetsim.sim.governors.performance import Performance
from hetsim.sim.graph import Attachment
from hetsim.sim.kernel import Kernel
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.node import Node
from hetsim.spec.load import dump, key_of
from hetsim.spec.options import arguments, make, resolved
from hetsim.spec.profile import find_profile, load_profile, profile_hash

if TYPE_CHECKING:
    from hetsim.spec.schema import Group, Plugin, Spec

_SERVER = "server"
_PACKAGED = tuple(
    root / "device_profiles"
    for root in (Path(__file__).resolve().parents[1] / "_data", Path(__file__).resolve().parents[2])
)
"""Where profiles that come with hetsim are: in a wheel, in a checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of the fleet, before it has a node."""

    name: str
    place: int
    group: Group
    profile: Profile
    governor: Governor
    availability: Availability

    @property
    def pack(self) -> BatteryPack | None:
        """Its battery: none on mains, the profile's where the topology gives no capacity."""
        chosen, built_in = self.group.battery, self.profile.battery
        if chosen is None or chosen.capacity is None:
            return built_in if chosen else None
        return replace(built_in or BatteryPack(capacity=0.0), capacity=chosen.capacity)


@dataclass(frozen=True)
class Scenario:
    """Everything a run needs, checked.

    Attributes:
        spec: the topology.
        profiles: of each group, in fleet order; the server's last.
        paths: their files.
        dataset: the data.
        architecture: the model.
    """

    spec: Spec
    profiles: tuple[Profile, ...]
    paths: tuple[Path, ...]
    dataset: Dataset
    architecture: Architecture

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every profile and of the data."""
        profiles = {f"profile {path.stem}": profile_hash(path) for path in self.paths}
        return {**dict(sorted(profiles.items())), "data": self.dataset.hash}

    @cached_property
    def digest(self) -> str:
        """The spec hash: what is simulated, without seed and without how."""
        return self.spec.digest(self.hashes)

    @cached_property
    def resident(self) -> Resident:
        """The data set, ready to be computed on."""
        return Resident(self.dataset)

    @cached_property
    def shards(self) -> list[np.ndarray]:
        """Rows of the training data of each device; empty for one that holds none."""
        holders = [
            (index, member) for index, member in enumerate(self.members())
            if member.group.data is not None
        ]  # fmt: skip
        shards = [np.empty(0, np.int64) for _ in self.members()]
        task = self.spec.task
        partition = self._plugin(PARTITIONS, task.partition, "task", "partition")
        stream = rng(self.spec.seed, "learn/partition")
        with self._at("task", "partition"):
            split = partition.split(self.dataset.y, self.dataset.users, len(holders), stream)
        for (index, member), rows in zip(holders, split, strict=True):
            assert member.group.data is not None
            limit = member.group.data.samples
            shards[index] = rows if limit is None else rows[:limit]
        return shards

    def check(self) -> None:
        """Refuse what can only be known to be wrong once everything is looked up.

        Raises:
            SpecError: an option of a plug-in, or a combination.
        """
        spec = self.spec
        with self._at("task", "model"):
            _ = self.model
        if spec.cost_only and spec.stop.accuracy is not None:
            raise SpecError(
                "a cost-only run has no accuracy to stop at",
                where=spec.where("stop", "accuracy"),
                key="stop.accuracy",
                remedy="Leave out --cost-only, or stop after rounds or time.",
            )
        self._check_governors()
        self.method()
        self._plugin(SELECTIONS, spec.selection, "selection")
        self._plugin(PACES, spec.pace, "pace")
        for name, cell in spec.network.nodes.items():
            self._plugin(NETWORKS, cell.technology, "network", "nodes", name)
        _ = self.shards

    def _check_governors(self) -> None:
        """A group's own governor must suit it; the topology's, at least one group that uses it."""
        refused: list[ValueError] = []
        suited = False
        for member in {member.place: member for member in self._members}.values():
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
            "packages": {
                name: version(name) for name in ("networkx", "numpy", "scipy", "simpy", "torch")
            },
            "seed": self.spec.seed,
            "spec_hash": self.digest,
            "hashes": self.hashes,
        }

    def copy_profiles(self, folder: Path) -> None:
        """Put profiles that do not come with hetsim beside `spec.yaml`."""
        for path in dict.fromkeys(self.paths):
            home = path.resolve().parent
            if home not in _PACKAGED and home != folder.resolve():
                copyfile(path, folder / path.name)

    def members(self) -> list[Member]:
        """The fleet, device by device."""
        return list(self._members)

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        return tuple(self._expand())

    def _expand(self) -> Iterator[Member]:
        default = self._plugin(GOVERNORS, self.spec.governor, "governor")
        for place, group in enumerate(self.spec.fleet):
            governor = default
            if group.governor is not None:
                governor = self._plugin(GOVERNORS, group.governor, "fleet", place, "governor")
            availability = self._plugin(
                AVAILABILITIES, group.availability, "fleet", place, "availability"
            )
            for number in range(group.count):
                yield Member(
                    name=f"{group.label}-{number}", place=place, group=group,
                    profile=self.profiles[place], governor=governor, availability=availability,
                )  # fmt: skip

    def method(self) -> Method:
        """The method with its settings."""
        return self._plugin(METHODS, self.spec.method, "method")

    @contextmanager
    def _at(self, *place: str | int) -> Generator[None]:
        """Give errors of the user's input their place in the file."""
        try:
            yield
        except SpecError as error:
            if error.where:
                raise
            raise SpecError(
                error.what, where=self.spec.where(*place), key=key_of(place), remedy=error.remedy
            ) from error

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

    def workload(self) -> list[tuple[Member, Client, Cost | None]]:
        """What a round asks of each device, by the method's own account; None for nothing."""
        run, method = self.world(CostOnlyLab()), self.method()
        model = run.initial_model()
        return [
            (member, client, method.work(client, model) if client.shard else None)
            for member, client in zip(self._members, run.clients, strict=True)
        ]

    # --- playing --------------------------------------------------------------------------------

    def lab(
        self, *, executor: str = "inline", workers: int | None = None, store: Path | None = None
    ) -> Lab | CostOnlyLab:
        """A learning plane for this scenario; close it after use.

        Args:
            executor: name of the executor.
            workers: of a pool; None for one a core.
            store: folder of kept results; None keeps nothing.

        Raises:
            SpecError: no such executor.
        """
        single_thread()
        plugin = EXECUTORS.load(executor, where="--executor")
        if self.spec.cost_only:
            return CostOnlyLab()
        chosen = plugin() if workers is None else plugin(workers=workers)
        return Lab(chosen, Store(store) if store else MemoryStore(), self.resident)

    def play(
        self,
        lab: Lab | CostOnlyLab,
        *,
        journal: Path | None = None,
        causality: bool = False,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Trace:
        """Simulate once.

        Args:
            lab: computes what is learned.
            journal: file in which observed values are kept for a replay.
            causality: refuse scripts that use a value no one paid to bring to its node.
            progress: called after each round.
        """
        run = self.world(lab, journal=journal, causality=causality, progress=progress)
        end = run.kernel.run(self.method().server(run), _SERVER)
        return self._finish(run, lab, end)

    def world(
        self,
        lab: Lab | CostOnlyLab,
        *,
        journal: Path | None = None,
        causality: bool = False,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Run:
        """Kernel, network, nodes and clients at t = 0."""
        spec = self.spec
        observe = Journal(journal, lab, version("hetsim")).settle if journal else lab.settle
        kernel = Kernel(Trace(), observer=observe, causality=causality)
        stop, every = spec.stop, spec.report.evaluate_every
        server = self._server(kernel)
        run = Run(
            kernel, lab, Server(server),
            seed=spec.seed,
            selection=self._plugin(SELECTIONS, spec.selection, "selection"),
            pace=self._plugin(PACES, spec.pace, "pace"),
            stop=Stop(
                rounds=stop.rounds,
                accuracy=inf if stop.accuracy is None else stop.accuracy,
                time=inf if stop.time is None else stop.time,
            ),
            architecture=self.architecture,
            test=self.resident.whole("test"),
            union=self.resident.shard(np.concatenate(self.shards)),
            evaluate_every=every,
            progress=progress,
        )  # fmt: skip
        technologies = self._cells(kernel)
        radios = {name: technology.radio for name, technology in technologies.items()}
        nodes = [self._device(kernel, member, radios) for member in self._members]
        self._links(kernel)
        self._attach(kernel, technologies, nodes)
        for index, (node, rows) in enumerate(zip(nodes, self.shards, strict=True)):
            shard = self.resident.shard(rows) if len(rows) else None
            run.clients.append(Client(node, index, shard, len(rows), run))
        return run

    def _server(self, kernel: Kernel) -> Node:
        profile = self.profiles[-1]
        node = Node(
            kernel.env, kernel.trace, _SERVER, "server",
            base=_base(profile, Radio(transmit=0.0, receive=0.0)), profile=profile,
            governor=Performance(),
        )  # fmt: skip
        kernel.add(node)
        kernel.network.place(_SERVER, self.spec.server.at)
        return node

    def _device(self, kernel: Kernel, member: Member, radios: dict[str, Radio]) -> Node:
        group, profile = member.group, member.profile
        battery, pack = None, member.pack
        if pack is not None:
            assert group.battery is not None
            charge = pack.capacity * group.battery.charge
            battery = BatteryState(
                capacity=pack.capacity, charge=charge, efficiency=pack.efficiency
            )
        node = Node(
            kernel.env, kernel.trace, member.name, "device",
            base=_base(profile, self._radio(member, radios)), profile=profile,
            governor=member.governor, battery=battery,
        )  # fmt: skip
        kernel.add(node)
        if not isinstance(member.availability, Always):
            changes = member.availability.changes(rng(self.spec.seed, "sim/churn", member.name))
            _follow(kernel, node, changes)
        return node

    def _radio(self, member: Member, radios: dict[str, Radio]) -> Radio:
        cell = member.group.link.to
        technology = self.spec.network.nodes[cell].technology.name
        return member.profile.radios.get(technology, radios[cell])

    def _cells(self, kernel: Kernel) -> dict[str, Technology]:
        technologies: dict[str, Technology] = {}
        for name, cell in self.spec.network.nodes.items():
            technology = self._plugin(
                NETWORKS, cell.technology, "network", "nodes", name
            )  # fmt: skip
            technologies[name] = technology
            kernel.network.add_cell(name)
            if technology.power:
                kernel.add(_equipment(kernel, name, technology.power))
        return technologies

    def _links(self, kernel: Kernel) -> None:
        for link in self.spec.network.links:
            a, b = link.between
            node, price = None, 0.0
            if link.power is not None:
                node = _equipment(kernel, f"{a}--{b}", link.power.idle)
                kernel.add(node)
                price = (link.power.busy - link.power.idle) / link.bandwidth
            kernel.network.add_link(
                a, b, link.bandwidth, link.latency,
                shared=link.duplex == "shared", node=node, price=price,
            )  # fmt: skip

    def _attach(
        self, kernel: Kernel, technologies: dict[str, Technology], nodes: list[Node]
    ) -> None:
        by_cell: dict[str, list[tuple[Member, Node, Station]]] = {}
        for member, node in zip(self._members, nodes, strict=True):
            link = member.group.link
            station = Station(name=member.name, up=link.up, down=link.down, latency=link.latency)
            by_cell.setdefault(link.to, []).append((member, node, station))
        radios = {name: technology.radio for name, technology in technologies.items()}
        for cell, there in by_cell.items():
            hops = technologies[cell].attach(cell, [station for _, _, station in there])
            for member, node, station in there:
                up, down = hops[member.name]
                kernel.network.attach(
                    Attachment(
                        cell=cell,
                        station=station,
                        up=up,
                        down=down,
                        radio=self._radio(member, radios),
                        node=node,
                    )
                )

    def _finish(self, run: Run, lab: Lab | CostOnlyLab, end: Seconds) -> Trace:
        run.evaluate_last()
        lab.drain()
        scores: dict[int, Any] = {}
        digest = None
        if not self.spec.cost_only:
            values = lab.settle(list(run.scores.values()))
            scores = dict(zip(run.scores, values, strict=True))
            assert run.model is not None
            [state] = lab.settle([run.model])
            digest = model_hash(state)
        heads = {
            "name": self.spec.name,
            "method": self.spec.method.name,
            "seed": self.spec.seed,
            "spec_hash": self.digest,
            "model_hash": digest,
        }
        settle_up(run, end, scores, self.spec.report.targets, heads)
        trace = run.kernel.trace
        trace.spec = self.spec.resolved()
        trace.provenance = self.provenance()
        return trace


def resolve(spec: Spec, data: Path | None = None) -> Scenario:
    """Look everything up that a topology names.

    Args:
        spec: a checked topology.
        data: folder of data sets.

    Raises:
        SpecError: a name, an option or a combination is wrong.
    """
    if data is not None and not data.is_dir():
        raise SpecError(
            "is no folder", where=f"--data {data}", remedy="Give the folder of the data sets."
        )
    beside = spec.origin.parent
    names = [*(group.profile for group in spec.fleet), spec.server.profile]
    places = [*(("fleet", i, "profile") for i in range(len(spec.fleet))), ("server", "profile")]
    paths = tuple(
        find_profile(name, beside, where=spec.where(*place), key=key_of(place))
        for name, place in zip(names, places, strict=True)
    )
    loaded = {path: load_profile(path) for path in dict.fromkeys(paths)}
    spec = _by_name(spec, paths)
    task = spec.task
    where = partial(spec.where, "task", "data")
    loader = DATA.load(task.data.name, where=where(), key="task.data")
    dataset: Dataset = make(loader, task.data.options, data, where=where, key="task.data")
    where = partial(spec.where, "task", "model")
    family = MODELS.load(task.model.name, where=where(), key="task.model")
    written = resolved(family, task.model.options, where=where, key="task.model")
    options = arguments(family, written, where=where, key="task.model")
    architecture = Architecture.of(task.model.name, dataset.shape, dataset.classes, options)
    scenario = Scenario(spec, tuple(loaded[path] for path in paths), paths, dataset, architecture)
    scenario.check()
    return scenario


def _by_name(spec: Spec, paths: tuple[Path, ...]) -> Spec:
    """The spec with profiles named by their files, wherever these lay; a run folder has copies."""
    homes: dict[str, Path] = {}
    for path in paths:
        other = homes.setdefault(path.stem, path)
        if other.resolve() != path.resolve():
            raise SpecError(
                f'two profiles are called "{path.stem}": {other} and {path}',
                where=str(spec.origin),
                remedy="Rename one of the files.",
            )
    fleet = tuple(
        group.model_copy(update={"profile": path.stem})
        for group, path in zip(spec.fleet, paths, strict=False)
    )
    server = spec.server.model_copy(update={"profile": paths[-1].stem})
    return spec.model_copy(update={"fleet": fleet, "server": server})


def _base(profile: Profile, radio: Radio) -> dict[str, dict[str, float]]:
    return {
        "idle": {"idle": profile.idle, "radio_idle": radio.idle},
        "sleep": {"sleep": profile.sleep},
        "off": {"off": profile.off},
    }


def _equipment(kernel: Kernel, name: str, power: float) -> Node:
    """An access point, a switch or a line: it only draws power."""
    return Node(
        kernel.env, kernel.trace, name, "link",
        base={"idle": {"idle": power}, "off": {}}, power_scope="wall",
    )  # fmt: skip


def _follow(kernel: Kernel, node: Node, changes: Iterator[tuple[Seconds, bool]]) -> None:
    """Let a node leave and come back."""

    def next_change() -> None:
        when, present = next(changes, (inf, True))
        if when <= kernel.env.now:
            change(present)
        elif when < inf:
            Call(kernel.env, lambda: change(present), when - kernel.env.now)

    def change(present: bool) -> None:
        empty = node.battery is not None and node.battery.empty
        if not empty:
            if present and node.state == "off":
                kernel.revive(node)
            elif not present and node.state != "off":
                kernel.kill(node, "churn")
            next_change()

    next_change()
