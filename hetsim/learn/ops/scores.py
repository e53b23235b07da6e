"""How well each of several parts would go on from a network under construction, on a shard.

What FedStitch (Zhan et al., arXiv 2409.07202, IWQoS 2024) calls compatibility is a score by centred
kernel alignment (`hetsim.learn.cka`); which representations it compares is not in what of the paper
could be read. Reconstructed in three ways, of which the first is the default:

    label       features of the part, run on top of the network through a stitch, and labels
    function    features of the network, and of what the part gets in its own model (Yang et al.,
                "Deep model reassembly", NeurIPS 2022, arXiv 2210.17409, compare such); labels
                play no part, and of a network that is the beginning of a model, the next part of
                this model scores 1
    mix         beta * label + (1 - beta) * function

Features are means over all places of a channel. For each part a stitch is fitted by ridge
regression (`hetsim.learn.ops.ridge`) on the first samples of the probe, for which the client runs
the part's own model up to the part; `function` takes the same samples. A first part has nothing
before it: it needs no stitch, and is scored by labels whatever the mode.

Only forward passes are made: the network once for each sample of the probe, and once more for those
that stitches are fitted on; then each part. Only features are kept of what they give, until a batch
is whole and can be compared; so fewer samples than a batch may go forward together, and the scores
are the same but for rounding. At any time the device holds the network, one part or what comes
before it, all stitches, activations of those samples, and a batch of features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any, Literal, TypedDict

import torch
from torch import Tensor

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Fraction
from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.cka import LEAST, Sums
from hetsim.learn.meter import FLOAT, forward_cost, measure
from hetsim.learn.models._stitch import pooled
from hetsim.learn.numerics import State
from hetsim.learn.operators import Operators
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.candidates import Candidate
from hetsim.learn.ops.gram import (
    BATCH,
    PROBE,
    GramSums,
    beside,
    drawn,
    given_by,
    gram_cost,
    one_hot,
    room,
    sums_bytes,
)
from hetsim.learn.ops.padded import identity
from hetsim.learn.ops.ridge import PENALTY, ridge_cost, solved
from hetsim.learn.ops.stitched import fitted, named, parts_of, step
from hetsim.learn.ops.transfer import take
from hetsim.learn.resident import Resident, Rows

Mode = Literal["label", "function", "mix"]
FIT = 64
"""Samples that a stitch is fitted on."""
_DOUBLE = 8
_ONE_LABEL = "all samples have the same label: CKA with labels is undefined, and counts as 0"


class Scores(TypedDict):
    """Of each candidate, in order; numbers of CKA may be slightly below 0 or above 1.

    `score` as the mode says; `label` and `function` what it is made of (`function` is empty if
    there is none: for first parts, and where stitches are not fitted); `alike` CKA between the
    outputs of every two candidates; `prefix` that of the network so far and labels, None without
    one; `samples` looked at; `reason` why scores are 0, if labels do not tell anything.
    """

    score: list[float]
    label: list[float]
    function: list[float]
    alike: list[list[float]]
    prefix: float | None
    samples: int
    reason: str


def scores(
    prefix: Ref[State] | None,
    candidates: Sequence[Candidate],
    shard: Ref[Rows],
    *,
    mode: Mode = "label",
    beta: Fraction = 0.5,
    probe: int = PROBE,
    batch: int = BATCH,
    at_once: int | None = None,
    fit: int = FIT,
    penalty: float = PENALTY,
    seed: int,
) -> Ref[Scores]:
    """What a client thinks of the candidates for the next part.

    Args:
        prefix: the network so far (`ops.stitched` without a head); None for the first part.
        candidates: parts that could be the next one.
        shard: the client's samples.
        mode: what is compared.
        beta: weight of labels in `mix`.
        probe: samples drawn from the shard at random, or all of them.
        batch: samples that are compared together, at least 4; a last batch of fewer than 4 is left
            out.
        at_once: of a batch, samples that go forward together; left out, all.
        fit: of the probe, samples that a stitch is fitted on; 0 for stitches that nothing is
            fitted to (`ops.padded`), which leave `label` only.
        penalty: of the ridge regression.
        seed: of the draw, an integer of 64 bits.

    Raises:
        ValueError: no candidates, fewer than 4 samples or than 4 a batch, none at once, a mode that
            nothing can be scored by, or candidates that cannot follow the network.
        SpecError: a model has no such part for these samples.
    """
    samples = min(probe, shard.arg("samples"))
    fit = min(fit, samples) if prefix is not None else 0
    at_once = min(batch if at_once is None else at_once, batch, samples)
    if not candidates or min(samples, batch) < LEAST or at_once < 1:
        raise ValueError(
            f"{len(candidates)} candidates, samples {samples}, batch {batch}, at once {at_once}"
        )
    if mode not in ("label", "function", "mix") or not 0.0 <= beta <= 1.0:
        raise ValueError(f"mode {mode}, beta {beta}")
    if prefix is not None and mode != "label" and fit < LEAST:
        raise ValueError(f"mode {mode} compares {LEAST} samples or more, not {fit}")
    given = None if prefix is None else model_arch(prefix)
    steps = [step(given, candidate.part) for candidate in candidates]
    aheads = [candidate.ahead for candidate in candidates if candidate.ahead and fit]
    before = [take(each.model, each.ahead) for each in candidates if each.ahead and fit]
    return Ref.of(
        "scores",
        *([] if prefix is None else [prefix]),
        *(candidate.weights for candidate in candidates),
        *before,
        shard,
        nbytes=_DOUBLE * (3 * len(candidates) + len(candidates) ** 2 + 1),
        cost=_cost(given, steps, aheads, samples, min(batch, samples), at_once, fit),
        prefix=None if given is None else given.text,
        steps=tuple(each.text for each in steps),
        aheads=tuple(each.text for each in aheads),
        classes=steps[0].classes,
        mode=mode,
        beta=float(beta),
        samples=samples,
        batch=batch,
        at_once=at_once,
        fit=fit,
        penalty=float(penalty),
        seed=seed,
    )


# --- what it takes --------------------------------------------------------------------------------


def _cost(
    prefix: Architecture | None,
    steps: Sequence[Architecture],
    aheads: Sequence[Architecture],
    samples: int,
    batch: int,
    at_once: int,
    fit: int,
) -> Cost:
    """Work of fitting stitches, then of scoring; memory is the larger of the two."""
    stitches = 0 if prefix is None else sum(_stitch_bytes(prefix, each) for each in steps)
    scoring = _scoring(prefix, steps, samples, batch, at_once)
    if not (aheads and prefix is not None):
        return replace(scoring, memory=scoring.memory + stitches)
    fitting = _fitting(prefix, aheads, fit, min(batch, fit), min(at_once, fit))
    return replace(fitting + scoring, memory=max(fitting.memory, scoring.memory) + stitches)


def _fitting(
    prefix: Architecture, aheads: Sequence[Architecture], samples: int, batch: int, at_once: int
) -> Cost:
    """Work of a stitch for each candidate: the network once, and each model up to its part."""
    first = forward_cost(prefix, samples, at_once)
    weights, x, z = measure(prefix).state_bytes, _bytes(prefix.shape), _bytes(prefix.gives)
    total, most = first, first.memory
    for ahead in aheads:
        native = forward_cost(ahead, samples, at_once)
        total += beside(native) + gram_cost(prefix.gives, ahead.gives, samples, at_once)
        total += beside(ridge_cost(prefix.gives[0] + 1, ahead.gives[0]))
        most = max(
            most,
            weights + at_once * z + native.memory,
            weights + at_once * (x + z + _bytes(ahead.gives))
            + room(prefix.gives, ahead.gives, at_once),
        )  # fmt: skip
    widths = (prefix.gives[0], *(each.gives[0] for each in aheads))
    total += _comparing(widths, samples, batch)
    sums = sum(sums_bytes(prefix.gives, ahead.gives) for ahead in aheads)
    return replace(total, memory=most + sums + _kept(widths, batch))


def _scoring(
    prefix: Architecture | None,
    steps: Sequence[Architecture],
    samples: int,
    batch: int,
    at_once: int,
) -> Cost:
    """Work of running each candidate on what the network gives, and of comparing features."""
    first = Cost() if prefix is None else forward_cost(prefix, samples, at_once)
    weights = 0 if prefix is None else measure(prefix).state_bytes
    total, most = first, first.memory
    for number, each in enumerate(steps):
        cost = forward_cost(each, samples, at_once)
        total += cost if prefix is None and number == 0 else beside(cost)
        most = max(most, weights + cost.memory)
    widths = [prefix.gives[0]] if prefix is not None else []
    widths = (steps[0].classes, *widths, *(each.gives[0] for each in steps))
    total += _comparing(widths, samples, batch)
    return replace(total, memory=most + _kept(widths, batch))


def _kept(widths: Sequence[int], batch: int) -> Bytes:
    """Of a batch of features, and of their products."""
    return batch * FLOAT * sum(widths) + 2 * _DOUBLE * len(widths) * batch**2


def _comparing(widths: tuple[int, ...], samples: int, batch: int) -> Cost:
    """Work of comparing features of these widths with each other, batch by batch."""
    whole, rest = divmod(samples, batch)
    return _compared(widths, batch) * whole + (_compared(widths, rest) if rest >= LEAST else Cost())


def _compared(widths: tuple[int, ...], batch: int) -> Cost:
    """Work for one batch; its bytes are a quadratic function of the batch's size."""
    (launches, low), (_, middle), (_, high) = _dry_runs(widths)
    over = batch - LEAST
    traffic = low + over * (middle - low) + over * (over - 1) * (high - 2 * middle + low) / 2
    products = 2.0 * batch**2 * (sum(widths) + len(widths) ** 2)
    return Cost(flops=products, traffic=traffic, operators=launches)


