"""A client script played once for many devices: what differs between them is a column.

A script that does the same for every device, however much of it, is a list of steps. It is played
once with columns in place of numbers: arithmetic works on all rows at a time, and whatever would
let one device go another way than the next raises `NotTraceable`. Such a script is played device by
device instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hetsim.core.cost import Cost
from hetsim.core.errors import HetsimError
from hetsim.core.quantities import Bytes, Fraction
from hetsim.sim.requests import (
    Compute,
    Doze,
    Gather,
    Hold,
    Launch,
    Observe,
    Receive,
    Request,
    Script,
    Sleep,
    Stream,
    Transfer,
)

Array: TypeAlias = NDArray[np.float64]
EVERYONE = "*"
"""Name of the node of whoever is asked, while a script is played for all of them."""
_OTHERS: dict[type[Any], str] = {
    Stream: "streams: its messages and its work are in progress together",
    Observe: "observes learned values",
    Gather: "starts scripts of its own",
    Launch: "starts scripts of its own",
    Receive: "awaits other scripts",
    Hold: "keeps something in the memory of its device",
    Doze: "lets its device doze",
}
"""What a script does that awaits such a request."""


class NotTraceable(HetsimError):
    """A script that cannot be played for many devices at a time.

    Attributes:
        what: why, in one line.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what}\n    Let the script be played device by device.")


def _add(a: Any, b: Any) -> Any:
    return a + b


def _sub(a: Any, b: Any) -> Any:
    return a - b


def _mul(a: Any, b: Any) -> Any:
    return a * b


def _truediv(a: Any, b: Any) -> Any:
    return a / b


def _pow(a: Any, b: Any) -> Any:
    """One number at a time: powers of arrays differ between processors in the last bit."""
    bases, exponents = np.broadcast_arrays(a, b)
    return np.array([x**y for x, y in zip(bases.tolist(), exponents.tolist(), strict=True)])


class Column:
    """One number a device, of all devices at a time.

    It adds, subtracts, multiplies, divides and takes powers, with numbers and with columns. It has
    no truth value and is no number, so nothing can be decided by it.

    >>> samples = Column(np.array([10.0, 40.0]))
    >>> (2 * samples / 5 + 1).rows.tolist()
    [5.0, 17.0]
    """

    __slots__ = ("rows",)
    __array_ufunc__ = None  # an array lets the column decide what they are together
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"<Column of {len(self.rows)}>"

    def _with(self, other: Any, function: Callable[[Any, Any], Any], turned: bool = False) -> Any:
        if isinstance(other, Column):
            value = other.rows
        elif isinstance(other, int | float | np.number):
            value = float(other)  # pyright: ignore[reportUnknownArgumentType]
        else:
            return NotImplemented
        return Column(function(value, self.rows) if turned else function(self.rows, value))

    def __add__(self, other: Any) -> Column:
        return self._with(other, _add)

    def __radd__(self, other: Any) -> Column:
        return self._with(other, _add, turned=True)

    def __sub__(self, other: Any) -> Column:
        return self._with(other, _sub)

    def __rsub__(self, other: Any) -> Column:
        return self._with(other, _sub, turned=True)

    def __mul__(self, other: Any) -> Column:
        return self._with(other, _mul)

    def __rmul__(self, other: Any) -> Column:
        return self._with(other, _mul, turned=True)

    def __truediv__(self, other: Any) -> Column:
        return self._with(other, _truediv)

    def __rtruediv__(self, other: Any) -> Column:
        return self._with(other, _truediv, turned=True)

    def __pow__(self, other: Any) -> Column:
        return self._with(other, _pow)

    def __neg__(self) -> Column:
        return Column(-self.rows)

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotTraceable(
            "the script decides by a number that differs between devices (a branch, a loop, the "
            "size of a message, a pause)"
        )

    __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = __getitem__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __contains__ = _refuse
    __round__ = __floor__ = __ceil__ = __trunc__ = __complex__ = __array__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __abs__ = __rpow__ = _refuse


@dataclass(frozen=True, slots=True)
class Party:
    """Who is asked, as such a script sees them: one device, or all at a time.

    Attributes:
        id: name of the node.
        numbers: what is known of it, by name; columns of all.
    """

    id: str
    numbers: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """The number called `name`."""
        return self.numbers[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A step that moves bytes between the devices and the server.

    Attributes:
        up: whether towards the server.
    """

    kind: str
    size: Bytes
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A step that computes on the devices; numbers of its cost may be columns."""

    kind: str
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A step in which time passes."""

    kind: str
    duration: float


Step: TypeAlias = Move | Work | Rest


def trace(script: Script[Any], hub: str) -> tuple[Step, ...]:
    """Play a script of `EVERYONE` to its end, and tell its steps.

    Args:
        script: sends to `hub`, receives from it, works and sleeps.
        hub: name of the other end of its transfers.

    Raises:
        NotTraceable: it awaits anything else, or decides by what differs between devices.
    """
    steps: list[Step] = []
    answer: Fraction | None = None
    try:
        while True:
            request = script.send(answer)
            steps.append(_step(request, hub))
            answer = None if isinstance(request, Sleep) else 1.0
    except StopIteration:
        return tuple(steps)
    finally:
        script.close()


def _step(request: Request[Any], hub: str) -> Step:
    match request:
        case Compute(until=until) | Transfer(until=until) if until < inf:
            why = "cuts what it awaits at an instant of its own"
        case Compute(node=node, cost=cost, kind=kind):
            if node == EVERYONE:
                return Work(kind=kind, cost=cost)
            why = f"computes on {node}, not on its device"
        case Transfer(source=source, target=target, size=size, kind=kind):
            if (source, target) in ((hub, EVERYONE), (EVERYONE, hub)):
                return Move(kind=kind, size=size, up=target == hub)
            why = f"moves bytes from {_who(source)} to {_who(target)}, without {hub}"
        case Sleep(duration=duration, kind=kind):
            return Rest(kind=kind, duration=duration)
        case _:
            why = _OTHERS.get(type(request), f"awaits a {type(request).__name__}")
    raise NotTraceable(f"the script {why}")


def _who(node: str) -> str:
    return "its device" if node == EVERYONE else node


def alike(cost: Cost, kind: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[tuple[int, Cost]]]:
    """Rows with the same work on the same kind of device, and one example of each.

    Args:
        cost: whose numbers may be columns.
        kind: of each row.

    Returns:
        the place of each row among the examples; the examples as (kind, cost).
    """
    columns = {
        each.name: value.rows for each in fields(cost)
        if isinstance(value := getattr(cost, each.name), Column)
    }  # fmt: skip
    _, place, first = _groups(kind)
    for rows in columns.values():
        if (rows[first][place] == rows).all():  # it tells no more than those before
            continue
        _, where, _ = _groups(rows)
        _, place, first = _groups(place * (int(where.max()) + 1) + where)
    plain = {each.name: getattr(cost, each.name) for each in fields(cost)}
    examples = [
        (
            int(kind[row]),
            Cost(**{**plain, **{name: float(rows[row]) for name, rows in columns.items()}}),
        )
        for row in first
    ]
    return place, examples


def _groups(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
    """Values that occur, the place of each row among them, and one row of each."""
    found, place = np.unique(rows, return_inverse=True)
    first = np.empty(len(found), np.intp)
    first[place] = np.arange(len(rows))
    return found, place, first
