"""Goals of a plan: what a configuration must keep, such as "accuracy>=0.85" or "time<=4 h".

A goal is a quantity, `<=` or `>=`, and a limit with its unit; one on accuracy may have a time, by
which it must be there: "accuracy>=0.8 in 1 h". A configuration misses a goal by the share of the
limit that it lies beyond it, or, where the limit is itself a share or zero, by the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from hetsim.core.errors import SpecError, UnknownName
from hetsim.core.quantities import Fraction, Seconds
from hetsim.report.numbers import SPACE, duration, joules, significant, size
from hetsim.spec import units
from hetsim.spec.units import Dimension

Values = Mapping[str, float | None]
"""What a configuration comes to, by name of quantity; None where there is nothing to measure."""

_GOAL = re.compile(r"\s*([A-Za-z_]+)\s*([<>=≤≥!]+)\s*(.+?)(?:\s+(?:in|by|within)\s+(.+?))?\s*")
_TIMES = 10.0
"""How often a value holds its limit before it is said in times, and no longer in percent."""
_SIGNS = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}
_EXAMPLE = 'Write for example --goal "accuracy>=0.85" or --goal "time<=4 h".'


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something that a configuration comes to.

    Attributes:
        title: what it is.
        dimension: of its unit; None for a plain number.
        high: whether more of it is better.
        learned: whether only training can tell.
    """

    title: str
    dimension: Dimension | None
    high: bool = False
    learned: bool = False

    def shown(self, value: float | None) -> str:
        """A value as people read it."""
        if value is None:
            return "none"
        match self.dimension:
            case "time":
                return duration(value)
            case "energy":
                return joules(value)
            case "size":
                return size(value)
            case "fraction":
                if self.learned:
                    return f"{value:.3f}"
                return f"{significant(100.0 * value)}{SPACE}%"
            case _:
                return significant(value) if value % 1.0 else f"{value:,.0f}"


QUANTITIES = {
    "accuracy": Quantity(title="best accuracy", dimension="fraction", high=True, learned=True),
    "time": Quantity(title="time", dimension="time"),
    "energy": Quantity(title="energy, all nodes", dimension="energy"),
    "device_energy": Quantity(title="energy of devices", dimension="energy"),
    "active_energy": Quantity(title="energy above base power", dimension="energy"),
    "bytes": Quantity(title="bytes sent", dimension="size"),
    "price": Quantity(title="price", dimension=None),
    "battery_end": Quantity(title="least charged battery", dimension="fraction", high=True),
    "dropouts": Quantity(title="drop-outs", dimension="fraction"),
    "excluded": Quantity(title="devices that cannot take part", dimension=None),
}
"""What goals and objectives may be about.

`accuracy` is the best of the server's model. `time` and the energies are those of the run, which
ends as soon as it has the accuracy that is wanted. `battery_end` is the least share of its charge
that any device is left with, `dropouts` the share of the times a device was asked in which a
battery, memory, a deadline or its absence kept it from delivering.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A limit on a quantity.

    Attributes:
        quantity: its name.
        limit: in SI units; a share for what is written in percent.
        within: time by which an accuracy must be there.
    """

    quantity: str
    limit: float
    within: Seconds | None = None

    @property
    def about(self) -> Quantity:
        """What it is on."""
        return QUANTITIES[self.quantity]

    @property
    def column(self) -> str:
        """Name of the value that is compared: "accuracy", or "accuracy_3600" after an hour."""
        return self.quantity if self.within is None else f"{self.quantity}_{self.within:g}"

    def miss(self, values: Values) -> float:
        """By how much it is missed; zero or less if it is met.

        A configuration with nothing to measure (no battery, no score) meets a limit from above and
        misses one from below, but for batteries: without one, none is empty.
        """
        value = values.get(self.column)
        if value is None:
            return inf if self.about.learned else -inf
        over = self.limit - value if self.about.high else value - self.limit
        share = self.about.dimension == "fraction" or not self.limit
        return over if share else over / self.limit

    def missed_by(self, values: Values) -> str:
        """The same in words: "12 % above 4 h", "25 times 4 h"."""
        value = values.get(self.column)
        if value is None:
            return "no value"
        beyond, side = abs(value - self.limit), "below" if self.about.high else "above"
        if self.about.dimension == "fraction":
            by = f"{significant(100.0 * beyond, 2)} points"
        elif value >= _TIMES * self.limit > 0.0:
            return f"{significant(value / self.limit, 2)} times {self.about.shown(self.limit)}"
        else:
            by = f"{significant(100.0 * beyond / self.limit, 2)}{SPACE}%" if self.limit else (
                self.about.shown(beyond)
            )  # fmt: skip
        return f"{by} {side} {self.about.shown(self.limit)}"

    def __str__(self) -> str:
        sign = ">=" if self.about.high else "<="
        late = "" if self.within is None else f" in {duration(self.within)}"
        return f"{self.quantity} {sign} {self.about.shown(self.limit)}{late}".replace(SPACE, " ")