@lru_cache(maxsize=1024)
def _dry_runs(widths: tuple[int, ...]) -> list[tuple[int, Bytes]]:
    """Operators and bytes of the three smallest batches."""
    found: list[tuple[int, Bytes]] = []
    for batch in range(LEAST, LEAST + 3):
        features = [torch.zeros(batch, width) for width in widths]
        with Operators() as operators:
            Sums().add(features)
        found.append((operators.tally.launches, operators.tally.traffic))
    return found


def _stitch_bytes(prefix: Architecture, each: Architecture) -> Bytes:
    """Of the map before a part."""
    return FLOAT * (prefix.gives[0] + 1) * _wanted(each)[0]


def _wanted(each: Architecture) -> tuple[int, ...]:
    """What the part at the end of a network takes."""
    return parts_of(each)[-1].takes


def _bytes(shape: tuple[int, ...]) -> Bytes:
    return FLOAT * prod(shape)


# --- how it is computed ---------------------------------------------------------------------------


def _scores(ref: Ref[Scores], inputs: Sequence[Any], resident: Resident) -> Scores:
    client = _Client(ref, inputs, resident)
    stitches, function = client.stitches()
    compared = client.compared(stitches)
    cka = compared.cka()
    first = 1 if client.prefix is None else 2
    label = cka[0, first:].tolist()
    mode, beta = ref.arg("mode"), ref.arg("beta")
    if client.prefix is None or mode == "label":
        score = label
    elif mode == "function":
        score = function
    else:
        score = [
            beta * one + (1 - beta) * other for one, other in zip(label, function, strict=True)
        ]
    return Scores(
        score=score,
        label=label,
        function=function,
        alike=cka[first:, first:].tolist(),
        prefix=None if client.prefix is None else float(cka[0, 1]),
        samples=client.seen,
        reason="" if float(cka[0, 0]) else _ONE_LABEL,
    )


