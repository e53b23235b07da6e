"""Axes of a sweep: which values which keys take, by grid or at random, and the points they span.

A point is a list of assignments as `--set` takes them. The points of a grid are all combinations,
the last axis changing first; those of samples come from streams named after their keys, so that
more points begin with the same ones, and a further axis leaves the others as they were.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.spec.load import parse_value

MOST_POINTS = 100_000
_MOST_LISTED = 1000
"""Whole numbers up to which a range is the same as the list of its numbers."""
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*([^\d\s.][^.]*?)?\s*\.\.\s*({_NUMBER})\s*(.*)")
_LOG = " log"
_WHOLE = re.compile(r"[-+]?[0-9]+")
_OPEN, _CLOSE = "[{", "]}"
_COUNT = ".count"
_GROUP = re.compile(r"fleet[.\[]([A-Za-z_][^\]]*)\]?")
_HEAD = 16
"""Letters of the head of a column that stand in one line."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A key and the values that it takes in a grid.

    Attributes:
        key: as in `--set`.
        values: texts as in `--set`, each once.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A key and the numbers among which its values are drawn.

    Attributes:
        key: as in `--set`.
        low, high: limits.
        unit: after the number, or nothing.
        whole: whether they are whole numbers, both limits included.
        log: whether each factor is as likely as any other.
    """

    key: str
    low: float
    high: float
    unit: str = ""
    whole: bool = False
    log: bool = False

    @property
    def listed(self) -> tuple[str, ...]:
        """All its values, if they are whole numbers and not too many to be a list."""
        numbers = int(self.high - self.low) + 1
        if not self.whole or numbers > _MOST_LISTED:
            return ()
        return tuple(str(int(self.low) + step) for step in range(numbers))

    def draw(self, stream: Any) -> str:
        """A value as text, with six digits."""
        share = float(stream.random())
        top = self.high + 1.0 if self.whole else self.high
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(top) - math.log(self.low)))
        else:
            value = self.low + share * (top - self.low)
        number = f"{math.floor(value)}" if self.whole else f"{value:.6g}"
        return f"{number} {self.unit}".rstrip()


Sample = Axis | Range
"""What random values are drawn from."""


def grid(text: str) -> Axis:
    """The axis of `--grid key.path=a,b,c`; commas in brackets or quotes belong to a value.

    A range of whole numbers is the list of them.

    >>> grid("method.name=fedavg,fedprox")
    Axis(key='method.name', values=('fedavg', 'fedprox'))
    >>> grid("fleet[0].count=1..3").values
    ('1', '2', '3')

    Raises:
        SpecError: no key, no value, or one twice.
    """
    found = sample(text, "--grid")
    if isinstance(found, Axis):
        return found
    if not found.listed or found.log:
        what = "a grid lists its values, and this range has no list."
        remedy = f"Write them, or draw some: --sample {found.key}=LOW..HIGH --points N."
        raise SpecError(what, where=f"--grid {found.key}", remedy=remedy)
    return Axis(found.key, found.listed)


def sample(text: str, option: str = "--sample") -> Sample:
    """What `--sample key.path=low..high`, or a list as for `--grid`, draws from.

    A range of two whole numbers gives whole numbers, both included. ` log` after it makes each
    factor as likely as any other.

    >>> sample("fleet[0].link.rate=5..50 Mbit/s log").unit
    'Mbit/s'

    Args:
        text: of the option.
        option: its name in messages.

    Raises:
        SpecError: no key, no value, or no range.
    """
    example = "method.lr=0.01,0.1" if option == "--grid" else "method.lr=0.001..0.1"
    key, values = _halves(text, option, example)
    where = f"{option} {key}"
    log = values.endswith(_LOG)
    match = _RANGE.fullmatch(values.removesuffix(_LOG).rstrip())
    if match is None:
        return _listed(key, values, option)
    first, unit, last, other = match.groups()
    unit, other = unit or "", other.strip()
    if unit and unit != other:
        what = f'the range begins in "{unit}" and ends in "{other}".'
        raise SpecError(what, where=where, remedy=f"Write {key}={first}..{last} {other or unit}.")
    low, high = float(first), float(last)
    if not low < high or not math.isfinite(high - low):
        raise SpecError("the range is empty.", where=where, remedy="Write the smaller value first.")
    if log and low <= 0.0:
        what = "a logarithmic range begins above zero."
        raise SpecError(what, where=where, remedy="Raise its lower end, or leave out log.")
    whole = all(_WHOLE.fullmatch(number) for number in (first, last)) and not other
    return Range(key=key, low=low, high=high, unit=other, whole=whole, log=log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """All axes of a sweep.

    Attributes:
        grids: crossed with each other, and with the samples.
        samples: drawn together.
        draws: points drawn; 0 without samples.
        seed: of the draws.
    """

    grids: tuple[Axis, ...] = ()
    samples: tuple[Sample, ...] = ()
    draws: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no points, too many, or a key twice.

        Raises:
            SpecError: see above.
        """
        remedy = "Example: --grid method.lr=0.01,0.1 --grid seed=0,1,2"
        if not self.keys:
            raise SpecError("no axis", where="sweep", remedy=remedy)
        for key in self.keys:
            if self.keys.count(key) > 1:
                what = "is an axis twice."
                raise SpecError(what, where="sweep", key=key, remedy="Put all values into one.")
        if self.samples and not self.draws:
            raise SpecError("how many?", where="--sample", remedy="Add --points N.")
        if self.draws and not self.samples:
            remedy = "Add --sample KEY=LOW..HIGH; a grid has all its points."
            raise SpecError("nothing is drawn at random.", where="--points", remedy=remedy)
        count = math.prod(len(axis.values) for axis in self.grids) * max(self.draws, 1)
        if count > MOST_POINTS:
            what = f"{count:,} points, of {MOST_POINTS:,} at most."
            remedy = "Take fewer values, or draw with --sample and --points."
            raise SpecError(what, where="sweep", remedy=remedy)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, samples first: the order of a point's assignments."""
        return tuple(axis.key for axis in (*self.samples, *self.grids))

    def points(self) -> list[tuple[str, ...]]:
        """The values of each point, in the order of `keys`."""
        streams = [rng(self.seed, "sim/sweep", axis.key) for axis in self.samples]
        drawn = [
            tuple(_drawn(axis, stream) for axis, stream in zip(self.samples, streams, strict=True))
            for _ in range(self.draws or 1)
        ]
        crossed = list(product(*(axis.values for axis in self.grids)))
        return [(*random, *chosen) for random in drawn for chosen in crossed]

    def option(self, key: str) -> str:
        """The option that made a key an axis."""
        return "--grid" if any(axis.key == key for axis in self.grids) else "--sample"


