"""Device profiles: a file of measured numbers, each with its source, becomes a `Profile`.

Every number is a leaf `{value: ..., source: ...}`; `derived` or `assumed` may stand for `source`,
and exactly one of the three must be there. What cannot be true of a device is refused: power that
does not rise with what the device does, speed that falls with rising frequency.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, overload

from hetsim.core.errors import SpecError, did_you_mean
from hetsim.core.quantities import Seconds
from hetsim.core.registry import NETWORKS
from hetsim.sim.device import CLASSES, POWER_SCOPES, Profile, Radio
from hetsim.sim.dvfs import DOMAIN_KINDS, Domain, Timing
from hetsim.spec import find
from hetsim.spec.evidence import Reader, Row
from hetsim.spec.load import as_list, read
from hetsim.spec.parts import read_battery, read_heat
from hetsim.spec.points import operating_points


@dataclass(frozen=True, slots=True)
class ProfileSheet:
    """What a profile says about itself: every number with what backs it.

    Attributes:
        title: what a person calls the device.
        device_class: one of `hetsim.sim.device.CLASSES`.
        power_scope: what its watts include.
        leaves_out: what they do not include.
        fitted_on: ids of the validation measurements that its numbers were fitted on.
        rows: in file order.
    """

    title: str
    device_class: str
    power_scope: str
    leaves_out: str
    fitted_on: tuple[str, ...]
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
    return _loaded(path, profile_hash(path))


@lru_cache(maxsize=256)
def _loaded(path: Path, digest: str) -> Profile:
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
        fitted_on=_fitted_on(sheet),
        rows=sheet.rows,
    )


def _profile(sheet: Reader, name: str) -> Profile:
    sheet.mapping(
        required=("title", "class", "power_scope", "leaves_out", "memory", "power", "compute"),
        optional=("radios", "battery", "heat", "fitted_on"),
    )
    idle, sleep, off = _base_power(sheet)
    memory = _memory(sheet)
    sheet.mapping("compute", required=("domains",), optional=(*_TIMES, "overlap"))
    domains = _domains(sheet)
    return Profile(
        name=name,
        title=sheet.text("title"),
        device_class=sheet.choice(CLASSES, "class"),
        power_scope=sheet.choice(POWER_SCOPES, "power_scope"),
        idle=idle,
        sleep=sleep,
        off=off,
        memory=memory,
        domains=domains,
        timing=_timing(sheet, domains),
        switch=_time(sheet, "switch"),
        radios=_radios(sheet) if sheet.has("radios") else {},
        battery=read_battery(sheet) if sheet.has("battery") else None,
        heat=read_heat(sheet, domains) if sheet.has("heat") else None,
    )


def _fitted_on(sheet: Reader) -> tuple[str, ...]:
    if not sheet.has("fitted_on"):
        return ()
    ids = as_list(sheet.at("fitted_on")) or []
    names = tuple(each for each in ids if isinstance(each, str) and each.strip())
    if not names or len(set(names)) != len(ids):
        what = "expected a list of different measurement ids."
        sheet.fail(what, "Write [V47, V48].", "fitted_on")
    return names


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


_TIMES = ("overhead", "launch", "switch")


def _time(sheet: Reader, key: str) -> Seconds:
    return sheet.quantity("time", "compute", key) if sheet.has("compute", key) else 0.0


def _timing(sheet: Reader, domains: Sequence[Domain]) -> Timing:
    powers = {"host": 1.0, "memory": 1.0}
    if sheet.has("compute", "overlap"):
        for key in sheet.mapping("compute", "overlap", optional=("host", "memory")):
            powers[key] = sheet.number("compute", "overlap", key)
            if powers[key] < 1.0:
                what = f"{powers[key]:g} is below 1, where the two times add up."
                sheet.fail(what, "Write 1 or more.", "compute", "overlap", key)
    for domain in domains:
        if powers["host"] > 1.0 and domain.launches and domain.works:
            what = f'domain "{domain.name}" launches and works, and cannot do both at once.'
            sheet.fail(what, "Leave out `host`.", "compute", "overlap", "host")
    return Timing(overhead=_time(sheet, "overhead"), launch=_time(sheet, "launch"), **powers)


_PER_CYCLE = (
    "flops_per_cycle", "bytes_per_cycle",
    "cycles_per_operator", "cycles_per_step", "cycles_per_sample",
)  # fmt: skip


def _domain(sheet: Reader, name: str) -> Domain:
    place = ("compute", "domains", name)
    sheet.mapping(
        *place, required=("kind", "points"), optional=("cores", "background", *_PER_CYCLE)
    )
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
    background = 0.0
    if sheet.has(*place, "background"):
        background = sheet.quantity("frequency", *place, "background")
        if background >= points[0].frequency:
            what = "leaves nothing at the lowest operating point."
            sheet.fail(what, "Write less than its frequency.", *place, "background")
    return Domain(name=name, kind=kind, points=points, background=background, **given)


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
