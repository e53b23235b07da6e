"""Pre-trained models cut into blocks, and what a client needs to work with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Flops, Fraction
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.learn import ops
from hetsim.methods._pool import Choice, Pool
from hetsim.methods._sgd import require

T = TypeVar("T")
LEAST = 4
"""Samples that centred kernel alignment takes, at least."""
_WIDEST = 16.0
"""Times as wide (assumed: 256 times the multiplications are more than any device here does)."""


class Portion(NamedTuple):
    """How many samples a client compares together, and how many go forward together."""

    batch: int
    at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What clients look at, and how, as in `FedStitch`.

    Attributes:
        mode, beta, probe, fit, penalty: as `ops.scores` takes them; `fit` is 0 without a fit.
        batch: samples that are compared together.
        at_once: samples that go forward together, at most.
    """

    mode: Literal["label", "function", "mix"]
    beta: Fraction
    probe: int
    fit: int
    penalty: float
    batch: int
    at_once: int

    @property
    def portions(self) -> list[Portion]:
        """What is wished, then ever less: first fewer go forward together, then a batch is smaller.

        >>> [*map(tuple, Looking(
        ...     mode="label", beta=0.5, probe=9, fit=9, penalty=1.0, batch=20, at_once=5
        ... ).portions)]
        [(20, 5), (20, 2), (20, 1), (10, 1), (5, 1), (4, 1)]
        """
        together = [self.at_once >> times for times in range(self.at_once.bit_length())]
        batches = [self.batch >> times for times in range(1, self.batch.bit_length())]
        smaller = dict.fromkeys(max(batch, LEAST) for batch in batches if 2 * batch >= LEAST)
        return [
            *(Portion(self.batch, at_once) for at_once in together),
            *(Portion(batch, 1) for batch in smaller if batch < self.batch),
        ]

    def scores(
        self,
        prefix: Ref[Any] | None,
        candidates: Sequence[ops.Candidate],
        shard: Ref[Any],
        portion: Portion,
        seed: int,
    ) -> Ref[ops.Scores]:
        """What a client thinks of the candidates."""
        return ops.scores(
            prefix, candidates, shard, mode=self.mode, beta=self.beta, probe=self.probe,
            batch=portion.batch, at_once=portion.at_once, fit=self.fit, penalty=self.penalty,
            seed=seed,
        )  # fmt: skip

    def sums(
        self, prefix: Ref[Any], winner: ops.Candidate, shard: Ref[Any], portion: Portion, seed: int
    ) -> Ref[ops.Gram]:
        """A client's sums for the stitch."""
        return ops.grams(prefix, winner, shard, probe=self.probe, batch=portion.at_once, seed=seed)


def member(name: str, shape: tuple[int, ...], classes: int) -> ops.Architecture:
    """A model by its name in the zoo: "plain_cnn", or "plain_cnn@0.5" for one half as wide.

    Raises:
        SpecError: the width is no number above 0 and up to 16.
    """
    model, scaled, width = name.partition("@")
    if not scaled:
        return ops.Architecture.of(model, shape, classes)
    try:
        options = {"width": float(width)}
    except ValueError:
        options = {"width": 0.0}
    require(
        0.0 < options["width"] <= _WIDEST,
        f'the width of "{name}" is no number above 0 and up to {_WIDEST:g}',
        f"Write {model}@0.5, or {model}.",
    )
    return ops.Architecture.of(model, shape, classes, options)


class Zoo:
    """The blocks of some models, numbered model by model.

    Args:
        names: of the models.
        models: pre-trained.
        shape: of a sample of the task.
        classes: labels of the task.
        positions: into how many parts each is cut.

    Raises:
        SpecError: a model that has too few blocks, or takes no such samples.
    """

    def __init__(
        self,
        names: Sequence[str],
        models: Sequence[Ref[Any]],
        shape: tuple[int, ...],
        classes: int,
        positions: int,
    ) -> None:
        self.names, self.positions = names, positions
        self.blocks = [
            block for model in models
            for block in ops.candidates(model, shape, classes, positions=positions)
        ]  # fmt: skip

    def name(self, block: int) -> str:
        """Model and number of the part, from 1."""
        model, part = divmod(block, self.positions)
        return f"{self.names[model]}/{part + 1}"

    @cached_property
    def files(self) -> list[tuple[Ref[Any], ...]]:
        """What is sent of each model."""
        weights = [block.weights for block in self.blocks]
        return [
            tuple(weights[first : first + self.positions])
            for first in range(0, len(weights), self.positions)
        ]

    @cached_property
    def prices(self) -> list[Flops]:
        """Operations of each block a sample."""
        sample = Ref.of("shard", samples=1)
        return [ops.forward(block.weights, sample).cost.flops for block in self.blocks]


def size(refs: Sequence[Ref[Any]]) -> Bytes:
    """Of all of them as they are sent."""
    return float(sum(ref.nbytes for ref in refs))


def pieces(works: Sequence[Ref[Any]]) -> list[Cost]:
    """What each work adds to the one before it, which it continues, in the memory of the last."""
    costs = [work.cost for work in works]
    return [
        replace(cost + before * -1.0, memory=costs[-1].memory)
        for cost, before in zip(costs, (Cost(), *costs), strict=False)
    ]


def fitting(client: Client, works: Iterable[T], cost: Callable[[T], Cost]) -> T:
    """The first one that fits into a client's memory; the last one if none does.

    Raises:
        ValueError: there are none.
    """
    last: T | None = None
    for work in works:
        if client.node.fits(cost(work).memory):
            return work
        last = work
    if last is None:
        raise ValueError("no work to choose from")
    return last


@lru_cache(maxsize=4096)
def demand(
    models: tuple[ops.Architecture, ...],
    shape: tuple[int, ...],
    classes: int,
    positions: int,
    choice: Choice,
    looking: Looking,
    samples: int,
    portion: Portion,
) -> Cost:
    """A round of a client with so many samples at the position that takes most memory.

    Which network there will be is not known before: it is supposed to be the largest model, whole.
    """
    names = [model.name for model in models]
    zoo = Zoo(names, [ops.initial(model, 0) for model in models], shape, classes, positions)
    pool = Pool(len(models), positions, choice=choice, prune=False, prices=[0.0] * len(zoo.blocks))
    shard: Ref[Any] = Ref.of("shard", samples=samples)
    largest = max(range(len(models)), key=lambda model: size(zoo.files[model]))
    chosen: list[ops.Candidate] = []
    stitches: list[Ref[Any]] = []
    prefix: Ref[Any] | None = None
    rounds: list[Cost] = []
    for position in range(positions):
        winner = zoo.blocks[largest * positions + position]
        candidates = [zoo.blocks[block] for block in pool.candidates(position)]
        cost = looking.scores(prefix, candidates, shard, portion, 0).cost
        if prefix is not None:
            sums = looking.sums(prefix, winner, shard, portion, 0)
            stitches.append(ops.ridge(sums, penalty=looking.penalty))
            cost += sums.cost
        chosen.append(winner)
        prefix = ops.stitched(chosen, stitches)
        rounds.append(cost + ops.head_grams(prefix, shard, batch=portion.at_once).cost)
    return max(rounds, key=lambda cost: cost.memory)
