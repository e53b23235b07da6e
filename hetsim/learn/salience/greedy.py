"""Channels left out one by one, the weakest of all layers first, until enough operations are saved.

Layers have weights of different sizes; so a channel's strength is the L2 norm of its weights over
the mean of those of its layer. A tenth of each layer's channels stay. The rule is hetsim's, for
comparison with what SPATL's agent finds (`hetsim.learn.salience.agent`).
"""

from __future__ import annotations

from hetsim.core.quantities import Fraction
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import State
from hetsim.learn.salience.channels import Masks, layers, norms, saved, strongest


def greedy(encoder: Architecture, state: State, target: Fraction) -> Masks:
    """The channels that are left when `target` of the operations are saved."""
    known = layers(encoder)
    kept = [layer.channels for layer in known]
    order = sorted(
        (value, place)
        for place, norm in enumerate(norms(encoder, state))
        for value in (norm / norm.mean().clamp_min(_TINY)).tolist()
    )
    for _, place in order:
        if saved(encoder, kept) >= target:
            break
        if kept[place] > known[place].least:
            kept[place] -= 1
    return strongest(encoder, state, kept)


_TINY = 1e-300
"""For a layer of zeros."""
