"""A network as SPATL's agent sees it: a graph of its layers, and one of the channels of each layer.

First level, for each layer of weights: a source, a node for every input channel, a second one for
every input channel, and a sink; source -> a_i -> b_i -> sink. Second level: a node for every
feature map, from the input on; an edge for every layer that leads from one to the next; and one
past each block of several layers of weights (a residual block). Nodes have random features of 20
numbers, and so have edges of layers without weights, the same for layers of one kind; the features
of an edge of weights are what the first level makes of its graph.

What changes while channels are left out is how many input channels a layer sees: as many of what
the layer before it keeps. Nodes beyond are gone.

Source: the code of Yu et al., SPATL (github.com/yusx-swapp/SPATL). Reconstructed: features come
from a stream of their own, so that all agents see a network alike; edges are of modules in order
of execution; degrees are those of Kipf and Welling (ICLR 2017): the edges that arrive and one loop
at the first level, all edges and one more at the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from hetsim.core.quantities import Fraction
from hetsim.core.rng import entropy
from hetsim.learn.architecture import Architecture
from hetsim.learn.meter import measure
from hetsim.learn.salience.channels import count, layers

FEATURES = 20
"""Of a node or an edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Both levels of a network, ready for message passing.

    Attributes:
        takes: input channels of each layer of weights, none left out.
        source: features of every source [layers, 20].
        sink: of every sink, not yet divided by its degree [layers, 20].
        nodes: what all nodes a_i, then all b_i, of a layer gather, layer after layer [nodes, 20].
        ends: sums of the features of the first so many b_i, layer after layer [., 20].
        firsts: place in `nodes` of each layer's first a_i and of its first b_i [layers, 2].
        seconds: place in `ends` of each layer's empty sum [layers].
        maps: features of the second level's nodes [maps, 20].
        sources, targets: of its edges [edges].
        weighty: of each edge, its layer of weights, or a place in `plain` after all of these.
        plain: features of edges without weights [kinds, 20].
        norm: of each edge, 1 / sqrt(d_source d_target) [edges].
    """

    takes: tuple[int, ...]
    source: Tensor
    sink: Tensor
    nodes: Tensor
    ends: Tensor
    firsts: Tensor
    seconds: Tensor
    maps: Tensor
    sources: Tensor
    targets: Tensor
    weighty: Tensor
    plain: Tensor
    norm: Tensor

    def seen(self, ratios: Sequence[Fraction]) -> list[int]:
        """Input channels of each layer, if the one before it keeps such a share of its own."""
        shares = (1.0, *ratios[:-1])
        return [count(takes, share) for takes, share in zip(self.takes, shares, strict=True)]


@lru_cache(maxsize=32)
def graph(encoder: Architecture) -> Graph:
    """The graph of a model, or of a part of one."""
    known = layers(encoder)
    half = 0.5**0.5
    nodes, ends, sources, sinks = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    firsts, seconds, at, before = list[list[int]](), list[int](), 0, 0
    for place, layer in enumerate(known):
        features = _features(2 * layer.takes + 2, "channels", place)
        source, sink = features[:1], features[1:2]
        a, b = features[2:].split(layer.takes)
        sources.append(source)
        sinks.append(sink)
        nodes += [a / 2.0 + half * source, (a + b) / 2.0]
        ends += [torch.zeros(1, FEATURES), half * b.cumsum(0)]
        firsts.append([at, at + layer.takes])
        seconds.append(before)
        at, before = at + 2 * layer.takes, before + layer.takes + 1
    arrows, kinds = _arrows(encoder)
    number = 1 + max(target for _, target, _ in arrows)
    ends_of = torch.tensor([arrow[:2] for arrow in arrows])
    degree = 1.0 + torch.bincount(ends_of.flatten(), minlength=number)
    return Graph(
        takes=tuple(layer.takes for layer in known),
        source=torch.cat(sources),
        sink=torch.cat(sinks),
        nodes=torch.cat(nodes),
        ends=torch.cat(ends),
        firsts=torch.tensor(firsts),
        seconds=torch.tensor(seconds),
        maps=_features(number, "maps"),
        sources=ends_of[:, 0],
        targets=ends_of[:, 1],
        weighty=torch.tensor([what for _, _, what in arrows]),
        plain=torch.cat([torch.zeros(0, FEATURES), *(_features(1, kind) for kind in kinds)]),
        norm=degree[ends_of].prod(1).rsqrt(),
    )


def _arrows(encoder: Architecture) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Edges of the second level, each with what `Graph.weighty` says; kinds without weights."""
    number = {layer.name: place for place, layer in enumerate(layers(encoder))}
    kinds, arrows, here = list[str](), list[tuple[int, int, int]](), 0

    def plain(kind: str) -> int:
        if kind not in kinds:
            kinds.append(kind)
        return len(number) + kinds.index(kind)

    for block in range(*encoder.span):
        begin = here
        leaves = measure(replace(encoder, part=(block, block + 1))).layers
        for leaf in leaves:
            what = number[leaf.name] if leaf.name in number else plain(leaf.kind)
            arrows.append((here, here + 1, what))
            here += 1
        if sum(leaf.name in number for leaf in leaves) > 1:
            arrows.append((begin, here, plain("shortcut")))
    return arrows, kinds


def _features(rows: int, *name: str | int) -> Tensor:
    """Random features, the same wherever they are drawn [rows, 20]."""
    seed = entropy(0, "learn/salience", "features", *name) % 2**63
    return torch.randn(rows, FEATURES, generator=torch.Generator().manual_seed(seed))
