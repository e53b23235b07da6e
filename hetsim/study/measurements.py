"""Measurements of real devices, as a YAML file lists them, one row a measurement.

    measurements:
      - id: V18
        device: v100
        workload: "resnet50 on imagenet, batch 192, adadelta"
        unit: 1 epoch
        setting: power limit 175 W
        time_s: 3863.01
        power_w: 166.1
        energy_j: 641626.8
        source: "github:..."

A number may be missing or "-", and a range ("420-480" or [420, 480]), of which the middle counts.
A measured rate ("11.774 GFLOP/s") stands under `setting`, or in place of the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.quantities import Joules, Seconds, Watts
from hetsim.spec import units
from hetsim.spec.load import Document, as_list, as_mapping, in_words, key_of, read

_TEXTS = ("id", "device", "workload")
_WORDS = ("unit", "setting", "source")
_NUMBERS = ("time_s", "power_w", "energy_j")
_KEYS = (*_TEXTS, *_WORDS, *_NUMBERS, "calibration")
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*(?:-|–|to)\s*({_NUMBER})")
_RATE = re.compile(rf"({_NUMBER})\s*([kMGT]?)flops?(?:/s)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row.

    Attributes:
        id: unique in its file.
        device: name of a profile, if hetsim has it.
        workload, unit, setting: in the words of the file: what ran, how much of it, and how.
        time, power, energy: what was measured of one unit.
        rate: flop/s, where that was measured in place of a time.
        source: where the row comes from.
        calibration: whether the file says that the device's numbers were fitted on it.
    """

    id: str
    device: str
    workload: str
    unit: str = ""
    setting: str = ""
    time: Seconds | None = None
    power: Watts | None = None
    energy: Joules | None = None
    rate: float | None = None
    source: str = ""
    calibration: bool = False


def read_measurements(path: Path) -> list[Measurement]:
    """All rows of a file.

    Raises:
        SpecError: with file and line: no such file, no `measurements`, or a malformed row.
    """
    document = read(path, nulls=True)
    for key in document.data:
        if key != "measurements":
            hint = did_you_mean(key, ["measurements"])
            _fail(document, f"unknown key.{hint}", "The file has one key, `measurements`.", key)
    rows = as_list(document.data.get("measurements"))
    if not rows:
        remedy = "List the rows under `measurements:`, one a dash."
        where = document.where("measurements")
        raise SpecError("no rows.", where=where, key="measurements", remedy=remedy)
    found: dict[str, Measurement] = {}
    for place in range(len(rows)):
        row = _row(document, place, as_mapping(rows[place]))
        if row.id in found:
            what = f'a second row "{row.id}".'
            _fail(document, what, "Give each row its own id.", "measurements", place, "id")
        found[row.id] = row
    return list(found.values())


def _fail(document: Document, what: str, remedy: str, *place: str | int) -> NoReturn:
    raise SpecError(what, where=document.where(*place), key=key_of(place), remedy=remedy)


def _row(document: Document, place: int, entries: dict[str, Any] | None) -> Measurement:
    at = ("measurements", place)
    if entries is None:
        _fail(document, "a row is a mapping.", "Write `id: V01` and so on.", *at)
    for key in entries:
        if key not in _KEYS:
            remedy = f"Keys of a row: {', '.join(_KEYS)}."
            _fail(document, f"unknown key.{did_you_mean(key, _KEYS)}", remedy, *at, key)
    words: dict[str, str] = {}
    for key in (*_TEXTS, *_WORDS):
        value = entries.get(key)
        if value in (None, "") and key in _WORDS:
            continue
        if value is None:
            _fail(document, "missing.", f"Add `{key}:` to the row.", *at, key)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            what = f"expected text, got {in_words(value)}."
            _fail(document, what, "Write a few words.", *at, key)
        words[key] = str(value)
    calibration = entries.get("calibration", False)
    if not isinstance(calibration, bool):
        what = f"expected true or false, got {in_words(calibration)}."
        _fail(document, what, "Write true or false.", *at, "calibration")
    rate, numbers = _rate(words.get("setting")), dict.fromkeys(_NUMBERS)
    for key in _NUMBERS:
        value = entries.get(key)
        if key == "time_s" and (speed := _rate(value)):
            rate = speed
            continue
        try:
            numbers[key] = _number(value)
        except ValueError:
            what = f"expected a number above zero, got {in_words(value)}."
            _fail(document, what, 'Write 12.5, "420-480", or leave it out.', *at, key)
    time, power, energy = numbers.values()
    if time is power is energy is rate is None:
        remedy = f"Give at least one of {', '.join(_NUMBERS)}."
        _fail(document, "nothing was measured.", remedy, *at)
    return Measurement(
        **words, time=time, power=power, energy=energy, rate=rate, calibration=calibration
    )


def _rate(value: object) -> float | None:
    """Flop/s, if that is what a cell holds.

    >>> _rate("11.774 GFLOP/s"), _rate("cooled")
    (11774000000.0, None)
    """
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    return units.parse(f"{found[1]} {found[2]}Hz", "frequency") or None if found else None


def _number(value: object) -> float | None:
    """The number, or the middle of the range, that a cell holds.

    >>> _number("420-480"), _number([1, 3]), _number("-")
    (450.0, 2.0, None)

    Raises:
        ValueError: it holds none, or one that is not above zero.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "-", "–")):
        return None
    ends: list[Any] = as_list(value) or [value, value]
    if isinstance(value, str) and (match := _RANGE.fullmatch(value.strip())):
        ends = [match[1], match[2]]
    if len(ends) != 2 or not all(isinstance(end, str | int | float) for end in ends):
        raise ValueError
    low, high = (float(end) for end in ends)
    if isinstance(value, bool) or not (0.0 < low <= high and isfinite(high)):
        raise ValueError
    return (low + high) / 2.0
