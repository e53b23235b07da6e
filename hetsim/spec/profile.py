"""Device profiles: a file of measured numbers, each with its source, becomes a `Profile`.

Every number is a leaf `{value: ..., source: ...}`; `derived` or `assumed` may stand for `source`,
and exactly one of the three must be there. What cannot be true of a device is refused: power that
does not rise with what the device does, speed that falls with rising frequency.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, overload

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.registry import NETWORKS
from hetsim.sim.device import CLASSES, POWER_SCOPES, BatteryPack, Profile, Radio
from hetsim.sim.dvfs import DOMAIN_KINDS, Domain, OperatingPoint
from hetsim.spec import find, units
from hetsim.spec.load import Document, Place, as_list, as_mapping, in_words, key_of, read
from hetsim.spec.options import whole

EVIDENCE = ("source", "derived", "assumed")
"""How a number may be backed: measured or published, computed by a formula, or a guess."""
_LARGEST = 1e18
_NOISE = 0.25
"""Measured power may fall by this share from one point to a faster one; more is an error."""


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


@dataclass(frozen=True, slots=True)
class ProfileSheet:
    """What a profile says about itself: every number with what backs it.

    Attributes:
        title: what a person calls the device.
        device_class: one of `hetsim.sim.device.CLASSES`.
        power_scope: what its watts include.
        leaves_out: what they do not include.
        rows: in file order.
    """

    title: str
    device_class: str
    power_scope: str
    leaves_out: str
    rows: tuple[Row, ...]


@overload
def find_profile(name: str, beside: Path | None, *, where: str = "", key: str = "") -> Path: ...


@overload
def find_profile(
    name: str, beside: Path | None, *, where: str = "", key: str = "", missing_ok: Literal[True]
) -> Path | None: ...


def find_profile(
    name: str, beside: Path | None, *, where: str = "", key: str = "", missing_ok: bool = False
) -> Path | None:
    """The file of a profile: a path, or a name looked up as `hetsim.spec.find` says.

    Args:
        name: path or name.
        beside: the topology's folder.
        where: place that names the profile, for messages.
        key: its key, for messages.
        missing_ok: return None if there is no such profile.

    Raises:
        SpecError: there is no such profile.
    """
    path = find.look_up(find.PROFILES, name, beside)
    if path is None and not missing_ok:
        known = list_profiles()
        raise SpecError(
            f'no device profile "{name}".{did_you_mean(name, known)}',
            where=where,
            key=key,
            remedy=f"Known: {', '.join(known) or 'none'}. More folders: $HETSIM_PATH.",
        )
    return path


def list_profiles() -> list[str]:
    """Names of all profiles in $HETSIM_PATH and in hetsim."""
    return find.names(find.PROFILES)


def profile_hash(path: Path) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        SpecError: with file and line, as `load_profile_with_sources`.
    """
    return load_profile_with_sources(path)[0]


def load_profile_with_sources(path: Path) -> tuple[Profile, ProfileSheet]:
    """Read a profile and what backs each of its numbers.

    Raises:
        SpecError: unknown or missing key, a number without unit or source, or numbers that no
            device can have.
    """
    sheet = _Sheet(read(path))
    profile = _profile(sheet, path.stem)
    return profile, ProfileSheet(
        title=profile.title,
        device_class=profile.device_class,
        power_scope=profile.power_scope,
        leaves_out=sheet.text("leaves_out"),
        rows=sheet.rows,
    )


class _Sheet:
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
        self, *place: str, required: Sequence[str] = (), optional: Sequence[str] | None = ()
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

    def text(self, *place: str) -> str:
        """A text that is not empty."""
        value = self.at(*place)
        if not isinstance(value, str) or not value.strip():
            self.fail(f"expected text, got {in_words(value)}.", "Write a few words.", *place)
        return value

    def choice(self, known: Sequence[str], *place: str) -> str:
        """One of the known words."""
        value = self.text(*place)
        if value not in known:
            hint = did_you_mean(value, known)
            self.fail(f'"{value}" is not known.{hint}', f"One of: {', '.join(known)}.", *place)
        return value

    def quantity(self, dimension: units.Dimension, *place: str, positive: bool = False) -> float:
        """A leaf with a physical quantity."""
        return self._leaf(place, lambda value: units.parse(value, dimension, positive=positive))

    def number(self, *place: str) -> float:
        """A leaf with a bare number that is not negative."""
        return self._leaf(place, _number)

    def fraction(self, *place: str) -> float:
        """A leaf with a number above 0 and up to 1."""
        return self.quantity("fraction", *place, positive=True)

    def evidence(self, value: str, *place: str) -> None:
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


def _number(value: object) -> float:
    remedy = "Write a number without a unit, not below zero."
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"expected a number, got {in_words(value)}.", remedy=remedy)
    if value < 0:
        raise SpecError(f"{value} is negative.", remedy=remedy)
    if value > _LARGEST:
        raise SpecError(f"{in_words(value)} is too large.", remedy=remedy)
    return float(value)


