"""A device profile from a sweep: the part of the fit that a profile holds.

The time form goes in as it is. Power goes in as P0 + sum (a f + b f^3) u: what a clock draws
without work has no place in a profile, so the powers are fitted again without it, on the same rows.
Nor has the residual. The profile says how far off what it holds is.

A sweep knows one workload. What a minibatch of it computes, moves and launches is given by the
user, or assumed and marked so; it turns cycles a minibatch into flop and bytes a cycle.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Bytes, Flops, Watts
from hetsim.spec import units
from hetsim.spec.load import dump, read
from hetsim.spec.profile import find_profile, load_profile
from hetsim.study.calibrate import Calibration
from hetsim.study.physics import PowerForm, TimeForm, fit_power
from hetsim.study.surrogate import Errors, Surrogate

_KEPT = ("memory", "radios", "battery", "heat")
"""Parts of the base profile that a sweep says nothing about."""
_DOMAINS = (("cpu", "cpu"), ("gpu", "gpu"), ("emc", "memory"))
"""Name and kind, in the order of the clocks."""
_FLOPS, _TRAFFIC = 1e11, 4e9
_LEAST = 1e-12
"""W/Hz, 1 mW/GHz: a busy domain draws at least this; a fit may find none."""
_UNKNOWN: dict[str, Any] = {
    "memory": {
        "capacity": {"value": "8 GiB", "assumed": "a sweep does not say; name a profile: --base"},
        "reserved": {"value": "1 GiB", "assumed": "a sweep does not say; name a profile: --base"},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a minibatch of the sweep was: None where the user did not say.

    Attributes:
        flops: floating-point operations, a multiply-add counting as two.
        traffic: bytes that operators read and write.
        operators: tensor operators launched.
    """

    flops: Flops | None = None
    traffic: Bytes | None = None
    operators: float | None = None

    @classmethod
    def of(cls, flops: float | None, traffic: str | None, operators: float | None) -> Workload:
        """From the options of the command line.

        Raises:
            SpecError: not above zero, or traffic without a unit.
        """
        counts = (("--flops", flops, "8.2e10"), ("--operators", operators, "1750"))
        for option, count, example in counts:
            if count is not None and not (isfinite(count) and count > 0.0):
                remedy = f"Write a number such as {example}."
                raise SpecError(f"{count} is no such count.", where=option, remedy=remedy)
        moved = None
        if traffic is not None:
            try:
                moved = units.parse(traffic, "size", positive=True)
            except SpecError as error:
                raise SpecError(error.what, where="--traffic", remedy=error.remedy) from None
        return cls(flops=flops, traffic=moved, operators=operators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A profile that was written, and the errors of what it holds on the rows held out."""

    path: Path
    errors: Errors | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, units in the names."""
        return {
            "profile": str(self.path),
            "profile_time_mape_percent": self.errors and self.errors.time,
            "profile_energy_mape_percent": self.errors and self.errors.energy,
        }

    def words(self) -> str:
        """A line for the person who asked for it."""
        if self.errors is None:
            return f"Profile: {self.path}"
        return (
            f"Profile: {self.path}. It holds no residual; error on the rows held out: "
            f"time {self.errors.time:.2f} %, energy {self.errors.energy:.2f} %."
        )


def write_profile(
    found: Calibration, path: Path, *, base: str | None = None, workload: Workload | None = None
) -> Written:
    """Write the profile of a calibrated device.

    Args:
        found: of `calibrate`.
        path: the file, replaced if it is there.
        base: profile whose memory, radios, battery, heat and names are kept.
        workload: what a minibatch was.

    Raises:
        SpecError: nothing was fitted, no such base, or the fit makes no device.
    """
    if found.rows is None or found.fit is None:
        what = "nothing was fitted that a profile could hold."
        raise SpecError(what, where="--out", remedy="Measure the settings, then give --train.")
    lowest = float(found.grid[:, 0].min())
    time = found.fit.model.time
    time = replace(time, background=min(time.background, 0.5 * lowest))
    clocks, shares = found.rows.clocks, time.shares(found.rows.clocks)
    power = fit_power(clocks, shares, found.rows.energy / found.rows.time, clocked=False)
    power = replace(power, busy=tuple((max(a, _LEAST), b) for a, b in power.busy))
    model, rest = Surrogate(time=time, power=power), found.rest
    errors = Errors.of(model.physics(rest.clocks), rest) if rest and len(rest) else None
    data = _profile(found, time, power, errors, base, workload or Workload())
    part = path.with_name(f".{path.stem}.part.yaml")
    try:
        part.write_text(dump(data), encoding="utf-8")
        load_profile(part)
        os.replace(part, path)
    except OSError as error:
        what = f"cannot be written ({error.strerror})."
        raise SpecError(what, where=str(path), remedy="Check folder and permissions.") from None
    finally:
        part.unlink(missing_ok=True)
    return Written(path=path, errors=errors)


def _profile(
    found: Calibration, time: TimeForm, power: PowerForm, errors: Errors | None, base: str | None,
    workload: Workload,
) -> dict[str, Any]:  # fmt: skip
    known = read(find_profile(base, None, where="--base")).data if base else _UNKNOWN
    idle = _text(power.base, "power")
    fitted = _evidence(found, errors)
    data: dict[str, Any] = {
        "title": known.get("title", f"calibrated on {Path(found.sweep).name}"),
        "class": known.get("class", "jetson"),
        "power_scope": known.get("power_scope", "board"),
        "leaves_out": known.get("leaves_out", "whatever the sweep's power meter did not see"),
    }
    return data | {
        **{key: known[key] for key in _KEPT if key in known},
        "power": {
            "idle": {"value": idle, "derived": f"P0 of power = P0 + sum over cpu, gpu, emc of "
                     f"(a f + b f^3) x busy share. {fitted}"},
            "sleep": _no_more_than(idle, known, "sleep"),
            "off": _no_more_than(idle, known, "off"),
        },
        "compute": {
            **_timing(time),
            "domains": _domains(found, time, power, workload),
        },
    }  # fmt: skip


def _domains(
    found: Calibration, time: TimeForm, power: PowerForm, workload: Workload
) -> dict[str, Any]:
    cpu, gpu, _ = time.cycles
    if not (cpu or gpu):
        raise SpecError(
            "the time follows neither the CPU nor the GPU clock: no domain does arithmetic",
            where=found.sweep,
            remedy="Check the columns; fit more rows.",
        )
    worker = "gpu" if gpu else "cpu"
    domains: dict[str, Any] = {}
    for place, (name, kind) in enumerate(_DOMAINS):
        cycles = time.cycles[place]
        entry: dict[str, Any] = {"kind": kind}
        term = f"c_{name} = {cycles:.6g} cycles a minibatch (fit see power.idle)"
        if name == worker:
            entry["flops_per_cycle"] = _per_cycle(
                workload.flops, _FLOPS, cycles, f"{term}; a minibatch", "flop", "--flops"
            )
        elif kind == "memory" and cycles:
            entry["bytes_per_cycle"] = _per_cycle(
                workload.traffic, _TRAFFIC, cycles, f"{term}; a minibatch", "B", "--traffic"
            )
        elif kind == "cpu" and cycles:
            entry |= _launching(workload.operators, cycles, term)
            if time.background:
                entry["background"] = {
                    "value": _text(time.background, "frequency"),
                    "derived": "f0 of the time (fit see power.idle)",
                }
        linear, cubic = power.busy[place]
        grid = np.unique(found.grid[:, place]).tolist()
        entry["points"] = {
            "frequencies": [units.format(each, "frequency") for each in grid],
            "source": f"the settings of {Path(found.sweep).name}",
            "linear": {
                "value": _text(linear, "power per frequency"),
                "derived": f"a of {name}, at least 1 mW/GHz (fit see power.idle)",
            },
            "cubic": {
                "value": _text(cubic, "power per cubed frequency"),
                "derived": f"b of {name} (fit see power.idle)",
            },
        }
        domains[name] = entry
    return domains


def _launching(operators: float | None, cycles: float, term: str) -> dict[str, Any]:
    if operators is None:
        derived = f"{term}; taken to be launching and input, the same whatever the model"
        return {"cycles_per_step": {"value": _digits(cycles), "derived": derived}}
    derived = f"{term}; a minibatch launches {operators:.6g} operators, as given by --operators"
    return {"cycles_per_operator": {"value": _digits(cycles / operators), "derived": derived}}


def _evidence(found: Calibration, errors: Errors | None) -> str:
    """The sentence behind every fitted number."""
    how = {
        "random": f"a random part, fraction {found.fraction}, seed {found.seed}",
        "design": "chosen by design from the clocks alone",
    }.get(found.chosen, "given in a file")
    text = (
        f"With time = c0 + (host^p + device^p)^(1/p), host = c_cpu/(f_cpu - f0), device = "
        f"((c_gpu/f_gpu)^q + (c_emc/f_emc)^q)^(1/q), fitted by relative error to {found.fitted} of "
        f"{len(found.grid)} settings of {Path(found.sweep).name} ({how}). "
    )
    if errors is None or found.final is None:
        return f"{text}No setting was held out, so the error is not known"
    return (
        f"{text}Mean absolute error on the {found.held_out} settings held out: time "
        f"{errors.time:.2f} %, energy {errors.energy:.2f} %. With the power that clocks draw "
        f"unused and a residual, which a profile cannot hold, it is {found.final.time:.2f} % and "
        f"{found.final.energy:.2f} %"
    )


def _per_cycle(
    given: float | None, assumed: float, cycles: float, text: str, unit: str, option: str
) -> dict[str, Any]:
    work = assumed if given is None else given
    value = _digits(work / cycles)
    if given is not None:
        return {"value": value, "derived": f"{text} is {given:.6g} {unit}, as given by {option}"}
    return {
        "value": value,
        "assumed": f"{text} is taken to be {assumed:.6g} {unit}, the order of a training step of "
        f"ViT-B/16 or ResNet-50 on such boards; a sweep does not say: give {option}",
    }  # fmt: skip


def _timing(time: TimeForm) -> dict[str, Any]:
    """What no clock shortens, and what overlaps."""
    fitted = "of the time (fit see power.idle)"
    timing: dict[str, Any] = {}
    if time.overhead:
        timing["overhead"] = {"value": _text(time.overhead, "time"), "derived": f"c0 {fitted}"}
    if (time.ahead, time.overlap) != (1.0, 1.0):
        timing["overlap"] = {
            "host": {"value": _digits(time.ahead), "derived": f"p {fitted}"},
            "memory": {"value": _digits(time.overlap), "derived": f"q {fitted}"},
        }
    return timing


def _no_more_than(idle: str, known: dict[str, Any], state: str) -> dict[str, Any]:
    """Sleeping or off power of the base profile, unless the fitted idle power is below it."""
    leaf = known.get("power", {}).get(state)
    if leaf is None:
        return {"value": "0 W", "assumed": "a sweep does not say; name a profile: --base"}
    if units.parse(leaf["value"], "power") > units.parse(idle, "power"):
        return {"value": idle, "assumed": f"the base profile has {leaf['value']}, above idle here"}
    return leaf


def _text(value: Watts, dimension: units.Dimension) -> str:
    return units.format(_digits(value), dimension)


def _digits(value: float) -> float:
    """To six digits: more than a fit is worth, and short to read."""
    return float(f"{value:.6g}")
