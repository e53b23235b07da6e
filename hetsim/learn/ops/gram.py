"""Sums from which linear maps are fitted by least squares, and which add up across clients.

For X [rows, d] with a column of ones and targets Y [rows, q] they are X'X, X'Y, the sum of all
squares in Y, and the number of rows. The map of all clients' rows follows from the sum of their
sums, so no client shows its samples and nothing is lost by their being apart. Two maps are fitted:
a stitch, whose rows are the places of activations and whose targets are what a part gets in its own
model for the same samples; and a classifier, whose rows are the features of samples and whose
targets are 1 for the label and 0 for the others.

Sums are taken and sent in float64, in the order of the rows: rounded to float32 they would no
longer give the map of all rows, nor always one at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil, prod
from typing import Any, TypedDict, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn.meter import FLOAT, forward_cost, measure
from hetsim.learn.models._stitch import resized
from hetsim.learn.net import net
from hetsim.learn.numerics import State
from hetsim.learn.operators import Operators, Tally, per_batch
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.ops.transfer import take
from hetsim.learn.resident import Resident, Rows

PROBE, BATCH = 256, 64
"""Samples that a client looks at, and how many at a time."""
_ROWS = 1024
"""Rows in float64 at a time, at most, unless one sample has more."""
_DOUBLE = 8


class Gram(TypedDict):
    """`xx` [d, d] and `xy` [d, q] float64, the column of ones last; `yy` float64, `rows` int64."""

    xx: Tensor
    xy: Tensor
    yy: Tensor
    rows: Tensor


class GramSums:
    """Sums over the rows added so far; of activations, resized to the places of their targets."""

    def __init__(self) -> None:
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None
        self._rows = 0

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in activations [n, channels, *places] and targets [n, channels, *places]."""
        x = resized(x, tuple(y.shape[2:]))
        at_once = max(1, _ROWS // prod(y.shape[2:]))
        for some, wanted in zip(x.split(at_once), y.split(at_once), strict=True):
            known, right = _rows(some), _rows(wanted)
            known = torch.cat([known, known.new_ones(len(known), 1)], 1)
            if self._sums is None:
                self._sums = known.T @ known, known.T @ right, right.square().sum()
            else:
                self._sums[0].addmm_(known.T, known)
                self._sums[1].addmm_(known.T, right)
                self._sums[2].add_(right.square().sum())
            self._rows += len(known)

    def value(self) -> Gram:
        """The sums.

        Raises:
            ValueError: nothing has been added.
        """
        if self._sums is None:
            raise ValueError("no rows")
        xx, xy, yy = self._sums
        return Gram(xx=xx, xy=xy, yy=yy, rows=torch.tensor(self._rows))


def grams(
    prefix: Ref[State],
    candidate: Candidate,
    shard: Ref[Rows],
    *,
    probe: int = PROBE,
    batch: int = BATCH,
    seed: int,
) -> Ref[Gram]:
    """A client's sums for the stitch from a network under construction to a part.

    Args:
        prefix: the network so far.
        candidate: a part that is not a first one.
        shard: the client's samples.
        probe: of these, so many drawn at random, or all.
        batch: samples at a time.
        seed: of the draw, an integer of 64 bits; that of `ops.scores` draws the same samples.

    Raises:
        ValueError: no samples, or a first part.
    """
    if candidate.ahead is None:
        raise ValueError(f"{candidate.part.text} takes samples: it needs no stitch")
    given, wanted = model_arch(prefix), candidate.part.takes
    samples = min(probe, shard.arg("samples"))
    first = forward_cost(given, samples, batch)
    native = beside(forward_cost(candidate.ahead, samples, batch))
    size = min(batch, samples)
    live = measure(given).state_bytes + size * (prod(given.gives) + prod(given.shape)) * FLOAT
    return _named(
        prefix,
        take(candidate.model, candidate.ahead),
        shard,
        cost=replace(
            first + native + gram_cost(given.gives, wanted, samples, batch),
            memory=sums_bytes(given.gives, wanted) + room(given.gives, wanted, size)
            + max(first.memory, live + native.memory - size * prod(given.shape) * FLOAT),
        ),
        columns=given.gives[0] + 1,
        targets=wanted[0],
        prefix=given.text,
        ahead=candidate.ahead.text,
        samples=samples,
        batch=batch,
        seed=seed,
    )  # fmt: skip


def head_grams(prefix: Ref[State], shard: Ref[Rows], *, batch: int = BATCH) -> Ref[Gram]:
    """A client's sums for the classifier, from the features of all its samples.

    Raises:
        ValueError: no samples.
    """
    given = model_arch(prefix)
    samples, wanted = shard.arg("samples"), (given.classes,)
    first = forward_cost(given, samples, batch)
    size = min(batch, samples)
    return _named(
        prefix,
        shard,
        cost=replace(
            first + gram_cost(given.gives, wanted, samples, batch),
            memory=first.memory + sums_bytes(given.gives, wanted) + room(given.gives, wanted, size),
        ),
        columns=given.gives[0] + 1,
        targets=given.classes,
        prefix=given.text,
        ahead=None,
        samples=samples,
        batch=batch,
        seed=None,
    )


def _named(*inputs: Ref[Any], cost: Cost, **args: Any) -> Ref[Gram]:
    if args["samples"] < 1 or args["batch"] < 1:
        raise ValueError(f"samples {args['samples']}, batch {args['batch']}")
    return Ref.of(
        "grams", *inputs, nbytes=_sent(args["columns"], args["targets"]), cost=cost, **args
    )


def _sent(columns: int, targets: int) -> Bytes:
    """X'X and X'Y as they are, and two numbers."""
    return _DOUBLE * (columns * (columns + targets) + 2)


# --- what it takes --------------------------------------------------------------------------------


def beside(cost: Cost) -> Cost:
    """Work on a batch that is there already: nothing is read, and it begins no step of its own."""
    return replace(cost, steps=0.0, samples=0.0)


def gram_cost(given: tuple[int, ...], wanted: tuple[int, ...], samples: int, batch: int) -> Cost:
    """Work of adding so many samples' activations to sums."""
    columns, targets = given[0] + 1, wanted[0]
    rows = samples * prod(wanted[1:])
    moved = per_batch(*_moved(given, wanted), steps=ceil(samples / batch), samples=samples)
    return replace(moved, flops=2.0 * rows * (columns * (columns + targets) + targets))


def sums_bytes(given: tuple[int, ...], wanted: tuple[int, ...]) -> Bytes:
    """Of the sums as they are kept while they grow."""
    columns, targets = given[0] + 1, wanted[0]
    return _DOUBLE * columns * (columns + targets)


def room(given: tuple[int, ...], wanted: tuple[int, ...], batch: int) -> Bytes:
    """Of resized activations of a batch, and of rows in float64."""
    places = prod(wanted[1:])
    rows = min(batch * places, max(_ROWS, places))
    return FLOAT * batch * places * given[0] + _DOUBLE * rows * (given[0] + 1 + wanted[0])


@lru_cache(maxsize=1024)
def _moved(given: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[Tally, Tally]:
    """Bytes and operators of `GramSums`, counted in dry runs of two and of three samples."""
    tallies: list[Tally] = []
    for size in (2, 3):
        sums = GramSums()
        x, y = torch.zeros(size, *given), torch.zeros(size, *wanted)
        sums.add(x, y)
        with Operators() as operators:
            sums.add(x, y)
        tallies.append(operators.tally)
    return tallies[0], tallies[1]


# --- how it is computed ---------------------------------------------------------------------------


def drawn(rows: Rows, samples: int, seed: int | None) -> Tensor:
    """So many rows of a shard, in the order in which they are drawn; all in their own without."""
    index = torch.from_numpy(rows.index)
    if seed is None:
        return index[:samples]
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(seed))
    return index[order[:samples]]


@torch.no_grad()
def given_by(text: str, state: State, x: Tensor) -> Tensor:
    """What a model, or a part of one, gives in evaluation mode."""
    ready = net(text)
    ready.load(state)
    return ready.module.eval()(x)


def one_hot(y: Tensor, classes: int) -> Tensor:
    """[n, classes] float32: 1 for the label."""
    return F.one_hot(y, classes).float()


def _pairs(
    ref: Ref[Gram], inputs: Sequence[Any], resident: Resident
) -> Iterator[tuple[Tensor, Tensor]]:
    """What the network gives for each batch, and what it is to be mapped to."""
    text: str = ref.arg("prefix")
    rows: Rows = inputs[-1]
    for index in drawn(rows, ref.arg("samples"), ref.arg("seed")).split(ref.arg("batch")):
        x, y = resident.gather(rows.split, index)
        z = given_by(text, inputs[0], x)
        if ref.arg("ahead") is None:
            yield z, one_hot(y, ref.arg("targets"))
        else:
            yield z, given_by(ref.arg("ahead"), inputs[1], x)


def _grams(ref: Ref[Gram], inputs: Sequence[Any], resident: Resident) -> Gram:
    sums = GramSums()
    for x, y in _pairs(ref, inputs, resident):
        sums.add(x, y)
    return sums.value()


def _rows(x: Tensor) -> Tensor:
    """Places of all samples, [n * places, channels] float64."""
    return x.flatten(2).transpose(1, 2).flatten(0, 1).double() if x.dim() > 2 else x.double()


GRAMS = Operation(compute=_grams)


# --- adding up ------------------------------------------------------------------------------------


def summed(sums: Sequence[Ref[Gram]]) -> Ref[Gram]:
    """The sums over all clients' rows, added in this order.

    Raises:
        ValueError: none, or sums of different sizes.
    """
    sizes = {(each.arg("columns"), each.arg("targets")) for each in sums}
    if len(sizes) != 1:
        raise ValueError(f"sums of sizes {sorted(sizes)}")
    [(columns, targets)] = sizes
    values = columns * (columns + targets)
    return Ref.of(
        "summed",
        *sums,
        nbytes=_sent(columns, targets),
        cost=Cost(
            flops=float(values * len(sums)),
            traffic=float(_DOUBLE * values * 3 * len(sums)),
            memory=2.0 * _DOUBLE * values,
            steps=1,
            operators=3 * len(sums),
        ),
        columns=columns,
        targets=targets,
    )


class Summed:
    """A running sum."""

    def __init__(self, ref: Ref[Gram]) -> None:
        self._total: dict[str, Tensor] = {}

    def add(self, value: Gram) -> None:
        """Take in the next client's sums."""
        if not self._total:
            self._total = {name: tensor.clone() for name, tensor in _items(value)}
            return
        for name, tensor in _items(value):
            self._total[name].add_(tensor)

    def result(self) -> Gram:
        """The sums of all that were added."""
        return Gram(**self._total)


def _items(value: Gram) -> Iterable[tuple[str, Tensor]]:
    return cast("Mapping[str, Tensor]", value).items()


def _summed(ref: Ref[Gram], inputs: Sequence[Any], resident: Resident) -> Gram:
    fold = Summed(ref)
    for value in inputs:
        fold.add(value)
    return fold.result()


SUMMED = Operation(compute=_summed, fold=Summed, light=True)