def goal(text: str) -> Goal:
    """A goal as it is written.

    >>> goal("time<=4 h").limit, goal("dropouts <= 5 %").limit
    (14400.0, 0.05)
    >>> str(goal("accuracy>=0.8 in 90 min"))
    'accuracy >= 0.800 in 1 h 30 min'

    Raises:
        SpecError: not of the form, no such quantity, the wrong side, or a limit that is none.
    """
    where = f"--goal {text}"
    match = _GOAL.fullmatch(text)
    if match is None:
        raise SpecError("not of the form quantity<=limit.", where=where, remedy=_EXAMPLE)
    name, sign, limit, within = match.groups()
    about = quantity(name, where)
    sign, wanted = _SIGNS.get(sign, sign), ">=" if about.high else "<="
    if sign != wanted:
        side = "below" if about.high else "above"
        what = f"{name} has a limit from {side}: {wanted}, not {sign}."
        raise SpecError(what, where=where, remedy=f'Write --goal "{name}{wanted}{limit}".')
    value = _limit(about, limit, where)
    if within is None:
        return Goal(quantity=name, limit=value)
    if name != "accuracy":
        what = f"only accuracy is measured at a time, not {name}."
        raise SpecError(what, where=where, remedy='Add a goal of its own: --goal "time<=4 h".')
    try:
        late = units.parse(within, "time", positive=True)
    except SpecError as error:
        raise SpecError(error.what, where=where, remedy=error.remedy) from None
    return Goal(quantity=name, limit=value, within=late)


def goals(texts: Iterable[str]) -> tuple[Goal, ...]:
    """Goals as they are written.

    Raises:
        SpecError: one is wrong, there is none, or two are on the same.
    """
    found: dict[str, Goal] = {}
    for text in texts:
        one = goal(text)
        if one.column in found:
            what = f"a second goal on {one.quantity}."
            raise SpecError(what, where=f"--goal {text}", remedy="Keep the stricter one.")
        found[one.column] = one
    if not found:
        raise SpecError("nothing to reach.", where="--goal", remedy=_EXAMPLE)
    return tuple(found.values())


def quantity(name: str, where: str) -> Quantity:
    """The quantity of this name.

    Raises:
        UnknownName: there is none.
    """
    if name not in QUANTITIES:
        raise UnknownName("quantity", name, QUANTITIES, where=where)
    return QUANTITIES[name]


def wanted_accuracy(found: Sequence[Goal]) -> Fraction | None:
    """The highest accuracy that any goal names."""
    return max((each.limit for each in found if each.quantity == "accuracy"), default=None)


def _limit(about: Quantity, text: str, where: str) -> float:
    try:
        if about.dimension is None:
            return _number(text)
        if about.dimension == "fraction":
            plain = re.fullmatch(r"[0-9]*\.?[0-9]+", text)
            return units.parse(float(text) if plain else text, "fraction")
        return units.parse(text, about.dimension, positive=True)
    except SpecError as error:
        raise SpecError(error.what, where=where, remedy=error.remedy) from None


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][0-9]+)?", text) or float(text) == inf:
        remedy = "Write a number such as 2000, without a currency."
        raise SpecError(f'"{text}" is no number from zero up.', remedy=remedy)
    return float(text)
