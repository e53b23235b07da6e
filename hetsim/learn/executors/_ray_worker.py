"""A worker of a Ray cluster: what it is sent, what it must be like, what it sends back."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hetsim import __version__
from hetsim.core.errors import Stuck
from hetsim.learn import ops
from hetsim.learn.numerics import single_thread, tag
from hetsim.learn.resident import Resident


@dataclass(frozen=True, slots=True)
class Context:
    """What tasks are computed with.

    Attributes:
        version: of hetsim.
        tag: of the arithmetic.
        data: hash of the data set.
    """

    version: str
    tag: str
    data: str


@dataclass(frozen=True, slots=True)
class Packed:
    """Tensors as arrays, which all processes of a node can read from one place."""

    arrays: dict[str, np.ndarray]
    alone: bool


@dataclass(frozen=True, slots=True)
class Lent:
    """Stands for an input that travels apart: its place among the objects sent along."""

    place: int


def packed(value: Any) -> Any:
    """A tensor or a state as `Packed`; anything else as it is."""
    if isinstance(value, Tensor):
        return Packed({"": value.numpy()}, alone=True)
    if isinstance(value, Mapping) and all(isinstance(item, Tensor) for item in value.values()):
        return Packed({name: item.numpy() for name, item in value.items()}, alone=False)
    return value


def unpacked(value: Any, *, copy: bool) -> Any:
    """The value again; without `copy` its memory is the object store's and cannot be written."""
    if not isinstance(value, Packed):
        return value
    tensors = {
        name: torch.from_numpy(array.copy() if copy else array)
        for name, array in value.arrays.items()
    }
    return tensors[""] if value.alone else tensors


def compute(
    context: Context, data: Sequence[Any], tasks: Sequence[ops.Task], *lent: Packed
) -> list[Any]:
    """The values of a stack of tasks, packed.

    Args:
        context: how they are computed where they come from.
        data: the data set's object, in a sequence so that Ray does not fetch it each time.
        tasks: of one kin.
        lent: inputs that the tasks share.

    Raises:
        Stuck: this process would compute other numbers.
    """
    resident = _ready(context, data)
    shared = [unpacked(value, copy=False) for value in lent]
    whole = [
        (ref, [shared[value.place] if isinstance(value, Lent) else value for value in inputs])
        for ref, inputs in tasks
    ]
    return [packed(value) for value in ops.compute_all(whole, resident)]


def call(context: Context, function: Callable[[Any], Any], item: Any) -> Any:
    """What a function of hetsim makes of an item.

    Raises:
        Stuck: this process would compute other numbers.
    """
    _check(context)
    single_thread()
    return function(item)


_resident: Resident | None = None
"""The data set of this process."""


def _ready(context: Context, data: Sequence[Any]) -> Resident:
    global _resident
    _check(context)
    if _resident is None or _resident.dataset.identity != context.data:
        single_thread()
        # Nothing writes to samples or to inputs, so that it does not matter that nothing can.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        _resident = Resident(import_module("ray").get(data[0]))
    return _resident


def _check(context: Context) -> None:
    """Refuse to compute what another host would compute differently."""
    if (__version__, tag()) != (context.version, context.tag):
        raise Stuck(
            f"the Ray worker on {socket.gethostname()} would compute other numbers than this host\n"
            f"    There: hetsim {__version__}, {tag()}\n"
            f"    Here:  hetsim {context.version}, {context.tag}\n"
            "    Use hosts with one type of CPU and install the same hetsim and torch on all."
        )
