"""The blocks `battery` and `heat` of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Celsius, Fraction, Volts
from hetsim.sim.battery import MODELS, BatteryPack, Wells
from hetsim.sim.dvfs import Domain
from hetsim.sim.heat import WARMING, Body, Trip
from hetsim.spec import units
from hetsim.spec.evidence import EVIDENCE, Reader
from hetsim.spec.load import as_list

_FRACTIONS = ("efficiency", "charge_efficiency", "restart")
_ROUNDING = 1.0 + 1e-9


def read_battery(sheet: Reader) -> BatteryPack:
    """The block `battery`.

    Raises:
        SpecError: with file and line.
    """
    sheet.mapping(
        "battery",
        required=("capacity",),
        optional=(*_FRACTIONS, "model", "voltage", "cutoff", "kibam"),
    )
    given: dict[str, Any] = {
        key: sheet.fraction("battery", key) for key in _FRACTIONS if sheet.has("battery", key)
    }
    if sheet.has("battery", "voltage"):
        given["voltage"] = _open_circuit(sheet)
    if sheet.has("battery", "cutoff"):
        given["cutoff"] = _cutoff(sheet, given.get("voltage", ()))
    if sheet.has("battery", "kibam"):
        given["wells"] = _wells(sheet)
    if sheet.has("battery", "model"):
        given["model"] = sheet.choice(MODELS, "battery", "model")
    pack = BatteryPack(
        capacity=sheet.quantity("energy", "battery", "capacity", positive=True), **given
    )
    if pack.model not in pack.models:
        what = f"the block has no numbers for the model {pack.model}."
        sheet.fail(what, f"Add `{pack.model}:` to battery.", "battery", "model")
    return pack


def _open_circuit(sheet: Reader) -> tuple[tuple[Fraction, Volts], ...]:
    place = ("battery", "voltage")
    entries = sheet.mapping(*place, required=("rows",), optional=EVIDENCE)
    listed = as_list(entries["rows"]) or []
    if len(listed) < 2:
        what = "expected a table of at least two rows."
        sheet.fail(what, 'Write [[0, "3.4 V"], [1, "4.35 V"]].', *place, "rows")
    rows: list[tuple[Fraction, Volts]] = []
    for index, row in enumerate(listed):
        here = (*place, "rows", index)
        cells = as_list(row) or []
        if len(cells) != 2:
            remedy = 'Write [charge, voltage] such as [0.5, "3.8 V"].'
            sheet.fail("a row has two entries.", remedy, *here)
        try:
            charge = units.parse(cells[0], "fraction")
        except SpecError as error:
            sheet.fail(error.what, error.remedy, *here)
        voltage = sheet.listed("voltage", cells[1], *here)
        if charge != 0.0 if not rows else charge <= rows[-1][0]:
            what = "charge does not rise from 0 to 1."
            sheet.fail(what, "Order the rows by charge, the first at 0, the last at 1.", *here)
        if rows and voltage < rows[-1][1]:
            what = "the voltage falls as the charge rises."
            sheet.fail(what, "Check the table: a fuller cell has no lower voltage.", *here)
        rows.append((charge, voltage))
    if rows[-1][0] != 1.0:
        what = "charge does not rise from 0 to 1."
        remedy = "Order the rows by charge, the first at 0, the last at 1."
        sheet.fail(what, remedy, *place, "rows", len(rows) - 1)
    shown = f"{len(rows)} points from {rows[0][1]:g} V to {rows[-1][1]:g} V"
    sheet.evidence(shown, *place)
    return tuple(rows)


def _cutoff(sheet: Reader, table: Sequence[tuple[Fraction, Volts]]) -> Volts:
    cutoff = sheet.quantity("voltage", "battery", "cutoff", positive=True)
    if not table:
        remedy = "Remove it, or add the table `voltage:`."
        sheet.fail("only a battery with open-circuit voltages has it.", remedy, "battery", "cutoff")
    if cutoff >= table[-1][1]:
        what = f"the full cell has {table[-1][1]:g} V, so the device would never run."
        sheet.fail(what, "Check it against the table `voltage:`.", "battery", "cutoff")
    return cutoff


def _wells(sheet: Reader) -> Wells:
    place = ("battery", "kibam")
    sheet.mapping(*place, required=("available", "rate"))
    available = sheet.fraction(*place, "available")
    if available >= 1.0:
        what = "nothing is bound: with all charge available this is the model linear."
        sheet.fail(what, "Write a share below 1.", *place, "available")
    return Wells(
        available=available, rate=sheet.quantity("rate constant", *place, "rate", positive=True)
    )


def read_heat(sheet: Reader, domains: Sequence[Domain]) -> Body:
    """The block `heat`; its trips slow down `domains`.

    Raises:
        SpecError: with file and line.
    """
    sheet.mapping("heat", required=("resistance", "capacity", "trips"), optional=("power",))
    power = sheet.choice(WARMING, "heat", "power") if sheet.has("heat", "power") else "all"
    trips = as_list(sheet.at("heat", "trips"))
    if trips is None:
        sheet.fail("expected a list.", "Write a list of trips; `[]` for none.", "heat", "trips")
    return Body(
        resistance=sheet.quantity("thermal resistance", "heat", "resistance", positive=True),
        capacity=sheet.quantity("heat capacity", "heat", "capacity", positive=True),
        power=power,
        trips=tuple(_trip(sheet, index, domains) for index in range(len(trips))),
    )


def _trip(sheet: Reader, index: int, domains: Sequence[Domain]) -> Trip:
    place = ("heat", "trips", index)
    entries = sheet.mapping(*place, required=("domain", "at", "resume", "to"), optional=EVIDENCE)
    name = sheet.choice([domain.name for domain in domains], *place, "domain")
    [domain] = [domain for domain in domains if domain.name == name]
    at, resume = (_celsius(sheet, entries[key], *place, key) for key in ("at", "resume"))
    if resume >= at:
        what = f"it ends at {resume:g} degC, not below the {at:g} degC at which it begins."
        sheet.fail(what, "Write a lower temperature.", *place, "resume")
    try:
        point = _highest(domain, entries["to"])
    except SpecError as error:
        sheet.fail(error.what, error.remedy, *place, "to")
    sheet.evidence(f"{name} at most {entries['to']} from {at:g} to {resume:g} degC", *place)
    return Trip(domain=name, at=at, resume=resume, point=point)


def _celsius(sheet: Reader, value: object, *place: str | int) -> Celsius:
    try:
        return units.parse(value, "temperature")
    except SpecError as error:
        sheet.fail(error.what, error.remedy, *place)


def _highest(domain: Domain, text: object) -> int:
    """Index of the highest operating point of `domain` at or below a frequency or power limit."""
    limited = any(point.limit < inf for point in domain.points)
    if limited:
        most = units.parse(text, "power", positive=True)
        values = [point.limit for point in domain.points]
    else:
        most = units.parse(text, "frequency", positive=True)
        values = [units.parse(point.label, "frequency") for point in domain.points]
    below = [i for i, value in enumerate(values) if value <= most * _ROUNDING]
    if not below:
        raise SpecError(
            f"{domain.name} has no operating point at or below {text}.",
            remedy=f"Its lowest is {domain.points[0].label}.",
        )
    return below[-1]