def _profile(sheet: _Sheet, name: str) -> Profile:
    sheet.mapping(
        required=("title", "class", "power_scope", "leaves_out", "memory", "power", "compute"),
        optional=("radios", "battery"),
    )
    idle, sleep, off = _base_power(sheet)
    memory = _memory(sheet)
    sheet.mapping("compute", required=("domains",), optional=("overhead",))
    overhead = 0.0
    if sheet.has("compute", "overhead"):
        overhead = sheet.quantity("time", "compute", "overhead")
    return Profile(
        name=name,
        title=sheet.text("title"),
        device_class=sheet.choice(CLASSES, "class"),
        power_scope=sheet.choice(POWER_SCOPES, "power_scope"),
        idle=idle,
        sleep=sleep,
        off=off,
        memory=memory,
        domains=_domains(sheet),
        overhead=overhead,
        radios=_radios(sheet) if sheet.has("radios") else {},
        battery=_battery(sheet) if sheet.has("battery") else None,
    )


def _base_power(sheet: _Sheet) -> tuple[float, float, float]:
    sheet.mapping("power", required=("idle", "sleep", "off"))
    idle, sleep, off = (sheet.quantity("power", "power", key) for key in ("idle", "sleep", "off"))
    for lower, upper, low, high in (("sleep", "idle", sleep, idle), ("off", "sleep", off, sleep)):
        if low > high:
            what = f"{lower} draws more than {upper}."
            sheet.fail(what, f"Check both: {lower} <= {upper}.", "power", lower)
    return idle, sleep, off


def _memory(sheet: _Sheet) -> float:
    sheet.mapping("memory", required=("capacity", "reserved"))
    capacity = sheet.quantity("size", "memory", "capacity", positive=True)
    reserved = sheet.quantity("size", "memory", "reserved")
    if reserved >= capacity:
        what = "nothing is left for training: reserved is not below capacity."
        sheet.fail(what, "Check both.", "memory", "reserved")
    return capacity - reserved


def _domains(sheet: _Sheet) -> tuple[Domain, ...]:
    names = sheet.mapping("compute", "domains", optional=None)
    domains = tuple(_domain(sheet, name) for name in names)
    if not any(domain.flops_per_cycle for domain in domains):
        what = "no domain does arithmetic."
        remedy = "Give at least one of them `flops_per_cycle` above zero."
        sheet.fail(what, remedy, "compute", "domains")
    return domains


_PER_CYCLE = ("flops_per_cycle", "bytes_per_cycle", "cycles_per_step", "cycles_per_sample")


def _domain(sheet: _Sheet, name: str) -> Domain:
    place = ("compute", "domains", name)
    sheet.mapping(*place, required=("kind", "points"), optional=("cores", *_PER_CYCLE))
    kind = sheet.choice(DOMAIN_KINDS, *place, "kind")
    if sheet.has(*place, "cores"):
        cores = sheet.number(*place, "cores")
        if cores < 1 or not isinstance(whole(cores), int):
            remedy = "Write a whole number from 1."
            sheet.fail(f"{cores} is no number of cores.", remedy, *place, "cores")
    given = {
        key: sheet.number(*place, key) for key in _PER_CYCLE if sheet.has(*place, key)
    }  # fmt: skip
    points = _points(sheet, (*place, "points"))
    return Domain(name=name, kind=kind, points=points, **given)