class _Client:
    """What a client has at hand while it scores."""

    def __init__(self, ref: Ref[Scores], inputs: Sequence[Any], resident: Resident) -> None:
        self._ref, self._resident = ref, resident
        self._rows: Rows = inputs[-1]
        self._steps: tuple[str, ...] = ref.arg("steps")
        self._aheads: tuple[str, ...] = ref.arg("aheads")
        self._text: str | None = ref.arg("prefix")
        at = 0 if self._text is None else 1
        self.prefix: State | None = inputs[0] if at else None
        self._parts = inputs[at : at + len(self._steps)]
        self._before = inputs[at + len(self._steps) : -1]
        self._index = drawn(self._rows, ref.arg("samples"), ref.arg("seed"))
        self.seen = 0

    def stitches(self) -> tuple[list[State | None], list[float]]:
        """The map before each candidate, if it needs one, and what `function` compares."""
        if self.prefix is None or self._text is None:
            return [None] * len(self._steps), []
        if not self._aheads:
            given = Architecture.parse(self._text).gives[0]
            wanted = [_wanted(Architecture.parse(each))[0] for each in self._steps]
            return [identity(given, each) for each in wanted], []
        sums, alike = [GramSums() for _ in self._aheads], Sums()
        for index in self._index[: self._ref.arg("fit")].split(self._ref.arg("batch")):
            features: list[list[Tensor]] = []
            for x, _ in self._forward(index):
                z = given_by(self._text, self.prefix, x)
                features.append([pooled(z)])
                for each, text, state in zip(sums, self._aheads, self._before, strict=True):
                    native = given_by(text, state, x)
                    each.add(z, native)
                    features[-1].append(pooled(native))
            if len(index) >= LEAST:
                alike.add(_whole(features))
        function = alike.cka()[0, 1:].tolist() if alike.batches else []
        return [solved(each.value(), self._ref.arg("penalty")) for each in sums], function

    def compared(self, stitches: Sequence[State | None]) -> Sums:
        """Labels, features of the network so far, and of each candidate on top of it."""
        number = 0 if self._text is None else len(parts_of(Architecture.parse(self._text)))
        states = [
            fitted(Architecture.parse(text), named(number, part, stitch))
            for text, part, stitch in zip(self._steps, self._parts, stitches, strict=True)
        ]
        found = Sums()
        for index in self._index.split(self._ref.arg("batch")):
            if len(index) < LEAST:
                continue
            features: list[list[Tensor]] = []
            for x, y in self._forward(index):
                features.append([one_hot(y, self._ref.arg("classes"))])
                if self._text is not None and self.prefix is not None:
                    x = given_by(self._text, self.prefix, x)
                    features[-1].append(pooled(x))
                for text, state in zip(self._steps, states, strict=True):
                    features[-1].append(pooled(given_by(text, state, x)))
            found.add(_whole(features))
            self.seen += len(index)
        return found

    def _forward(self, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Samples and labels of a batch, those that go forward together."""
        for rows in index.split(self._ref.arg("at_once")):
            yield self._resident.gather(self._rows.split, rows)


def _whole(features: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Each representation of a whole batch, from those of its samples in order."""
    return [torch.cat(each) for each in zip(*features, strict=True)]


SCORES = Operation(compute=_scores, kept=True)
