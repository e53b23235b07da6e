"""What a plan may choose: keys with the values that each may take, and the points these span.

A point has one text a key, as `--set` takes it. Two things go beyond `--set`: a group of which
there are 0 is left out of the fleet, and `gateways.count` is how many of the topology's gateways
stand, the first ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.study import axes
from hetsim.study.axes import Axis, Range

Point = tuple[str, ...]

_GATEWAYS = "gateways.count"
_COUNT = ".count"
_STEPS = 10
"""Steps into which a range is divided where a step along it is asked for."""
_AMOUNT = re.compile(r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([^\d\s]\S*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A key and its values.

    Attributes:
        key: as in `--set`, or `gateways.count`.
        values: texts; from low to high where they are ordered.
        ordered: whether they are amounts of one unit.
    """

    key: str
    values: tuple[str, ...]
    ordered: bool

    def beside(self, value: str) -> list[str]:
        """Values one step away: the next lower and higher, or every other where none is."""
        if not self.ordered:
            return [each for each in self.values if each != value]
        place = self.values.index(value)
        return [self.values[at] for at in (place - 1, place + 1) if 0 <= at < len(self.values)]


@dataclass(frozen=True, slots=True)
class Scale:
    """A key whose values are all numbers of a range."""

    range: Range

    @property
    def key(self) -> str:
        """As in `--set`."""
        return self.range.key

    def text(self, number: float) -> str:
        """The value at a number, with six digits."""
        shown = f"{round(number)}" if self.range.whole else f"{number:.6g}"
        return f"{shown} {self.range.unit}".rstrip()

    def number(self, text: str) -> float:
        """The number of a value."""
        return float(text.removesuffix(self.range.unit))

    def beside(self, value: str) -> list[str]:
        """Values a tenth of the range away, towards both ends."""
        low, high = self.range.low, self.range.high
        at, found = self.number(value), list[str]()
        for side in (-1.0, 1.0):
            if self.range.log:
                moved = at * (high / low) ** (side / _STEPS)
            else:
                moved = at + side * (high - low) / _STEPS
            text = self.text(min(max(moved, low), high))
            if text != value:
                found.append(text)
        return found


Dimension = Choice | Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All points.

    Attributes:
        dimensions: what may be chosen.
        gateways: how many the topology has.
    """

    dimensions: tuple[Dimension, ...]
    gateways: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the dimensions: the order of a point's values."""
        return tuple(each.key for each in self.dimensions)

    @property
    def size(self) -> float:
        """How many points there are; infinite if some key has a range."""
        return math.prod(
            len(each.values) if isinstance(each, Choice) else math.inf for each in self.dimensions
        )

    def points(self) -> Iterator[Point]:
        """All points of a finite space, the last key changing first."""
        return product(*(each.values for each in self.dimensions if isinstance(each, Choice)))

    def drawn(self, stream: Any) -> Point:
        """A point at random."""
        return tuple(
            each.values[math.floor(float(stream.random()) * len(each.values))]
            if isinstance(each, Choice)
            else each.range.draw(stream)
            for each in self.dimensions
        )

    def beside(self, point: Point) -> list[tuple[int, Point]]:
        """Points one step away, each with the place of the key that differs."""
        return [
            (place, (*point[:place], value, *point[place + 1 :]))
            for place, each in enumerate(self.dimensions)
            for value in each.beside(point[place])
        ]

    def assignments(self, point: Point) -> tuple[str, ...]:
        """What `--set` would say of a point."""
        texts: list[str] = []
        for key, value in zip(self.keys, point, strict=True):
            if key == _GATEWAYS:
                texts += [f"gateways[{place}]=none" for place in range(int(value), self.gateways)]
            elif key.startswith("fleet") and key.endswith(_COUNT) and value == "0":
                texts.append(f"{key.removesuffix(_COUNT)}=none")
            else:
                texts.append(f"{key}={value}")
        return tuple(texts)

    def words(self, point: Point) -> str:
        """A point as messages show it."""
        return ", ".join(map("=".join, zip(self.keys, point, strict=True)))


def space(texts: Iterable[str], *, gateways: int = 0) -> Space:
    """The space of `--vary key=a,b,c` and `--vary key=low..high`.

    Args:
        texts: of the options.
        gateways: how many the topology has.

    Raises:
        SpecError: a text is wrong, a key comes twice, or there is none.
    """
    dimensions: dict[str, Dimension] = {}
    for text in texts:
        found = _dimension(axes.sample(text, "--vary"))
        where = f"--vary {found.key}"
        if found.key in dimensions:
            remedy = "Put all its values into one."
            raise SpecError("is varied twice.", where=where, remedy=remedy)
        if found.key == "seed":
            what, remedy = "nobody can choose the seed.", "Ask for several: --seeds 0,1,2."
            raise SpecError(what, where=where, remedy=remedy)
        if found.key == _GATEWAYS:
            _check_gateways(found, gateways)
        dimensions[found.key] = found
    if not dimensions:
        remedy = 'Example: --vary "fleet[0].count=2,4,8" --vary governor=performance,powersave'
        raise SpecError("nothing to choose.", where="--vary", remedy=remedy)
    return Space(dimensions=tuple(dimensions.values()), gateways=gateways)


def _dimension(found: Axis | Range) -> Dimension:
    if isinstance(found, Axis):
        amounts = _amounts(found.values)
        if amounts is None:
            return Choice(key=found.key, values=found.values, ordered=False)
        order = sorted(range(len(amounts)), key=amounts.__getitem__)
        values = tuple(found.values[place] for place in order)
        return Choice(key=found.key, values=values, ordered=True)
    listed = found.listed
    return Choice(key=found.key, values=listed, ordered=True) if listed else Scale(found)


def _amounts(texts: Sequence[str]) -> list[float] | None:
    """The numbers of the texts, if all are amounts of one unit."""
    found = [_AMOUNT.fullmatch(text) for text in texts]
    matches = [match for match in found if match]
    same = len(matches) == len(texts) and len({match.group(2) for match in matches}) == 1
    return [float(match.group(1)) for match in matches] if same else None


def _check_gateways(found: Dimension, gateways: int) -> None:
    where = f"--vary {_GATEWAYS}"
    counts = found.values if isinstance(found, Choice) else ()
    wrong = next((text for text in counts if not text.isdecimal() or int(text) > gateways), None)
    if not counts or wrong is not None:
        raise SpecError(
            f"the topology lists {gateways} gateways, and {wrong or 'a range'} of them is asked.",
            where=where,
            remedy="List in `gateways:` all that may stand; the first ones are taken.",
        )
