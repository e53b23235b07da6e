"""A blueprint that can be played: kernel, network, nodes and clients, the method, the sums.

The same scenario can be played again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.quantities import Bytes, Seconds
from hetsim.core.registry import EXECUTORS
from hetsim.core.trace import Progress, Trace
from hetsim.federation.client import Client
from hetsim.federation.columns import Crowd
from hetsim.federation.fairness import Holdings
from hetsim.federation.ledger import settle_up
from hetsim.federation.run import Run, Stop
from hetsim.learn import ops
from hetsim.learn.journal import Journal
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.numerics import model_hash, single_thread
from hetsim.learn.store import MemoryStore, Store
from hetsim.sim.columns import NotTraceable
from hetsim.sim.fleet import Fleet
from hetsim.sim.kernel import Kernel
from hetsim.spec.check import ONE_BY_ONE
from hetsim.spec.columns import population, roll
from hetsim.spec.options import make
from hetsim.spec.world import nodes
from hetsim.spec.world.blueprint import Blueprint

if TYPE_CHECKING:
    from hetsim.spec.world.member import Member

MANY = 2_000
"""Devices from which on a run that learns nothing is played in columns."""
_FEW = 10
"""Devices that are asked to see whether all can be played in columns."""


class Scenario(Blueprint):
    """A topology ready to be played."""

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
        with self.spec.at("method"):
            return [
                (
                    self._member(client.index), client,
                    method.work(client, model) if client.shard else None,
                )
                for client in run.clients
            ]  # fmt: skip

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
        told = "" if columns else self._one_by_one()
        if columns is False:
            told = told or "asked for"
        if not told:
            try:
                trace = self._played(self.crowd(lab, progress=progress), lab)
                trace.played = f"in columns: {self.spec.devices:,} devices"
                return trace
            except NotTraceable as reason:
                if columns:
                    raise
                told = reason.what
        self._refuse_too_many(told)
        run = self.world(lab, journal=journal, causality=causality, progress=progress)
        trace = self._played(run, lab)
        trace.played = f"device by device: {told}"
        return trace

    def trial(self) -> str:
        """Why a run would be played device by device; empty if in columns.

        A large fleet is laid out and a few of those who are there are asked once, so what happens
        later is not foreseen.

        Raises:
            HetsimError: the fleet is too large to be played device by device, as it must be.
        """
        told = self._one_by_one()
        if not told:
            lab, chosen = self.lab(), self.selection()
            few = replace(cast(Any, chosen), cohort=min(chosen.cohort, _FEW))
            try:
                self._end(self.crowd(lab, selection=few, stop=Stop(rounds=1, time=1.0)))
            except NotTraceable as reason:
                told = reason.what
                self._refuse_too_many(told)
            except HetsimError:
                pass  # that nobody can take part is told by what a round asks of each
        return told

    def _one_by_one(self) -> str:
        """Why columns are not even tried; empty if they are."""
        if self.spec.devices < MANY:
            return f"{self.spec.devices:,} devices, fewer than {MANY:,}"
        return "" if self.spec.cost_only else "the run learns"

    def _refuse_too_many(self, told: str) -> None:
        if self.spec.devices > ONE_BY_ONE:
            raise HetsimError(
                f"{self.spec.devices:,} devices cannot be played in columns: {told}\n"
                f"    Change that, or simulate at most {ONE_BY_ONE:,}, which are played one by one."
            )

    def _played(self, run: Run, lab: Lab | CostOnlyLab) -> Trace:
        """A run played to its end."""
        return self._finish(run, lab, self._end(run))

    def _end(self, run: Run) -> Seconds:
        """When a run ends, which it does by being played."""
        try:
            return run.kernel.run(self.method().server(run), nodes.SERVER)
        except SpecError as fault:
            if fault.where:
                raise
            where = self.spec.where("method")
            raise SpecError(fault.what, where=where, key="method", remedy=fault.remedy) from fault

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
        run = Run(kernel, lab, nodes.server(self, kernel), **self._terms(progress))
        run.gateways = nodes.gateways(self, kernel)
        numbers = range(len(self.shards)) if among is None else among
        members = self.members() if among is None else [self._member(i) for i in among]
        bodies = [nodes.device(self, kernel, member) for member in members]
        self.wiring.lay(kernel)
        self.wiring.attach(kernel, members)
        for index, member, node in zip(numbers, members, bodies, strict=True):
            rows = self.shards[index]
            shard = self.resident.shard(rows) if len(rows) else None
            client = Client(node, index, shard, len(rows), run)
            place = self.serving[member.place]
            client.gateway = None if place is None else run.gateways[place]
            run.clients.append(client)
        if among is None:
            nodes.fate(self, kernel)
        self._note_recording(kernel)
        return run

    def crowd(
        self,
        lab: Lab | CostOnlyLab,
        *,
        progress: Callable[[Progress], None] = lambda progress: None,
        **terms: Any,
    ) -> Crowd:
        """The same with the fleet in columns; `terms` replace some of what a run is told.

        Raises:
            NotTraceable: columns know nothing of a part of it.
        """
        kernel = Kernel(Trace(), observer=lab.settle)
        server, gateways = nodes.server(self, kernel), nodes.gateways(self, kernel)
        self.wiring.lay(kernel)
        listed, told = roll(self), self._terms(progress) | terms
        fleet = Fleet(population(self, kernel, listed.samples), nodes.SERVER)
        run = Crowd(kernel, lab, server, fleet=fleet, roll=listed, **told)
        run.gateways = gateways
        self._note_recording(kernel)
        return run

    def _note_recording(self, kernel: Kernel) -> None:
        """Say whose accuracy it is."""
        if self.recording is not None:
            kernel.note(
                nodes.SERVER, "surrogate",
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
