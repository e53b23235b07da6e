"""Operating points of a profile: a table of measurements, or frequencies and fitted power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from hetsim.core.errors import SpecError
from hetsim.sim.dvfs import OperatingPoint
from hetsim.spec import units
from hetsim.spec.evidence import EVIDENCE, Reader, bare_number
from hetsim.spec.load import as_list, in_words

_NOISE = 0.25
"""Measured power may fall by this share from one point to a faster one; more is an error."""


def operating_points(sheet: Reader, *place: str) -> tuple[OperatingPoint, ...]:
    """The points at `place`, by rising frequency.

    Where a speed was measured, the effective frequency is proportional to it and that of the
    fastest point is its own.

    Raises:
        SpecError: no such table, or points that no device can have.
    """
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
    count = "1 point," if len(points) == 1 else f"{len(points)} points up to"
    sheet.evidence(f"{count} {points[-1].label}", *place)
    return points


def _table(sheet: Reader, place: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
    """A table of measured points: frequency, power limit or label; power; and perhaps speed."""
    entries = sheet.mapping(
        *place, required=("columns", "rows"), optional=("nominal", *EVIDENCE)
    )  # fmt: skip
    columns = _columns(sheet, place, entries["columns"])
    [first] = {"frequency", "limit", "label"} & set(columns)
    if ("nominal" in entries) == (first == "frequency"):
        what = "missing." if "nominal" not in entries else "a table of frequencies has it already."
        remedy = "A table of limits or labels needs `nominal`, the clock at its fastest row."
        sheet.fail(what, remedy, *place, "nominal")
    rows = _rows(sheet, place, entries["rows"], columns)
    powers = [sheet.listed("power", row["power"], *place, "rows", i) for i, row in enumerate(rows)]
    labels = [f"{row[first]} limit" if first == "limit" else str(row[first]) for row in rows]
    limits = [inf] * len(rows)
    if first == "limit":
        limits = _rising(sheet, "power", [row["limit"] for row in rows], *place, "rows")
    if first != "frequency":
        frequencies = [sheet.quantity("frequency", *place, "nominal", positive=True)] * len(rows)
    else:
        texts = [row["frequency"] for row in rows]
        frequencies = _rising(sheet, "frequency", texts, *place, "rows")
    if "speed" in columns:
        speeds = _speeds(sheet, place, rows)
        frequencies = [frequencies[-1] * speed / speeds[-1] for speed in speeds]
    return tuple(
        OperatingPoint(frequency=frequency, power=power, label=label, limit=limit)
        for frequency, power, label, limit in zip(frequencies, powers, labels, limits, strict=True)
    )


def _columns(sheet: Reader, place: tuple[str, ...], given: object) -> list[str]:
    columns = as_list(given) or []
    allowed = (
        {"frequency", "power"}, {"frequency", "power", "speed"},
        {"limit", "power", "speed"}, {"label", "power", "speed"},
    )  # fmt: skip
    texts = [column for column in columns if isinstance(column, str)]
    if len(texts) != len(columns) or len(set(texts)) != len(texts) or set(texts) not in allowed:
        what = f"no such columns: {', '.join(map(str, columns)) or in_words(given)}."
        remedy = "Write [frequency, power] or [frequency, power, speed]; or limit or label first."
        sheet.fail(what, remedy, *place, "columns")
    return texts


def _rows(
    sheet: Reader, place: tuple[str, ...], given: object, columns: Sequence[str]
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
    sheet: Reader, place: tuple[str, ...], rows: Sequence[Mapping[str, object]]
) -> list[float]:
    speeds: list[float] = []
    for index, row in enumerate(rows):
        try:
            speed = bare_number(row["speed"])
        except SpecError as error:
            sheet.fail(error.what, error.remedy, *place, "rows", index)
        if speed <= 0.0 or (speeds and speed < speeds[-1]):
            what = "speed falls from one row to the next." if speed else "speed is zero."
            remedy = "Order the rows by rising frequency and check the scores."
            sheet.fail(what, remedy, *place, "rows", index)
        speeds.append(speed)
    return speeds


def _fitted(sheet: Reader, place: tuple[str, ...]) -> tuple[OperatingPoint, ...]:
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
    frequencies = _rising(sheet, "frequency", texts, *place, "frequencies")
    return tuple(
        OperatingPoint(frequency=f, power=linear * f + cubic * f * f * f, label=str(text))
        for f, text in zip(frequencies, texts, strict=True)
    )


def _rising(
    sheet: Reader, dimension: units.Dimension, texts: Sequence[object], *place: str
) -> list[float]:
    values: list[float] = []
    for index, text in enumerate(texts):
        value = sheet.listed(dimension, text, *place, index)
        if values and value <= values[-1]:
            what = f"{text} is not above the {dimension} before it."
            sheet.fail(what, "Order them from low to high.", *place, index)
        values.append(value)
    return values
