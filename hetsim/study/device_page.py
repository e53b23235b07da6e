"""What a device is, in words and numbers: the page behind `hetsim explain device NAME`."""

from __future__ import annotations

from hetsim.core.errors import si
from hetsim.sim.device import Profile
from hetsim.sim.dvfs import Domain, OperatingPoint, Timing
from hetsim.spec import units
from hetsim.spec.profile import find_profile, load_profile_with_sources
from hetsim.study.explain import Sheet, Table

_SHOWN = 12
"""Rows of a table of operating points."""
_GIGA = 1e9


def device_page(name: str) -> Sheet:
    """Power, speed and joules by operating point; what was measured, and what is assumed.

    Raises:
        SpecError: no such profile, or one that cannot be read.
    """
    profile, source = load_profile_with_sources(find_profile(name, None))
    text = [
        f"Class {profile.device_class}. Its watts are measured at the {profile.power_scope}; "
        f"left out: {source.leaves_out}",
        f"Idle {si(profile.idle)}W, all domains busy at their highest points "
        f"{si(full_power(profile))}W, {si(profile.memory)}B of memory for jobs.",
        _times(profile),
    ]
    if source.fitted_on:
        text.append(
            f"Fitted on {', '.join(source.fitted_on)} of the validation measurements: its error on "
            "these is no evidence."
        )
    assumed = [row for row in source.rows if row.evidence == "assumed"]
    backed = [row for row in source.rows if row.evidence != "assumed"]
    tables = [_points(domain) for domain in profile.domains]
    if assumed:
        title = f"Assumed: {len(assumed)} of {len(source.rows)} numbers"
        rows = [(row.key, row.value, row.text) for row in assumed]
        tables.append(Table(title, ("key", "value", "why"), rows))
    rows = [(row.key, row.value, row.evidence, row.text) for row in backed]
    tables.append(Table("Where the others come from", ("key", "value", "", "source"), rows))
    return Sheet(profile.title, text, tables)


def full_power(profile: Profile) -> float:
    """Watts with all domains busy at their highest points."""
    return profile.idle + sum(domain.points[-1].power for domain in profile.domains)


def _times(profile: Profile) -> str:
    """How launching, arithmetic and memory traffic add up, in a sentence."""
    timing = profile.timing
    launches = [
        f"{si(domain.cycles_per_operator)}cycles of {domain.name}"
        for domain in profile.domains
        if domain.cycles_per_operator
    ]
    if timing.launch:
        launches.append(f"{units.format(timing.launch, 'time')} of its host")
    parts = [f"launching an operator takes {' and '.join(launches)}"] if launches else []
    if timing.overhead:
        parts.append(f"each step takes {units.format(timing.overhead, 'time')} more at any clock")
    if profile.switch:
        parts.append(f"a change of clocks takes {units.format(profile.switch, 'time')}")
    said = "; ".join([*parts, _overlap(timing)])
    return f"{said[0].upper()}{said[1:]}."


def _overlap(timing: Timing) -> str:
    if timing.host == timing.memory == 1.0:
        return "launching, arithmetic and memory traffic add up"
    ahead = "adds to" if timing.host == 1.0 else f"overlaps (p = {timing.host:g}) with"
    beside = "add up" if timing.memory == 1.0 else f"overlap (q = {timing.memory:g})"
    return f"launching {ahead} the rest, in which arithmetic and memory traffic {beside}"


def _points(domain: Domain) -> Table:
    """A domain's operating points; of a long table the ends and evenly spaced ones between."""
    count, flops, moves = len(domain.points), domain.flops_per_cycle, domain.bytes_per_cycle
    shown = range(count) if count <= _SHOWN else sorted(
        {round(i * (count - 1) / (_SHOWN - 1)) for i in range(_SHOWN)}
    )  # fmt: skip
    points = [domain.points[index] for index in shown]
    columns = {"point": [_label(point) for point in points]}
    if flops:
        columns["arithmetic"] = [f"{si(flops * point.frequency)}FLOP/s" for point in points]
    if moves:
        columns["operators' data"] = [f"{si(moves * point.frequency)}B/s" for point in points]
    columns["above idle"] = [f"{si(point.power)}W" for point in points]
    if flops:
        columns["J/GFLOP"] = [
            f"{point.power / (flops * point.frequency) * _GIGA:.3g}" for point in points
        ]
    note = f", {len(shown)} of {count} points" if len(shown) < count else ""
    rows = list(zip(*columns.values(), strict=True))
    return Table(f"{domain.name} ({domain.kind}{note})", tuple(columns), rows)


def _label(point: OperatingPoint) -> str:
    return point.label or units.format(point.frequency, "frequency")