def _points(sheet: _Sheet, place: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
    entries = sheet.mapping(*place, optional=None)
    points = _table(sheet, place) if "rows" in entries else _fitted(sheet, place)
    highest = 0.0
    for index, point in enumerate(points):
        if point.power < highest * (1.0 - _NOISE):
            what = f"power falls by more than a quarter at point {index} ({point.label})."
            remedy = "Check the powers: a faster point draws more."
            row = ("rows", index) if "rows" in entries else ("frequencies", index)
            sheet.fail(what, remedy, *place, *row)
        highest = max(highest, point.power)
    sheet.evidence(f"{len(points)} points up to {points[-1].label}", *place)
    return points


def _table(sheet: _Sheet, place: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
    """A table of measured points: frequency or label, power, and perhaps speed."""
    entries = sheet.mapping(
        *place, required=("columns", "rows"), optional=("nominal", *EVIDENCE)
    )  # fmt: skip
    columns = _columns(sheet, place, entries["columns"])
    first = "label" if "label" in columns else "frequency"
    if ("nominal" in entries) != (first == "label"):
        what = "missing." if first == "label" else "only a table with labels has it."
        remedy = "A table of labels needs `nominal`, the clock at its fastest row; no other does."
        sheet.fail(what, remedy, *place, "nominal")
    rows = _rows(sheet, place, entries["rows"], columns)
    powers = [sheet.listed("power", row["power"], *place, "rows", i) for i, row in enumerate(rows)]
    labels = [str(row[first]) for row in rows]
    if first == "label":
        frequencies = [sheet.quantity("frequency", *place, "nominal", positive=True)] * len(rows)
    else:
        frequencies = _rising(sheet, [row["frequency"] for row in rows], *place, "rows")
    if "speed" in columns:
        speeds = _speeds(sheet, place, rows)
        frequencies = [frequencies[-1] * speed / speeds[-1] for speed in speeds]
    return tuple(
        OperatingPoint(frequency=frequency, power=power, label=label)
        for frequency, power, label in zip(frequencies, powers, labels, strict=True)
    )


def _columns(sheet: _Sheet, place: tuple[str, ...], given: object) -> list[str]:
    columns = as_list(given) or []
    allowed = (
        {"frequency", "power"}, {"frequency", "power", "speed"}, {"label", "power", "speed"},
    )  # fmt: skip
    texts = [column for column in columns if isinstance(column, str)]
    if len(texts) != len(columns) or len(set(texts)) != len(texts) or set(texts) not in allowed:
        what = f"no such columns: {', '.join(map(str, columns)) or in_words(given)}."
        remedy = "[frequency, power], [frequency, power, speed] or [label, power, speed]."
        sheet.fail(what, f"Write {remedy}", *place, "columns")
    return texts


def _rows(
    sheet: _Sheet, place: tuple[str, ...], given: object, columns: Sequence[str]
) -> list[Mapping[str, object]]:
    listed = as_list(given)
    if not listed:
        sheet.fail("expected a list of rows.", "Write a row `- [...]` a point.", *place, "rows")
    rows: list[Mapping[str, object]] = []
    for index, row in enumerate(listed):
        cells = as_list(row)
        if cells is None or len(cells) != len(columns):
            what = f"a row has {len(columns)} entries."
            sheet.fail(what, f"Write [{', '.join(columns)}].", *place, "rows", index)
        rows.append(dict(zip(columns, cells, strict=True)))
    return rows


def _speeds(
    sheet: _Sheet, place: tuple[str, ...], rows: Sequence[Mapping[str, object]]
) -> list[float]:
    speeds: list[float] = []
    for index, row in enumerate(rows):
        try:
            speed = _number(row["speed"])
        except SpecError as error:
            sheet.fail(error.what, error.remedy, *place, "rows", index)
        if speed <= 0.0 or (speeds and speed < speeds[-1]):
            what = "speed falls from one row to the next." if speed else "speed is zero."
            remedy = "Order the rows by rising frequency and check the scores."
            sheet.fail(what, remedy, *place, "rows", index)
        speeds.append(speed)
    return speeds


def _fitted(sheet: _Sheet, place: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
    """Points at listed frequencies whose power is linear * f + cubic * f^3."""
    entries = sheet.mapping(
        *place, required=("frequencies", "linear", "cubic"), optional=EVIDENCE
    )  # fmt: skip
    texts = as_list(entries["frequencies"])
    if not texts:
        what = "expected a list of frequencies."
        remedy = 'Write ["600 MHz", "1.2 GHz"].'
        sheet.fail(what, remedy, *place, "frequencies")
    linear = sheet.quantity("power per frequency", *place, "linear")
    cubic = sheet.quantity("power per cubed frequency", *place, "cubic")
    if linear <= 0.0 and cubic <= 0.0:
        what = "the domain draws nothing: linear and cubic are both zero."
        sheet.fail(what, "Give one of them.", *place, "linear")
    return tuple(
        OperatingPoint(frequency=f, power=linear * f + cubic * f * f * f, label=str(text))
        for f, text in zip(_rising(sheet, texts, *place, "frequencies"), texts, strict=True)
    )


def _rising(sheet: _Sheet, texts: Sequence[object], *place: str) -> list[float]:
    frequencies: list[float] = []
    for index, text in enumerate(texts):
        frequency = sheet.listed("frequency", text, *place, index)
        if frequencies and frequency <= frequencies[-1]:
            what = f"{text} is not above the frequency before it."
            sheet.fail(what, "Order them from low to high.", *place, index)
        frequencies.append(frequency)
    return frequencies


def _radios(sheet: _Sheet) -> dict[str, Radio]:
    names = sheet.mapping("radios", optional=NETWORKS.names())
    radios: dict[str, Radio] = {}
    for name in names:
        sheet.mapping("radios", name, required=("transmit", "receive"), optional=("idle",))
        radios[name] = Radio(
            transmit=sheet.quantity("power", "radios", name, "transmit"),
            receive=sheet.quantity("power", "radios", name, "receive"),
            idle=sheet.quantity("power", "radios", name, "idle")
            if sheet.has("radios", name, "idle")
            else 0.0,
        )
    return radios


def _battery(sheet: _Sheet) -> BatteryPack:
    sheet.mapping("battery", required=("capacity",), optional=("efficiency",))
    capacity = sheet.quantity("energy", "battery", "capacity", positive=True)
    if sheet.has("battery", "efficiency"):
        return BatteryPack(capacity=capacity, efficiency=sheet.fraction("battery", "efficiency"))
    return BatteryPack(capacity=capacity)
