"""SPATL's agent: from the graph of a network to how much less of each layer to keep.

Two encoders of one form, of the actor and of the critic, make 50 numbers of a graph. First level:
graph convolution 20 -> 50, tanh, mean over nodes, linear 50 -> 20, tanh. Second level: features of
a node's neighbours times those of the edges, linear 20 -> 50, normalised by degrees, tanh, dropout
of a half, mean over nodes, linear 50 -> 50, tanh. The actor goes on to 200 (ReLU) and to a number
for each layer (tanh), the mean of a Gaussian of deviation 0.5; the critic to one (tanh).

All states of a network share the nodes that they have in common: a state with fewer channels has
the first ones of a table, whose sums are read off at the place where it ends.

Source: the code of Yu et al., SPATL (github.com/yusx-swapp/SPATL), without a graph library.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from hetsim.core.quantities import Flops
from hetsim.learn.numerics import State, chance
from hetsim.learn.salience.graph import FEATURES, Graph

DEVIATION = 0.5
"""Of an action, around what the actor says."""
_WIDE, _ACTOR = 50, 200


class Encoder(nn.Module):
    """50 numbers for each state of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = nn.Linear(FEATURES, _WIDE)
        self.layer = nn.Linear(_WIDE, FEATURES)
        self.maps = nn.Linear(FEATURES, _WIDE)
        self.dropout = nn.Dropout(0.5)
        self.whole = nn.Linear(_WIDE, _WIDE)

    def forward(self, graph: Graph, seen: Tensor) -> Tensor:
        """Of states with so many input channels each, [states, layers] int64: [states, 50]."""
        kinds = graph.plain.expand(len(seen), -1, -1)
        edges = torch.cat([self._layers(graph, seen), kinds], 1)[:, graph.weighty]
        messages = graph.maps[graph.sources] * edges * graph.norm[:, None]
        arrived = torch.zeros(len(seen), len(graph.maps), FEATURES)
        arrived = arrived.index_add(1, graph.targets, messages)
        maps = self.dropout(torch.tanh(self.maps(arrived)))
        return torch.tanh(self.whole(maps.mean(1)))

    def _layers(self, graph: Graph, seen: Tensor) -> Tensor:
        """First level: [states, layers, 20]."""
        nodes = torch.tanh(self.channels(graph.nodes)).cumsum(0)
        sums = torch.cat([torch.zeros(1, _WIDE), nodes])
        begin = graph.firsts[None]
        both = (sums[begin + seen[..., None]] - sums[begin]).sum(2)
        degree = (seen + 1.0)[..., None]
        ends = graph.ends[graph.seconds + seen]
        sink = torch.tanh(self.channels(graph.sink / degree + ends * degree.rsqrt()))
        source = torch.tanh(self.channels(graph.source))
        return torch.tanh(self.layer((both + sink + source) / (2.0 * degree)))


class Agent(nn.Module):
    """Actor and critic for networks of so many layers of weights."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.acting, self.judging = Encoder(), Encoder()
        self.actor = nn.Sequential(
            nn.Linear(_WIDE, _ACTOR), nn.ReLU(), nn.Linear(_ACTOR, layers), nn.Tanh()
        )
        self.critic = nn.Sequential(nn.Linear(_WIDE, 1), nn.Tanh())

    @property
    def heads(self) -> list[nn.Parameter]:
        """What comes after the encoders."""
        return [*self.actor.parameters(), *self.critic.parameters()]


def fresh(layers: int, seed: int) -> Agent:
    """An agent that has learned nothing."""
    with chance(seed):
        return Agent(layers)


def revived(layers: int, state: State) -> Agent:
    """An agent with these parameters."""
    agent = fresh(layers, 0)
    agent.load_state_dict(state)
    return agent


@lru_cache
def parameters(layers: int) -> int:
    """How many numbers an agent is.

    >>> parameters(19)
    25410
    """
    return sum(each.numel() for each in fresh(layers, 0).parameters())


def encoding(graph: Graph, states: int) -> Flops:
    """Of one encoder on so many states of a network, in matrix products."""
    layers = len(graph.takes)
    each = 2 * layers * FEATURES * _WIDE + len(graph.maps) * FEATURES * _WIDE + _WIDE**2
    once = (len(graph.nodes) + layers) * FEATURES * _WIDE
    return 2.0 * (once + states * each)


def deciding(layers: int) -> Flops:
    """Of the actor's head on one state."""
    return 2.0 * (_WIDE * _ACTOR + _ACTOR * layers)


def judging() -> Flops:
    """Of the critic's head on one state."""
    return 2.0 * _WIDE
