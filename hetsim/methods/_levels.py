"""What methods share whose devices train as much of the model as they can: levels of one model.

Level 0 is the largest model, each further one a smaller one. Which level a device trains is chosen
by its hardware, by its number, by lot, or is the same for all. What of the model travels, how a
level's values follow from the server's model, and what the server takes in of an update is for the
method to say; here it is a slice of the server's model (`ops.slice_of`), all of it. The server
keeps the largest model that anybody takes, so that nothing in it stays untrained, and each value of
it becomes the mean over the devices whose model contains it.

Assumed: by hardware, a device takes the largest model whose training fits its memory and that it
would receive, train and send within the time of a round, at its highest clocks and alone on its
links (`hetsim.federation.foresight`); where none is that fast, it takes the smallest that fits. The
time of a round is the pace's deadline, or else that of the median device with the largest model
that fits. By number or by lot too a device takes a smaller model than it is assigned while that
does not fit. So nobody needs more memory than there is, and only a device that has room for none is
left out.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction, Seconds
from hetsim.core.ref import Ref
from hetsim.core.rng import rng
from hetsim.federation.client import Client
from hetsim.federation.foresight import Errand, in_time
from hetsim.federation.run import Demand, Reply, Run
from hetsim.learn import ops
from hetsim.methods._sgd import Sgd, require
from hetsim.methods._weighted import Weighted

Assignment = Literal["hardware", "memory", "fixed", "dynamic", "weakest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leveled(Weighted):
    """Abstract: local SGD on a model as large as the device can train.

    Attributes:
        assignment: which level a device trains: hardware (the largest that its memory holds and
            that is done within `round_time`), memory (the largest that its memory holds), fixed (by
            its number in the fleet, so that `proportions` hold), dynamic (drawn in each round with
            `proportions`), weakest (for all what the weakest can train).
        round_time: in which a device is to be done, by hardware; left out, the pace's deadline, or
            what the median device takes for the largest model that its memory holds.
        proportions: of devices at each level, the largest first, on any scale; left out, equal.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"steps", "layers"})
    keeps_whole: ClassVar[bool] = False
    assignment: Assignment = "hardware"
    round_time: Seconds | None = None
    proportions: tuple[float, ...] = ()
    weighting: Literal["samples", "uniform"] = "uniform"

    def __post_init__(self) -> None:
        Sgd.__post_init__(self)
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
        require(
            self.round_time is None or self.round_time > 0.0,
            "round_time is 0", 'Give time for a round, such as "30 s", or leave it out.',
        )  # fmt: skip
        require(
            self.round_time is None or self.assignment == "hardware",
            f"round_time is given, and levels are assigned by {self.assignment}",
            "Leave it out, or choose the assignment hardware.",
        )

    @property
    def training(self) -> dict[str, Any]:
        """Nothing but SGD."""
        return self.sgd

    # --- what a method says of its levels -------------------------------------------------------

    @abstractmethod
    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """What a device trains at each level, the largest first."""

    @abstractmethod
    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """What a device minimises at a level, where `top` is the server's, in round `number`."""

    def named(self, level: int, size: ops.Architecture) -> str:
        """What a level is called."""
        return f"level {level}" if level else "whole model"

    def kept(self, run: Run, levels: Levels) -> ops.Architecture:
        """What the server keeps."""
        return levels.sizes[levels.top]

    def sent(self, size: ops.Architecture) -> ops.Architecture:
        """What travels of what a device trains: all of it."""
        return size

    def part(self, model: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """What a device that trains `size` receives of the server's model."""
        return ops.slice_of(model, self.sent(size))

    def own(self, device: Client, part: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """What a device trains, with what it has received: just that."""
        return part

    def shared(self, device: Client, update: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """What a device sends of what it has trained: all of it."""
        return update

    def whole(self, update: Ref[Any], model: Ref[Any]) -> Ref[Any]:
        """What the server takes in of an update: just that."""
        return update

    def cost(self, client: Client, model: Ref[Any], towards: ops.Objective | None) -> Cost:
        """Work of a client that has a model of a level: training it."""
        return client.training_cost(model, towards=towards, **self.training)

    @property
    def silent(self) -> bool:
        """Whether devices say nothing about classes that they do not hold."""
        return False

    # --- the two scripts ------------------------------------------------------------------------

    async def server(self, run: Run) -> None:
        """Rounds of: select, let each train its level, average, report."""
        levels = self.levels(run)
        run.require(lambda client: self.work(client, levels.blank[0]))
        levels.tell()
        model = run.initial_model(self.kept(run, levels))
        parts: Mapping[int, Ref[Any]] = {}
        while run.going:
            parts = parts or await self.parts(run, model, levels)
            replies = await run.cohort(self.client, model, parts)
            if replies:
                model, parts = await self.merged(run, model, replies), {}
            await run.report(model, views=partial(self.views, model, levels))

    async def client(
        self, device: Client, model: Ref[Any], parts: Mapping[int, Ref[Any]]
    ) -> Ref[Any]:
        """Download what belongs to its level, train it, upload it."""
        levels = self.levels(device.run)
        level = levels.of(device, device.asked)
        size, part = levels.sizes[level], parts[level]
        await device.download(part)
        towards = self.towards(level, levels.top, device.asked)
        trained = self.own(device, part, size)
        if trained is not part:
            device.run.has(device, trained)
        update = await device.train(trained, towards=towards, **self.at(device.asked))
        sent = self.shared(device, update, size)
        if sent is not update:
            device.run.has(device, sent)
        await device.upload(sent)
        return sent

    async def parts(self, run: Run, model: Ref[Any], levels: Levels) -> Mapping[int, Ref[Any]]:
        """What devices receive, by level; the server pays for making it."""
        parts = {level: self.part(model, levels.sizes[level]) for level in levels.used}
        for part in parts.values():
            if part is not model and part.cost != Cost():
                await run.server.compute(part, kind="compress", needs=(model,))
        run.has(run.server, *parts.values())
        return parts

    async def merged(
        self, run: Run, model: Ref[Any], replies: Sequence[Reply[Ref[Any]]]
    ) -> Ref[Any]:
        """The next server model; the server pays for it."""
        updates = await self.taken(run, model, replies)
        merged = ops.sliced_mean(
            model,
            updates,
            self.weights(replies),
            layers=[reply.layers for reply in replies],
            shards=[reply.client.data for reply in replies] if self.silent else (),
        )
        await run.server.compute(merged, needs=(model, *updates))
        return merged

    async def taken(
        self, run: Run, model: Ref[Any], replies: Sequence[Reply[Ref[Any]]]
    ) -> list[Ref[Any]]:
        """What the server takes in of updates; it pays for making it of them."""
        updates = [self.whole(reply.value, model) for reply in replies]
        for update, reply in zip(updates, replies, strict=True):
            if update is not reply.value:
                await run.server.compute(update)
        return updates

    def weights(self, replies: Sequence[Reply[Ref[Any]]]) -> Sequence[float]:
        """What each counts in the mean."""
        return [self.weigh(reply.client) for reply in replies]

    def views(self, model: Ref[Any], levels: Levels) -> Mapping[str, Ref[Any]]:
        """The model of each level that somebody trains."""
        return {
            self.named(level, levels.sizes[level]): self.part(model, levels.sizes[level])
            for level in levels.used
        }

    def work(self, client: Client, model: Ref[Any]) -> Cost:
        """Training of its level; of the smallest one, if none fits."""
        levels = self.levels(client.run)
        return levels.cost(client, levels.of(client, client.run.round))

    def levels(self, run: Run) -> Levels:
        """The levels of a run."""
        levels: Levels = run.own.get(Levels) or run.own.setdefault(Levels, Levels(self, run))
        return levels


class Levels:
    """The levels of one run, and who trains which.

    Attributes:
        sizes: the model of each, the largest first.
        blank: a value of each, for its size and cost.
        top: that of the server's model: the largest that anybody takes, or the whole.
        used: those that somebody may take, in order.
    """

    def __init__(self, method: Leveled, run: Run) -> None:
        self._method, self._run = method, run
        self.sizes = tuple(method.sizes(run.architecture))
        self.blank = [ops.initial(size, 0) for size in self.sizes]
        self._sent = [float(ops.initial(method.sent(size), 0).nbytes) for size in self.sizes]
        self._bounds = _bounds(method.proportions, len(self.sizes))
        self.top = 0
        self._fitting = {client: self._levels_that_fit(client) for client in run.clients}
        able = [client for client, levels in self._fitting.items() if levels]
        self._weakest = max((self._fitting[client][0] for client in able), default=0)
        self._fast: dict[Client, int] = {}
        if method.assignment == "hardware":
            choices = {client: self._fitting[client] for client in able}
            self._fast = in_time(run, choices, self._errand, method.round_time)
        self.used = sorted({level for client in able for level in self._may_take(client)})
        if not method.keeps_whole:
            self.top = min(self.used, default=0)

    def tell(self) -> None:
        """Note which level each device trains, if there are several and it stays with one."""
        if self._method.assignment == "dynamic" or len(self.sizes) == 1:
            return
        for client, fitting in self._fitting.items():
            if fitting:
                level = self.of(client, 0)
                name = self._method.named(level, self.sizes[level])
                self._run.kernel.note(client.id, "level", name)

    def of(self, client: Client, number: int) -> int:
        """The level that a client trains in a round; the smallest one, if none fits."""
        fitting = self._fitting[client]
        if not fitting:
            return len(self.sizes) - 1
        match self._method.assignment:
            case "hardware":
                return self._fast[client]
            case "memory":
                return fitting[0]
            case "weakest":
                return _fitting(fitting, self._weakest)
            case "fixed":
                drawn = (client.index + 0.5) / len(self._fitting)
            case "dynamic":
                stream = rng(self._run.seed, "sim/levels", client.id, number)
                drawn = float(stream.random())
        return _fitting(fitting, bisect(self._bounds, drawn))

    def cost(self, client: Client, level: int) -> Cost:
        """Work of a client at a level."""
        towards = self._method.towards(level, self.top, 0)
        return self._method.cost(client, self.blank[level], towards)

    def _levels_that_fit(self, client: Client) -> tuple[int, ...]:
        """The levels that a client has the memory to train, the largest first."""
        if client.shard is None:
            return ()
        return tuple(
            level for level in range(len(self.sizes))
            if client.node.fits(self.cost(client, level).memory)
        )  # fmt: skip

    def _may_take(self, client: Client) -> Iterator[int]:
        """Levels that a client may be asked to train."""
        if self._method.assignment != "dynamic":
            yield self.of(client, 0)
            return
        bounds = (0.0, *self._bounds, 1.0)
        for level, (low, high) in enumerate(pairwise(bounds)):
            if low < high:
                yield _fitting(self._fitting[client], level)

    def _errand(self, client: Client, level: int) -> Errand:
        """What a client does in a round at a level."""
        size = self._sent[level]
        work = client.work(self.cost(client, level))
        return client.downlink(size), work, client.uplink(size)


def _fitting(levels: Sequence[int], assigned: int) -> int:
    """The assigned level, or the next smaller one that fits; the smallest of those, if none is."""
    return next((level for level in levels if level >= assigned), levels[-1])


def one_each(proportions: Sequence[float], levels: int, what: str) -> None:
    """Refuse proportions of other levels than there are.

    Args:
        proportions: of devices at each level; none says nothing.
        levels: how many there are.
        what: they are called.

    Raises:
        SpecError: not one proportion for each level.
    """
    require(
        not proportions or len(proportions) == levels,
        f"{len(proportions)} proportions are given for {levels} {what}",
        "Give one for each, the largest first, or none.",
    )


def _bounds(proportions: Sequence[float], levels: int) -> list[Fraction]:
    """Where each level ends between 0 and 1, but for the last one.

    Raises:
        SpecError: not one proportion for each level.
    """
    one_each(proportions, levels, "levels")
    shares = proportions or (1.0,) * levels
    return [each / sum(shares) for each in accumulate(shares)][:-1]
