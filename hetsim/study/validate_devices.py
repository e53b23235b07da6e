"""`hetsim validate devices`: device profiles against measurements.

A row's workload becomes a `Cost` (`hetsim.study.workloads`), its setting an operating point of each
domain, and the profile's `effort`, the same that simulations use, says how long and how many joules
above idle:

    time,   power = idle + joules / time,   energy = power x time

Linpack tells a rate: the profile's arithmetic for training over the share of Linpack's that it
is known to reach. CoreMark on one core tells the power of one core. An iPerf stream tells the
power of a whole phone: what its cellular radio draws when connected and for its bytes, above a
base. What cannot be predicted is listed with the reason. Rows whose numbers entered the profile (it
says so under `fitted_on`, or by quoting the very result) are calibration and kept apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Joules, Seconds, Watts
from hetsim.core.registry import NETWORKS
from hetsim.sim.device import Profile
from hetsim.spec import units
from hetsim.spec.profile import ProfileSheet, find_profile, load_profile_with_sources
from hetsim.study.explain import Sheet, Table
from hetsim.study.measurements import Measurement, read_measurements
from hetsim.study.settings import clock_of, clocks, operating_points
from hetsim.study.workloads import NotPredictable, Work, compact, work_of

_LINPACK = {"sbc": 0.6, "laptop_or_edge_server": 2.0, "server_cpu": 2.0}
"""Flops of training at full arithmetic speed over those of Linpack in fp64: what small networks
reached on ARM boards and on x86, as the profiles use it where they start from Linpack."""
_SCREEN_PHONE: Watts = 2.2356
"""The phone of the SIGCOMM 2021 5G measurements with its screen on and its radio idle: the base of
its LTE downlink fit, 2.6256 W, less the 0.39 W of a connected modem (see `Lte`)."""
_QUANTITIES = ("time", "power", "energy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a profile says of a row; None where it says nothing.

    Attributes:
        time, power, energy: of one unit.
        rate: flop/s.
        remark: what was assumed.
    """

    time: Seconds | None = None
    power: Watts | None = None
    energy: Joules | None = None
    rate: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row beside its prediction.

    Attributes:
        row: what was measured.
        group: class of the device and kind of work.
        calibration: whether the profile was fitted on the row.
        prediction: None if there is none.
        reason: why there is none.
    """

    row: Measurement
    group: str
    calibration: bool = False
    prediction: Prediction | None = None
    reason: str = ""

    @property
    def errors(self) -> dict[str, float]:
        """Relative errors, signed; a rate counts as the time it stands for."""
        if self.prediction is None:
            return {}
        errors: dict[str, float] = {}
        for name in _QUANTITIES:
            measured, ours = getattr(self.row, name), getattr(self.prediction, name)
            if measured is not None and ours is not None:
                errors[name] = ours / measured - 1.0
        if self.row.rate is not None and self.prediction.rate is not None:
            errors["time"] = self.row.rate / self.prediction.rate - 1.0
        return errors


@dataclass(frozen=True, slots=True)
class DeviceValidation:
    """All rows of a file."""

    results: list[Result]

    @property
    def predicted(self) -> list[Result]:
        """Rows with at least one number to compare."""
        return [result for result in self.results if result.errors]

    @property
    def left_out(self) -> list[Result]:
        """Rows without."""
        return [result for result in self.results if not result.errors]

    def groups(self, *, calibration: bool) -> dict[str, dict[str, tuple[int, float]]]:
        """Of each group and quantity, rows and mean absolute percentage error."""
        found: dict[str, dict[str, list[float]]] = {}
        for result in self.predicted:
            if result.calibration == calibration:
                for name, error in result.errors.items():
                    found.setdefault(result.group, {}).setdefault(name, []).append(abs(error))
        return {
            group: {
                name: (len(each), 100.0 * sum(each) / len(each)) for name, each in kinds.items()
            }
            for group, kinds in found.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        sides = {"validation": False, "calibration": True}
        return {
            "rows": len(self.results),
            "predicted": len(self.predicted),
            "groups": {
                side: {
                    group: {
                        name: {"rows": rows, "mape_percent": error}
                        for name, (rows, error) in kinds.items()
                    }
                    for group, kinds in self.groups(calibration=flag).items()
                }
                for side, flag in sides.items()
            },
            "results": [_plain(result) for result in self.results],
        }

    def sheet(self) -> Sheet:
        """Tables for a person."""
        rest = " What cannot be predicted stands at the end, with the reason."
        sheet = Sheet(
            "Device profiles against measurements",
            [
                f"{len(self.predicted)} of {len(self.results)} rows are predicted."
                + (rest if self.left_out else "")
            ],
        )
        for title, flag in (
            ("Validation: mean absolute error, and rows", False),
            ("Calibration: rows that the profiles were fitted on; no evidence", True),
        ):
            groups = self.groups(calibration=flag)
            if groups:
                rows = [
                    (group, *(_share(kinds.get(name)) for name in _QUANTITIES))
                    for group, kinds in sorted(groups.items())
                ]
                sheet.tables.append(Table(title, ("group", *_QUANTITIES), rows))
        rows = [
            (each.row.id + ("*" if each.calibration else ""), each.row.device, each.row.workload,
             *(_signed(each.errors.get(name)) for name in _QUANTITIES))
            for each in self.predicted
        ]  # fmt: skip
        if rows:
            title = "Relative error of each row (* calibration; a rate counts as a time)"
            sheet.tables.append(Table(title, ("row", "device", "workload", *_QUANTITIES), rows))
        rows = [(each.row.id, each.row.device, each.reason) for each in self.left_out]
        if rows:
            sheet.tables.append(Table("Not predicted", ("row", "device", "why"), rows))
        return sheet


def validate_devices(file: Path) -> DeviceValidation:
    """Predict each row of a file of measurements.

    Raises:
        SpecError: the file is malformed.
    """
    known: dict[str, tuple[Profile, ProfileSheet] | None] = {}
    results: list[Result] = []
    for row in read_measurements(file):
        if row.device not in known:
            path = find_profile(row.device, file.parent, missing_ok=True)
            known[row.device] = load_profile_with_sources(path) if path else None
        results.append(_result(row, known[row.device]))
    return DeviceValidation(results)


def _result(row: Measurement, device: tuple[Profile, ProfileSheet] | None) -> Result:
    kind = device[0].device_class if device else "no profile"
    try:
        work = work_of(row)
    except NotPredictable as fault:
        reason = str(fault) if device else f"no profile of {row.device}"
        return Result(row=row, group=kind, reason=reason)
    group = f"{kind}: {work.family}"
    calibration = row.calibration or bool(device and _fitted(row, work, device[1]))
    try:
        if work.family == "cellular":
            prediction, calibration = _cellular(row), True
        elif device is None:
            raise NotPredictable(f"no profile of {row.device}")
        else:
            prediction = _predict(row, work, *device)
    except NotPredictable as fault:
        return Result(row=row, group=group, calibration=calibration, reason=str(fault))
    result = Result(row=row, group=group, calibration=calibration, prediction=prediction)
    if result.errors:
        return result
    return Result(
        row=row, group=group, calibration=calibration,
        reason="nothing that was measured is predicted for this kind of work",
    )  # fmt: skip


def _fitted(row: Measurement, work: Work, sheet: ProfileSheet) -> bool:
    """Whether the row's numbers are in the profile."""
    if row.id in sheet.fitted_on:
        return True
    quoted = [each.text for each in sheet.rows if each.key.startswith("compute")]
    if work.family == "Linpack":
        return any(re.search(r"running HPL|\d x HPL", text) for text in quoted)
    exact = row.source.rpartition(":")[2]
    return work.family == "inference" and bool(exact) and any(exact in text for text in quoted)


