"""Which output channels an agent finds by trying: SPATL's search, and its training beforehand.

What it tries is judged by the accuracy of the model with other channels silent, on a share of a
shard, drawn once. The search is that of `hetsim.learn.salience.exploring`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import torch

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Ref
from hetsim.core.rng import rng
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT, forward_cost, measure
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance
from hetsim.learn.ops.base import Operation, model_arch
from hetsim.learn.ops.salient import check, norm_cost
from hetsim.learn.resident import Resident, Rows
from hetsim.learn.salience.agent import Agent, fresh, parameters, revived
from hetsim.learn.salience.channels import Masks, bitmap, layers, silenced, strongest
from hetsim.learn.salience.exploring import Found, explore, explore_cost
from hetsim.learn.salience.greedy import greedy

_BATCH = 100
"""Samples that go forward together."""


def explored(
    model: Ref[State],
    encoder: Architecture,
    shard: Ref[Rows],
    *,
    reduction: Fraction,
    episodes: int,
    share: Fraction = 0.1,
    agent: Ref[State] | None = None,
    seed: int,
) -> Ref[Masks]:
    """The channels of a part of a model that the best of some episodes has kept.

    The work is that of the agent, whose actions are taken to be as many as there can be, and in
    each episode silencing channels once and a forward pass over the share of the samples.

    Args:
        model: the whole model.
        encoder: the part.
        shard: what it is judged on.
        reduction: share of the operations that is to be saved.
        episodes: how many.
        share: of the shard, at least a sample.
        agent: one that has been trained, whose heads go on learning; by default a fresh one, all of
            which learns.
        seed: an integer of 64 bits, of the samples, of a fresh agent and of its actions.

    Raises:
        ValueError: no episode.
        SpecError: no choice of channels saves as much.
    """
    return _named("explored", model, encoder, shard, reduction, episodes, share, agent, seed)


def agent(
    model: Ref[State],
    encoder: Architecture,
    shard: Ref[Rows],
    *,
    reduction: Fraction,
    episodes: int,
    share: Fraction = 0.1,
    seed: int,
) -> Ref[State]:
    """A fresh agent after such episodes: its parameters; arguments as in `explored`.

    It is one for every network of as many layers of weights.

    Raises:
        ValueError: no episode.
        SpecError: no choice of channels saves as much.
    """
    return _named("agent", model, encoder, shard, reduction, episodes, share, None, seed)


def _named(
    op: str,
    model: Ref[State],
    encoder: Architecture,
    shard: Ref[Rows],
    reduction: Fraction,
    episodes: int,
    share: Fraction,
    agent: Ref[State] | None,
    seed: int,
) -> Ref[Any]:
    if episodes < 1:
        raise ValueError(f"{episodes} episodes")
    check(encoder, reduction)
    whole = model_arch(model)
    samples = judged(shard.arg("samples"), share)
    trying = forward_cost(whole, samples, _BATCH)
    copied = measure(encoder).parameter_bytes
    acting = explore_cost(encoder, episodes, agent is None)
    cost = (trying + Cost(traffic=2 * copied, operators=len(layers(encoder)))) * episodes
    total = cost + norm_cost(encoder) + acting
    size = FLOAT * parameters(len(layers(encoder))) if op == "agent" else bitmap(encoder)
    return Ref.of(
        op,
        model,
        shard,
        *(() if agent is None else (agent,)),
        nbytes=size,
        cost=replace(total, memory=trying.memory + copied + acting.memory),
        arch=whole.text,
        encoder=encoder.text,
        reduction=float(reduction),
        episodes=episodes,
        share=float(share),
        seed=seed,
    )


def judged(samples: int, share: Fraction) -> int:
    """Samples that a model is judged on, of so many.

    >>> judged(57, 0.1)
    6
    """
    return max(1, ceil(samples * share - 1e-9))


def _search(ref: Ref[Any], inputs: Sequence[Any], resident: Resident) -> tuple[Agent, Found]:
    """The agent after its episodes, and what it has found."""
    state, rows, *trained = inputs
    encoder, seed = Architecture.parse(ref.arg("encoder")), ref.arg("seed")
    number = judged(len(rows.index), ref.arg("share"))
    picked = rng(seed, "learn/salience", "judged").choice(rows.index, number, replace=False)
    ready = net(ref.arg("arch"))

    def judge(kept: Sequence[int]) -> float:
        ready.load(silenced(encoder, state, strongest(encoder, state, kept)))
        module, right = ready.module.eval(), 0
        with torch.no_grad():
            for index in torch.from_numpy(picked).split(_BATCH):
                x, y = resident.gather(rows.split, index)
                right += int((module(x).argmax(1) == y).sum())
        return right / number

    known = len(layers(encoder))
    learning = revived(known, trained[0]) if trained else fresh(known, seed % 2**63)
    with chance(seed % 2**63):  # of the dropout
        found = explore(
            learning, encoder, judge, target=ref.arg("reduction"), episodes=ref.arg("episodes"),
            whole=not trained, seed=seed % 2**63,
        )  # fmt: skip
    return learning, found


def _explored(ref: Ref[Masks], inputs: Sequence[Any], resident: Resident) -> Masks:
    encoder, state = Architecture.parse(ref.arg("encoder")), inputs[0]
    _, found = _search(ref, inputs, resident)
    if found.kept is None:
        return greedy(encoder, state, ref.arg("reduction"))
    return strongest(encoder, state, found.kept)


def _agent(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    learned, _ = _search(ref, inputs, resident)
    return {name: value.detach().clone() for name, value in learned.state_dict().items()}


EXPLORED = Operation(compute=_explored)
AGENT = Operation(compute=_agent, kept=True)
