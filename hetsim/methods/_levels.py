"""What methods share whose devices train as much of the model as they can: levels of one model.

Level 0 is the largest model, each further one a slice of the one before (`ops.slice_of`). Which
level a device trains is chosen by its memory, by its number, by lot, or is the same for all. The
server keeps the largest one that anybody takes, so that nothing in it stays untrained, and each
value of it becomes the mean over the devices whose model contains it.

Assumed: by memory, a device takes the largest model whose training fits; by number or by lot too,
it takes a smaller one than it is assigned while that does not fit. So nobody needs more memory than
there is, and only a device that cannot train the smallest model is left out.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.core.rng import rng
from hetsim.federation.client import Client
from hetsim.federation.run import Demand, Reply, Run
from hetsim.learn import ops
from hetsim.methods._sgd import check, require
from hetsim.methods._weighted import Weighted

Assignment = Literal["memory", "fixed", "dynamic", "weakest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leveled(Weighted):
    """Abstract: local SGD on a model as large as the device can train.

    Attributes:
        assignment: which level a device trains: memory (the largest that fits), fixed (by its
            number in the fleet, so that `proportions` hold), dynamic (drawn in each round with
            `proportions`), weakest (for all what the weakest can train).
        proportions: of devices at each level, the largest first, on any scale; left out, equal.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"steps", "layers"})
    assignment: Assignment = "memory"
    proportions: tuple[float, ...] = ()
    weighting: Literal["samples", "uniform"] = "uniform"

    def __post_init__(self) -> None:
        check(**self.training)
        chosen = self.proportions
        require(
            not chosen or (min(chosen) >= 0.0 and sum(chosen) > 0.0),
            f"proportions are {list(chosen)}", "Give 0 or more, and one of them above 0.",
        )  # fmt: skip
        require(
            not chosen or self.assignment in ("fixed", "dynamic"),
            f"proportions are given, and levels are assigned by {self.assignment}",
            "Leave them out, or choose the assignment fixed or dynamic.",
        )

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    @abstractmethod
    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """The model of each level, the largest first."""

    @abstractmethod
    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """What a device minimises at a level, where `top` is the server's, in round `number`."""

    @property
    def silent(self) -> bool:
        """Whether devices say nothing about classes that they do not hold."""
        return False

    async def server(self, run: Run) -> None:
        """Rounds of: select, let each train its level, average, report."""
        levels = self.levels(run)
        run.require(lambda client: self.work(client, levels.blank[0]))
        model = run.initial_model(levels.sizes[levels.top])
        while run.going:
            replies = await run.cohort(self.client, model)
            if replies:
                model = await self._merged(run, model, replies)
            await run.report(model)

    async def client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        """Download the slice of its level, train it, upload it."""
        run, levels = device.run, self.levels(device.run)
        number = device.errand.participation.round if device.errand else run.round
        level = levels.of(device, number)
        part = ops.slice_of(model, levels.sizes[level])
        run.has(device.hub, part)
        await device.download(part)
        towards = self.towards(level, levels.top, number)
        update = await device.train(part, towards=towards, **self.training)
        await device.upload(update)
        return update

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training of its level; of the smallest one, if none fits."""
        levels = self.levels(client.run)
        return levels.cost(client, levels.of(client, client.run.round))

    def levels(self, run: Run) -> Levels:
        """The levels of a run."""
        if run not in _LEVELS:
            _LEVELS[run] = Levels(self, run)
        return _LEVELS[run]

    async def _merged(
        self, run: Run, model: Ref[Any], replies: Sequence[Reply[Ref[Any]]]
    ) -> Ref[Any]:
        updates = [reply.value for reply in replies]
        merged = ops.sliced_mean(
            model,
            updates,
            [self.weigh(reply.client) for reply in replies],
            layers=[reply.layers for reply in replies],
            shards=[reply.client.data for reply in replies] if self.silent else (),
        )
        await run.server.compute(merged, needs=(model, *updates))
        return merged


class Levels:
    """The levels of one run, and who trains which.

    Attributes:
        sizes: the model of each, the largest first.
        blank: a value of each, for its size and cost.
        top: the largest that anybody takes; the server's.
    """

    def __init__(self, method: Leveled, run: Run) -> None:
        self._method, self._seed = method, run.seed
        self.sizes = tuple(method.sizes(run.architecture))
        self.blank = [ops.initial(size, 0) for size in self.sizes]
        self._bounds = _bounds(method.proportions, len(self.sizes))
        self.top = 0
        self._fitting = [self._largest(client) for client in run.clients]
        able = [level for level in self._fitting if level is not None]
        self._weakest = max(able, default=0)
        match method.assignment:
            case "memory":
                self.top = min(able, default=0)
            case "dynamic":
                self.top = max(min(able, default=0), bisect(self._bounds, 0.0))
            case "weakest":
                self.top = self._weakest
            case "fixed":
                taken = [
                    self.of(client, 0) for client in run.clients
                    if self._fitting[client.index] is not None
                ]  # fmt: skip
                self.top = min(taken, default=0)

    def of(self, client: Client, number: int) -> int:
        """The level that a client trains in a round; the smallest one, if none fits."""
        largest = self._fitting[client.index]
        if largest is None:
            return len(self.sizes) - 1
        match self._method.assignment:
            case "memory":
                return largest
            case "weakest":
                return self._weakest
            case "fixed":
                drawn = (client.index + 0.5) / len(self._fitting)
            case "dynamic":
                drawn = float(rng(self._seed, "sim/levels", client.id, number).random())
        return max(bisect(self._bounds, drawn), largest)

    def cost(self, client: Client, level: int) -> Cost:
        """Work of a client at a level."""
        towards = self._method.towards(level, self.top, 0)
        return client.training_cost(self.blank[level], towards=towards, **self._method.training)

    def _largest(self, client: Client) -> int | None:
        """The largest level that a client has the memory to train, if any."""
        if client.shard is None:
            return None
        levels = range(len(self.sizes))
        fits = (level for level in levels if client.node.fits(self.cost(client, level).memory))
        return next(fits, None)


def _bounds(proportions: Sequence[float], levels: int) -> list[Fraction]:
    """Where each level ends between 0 and 1, but for the last one.

    Raises:
        SpecError: not one proportion for each level.
    """
    shares = proportions or (1.0,) * levels
    require(
        len(shares) == levels,
        f"{len(shares)} proportions are given for {levels} levels",
        "Give one for each, the largest first, or none.",
    )
    return [each / sum(shares) for each in accumulate(shares)][:-1]


_LEVELS: WeakKeyDictionary[Run, Levels] = WeakKeyDictionary()
"""Of the runs that are under way."""
