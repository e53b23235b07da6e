"""What simulating a topology would take this host, told before anything is simulated.

How many updates are asked for follows from pace, selection and fleet, and is exact where nothing
can go wrong; their work is the method's own account of it, a mean over those who may be asked. All
else is for as many updates as that, and follows from rates that were measured with torch 2.13 in
float32 on one core of a server CPU with AVX-512 (AMD EPYC). Other CPUs, small batches, a busy host
and what a governor plans all count.

    learning = FLOPs / rate + operators * launch
    time plane = start + devices * row + updates * turn

with rate 180 ... 120 ... 25 GFLOP/s, launch 6 ... 12 ... 40 us, and start 1.5 ... 2.3 ... 6 s
(imports and the page). One by one, row is 0.2 ... 0.35 ... 1 ms (a node, its lines in the tables),
turn 0.6 ... 1 ... 8 ms (the most where a governor plans each job), and an update 4 ... 8 ... 20
events; in columns they are 8 ... 12 ... 30 us and 80 ... 150 ... 400 us, and a round three events.
Memory: 305 MB of libraries, the data twice, 13 kB a device, or 1.2 in columns with 3.3 an update;
where something is learned, the memory of an update, and a model for each of a cohort. Half as much
more may be needed (assumed). The store keeps a model a round and the first one. Of the other files
the page takes 5.2 MB, a device 20 B and an update 600 B, in columns 6 and 70.

A large fleet is laid out, and a few of it asked once, to see whether columns can hold it.

Eleven topologies that were run on such a core took, of what is told here: seconds in all 0.6 to 1.6
times (`pi_lab`, whose server trains, 2.2), memory 0.95 to 1.25 times (`pi_lab` 1.6), the store 0.95
to 1.6 times (`gateways_campus`, whose gateways average too, 10), the other files 0.95 to 1.05
times. `million` took 35 s, 2.4 GB and 18 MB, and 31 s, 2.3 GB and 19 MB were told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from typing import Any, Literal

from hetsim.core.cost import Cost
from hetsim.core.errors import si
from hetsim.core.quantities import Bytes
from hetsim.spec import units
from hetsim.spec.world import MANY, Member, Scenario
from hetsim.spec.world.blueprint import pretrained

Basis = Literal["exact", "at most", "about", "estimate"]
Three = tuple[float, float, float]

_RATES: Three = (180e9, 120e9, 25e9)
_LAUNCHES: Three = (6e-6, 12e-6, 40e-6)
_STARTS: Three = (1.5, 2.3, 6.0)
_EVENTS: Three = (4.0, 8.0, 20.0)
_LIBRARIES: Bytes = 305e6
_PAGE: Bytes = 5.2e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What a way to play a fleet takes.

    Attributes:
        row: seconds for a device.
        turn: seconds for an update.
        device: bytes of memory for a device.
        update: bytes of memory for an update.
        files: bytes written for a device, and for an update.
    """

    row: Three
    turn: Three
    device: Bytes
    update: Bytes
    files: tuple[Bytes, Bytes]


_ONE_BY_ONE = _Way(row=(0.2e-3, 0.35e-3, 1e-3), turn=(0.6e-3, 1e-3, 8e-3), device=13e3,
                   update=0.0, files=(20.0, 600.0))  # fmt: skip
_IN_COLUMNS = _Way(row=(8e-6, 12e-6, 30e-6), turn=(80e-6, 150e-6, 400e-6), device=1.2e3,
                   update=3.3e3, files=(6.0, 70.0))  # fmt: skip
