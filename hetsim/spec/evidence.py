"""Reading a profile part by part, and noting what backs each of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.spec import units
from hetsim.spec.load import Document, Place, as_mapping, in_words, key_of

EVIDENCE = ("source", "derived", "assumed")
"""How a number may be backed: measured or published, computed by a formula, or a guess."""
_LARGEST = 1e18
_Word = TypeVar("_Word", bound=str)


@dataclass(frozen=True, slots=True)
class Row:
    """A number of a profile as `explain device` shows it.

    Attributes:
        key: path in the file.
        value: as written.
        evidence: one of `EVIDENCE`.
        text: the source, formula or reason.
    """

    key: str
    value: str
    evidence: str
    text: str


class Reader:
    """Reads parts of a profile and notes what backs each number."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.backed: dict[Place, Row] = {}

    @property
    def rows(self) -> tuple[Row, ...]:
        """What was noted, in file order."""
        return tuple(self.backed[place] for place in self.document.marks if place in self.backed)

    def fail(self, what: str, remedy: str, *place: str | int) -> NoReturn:
        """Refuse the value at `place`."""
        where = self.document.where(*place)
        raise SpecError(what, where=where, key=key_of(place), remedy=remedy)

    def at(self, *place: str | int) -> Any:
        """The raw value at `place`."""
        value: Any = self.document.data
        for step in place:
            value = value[step]
        return value

    def has(self, *place: str) -> bool:
        """Whether an optional part is there."""
        return place[-1] in self.at(*place[:-1])

    def mapping(
        self, *place: str | int, required: Sequence[str] = (), optional: Sequence[str] | None = ()
    ) -> dict[str, Any]:
        """The mapping at `place` with all required keys and no unknown one (None: any key)."""
        value = self.at(*place)
        entries = as_mapping(value)
        if entries is None:
            self.fail(f"expected a mapping, got {in_words(value)}.", "Write `key: value`.", *place)
        if optional is not None:
            known = (*required, *optional)
            for key in entries:
                if key not in known:
                    hint = did_you_mean(key, known)
                    remedy = f"Keys here: {', '.join(known)}."
                    self.fail(f"unknown key.{hint}", remedy, *place, key)
        for key in required:
            if key not in entries:
                self.fail(
                    "missing.", f"Add `{key}:` to {key_of(place) or 'the file'}.", *place, key
                )
        return entries

    def text(self, *place: str | int) -> str:
        """A text that is not empty."""
        value = self.at(*place)
        if not isinstance(value, str) or not value.strip():
            self.fail(f"expected text, got {in_words(value)}.", "Write a few words.", *place)
        return value

    def choice(self, known: Sequence[_Word], *place: str | int) -> _Word:
        """One of the known words."""
        value = self.text(*place)
        if value not in known:
            hint = did_you_mean(value, known)
            self.fail(f'"{value}" is not known.{hint}', f"One of: {', '.join(known)}.", *place)
        return known[known.index(value)]

    def quantity(self, dimension: units.Dimension, *place: str, positive: bool = False) -> float:
        """A leaf with a physical quantity."""
        return self._leaf(place, lambda value: units.parse(value, dimension, positive=positive))

    def number(self, *place: str) -> float:
        """A leaf with a bare number that is not negative."""
        return self._leaf(place, bare_number)

    def fraction(self, *place: str) -> float:
        """A leaf with a number above 0 and up to 1."""
        return self.quantity("fraction", *place, positive=True)

    def evidence(self, value: str, *place: str | int) -> None:
        """Note what backs the part at `place`, which is shown as `value`."""
        entries = self.at(*place)
        given = [kind for kind in EVIDENCE if kind in entries]
        if len(given) != 1:
            what = f"has {' and '.join(given)}." if given else "has no source."
            self.fail(what, f"Give exactly one of {', '.join(EVIDENCE)}.", *place)
        text = self.text(*place, given[0])
        self.backed[place] = Row(key_of(place), value, given[0], text)

    def _leaf(self, place: tuple[str, ...], convert: Callable[[object], float]) -> float:
        value = self.at(*place)
        if as_mapping(value) is None:
            remedy = 'Write {value: ..., source: "..."}, or derived or assumed in place of source.'
            self.fail(f"expected a number with its source, got {in_words(value)}.", remedy, *place)
        entries = self.mapping(*place, required=("value",), optional=EVIDENCE)
        self.evidence(str(entries["value"]), *place)
        try:
            return convert(entries["value"])
        except SpecError as error:
            self.fail(error.what, error.remedy, *place, "value")

    def listed(self, dimension: units.Dimension, value: object, *place: str | int) -> float:
        """A positive quantity inside a table that has one source for all."""
        try:
            return units.parse(value, dimension, positive=True)
        except SpecError as error:
            self.fail(error.what, error.remedy, *place)


def bare_number(value: object) -> float:
    """A number without unit, not below zero."""
    remedy = "Write a number without a unit, not below zero."
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"expected a number, got {in_words(value)}.", remedy=remedy)
    if value < 0:
        raise SpecError(f"{value} is negative.", remedy=remedy)
    if value > _LARGEST:
        raise SpecError(f"{in_words(value)} is too large.", remedy=remedy)
    return float(value)
