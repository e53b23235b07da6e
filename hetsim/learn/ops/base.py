"""What an operation is: a builder that names a value, and the pure function that computes it.

Each file of this package holds one operation: the builder, its Cost from shapes alone, and the
function, side by side. A function sees the Ref's plain arguments, the values of its inputs and the
resident data set; it has no other source of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hetsim.core.ref import Ref
from hetsim.learn.architecture import Architecture
from hetsim.learn.resident import Resident

Compute = Callable[[Ref[Any], Sequence[Any], Resident], Any]
Task = tuple[Ref[Any], Sequence[Any]]
"""What is to be computed, and the values of its inputs."""


class Fold(Protocol):
    """A computation that takes its inputs one by one, in order, and keeps none of them."""

    def add(self, value: Any) -> None:
        """Take in the next input."""
        ...

    def result(self) -> Any:
        """The value, once all inputs have been added."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How an operation is computed.

    Attributes:
        compute: the pure function.
        fold: makes the Fold for a Ref, where inputs need not be held together.
        kin: which tasks can be computed together, one key for all; None for a task that cannot.
        together: computes such tasks; each value is bitwise what `compute` gives, whoever is with
            it.
        light: not worth sending to another process.
        kept: its values are worth keeping on disk by default.
    """

    compute: Compute
    fold: Callable[[Ref[Any]], Fold] | None = None
    kin: Callable[[Ref[Any]], Hashable | None] = lambda ref: None
    together: Callable[[Sequence[Task], Resident], list[Any]] | None = None
    light: bool = False
    kept: bool = False


def model_arch(ref: Ref[Any]) -> Architecture:
    """The architecture of a model.

    Raises:
        KeyError: the value is no model.
    """
    return Architecture.parse(ref.arg("arch"))
