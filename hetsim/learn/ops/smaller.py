"""Architectures whose values are a part of a larger one's: narrower, or shallower.

A narrower one has the first channels of each hidden layer, a shallower one the first blocks and the
exits among them (`hetsim.learn.models.multi_exit`), or the first blocks and a head of its own,
which is no part of the larger one (`hetsim.learn.models.headed`). Samples and classes stay as they
are.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from itertools import takewhile
from math import ceil
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction
from hetsim.core.ref import Arg
from hetsim.core.registry import MODELS
from hetsim.learn.architecture import Architecture

_WIDTHS = ("width", "hidden")
"""Options of models that say how many channels or features hidden layers have."""
_DUST = 1e-9
"""Of a channel: a tenth of 30 are 3."""


def narrowed(architecture: Architecture, rate: Fraction) -> Architecture:
    """The same model with `rate` of its channels, rounded up, in hidden layers.

    A layer whose size is no option of the model (a small one before the classifier) stays.

    Raises:
        SpecError: the model has no width that can be chosen.
    """
    if rate == 1.0:
        return architecture
    given, defaults = dict(architecture.options), _widths(architecture.name)
    if not defaults:
        raise SpecError(
            f'model "{architecture.name}" cannot be made narrower: it has no width to choose',
            remedy=f"Choose one of {', '.join(filter(_widths, MODELS.names()))}.",
        )
    scaled = {name: _scaled(given.get(name, known), rate) for name, known in defaults.items()}
    return Architecture.of(
        architecture.name, architecture.shape, architecture.classes, {**given, **scaled}
    )


def _widths(name: str) -> dict[str, Any]:
    """Widths that a model takes, with their defaults; none if most layers have no such option."""
    parameters = inspect.signature(MODELS.load(name)).parameters
    found = {width: parameters[width].default for width in _WIDTHS if width in parameters}
    return found if "width" in found or isinstance(found.get("hidden"), tuple) else {}


def _scaled(size: Any, rate: Fraction) -> Any:
    if isinstance(size, tuple):
        return tuple(_scaled(one, rate) for one in size)
    return size * rate if isinstance(size, float) else ceil(size * rate - _DUST)


def with_exits(architecture: Architecture, exits: tuple[int, ...]) -> tuple[Architecture, ...]:
    """The model with so many exits, then with fewer and fewer: it ends at its last one.

    Args:
        architecture: of a model that is a chain of blocks.
        exits: blocks before each exit; empty for at most four in equal distances.

    Raises:
        SpecError: the model is one block, or there are no such blocks.
    """
    from hetsim.learn.models.multi_exit import spread

    after = exits or spread(architecture.blocks)
    return tuple(
        made_of("multi_exit", architecture, exits=after[:count])
        for count in range(len(after), 0, -1)
    )


def with_head(architecture: Architecture, blocks: int, hidden: int) -> Architecture:
    """The first blocks of the model, and a head behind them; the first part of it is shared.

    Args:
        architecture: of a model that is a chain of blocks.
        blocks: how many are kept.
        hidden: features of the head's first layer, behind pictures and signals.
    """
    return made_of("headed", architecture, blocks=blocks, hidden=hidden)


def depths(architecture: Architecture) -> tuple[int, ...]:
    """Blocks kept at each level if nobody says, the most first: all, then at most four."""
    from hetsim.learn.models import headed

    fronts = (replace(architecture, part=(0, at)) for at in range(1, architecture.blocks))
    pictures = sum(1 for _ in takewhile(lambda front: len(front.gives) > 1, fronts))
    return headed.depths(architecture.blocks, pictures)


def made_of(name: str, architecture: Architecture, **options: Arg) -> Architecture:
    """A model that is made of another one, which it takes as its options `model` and `options`."""
    inner = json.dumps(dict(architecture.options), sort_keys=True, separators=(",", ":"))
    own = {"model": architecture.name, "options": inner, **options}
    return Architecture.of(name, architecture.shape, architecture.classes, own)