def columns(keys: Sequence[str], points: Sequence[Sequence[str]]) -> dict[str, list[Any]]:
    """The values of each axis by point: numbers where all are, texts as written otherwise.

    >>> columns(["seed", "method.lr"], [("0", "1"), ("1", "0.5")])
    {'seed': [0, 1], 'method.lr': [1.0, 0.5]}
    """
    return {key: _typed([point[index] for point in points], key) for index, key in enumerate(keys)}


def counted(key: str) -> str:
    """What a key counts, or the key.

    >>> counted("fleet[pi].count"), counted("gateways.count"), counted("fleet[pi].link.rate")
    ('pi', 'gateway', 'fleet[pi].link.rate')
    """
    if not key.endswith(_COUNT):
        return key
    thing = key.removesuffix(_COUNT)
    group = _GROUP.fullmatch(thing)
    if group:
        return group[1]
    return "gateway" if thing == "gateways" else thing.removeprefix("network.nodes.")


def heads(keys: Sequence[str]) -> list[str]:
    r"""Keys as heads of columns: what they count, or themselves, long ones in two lines.

    >>> heads(["fleet[raspberry_pi_5].count", "fleet[raspberry_pi_5].link.rate"])
    ['raspberry_pi_5', 'fleet[raspberry_pi_5]\n.link.rate']
    """
    short = [counted(key) for key in keys]
    found = [each if short.count(each) == 1 else key for key, each in zip(keys, short, strict=True)]
    return [_broken(each) for each in found]


def _broken(head: str) -> str:
    """In two lines, broken before the dot that leaves the shorter longest line."""
    dots = [place for place, sign in enumerate(head) if sign == "."]
    if len(head) <= _HEAD or not dots:
        return head
    at = min(dots, key=lambda place: max(place, len(head) - place))
    return f"{head[:at]}\n{head[at:]}"


def _typed(texts: list[str], key: str) -> list[Any]:
    values = [parse_value(text, key) for text in texts]
    kinds = {type(value) for value in values}
    if kinds in ({int}, {bool}):
        return values
    return [float(value) for value in values] if kinds <= {int, float} else texts


def _drawn(axis: Sample, stream: Any) -> str:
    if isinstance(axis, Range):
        return axis.draw(stream)
    return axis.values[math.floor(float(stream.random()) * len(axis.values))]


def _halves(text: str, option: str, example: str) -> tuple[str, str]:
    key, equals, values = text.partition("=")
    key, values = key.strip(), values.strip()
    if not equals or not key or not values:
        remedy = f"Write for example {option} {example}."
        raise SpecError("not of the form key.path=values.", where=f"{option} {text}", remedy=remedy)
    return key, values


def _listed(key: str, values: str, option: str) -> Axis:
    where = f"{option} {key}"
    found = _parts(values)
    for value in found:
        if not value:
            raise SpecError("a value is missing.", where=where, remedy="Remove a comma.")
        parse_value(value, where)
        if found.count(value) > 1:
            raise SpecError(f"{value} is given twice.", where=where, remedy="Keep one.")
    return Axis(key, tuple(found))


def _parts(text: str) -> list[str]:
    """Split at the commas that are in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        else:
            depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]
