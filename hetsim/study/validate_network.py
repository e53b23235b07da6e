"""`hetsim validate network`: the engine against the answers of an independent simulator.

Every scenario of a folder is played (`hetsim.study.replay`) and compared with its answer: states
exactly, instants relative to the activity's own duration (at least 1 ms), joules relatively. Where
the folder has them, exact answers for heat and batteries (`closed_form.json`) are checked too, and
finish times of a packet-level simulator stand beside ours (`hetsim.study.packet_band`), not judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.spec import oracle
from hetsim.study.comparisons.closed_forms import closed_form_rows
from hetsim.study.explain import Sheet, Table
from hetsim.study.packet_band import PACKET_FILE, Band, band_table, packet_bands
from hetsim.study.replay import Replay

TOLERANCE = 1e-6
"""Largest relative error that passes."""
_SHORTEST: Seconds = 1e-3
"""Errors of instants are relative to a duration of at least this."""
_SMALLEST = 1e-9
"""Joules below this count as none."""
_EXACT_FILE = "closed_form.json"
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One scenario beside its answer.

    Attributes:
        scenario: its file name without suffix.
        model: its network model.
        activities: how many it has.
        times, joules: worst relative errors; infinite where only one side has a number.
        worst: activity, and node or link, in which they were met.
        faults: what cannot be expressed as an error: other states, missing names.
    """

    scenario: str
    model: str
    activities: int
    times: float
    joules: float
    worst: tuple[str, str]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is within the tolerance."""
        return not self.faults and max(self.times, self.joules) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class NetworkValidation:
    """All that a folder holds.

    Attributes:
        comparisons: of its scenarios.
        bands: beside packets.
        exact: numbers with exact answers, as `closed_form_rows` gives them.
    """

    comparisons: list[Comparison]
    bands: list[Band] = field(default_factory=list[Band])
    exact: Sequence[Mapping[str, Any]] = ()

    @property
    def passed(self) -> bool:
        """Whether every scenario and every exact number is within the tolerance."""
        return all(each.passed for each in self.comparisons) and all(
            row["error"] <= TOLERANCE for row in self.exact
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values; an error that is infinite is null."""
        return {
            "passed": self.passed,
            "tolerance": TOLERANCE,
            "scenarios": len(self.comparisons),
            "activities": sum(each.activities for each in self.comparisons),
            "failed": [each.scenario for each in self.comparisons if not each.passed],
            "worst_times": _finite(max(each.times for each in self.comparisons)),
            "worst_joules": _finite(max(each.joules for each in self.comparisons)),
            "faults": sum(len(each.faults) for each in self.comparisons),
            "results": [
                {
                    **asdict(each),
                    "times": _finite(each.times),
                    "joules": _finite(each.joules),
                    "worst": {"times": each.worst[0], "joules": each.worst[1]},
                    "passed": each.passed,
                }
                for each in self.comparisons
            ],
            "packet_level": [asdict(band) for band in self.bands],
            "closed_forms": [dict(row) for row in self.exact],
        }

    def sheet(self) -> Sheet:
        """Tables for a person."""
        rows = [
            (each.scenario, each.model, str(each.activities), _error(each.times),
             _error(each.joules), str(len(each.faults)), "ok" if each.passed else "FAILED")
            for each in self.comparisons
        ]  # fmt: skip
        everything = self.comparisons
        rows.append((
            "all", "", str(sum(each.activities for each in everything)),
            _error(max(each.times for each in everything)),
            _error(max(each.joules for each in everything)),
            str(sum(len(each.faults) for each in everything)),
            "ok" if all(each.passed for each in everything) else "FAILED",
        ))  # fmt: skip
        columns = ("scenario", "model", "activities", "times", "joules", "faults", "")
        sheet = Sheet(
            "Against an independent simulator",
            [f"Worst relative errors; up to {TOLERANCE:g} is in order."],
            [Table("", columns, rows)],
        )
        failed = [each for each in everything if not each.passed]
        if failed:
            lines = [(each.scenario, line) for each in failed for line in _complaints(each)]
            more = len(lines) - _SHOWN
            if more > 0:
                lines[_SHOWN:] = [("", f"and {more} more; --json has all of them.")]
            sheet.tables.append(Table("What is wrong", ("scenario", "where"), lines))
        if self.exact:
            sheet.tables.append(_exact_table(self.exact))
        if self.bands:
            sheet.tables.append(band_table(self.bands))
        return sheet


