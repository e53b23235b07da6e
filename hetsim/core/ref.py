"""A value that need not exist yet, named by what would make it.

Two Refs with the same key stand for bitwise the same value, so equal work is found by comparing
keys. A Ref knows the size of its value and the cost of computing it from shapes alone: the time
plane can charge for a value that the learning plane has not computed, and may never compute.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, cast

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes

T = TypeVar("T", covariant=True)
_PLAIN = (int, str, bool, type(None))
Arg: TypeAlias = "bool | int | float | str | tuple[Arg, ...] | None"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Ref(Generic[T]):
    """A lazy, immutable, content-named value; build it with `Ref.of`.

    Attributes:
        key: hex digest of op, version, arguments and input keys.
        op: name of the operation in `hetsim.learn.ops`.
        args: plain arguments, sorted by name.
        inputs: the values it is computed from; dropped once it is realised.
        nbytes: serialised size of the value.
        cost: work to compute it from its inputs.
    """

    key: str
    op: str
    args: tuple[tuple[str, Arg], ...]
    inputs: tuple[Ref[Any], ...]
    nbytes: Bytes
    cost: Cost

    @classmethod
    def of(
        cls,
        op: str,
        *inputs: Ref[Any],
        version: int = 1,
        nbytes: Bytes = 0.0,
        cost: Cost | None = None,
        **args: Arg,
    ) -> Ref[Any]:
        """Name a value by what makes it.

        >>> a, b = Ref.of("initial", seed=1), Ref.of("initial", seed=1)
        >>> a.key == b.key, a.key == Ref.of("initial", seed=2).key
        (True, False)

        Raises:
            TypeError: an argument is no plain immutable value.
        """
        ordered = tuple(sorted(args.items()))
        exact = [[name, value if type(value) in _PLAIN else _exact(value)]
                 for name, value in ordered]  # fmt: skip
        recipe = json.dumps([op, version, exact, [ref.key for ref in inputs]])
        key = hashlib.blake2b(recipe.encode(), digest_size=16).hexdigest()
        return cls(key, op, ordered, inputs, nbytes, cost or Cost())

    def arg(self, name: str) -> Any:
        """The argument called `name`.

        Raises:
            KeyError: there is none.
        """
        for known, value in self.args:
            if known == name:
                return value
        raise KeyError(name)

    def __repr__(self) -> str:
        return f"<Ref {self.op} {self.key[:8]}>"


def _exact(value: object) -> Any:
    """What JSON writes for `value`: floats as tagged hexadecimal, never as they print."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [_exact(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, _PLAIN):
        return value
    raise TypeError(
        f"{value!r} ({type(value).__name__}) cannot be part of a recipe: give a bool, int, float, "
        "str, None or a tuple of these"
    )