# --- predictions ----------------------------------------------------------------------------------


def _predict(row: Measurement, work: Work, profile: Profile, sheet: ProfileSheet) -> Prediction:
    points = operating_points(row.setting, profile)
    net = "net of base" in row.setting.lower()
    base = 0.0 if net else profile.idle
    if work.family == "CoreMark":
        return _coremark(row, profile, sheet, points, base)
    effort = profile.effort(work.cost, points)
    power = base + sum(effort.joules) / effort.duration
    if work.family == "Linpack":
        if profile.device_class not in _LINPACK:
            raise NotPredictable("how its training speed relates to Linpack's is not known")
        share = _LINPACK[profile.device_class]
        return Prediction(rate=work.cost.flops / effort.duration / share, power=power,
                          remark=f"training reaches {share:g} x Linpack's rate")  # fmt: skip
    time = effort.duration
    return Prediction(time=time, power=power, energy=power * time, remark=work.remark)


def _coremark(
    row: Measurement, profile: Profile, sheet: ProfileSheet, points: Sequence[int], base: Watts
) -> Prediction:
    """Power of one busy core; its time would need the benchmark's speed."""
    stated = clocks(row.setting)
    if not stated:
        raise NotPredictable("the clock of the core is not stated")
    wanted = stated[0][1]
    domain, index = min(
        zip(profile.domains, points, strict=True),
        key=lambda pair: abs(clock_of(pair[0].points[pair[1]]) - wanted),
    )
    cores = next(
        (float(each.value) for each in sheet.rows
         if each.key == f"compute.domains.{domain.name}.cores"), 0.0,
    )  # fmt: skip
    if not cores:
        raise NotPredictable(f"the profile does not say how many cores {domain.name} has")
    power = base + domain.points[index].power / cores
    return Prediction(power=power, remark=f"one of {cores:g} cores of {domain.name}")