def validate_network(
    folder: Path, progress: Callable[[int, int], None] = lambda done, of: None
) -> NetworkValidation:
    """Play and compare every scenario of a folder.

    Args:
        folder: has `scenarios/*.json` and `expected/*.json`, and perhaps `packet_level.json` and
            `closed_form.json`.
        progress: called with scenarios done and how many there are.

    Raises:
        SpecError: no scenario, one without an answer, or a file that is wrong.
    """
    files = _files(folder)
    comparisons: list[Comparison] = []
    for done, file in enumerate(files):
        progress(done, len(files))
        scenario = oracle.read_scenario(file)
        answer = oracle.read_answer(folder / "expected" / file.name)
        comparisons.append(compare(file, scenario, answer))
    progress(len(files), len(files))
    packets, exact = folder / PACKET_FILE, folder / _EXACT_FILE
    return NetworkValidation(
        comparisons,
        packet_bands(folder) if packets.is_file() else [],
        closed_form_rows(exact) if exact.is_file() else (),
    )


def _files(folder: Path) -> list[Path]:
    """Scenarios, each of which has an answer."""
    where = str(folder)
    if not folder.is_dir():
        what = "is not a folder." if folder.exists() else "no such folder."
        raise SpecError(what, where=where, remedy="Give the folder that holds scenarios/.")
    files = sorted((folder / "scenarios").glob("*.json"))
    if not files:
        remedy = "Give the folder that holds scenarios/*.json and expected/*.json."
        raise SpecError("no scenario.", where=where, remedy=remedy)
    lonely = [file.name for file in files if not (folder / "expected" / file.name).is_file()]
    if lonely:
        raise SpecError(
            f"no answer to {', '.join(lonely[:5])}{' …' if len(lonely) > 5 else ''}"
            f" ({len(lonely)} of {len(files)} scenarios).",
            where=str(folder / "expected"),
            remedy="An answer has the name of its scenario.",
        )
    return files


def compare(file: Path, scenario: oracle.Scenario, answer: oracle.Answer) -> Comparison:
    """Play a scenario and put it beside its answer."""
    replay = Replay(scenario)
    replay.play()
    faults: list[str] = []
    if answer.digest and hashlib.sha256(file.read_bytes()).hexdigest() != answer.digest:
        faults.append("the answer is to another version of this scenario (SHA-256 differs)")
    faults += _names("activity", replay.records, answer.activities)
    times, slowest = 0.0, ""
    for name, theirs in answer.activities.items():
        ours = replay.records.get(name)
        if ours is None:
            continue
        if ours.state != theirs.state:
            faults.append(f"{name} is {ours.state}, expected {theirs.state}")
            continue
        error = _late(ours.start, ours.finish, theirs)
        if error > times:
            times, slowest = error, name
    drawn = replay.joules()
    expected = {name: each.energy for name, each in {**answer.nodes, **answer.links}.items()}
    faults += _names("node or link", drawn, expected)
    joules, hungriest = 0.0, ""
    for name in (name for name in expected if name in drawn):
        error = abs(drawn[name] - expected[name]) / max(expected[name], _SMALLEST)
        if error > joules:
            joules, hungriest = error, name
    return Comparison(
        scenario=file.stem, model=scenario.model, activities=len(scenario.activities),
        times=times, joules=joules, worst=(slowest, hungriest), faults=tuple(faults),
    )  # fmt: skip


def _names(kind: str, ours: Any, theirs: Any) -> list[str]:
    """Names that only one side has."""
    unknown = [f"no {kind} {name} in the scenario" for name in theirs if name not in ours]
    return unknown + [f"no answer for {kind} {name}" for name in ours if name not in theirs]


def _late(start: Seconds | None, finish: Seconds | None, theirs: oracle.Outcome) -> float:
    """Worst relative error of the two instants.

    What was cancelled before its release has no start: then only the finish counts.
    """
    if theirs.state == "skipped":
        return 0.0
    duration = _SHORTEST
    if theirs.start is not None and theirs.finish is not None:
        duration = max(theirs.finish - theirs.start, duration)
    worst = 0.0
    for mine, other in ((start, theirs.start), (finish, theirs.finish)):
        if mine is not None and other is not None:
            worst = max(worst, abs(mine - other) / duration)
        elif (mine is None) != (other is None) and theirs.state != "cancelled":
            worst = inf
    return worst


def _exact_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    worst: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        worst.setdefault((row["case"], row["type"]), []).append(row["error"])
    lines = [
        (case, kind, str(len(errors)), _error(max(errors)),
         "ok" if max(errors) <= TOLERANCE else "FAILED")
        for (case, kind), errors in worst.items()
    ]  # fmt: skip
    title = "Beside exact answers: worst relative error"
    return Table(title, ("case", "type", "numbers", "error", ""), lines)


def _complaints(failed: Comparison) -> list[str]:
    lines = list(failed.faults)
    for what, error, where in (
        ("instants", failed.times, failed.worst[0]), ("joules", failed.joules, failed.worst[1]),
    ):  # fmt: skip
        if error > TOLERANCE:
            lines.append(f"{what} of {where}: relative error {_error(error)}")
    return lines


def _error(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