_SLACK = 1.5
_STORE: Bytes = 2e9
"""What a store holds at most unless it is told otherwise."""
_BLOB: Bytes = 600.0
"""Of a score with its header, and of the header of a model."""
_PLAIN = "random", "round_robin"
"""Selections that always ask a whole cohort if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that is told before a run.

    Attributes:
        value: the number, or the best guess at it.
        least, most: between which it lies, as far as is known.
        unit: of all three; "" for a count.
        basis: whether it is exact, a bound, what it is if all goes well, or no more than an order
            of magnitude.
        source: what it follows from, in words.
    """

    value: float
    least: float
    most: float | None
    unit: str = ""
    basis: Basis
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Devices of one group that a round asks the same of.

    Attributes:
        member: one of them.
        devices: how many there are.
        samples: of each.
        cost: of a round's work of each; None if there is nothing to do.
    """

    member: Member
    devices: int
    samples: int
    cost: Cost | None

    @property
    def able(self) -> bool:
        """Whether it has something to do, and the memory for it."""
        return self.cost is not None and self.cost.memory <= self.member.profile.memory


def kinds(scenario: Scenario) -> list[Kind]:
    """The fleet by what is asked of it; a large one is told from one device of each kind."""
    places = [place for place, group in enumerate(scenario.spec.fleet) for _ in range(group.count)]
    keys = list(zip(places, map(len, scenario.shards), strict=True))
    many = Counter(keys)
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    large = len(keys) >= MANY
    work = scenario.workload(sorted(first.values()) if large else None)
    return [
        Kind(
            member=member, samples=client.samples, cost=cost,
            devices=many[member.place, client.samples] if large else 1,
        )
        for member, client, cost in work
    ]  # fmt: skip


class Estimate:
    """What a run of a scenario would take.

    Attributes:
        kinds: its devices.
    """

    def __init__(self, scenario: Scenario) -> None:
        """Look at a scenario: this lays its world out and plays nothing."""
        self.kinds = kinds(scenario)
        self._scenario, self._spec = scenario, scenario.spec
        self._method, self._pace = scenario.method(), scenario.pace()
        self._cohort = scenario.selection().cohort

    def as_json(self) -> dict[str, Any]:
        """All figures as plain values; a bound that is not known is None."""
        return {name: asdict(figure) for name, figure in self.figures.items()}

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """All of them, by name."""
        return {
            "updates_asked": self.asked,
            "updates_computed": self.computed,
            "evaluations": self.evaluations,
            "work": self.work,
            "learning_time": self.learning_time,
            "simulation_time": self.simulation_time,
            "host_time": self.host_time,
            "events": self.events,
            "memory": self.memory,
            "store": self.store,
            "files": self.files,
            "bytes_round": self.bytes_round,
        }

    # --- who takes part -------------------------------------------------------------------------

    @property
    def devices(self) -> int:
        """In the fleet."""
        return sum(kind.devices for kind in self.kinds)

    @cached_property
    def able(self) -> int:
        """Devices that hold data, and can hold a round's work."""
        return sum(kind.devices for kind in self.kinds if kind.able)

    @cached_property
    def update(self) -> Cost:
        """Work of an update, a mean over those who may be asked; memory is the most of any."""
        costs = [(kind.cost, kind.devices) for kind in self.kinds if kind.able and kind.cost]
        return sum((cost * (many / self.able) for cost, many in costs), Cost())

    @property
    def _averages(self) -> bool:
        """Whether the method leaves it to the pace whom it asks for an update of the model."""
        return hasattr(type(self._method), "accepts")

    @cached_property
    def calm(self) -> bool:
        """Whether nobody can be late, leave or run empty, so that updates can be counted."""
        spec = self._spec
        there = all(group.availability.name == "always" and not group.crashes
                    for group in spec.fleet)  # fmt: skip
        powered = all(member.pack is None for member in self._scenario.kinds)
        patient = all(
            getattr(self._pace, name, inf) == inf for name in ("deadline", "max_staleness")
        )
        whole = spec.stop.accuracy is None and spec.stop.time is None and not spec.events
        told = self._averages and hasattr(self._pace, "updates")
        return there and powered and patient and whole and told and spec.selection.name in _PLAIN

    # --- what is counted ------------------------------------------------------------------------

    @property
    def _rounds(self) -> int:
        """Rounds that are played if nothing else ends them: some methods have enough by then."""
        most = self._spec.stop.rounds
        return min(most, getattr(self._method, "rounds", most))

    @cached_property
    def _step(self) -> tuple[int, int]:
        """Updates asked for and taken in a server step, if nothing goes wrong."""
        told = getattr(self._pace, "updates", None)
        wanted = min(self._cohort, self.able)
        return told(self._cohort, self.able) if told and self.able else (wanted, wanted)

    @cached_property
    def asked(self) -> Figure:
        """Client updates asked for."""
        figure = self._updates(self._step[0])
        if "stale" not in self._pace.demands:
            return figure
        return Figure(
            value=figure.value, least=figure.least, most=figure.value + self._cohort,
            basis="about", source=f"{figure.source}, and who is in flight at the end",
        )  # fmt: skip

    @cached_property
    def computed(self) -> Figure:
        """Client updates that this host computes: those that become part of a model."""
        return self._updates(self._step[1]) if not self._spec.cost_only else _nothing()

    def _updates(self, step: int) -> Figure:
        rounds = self._rounds
        value, source = rounds * step, f"{count(rounds, 'round')} of {step}"
        if self.calm:
            return Figure(value=value, least=value, most=value, basis="exact", source=source)
        if not self._averages:
            source += "; the method decides whom it asks"
            return Figure(value=value, least=0, most=None, basis="about", source=source)
        if not hasattr(self._pace, "updates"):
            most = rounds * self.able
            return Figure(value=value, least=0, most=most, basis="about", source=source)
        source += ", less who leaves or is late"
        return Figure(value=value, least=0, most=value, basis="at most", source=source)

    @cached_property
    def evaluations(self) -> Figure:
        """Evaluations of the server's model on all test samples, and the last one by label."""
        rounds, every = self._rounds, self._spec.report.evaluate_every
        if self._spec.cost_only:
            return _nothing()
        early = self._spec.stop.accuracy is not None
        value = rounds if early else rounds // every + bool(rounds % every)
        source = "after each round" if every == 1 or early else f"every {every} rounds, and at last"
        if early or self._spec.stop.time is not None:
            return Figure(value=value, least=1, most=value, basis="at most", source=source)
        return Figure(value=value, least=value, most=value, basis="exact", source=source)

    # --- what it takes --------------------------------------------------------------------------

    @cached_property
    def _learning(self) -> Cost:
        """Work of all that is computed, but for what a server trains."""
        if self._spec.cost_only:
            return Cost()
        tested = self._scenario.evaluation() * (self.evaluations.value + 1.0)
        return self.update * self.computed.value + tested + self._pretraining

    @cached_property
    def _pretraining(self) -> Cost:
        """Work of what is trained before the run, of all models that it takes parts of."""
        source, models = self._scenario.pretraining, self._scenario.zoo
        if source is None or not pretrained(self._method):
            return Cost()
        costs = (source.model(each).cost for each in models or [self._scenario.architecture])
        return sum(costs, Cost())

    @cached_property
    def work(self) -> Figure:
        """Floating-point operations of all that is learned."""
        if self._spec.cost_only:
            return _nothing("FLOP")
        each, tested = self.update.flops, self._scenario.evaluation().flops
        source = f"{si(each)}FLOP an update, {si(tested)}FLOP an evaluation"
        if self._pretraining.flops:
            source += f", {si(self._pretraining.flops)}FLOP of pre-training"
        return Figure(
            value=self._learning.flops, least=0.0, most=None, unit="FLOP", basis="about",
            source=source + ("" if self._averages else "; not the server's"),
        )  # fmt: skip

    @cached_property
    def learning_time(self) -> Figure:
        """Seconds of one core that learning takes."""
        if self._spec.cost_only:
            return _nothing("s")
        work = self._learning
        each = [work.flops / rate + work.operators * launch
                for rate, launch in zip(_RATES, _LAUNCHES, strict=True)]  # fmt: skip
        source = f"at {_RATES[1] / 1e9:g} GFLOP/s, {_LAUNCHES[1] * 1e6:g} us an operator"
        return _estimate(each, "s", source)

    @cached_property
    def simulation_time(self) -> Figure:
        """Seconds of one core that everything else takes: imports, simulated time, files."""
        way, updates = self._way, self.asked.value
        each = [start + self.devices * row + updates * turn
                for start, row, turn in zip(_STARTS, way.row, way.turn, strict=True)]  # fmt: skip
        row, turn = (units.format(each[1], "time") for each in (way.row, way.turn))
        return _estimate(each, "s", f"{_STARTS[1]:g} s, {row} a device, {turn} an update")

    @cached_property
    def one_by_one(self) -> str:
        """Why the fleet would be played device by device; empty if in columns.

        Raises:
            HetsimError: it would not be played at all: it is too large for that.
        """
        return self._scenario.trial()

    @property
    def _way(self) -> _Way:
        """How the fleet is played."""
        return _ONE_BY_ONE if self.one_by_one else _IN_COLUMNS

    @cached_property
    def host_time(self) -> Figure:
        """Seconds of one core in all; more cores help the learning alone."""
        parts = self.learning_time, self.simulation_time
        each = [sum(part.least for part in parts), sum(part.value for part in parts),
                sum(part.most or 0.0 for part in parts)]  # fmt: skip
        more = "" if self._spec.cost_only else "; --executor pool shares the learning out"
        return _estimate(each, "s", f"both{more}")

    @cached_property
    def events(self) -> Figure:
        """Events of the simulated world."""
        if not self.one_by_one:
            many = 3.0 * self._rounds
            return _estimate((many, many, 2.0 * many), "", "three a round, in columns")
        each = [self.asked.value * many for many in _EVENTS]
        return _estimate(each, "", f"{_EVENTS[1]:g} an update")

    @cached_property
    def memory(self) -> Figure:
        """The most memory that the process takes."""
        data = self._scenario.dataset
        arrays = (data.x, data.y, data.test_x, data.test_y)
        held = 2.0 * sum(array.nbytes for array in arrays)
        models = self._step[0] * self._scenario.model.state_bytes
        learned = 0.0 if self._spec.cost_only else models + self.update.memory
        books = self.devices * self._way.device + self.asked.value * self._way.update
        usual = _LIBRARIES + held + learned + books
        source = f"{_LIBRARIES / 1e6:g} MB of libraries, data, models, devices"
        return _estimate((_LIBRARIES, usual, _SLACK * usual), "B", source)

    @cached_property
    def store(self) -> Figure:
        """What the store holds at the end."""
        if self._spec.cost_only:
            return _nothing("B")
        rounds, state = self._rounds, self._scenario.model.state_bytes
        usual = (rounds + 1) * (state + _BLOB) + self.evaluations.value * _BLOB
        most = usual + self.computed.value * state
        each = [min(_STORE, value) for value in (0.5 * usual, usual, most)]
        return _estimate(each, "B", "a model a round; 2 GB at most")

    @cached_property
    def files(self) -> Figure:
        """All else in the run folder."""
        device, update = self._way.files
        told = self.devices * device + self.asked.value * update
        each = _PAGE, _PAGE + told, _PAGE + 3.0 * told
        return _estimate(each, "B", f"{_PAGE / 1e6:g} MB of page, tables, the trace")

    @cached_property
    def bytes_round(self) -> Figure:
        """Bytes over the devices' links in a round."""
        whole = 2.0 * self._step[0] * self._scenario.model.state_bytes
        source = f"the whole model to {self._step[0]} and back"
        return Figure(value=whole, least=0.0, most=None, unit="B", basis="about", source=source)


def count(number: float, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "round"), count(1000, "round")
    ('1 round', '1,000 rounds')
    """
    return f"{number:,.0f} {noun}{'s' * (number != 1)}"


def _nothing(unit: str = "") -> Figure:
    source = "a cost-only run learns nothing"
    return Figure(value=0, least=0, most=0, unit=unit, basis="exact", source=source)


def _estimate(each: Sequence[float], unit: str, source: str) -> Figure:
    least, value, most = each
    return Figure(value=value, least=least, most=most, unit=unit, basis="estimate", source=source)
