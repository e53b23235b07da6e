"""Device profiles: a file of measured numbers, each with its source, becomes a `Profile`.

Every number is a leaf `{value: ..., source: ...}`; `derived` or `assumed` may stand for `source`,
and exactly one of the three must be there. What cannot be true of a device is refused: power that
does not rise with what the device does, speed that falls with rising frequency.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.registry import NETWORKS
from hetsim.sim.device import CLASSES, POWER_SCOPES, BatteryPack, Profile, Radio
from hetsim.sim.dvfs import DOMAIN_KINDS, Domain
from hetsim.spec import find
from hetsim.spec.evidence import Reader, Row
from hetsim.spec.load import read
from hetsim.spec.points import operating_points


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
    sheet = Reader(read(path))
    profile = _profile(sheet, path.stem)
    return profile, ProfileSheet(
        title=profile.title,
        device_class=profile.device_class,
        power_scope=profile.power_scope,
        leaves_out=sheet.text("leaves_out"),
        rows=sheet.rows,
    )


def _profile(sheet: Reader, name: str) -> Profile:
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


def _base_power(sheet: Reader) -> tuple[float, float, float]:
    sheet.mapping("power", required=("idle", "sleep", "off"))
    idle, sleep, off = (sheet.quantity("power", "power", key) for key in ("idle", "sleep", "off"))
    for lower, upper, low, high in (("sleep", "idle", sleep, idle), ("off", "sleep", off, sleep)):
        if low > high:
            what = f"{lower} draws more than {upper}."
            sheet.fail(what, f"Check both: {lower} <= {upper}.", "power", lower)
    return idle, sleep, off


def _memory(sheet: Reader) -> float:
    sheet.mapping("memory", required=("capacity", "reserved"))
    capacity = sheet.quantity("size", "memory", "capacity", positive=True)
    reserved = sheet.quantity("size", "memory", "reserved")
    if reserved >= capacity:
        what = "nothing is left for training: reserved is not below capacity."
        sheet.fail(what, "Check both.", "memory", "reserved")
    return capacity - reserved


def _domains(sheet: Reader) -> tuple[Domain, ...]:
    names = sheet.mapping("compute", "domains", optional=None)
    domains = tuple(_domain(sheet, name) for name in names)
    if not any(domain.flops_per_cycle for domain in domains):
        what = "no domain does arithmetic."
        remedy = "Give at least one of them `flops_per_cycle` above zero."
        sheet.fail(what, remedy, "compute", "domains")
    return domains


_PER_CYCLE = ("flops_per_cycle", "bytes_per_cycle", "cycles_per_step", "cycles_per_sample")


def _domain(sheet: Reader, name: str) -> Domain:
    place = ("compute", "domains", name)
    sheet.mapping(*place, required=("kind", "points"), optional=("cores", *_PER_CYCLE))
    kind = sheet.choice(DOMAIN_KINDS, *place, "kind")
    if sheet.has(*place, "cores"):
        cores = sheet.number(*place, "cores")
        if cores < 1 or not cores.is_integer():
            remedy = "Write a whole number from 1."
            sheet.fail(f"{cores} is no number of cores.", remedy, *place, "cores")
    given = {
        key: sheet.number(*place, key) for key in _PER_CYCLE if sheet.has(*place, key)
    }  # fmt: skip
    points = operating_points(sheet, *place, "points")
    return Domain(name=name, kind=kind, points=points, **given)


def _radios(sheet: Reader) -> dict[str, Radio]:
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


def _battery(sheet: Reader) -> BatteryPack:
    sheet.mapping("battery", required=("capacity",), optional=("efficiency",))
    capacity = sheet.quantity("energy", "battery", "capacity", positive=True)
    if sheet.has("battery", "efficiency"):
        return BatteryPack(capacity=capacity, efficiency=sheet.fraction("battery", "efficiency"))
    return BatteryPack(capacity=capacity)