def _cellular(row: Measurement) -> Prediction:
    """Power of a phone that streams; the constants come from the measurements of one phone."""
    name = compact(row.workload)
    found = re.search(r"([\d.]+\s*[kMG]?bit/s)\s*achieved", row.setting)
    found = found or re.search(r"target ([\d.]+\s*[kMG]?bit/s)", row.workload)
    up = re.search(r"uplink|downlink", name)
    band = next((each for key, each in _BANDS.items() if key in name), None)
    if not (found and up and band):
        raise NotPredictable("direction, network or throughput of the stream is not stated")
    technology: Any = NETWORKS.load(band[0])(**band[1])
    radio, states = technology.radio, technology.states
    price = radio.sending if up[0] == "uplink" else radio.receiving
    power = _SCREEN_PHONE + states.connected + price * units.parse(found[1], "rate")
    return Prediction(power=power, remark="a phone with its screen on, the one that was fitted")


_BANDS: dict[str, tuple[str, dict[str, str]]] = {
    "nsalow": ("nr", {"band": "low"}), "mmwave": ("nr", {"band": "mmwave"}), "lte": ("lte", {}),
}  # fmt: skip


# --- showing --------------------------------------------------------------------------------------


def _plain(result: Result) -> dict[str, Any]:
    row, prediction = result.row, result.prediction
    return {
        "id": row.id,
        "device": row.device,
        "workload": row.workload,
        "group": result.group,
        "calibration": result.calibration,
        "measured": {
            "time_s": row.time, "power_w": row.power, "energy_j": row.energy,
            "rate_flop_per_s": row.rate,
        },
        "predicted": prediction and {
            "time_s": prediction.time, "power_w": prediction.power,
            "energy_j": prediction.energy, "rate_flop_per_s": prediction.rate,
        },
        "relative_error": result.errors,
        "remark": prediction.remark if prediction else "",
        "reason": result.reason,
    }  # fmt: skip


def _share(found: tuple[int, float] | None) -> str:
    return f"{found[1]:.1f} % ({found[0]})" if found else ""


def _signed(error: float | None) -> str:
    return "" if error is None else f"{100.0 * error:+.1f} %"
