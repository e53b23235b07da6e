"""Weights that others have published (`hetsim.learn.published`): computed by reading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.ref import Ref
from hetsim.learn.meter import measure
from hetsim.learn.numerics import State
from hetsim.learn.ops.base import Operation
from hetsim.learn.published import Published
from hetsim.learn.resident import Resident


def published(weights: Published, resident: Resident) -> Ref[State]:
    """The model that has these weights; `resident` keeps them at hand."""
    resident.weights[weights.sha256] = weights.state
    size = measure(weights.architecture).state_bytes
    return Ref.of(
        "published",
        nbytes=size,
        cost=Cost(traffic=size, memory=size),
        arch=weights.architecture.text,
        sha256=weights.sha256,
    )


def _published(ref: Ref[State], inputs: Sequence[Any], resident: Resident) -> State:
    return resident.weights[ref.arg("sha256")]()


PUBLISHED = Operation(compute=_published, light=True)
"""Light and without inputs: it is read where the lab is, so no worker needs the file."""
