"""How SPATL's agent finds the channels to keep: episodes of a search, and what it learns from them.

An episode begins with all channels. An action says how much less of each layer to keep,
p_l <- clip(p_l (1 - a_l), 0.1, 1); the episode ends when `target` of the operations are saved, and
its reward is the accuracy of the model so reduced, in percent, less 100; after 10 actions that save
too little it is -100. The best episode is that of the highest accuracy.

The agent learns by proximal policy optimisation (Schulman et al., arXiv 1707.06347): after 10
actions or more, 10 passes over them, ratios clipped at 0.2, Adam (3e-4; 0.9, 0.999), returns
discounted by 0.99 and normalised, half the squared error of the critic, 0.01 of the entropy.

Source: the code of Yu et al., SPATL (github.com/yusx-swapp/SPATL). Reconstructed: shares count as
whole channels, to the nearest; the agent learns at the end of an episode (the source's after every
tenth action, where an episode that has not ended counts as the best); if no episode saves enough,
what `hetsim.learn.salience.greedy` finds is taken; an agent that was trained before keeps its
encoders as they are, without dropout, and learns with its heads alone (an option of the source's
code).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import FLOAT
from hetsim.learn.operators import Operators, Tally
from hetsim.learn.salience.agent import (
    DEVIATION,
    Agent,
    deciding,
    encoding,
    fresh,
    judging,
    parameters,
)
from hetsim.learn.salience.channels import LEAST, count, layers, saved
from hetsim.learn.salience.graph import Graph, graph

ACTIONS = 10
"""Of an episode at most, and from one update to the next."""
_PASSES, _CLIP, _DISCOUNT, _RATE = 10, 0.2, 0.99, 3e-4
_CRITIC, _ENTROPY, _TINY = 0.5, 0.01, 1e-7

Judge = Callable[[Sequence[int]], float]
"""The accuracy of a model of which so many channels are kept in each layer."""


class Found(NamedTuple):
    """The best of some episodes.

    Attributes:
        kept: channels of each layer; none if no episode saved enough.
        accuracy: of the model so reduced.
    """

    kept: tuple[int, ...] | None
    accuracy: float


@dataclass(frozen=True, slots=True)
class _Step:
    """An action: what was seen, what was done and how likely that was, and what came of it."""

    seen: list[int]
    action: Tensor
    likely: Tensor
    reward: float
    last: bool


def explore(
    agent: Agent,
    encoder: Architecture,
    judge: Judge,
    *,
    target: Fraction,
    episodes: int,
    whole: bool,
    seed: int,
) -> Found:
    """Play episodes, from which the agent learns.

    Args:
        agent: which changes.
        encoder: whose channels are left out.
        judge: see above.
        target: share of the operations to be saved.
        episodes: how many.
        whole: whether all of the agent learns, or its heads.
        seed: of its actions.
    """
    known, view = layers(encoder), graph(encoder)
    draw = torch.Generator().manual_seed(seed)
    agent.train(whole)
    learner = Learner(agent, view, whole)
    best, steps = Found(None, -1.0), list[_Step]()
    for _ in range(episodes):
        ratios = [1.0] * len(known)
        for left in reversed(range(ACTIONS)):
            seen = view.seen(ratios)
            action, likely = learner.act(seen, draw)
            pairs = zip(ratios, action.tolist(), strict=True)
            ratios = [min(max(ratio * (1.0 - less), LEAST), 1.0) for ratio, less in pairs]
            kept = tuple(
                count(layer.channels, ratio) for layer, ratio in zip(known, ratios, strict=True)
            )
            done, reward = saved(encoder, kept) >= target, -100.0 if not left else 0.0
            if done:
                accuracy = judge(kept)
                reward = 100.0 * accuracy - 100.0
                best = max(best, Found(kept, accuracy), key=lambda found: found.accuracy)
            steps.append(_Step(seen, action, likely, reward, done or not left))
            if done:
                break
        if len(steps) >= ACTIONS:
            learner.learn(steps)
            steps = []
    return best


class Learner:
    """An agent with its optimizer.

    Args:
        agent: what learns.
        view: the network that it sees.
        whole: whether its encoders learn too.
    """

    def __init__(self, agent: Agent, view: Graph, whole: bool) -> None:
        self._agent, self._view, self._whole = agent, view, whole
        learning = list(agent.parameters()) if whole else agent.heads
        self._adam = torch.optim.Adam(learning, lr=_RATE, betas=(0.9, 0.999))

    def act(self, seen: Sequence[int], draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """An action for a state, and the logarithm of its likelihood."""
        with torch.no_grad():
            state = self._agent.acting(self._view, torch.tensor([seen]))
            [mean] = self._agent.actor(state)
            action = mean + DEVIATION * torch.randn(mean.shape, generator=draw)
            return action, _likelihood(mean, action)

    def learn(self, steps: Sequence[_Step]) -> None:
        """Improve the agent by what came of its actions."""
        seen = torch.tensor([step.seen for step in steps])
        action = torch.stack([step.action for step in steps])
        before = torch.stack([step.likely for step in steps])
        returns = _returns(steps)
        frozen = None if self._whole else self._encoded(seen)
        for _ in range(_PASSES):
            acting, judging = frozen or self._encoded(seen)
            mean = self._agent.actor(acting)
            value = self._agent.critic(judging).squeeze(1)
            ratio = (_likelihood(mean, action) - before).exp()
            better = returns - value.detach()
            gain = torch.minimum(ratio * better, ratio.clamp(1.0 - _CLIP, 1.0 + _CLIP) * better)
            loss = _CRITIC * (value - returns).square() - gain - _ENTROPY * _entropy(mean)
            self._adam.zero_grad()
            loss.mean().backward()
            self._adam.step()

    def _encoded(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(self._whole):
            return self._agent.acting(self._view, seen), self._agent.judging(self._view, seen)


def _likelihood(mean: Tensor, action: Tensor) -> Tensor:
    return Normal(mean, DEVIATION, validate_args=False).log_prob(action).sum(-1)


def _entropy(mean: Tensor) -> Tensor:
    return Normal(mean, DEVIATION, validate_args=False).entropy().sum(-1)


def _returns(steps: Sequence[_Step]) -> Tensor:
    """Discounted to the end of each episode, and normalised."""
    found, total = list[float](), 0.0
    for step in reversed(steps):
        total = step.reward + (0.0 if step.last else _DISCOUNT * total)
        found.append(total)
    returns = torch.tensor(found[::-1])
    return (returns - returns.mean()) / (returns.std() + _TINY)


# --- what it takes ------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def explore_cost(encoder: Architecture, episodes: int, whole: bool) -> Cost:
    """Work of the agent in so many episodes of 10 actions, the most that there can be.

    Operations are those of matrix products: an action takes the actor once; an update encodes ten
    states for actor and critic in each of its passes, or once if encoders do not learn, and passes
    forward and twice back through all that learns. Bytes and launches are those of a dry run. Peak
    memory: the agent, gradients and two averages of Adam for what learns, tables of the graph, and
    what twice as many states, less one, keep for the way back.
    """
    view, states = graph(encoder), ACTIONS
    layered = len(layers(encoder))
    encoded = 2.0 * encoding(view, states)
    heads = states * (deciding(layered) + judging())
    learning = 3.0 * _PASSES * (heads + encoded) if whole else encoded + 3.0 * _PASSES * heads
    acting = ACTIONS * (encoding(view, 1) + deciding(layered))
    tally = _dry_run(encoder, whole)
    numbers = parameters(layered)
    mine = numbers if whole else sum(each.numel() for each in fresh(layered, 0).heads)
    tables = len(view.nodes) + len(view.ends) + 2 * layered
    kept = 2 * (len(view.nodes) * 3 + 2 * states * (layered * 5 + 2 * len(view.maps)))
    each = Cost(
        flops=acting + learning,
        traffic=tally.traffic,
        memory=FLOAT * (numbers + 3 * mine + 20 * tables + 50 * kept),
        operators=tally.launches,
    )
    return each * episodes


def _dry_run(encoder: Architecture, whole: bool) -> Tally:
    """Of ten actions and an update."""
    view = graph(encoder)
    agent = fresh(len(view.takes), 0).train(whole)
    learner, seen = Learner(agent, view, whole), view.seen([1.0] * len(view.takes))
    draw, steps = torch.Generator().manual_seed(0), list[_Step]()
    with Operators() as operators:
        for _ in range(ACTIONS):
            steps.append(_Step(seen, *learner.act(seen, draw), -1.0, True))
        learner.learn(steps)
    return operators.tally
