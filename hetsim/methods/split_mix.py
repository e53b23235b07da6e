"""Split-Mix: the model is a mean of narrow networks, of which each device trains as many as it can.

The network is not sliced but replaced, once, by base networks: narrow copies of it that share
nothing, as many as there are shares of `base` in the largest budget. In a round a device receives
as many of them as there are in its own budget, trains one after the other on its samples, all in
the same order, and sends them back; each becomes the mean over those who trained it. The model
answers by the mean of the logits of all (`hetsim.learn.models.ensemble`), and a device of a smaller
budget by that of fewer. Which networks: the next one of a list of all, which is shuffled anew
whenever it is through, so that none is left out for long; the others at random.

Source: Hong, Wang, Wang, Zhou, "Efficient Split-Mix Federated Learning for On-Demand and In-Situ
Customization", ICLR 2022, and its code (github.com/illidanlab/SplitMix), whose batches are of 32
samples and whose learning rate is 0.01. Its scaler divides what each layer but the classifier gives
by the width in training, as HeteroFL's does (`hetsim.learn.objective.Sliced`), and nothing in use.
It is on there, and off here unless asked for (assumed): all networks there are normalised behind
each such layer by the batch at hand, which undoes it. Networks that are normalised by running
statistics in use, or not at all, answer by other values than they were trained with.

The choice of the budget by hardware is hetsim's (assumed): memory holds the training of one
network, while the others wait in storage, and the time of a round that of all of them. A message
says with one bit for each network which of them it holds, unless these are all. A selection that
goes by losses hears that of the last network trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.core.rng import rng
from hetsim.federation.client import Client
from hetsim.federation.run import Demand
from hetsim.learn import ops
from hetsim.methods._levels import Leveled, one_each
from hetsim.methods._sgd import require


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitMix(Leveled):
    """Local SGD on some of the networks of an ensemble.

    Attributes:
        base: width of a base network, a share of the model's channels.
        budgets: shares of the model's channels that a device may train in all, the largest first;
            each stands for as many base networks as there are in it, rounded.
        scaler: whether what hidden layers give is divided by the width in training.
        rescaled: whether base networks start with weights as small as the wide network's.
    """

    accepts: ClassVar[frozenset[Demand]] = frozenset({"layers"})
    keeps_whole: ClassVar[bool] = True
    base: Fraction = 0.125
    budgets: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125)
    scaler: bool = False
    rescaled: bool = True
    weighting: Literal["samples", "uniform"] = "samples"

    def __post_init__(self) -> None:
        Leveled.__post_init__(self)
        require(0.0 < self.base <= 1.0, f"base is {self.base:g}", "Choose it above 0, up to 1.")
        counts = self.counts
        require(
            bool(counts) and counts == sorted(set(counts), reverse=True) and counts[-1] > 0,
            f"budgets {list(self.budgets)} are {counts} base networks of width {self.base:g}",
            "Give budgets of different numbers of them, 1 or more, the largest first.",
        )
        one_each(self.proportions, len(counts), "budgets")

    @property
    def counts(self) -> list[int]:
        """Base networks in each budget."""
        return [round(budget / self.base) for budget in self.budgets]

    # --- levels ---------------------------------------------------------------------------------

    def named(self, level: int, size: ops.Architecture) -> str:
        """By its budget."""
        return f"budget {self.budgets[level]:g}"

    def sizes(self, whole: ops.Architecture) -> Sequence[ops.Architecture]:
        """The base networks of each budget, side by side."""
        network = ops.narrowed(whole, self.base)
        gain = self.base**0.5 if self.rescaled else 1.0
        return [ops.side_by_side(network, count, gain) for count in self.counts]

    def towards(self, level: int, top: int, number: int) -> ops.Objective | None:
        """Cross entropy, of a scaled network."""
        return ops.Sliced(self.base) if self.scaler and self.base < 1.0 else None

    def part(self, model: Ref[Any], size: ops.Architecture) -> Ref[Any]:
        """The first networks: with which of them a device answers makes no difference."""
        if ops.model_arch(model) == size:
            return model
        count = len(ops.units(size, "member"))
        return ops.assembled([ops.member(model, number) for number in range(count)], size)

    def cost(self, client: Client, model: Ref[Any], towards: ops.Objective | None) -> Cost:
        """Training of one network after the other."""
        count = len(ops.units(ops.model_arch(model), "member"))
        one = client.training_cost(ops.member(model, 0), towards=towards, **self.training)
        return one * count

    # --- the script of a client -----------------------------------------------------------------

    async def client(
        self, device: Client, model: Ref[Any], parts: Mapping[int, Ref[Any]]
    ) -> Ref[Any]:
        """Download some networks, train each, upload them."""
        run, levels = device.run, self.levels(device.run)
        level = levels.of(device, device.asked)
        numbers = self._numbers(device, self.counts[level])
        whole = len(numbers) == self.counts[0]
        message = model if whole else ops.kept(model, numbers, "member")
        run.has(device.hub, message)
        await device.download(message)
        device.plan(levels.cost(device, level))
        towards = self.towards(level, levels.top, device.asked)
        trained: list[Ref[Any]] = []
        for number in numbers:
            network = ops.member(message, number)
            run.has(device, network)
            trained.append(
                await device.train(network, towards=towards, **self.at(device.asked))
            )  # fmt: skip
        sent = ops.assembled(trained, ops.model_arch(model), numbers)
        run.has(device, sent)
        await device.upload(sent)
        return sent

    def _numbers(self, device: Client, count: int) -> tuple[int, ...]:
        """The networks that a device trains: the next one of the list, and others at random."""
        run, every = device.run, self.counts[0]
        turns: Turns = run.own.setdefault(Turns, Turns(run.seed, every))
        first = turns.next()
        others = [number for number in range(every) if number != first]
        again = device.errand.again if device.errand else 0
        draw = rng(run.seed, "sim/networks", device.id, device.asked, again)
        drawn = draw.choice(len(others), size=count - 1, replace=False) if count > 1 else ()
        return tuple(sorted((first, *(others[int(place)] for place in drawn))))


class Turns:
    """A list of numbers that is gone through again and again, shuffled anew each time."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed, self._count = seed, count
        self._taken = 0

    def next(self) -> int:
        """The next number."""
        time, place = divmod(self._taken, self._count)
        self._taken += 1
        return int(rng(self._seed, "sim/networks", "turns", time).permutation(self._count)[place])
